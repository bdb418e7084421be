"""Strategies: what fits when, what the SOP forbids, and ESNDCG."""

from math import log2

import numpy as np
import pytest

from dialog_gym.core import DialogueAct
from dialog_gym.domains import strategies
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.domains.credit.shoppers import SCENARIOS
from dialog_gym.domains.credit.state import ACT, SLOT, TOPIC, USER
from dialog_gym.domains.credit.strategies import FACT, FACTS, StrategyBook, load_strategies
from dialog_gym.domains.strategies import BEST_GRADE
from dialog_gym.ops import SCALAR

BOOK = StrategyBook(SCALAR)
NEED = SLOT["amount"] | SLOT["purpose"]
KNOWN = {"identity": True, "known": NEED, "seen_known": NEED}
TOLD = KNOWN | {"said_eligible": 1}
TERMS = TOLD | {"said_rate": 1, "said_fee": 1}
OFFERED = TERMS | {"offered": 1}
REFUSED = KNOWN | {"said_ineligible": 2, "solvable": 0}


def facts(state):
    held = BOOK.facts(state)
    return {name for name, bit in FACT.items() if held & bit}


def grades(state):
    found = dict(zip(BOOK.names, BOOK.grades(BOOK.facts(state)), strict=True))
    return {name: grade for name, grade in found.items() if grade}


def allowed(state):
    return {name for name, ok in zip(BOOK.names, BOOK.allowed(BOOK.facts(state)), strict=True) if ok}


@pytest.mark.parametrize(
    ("task", "changes", "expected"),
    [
        ("sale", {}, {"sale"}),
        ("sale", KNOWN, {"sale", "identity", "need_known"}),
        ("sale", {"seen_known": NEED}, {"sale"}),  # a need known before identity does not count
        ("sale", KNOWN | {"seen_known": SLOT["amount"]}, {"sale", "identity"}),
        ("sale", TOLD, {"sale", "identity", "need_known", "verdict_told"}),
        ("sale", REFUSED, {"sale", "identity", "need_known", "verdict_told", "refusal_told"}),
        ("sale", REFUSED | {"said_eligible": 1}, {"sale", "identity", "need_known", "verdict_told"}),
        ("sale", TERMS, {"sale", "identity", "need_known", "verdict_told", "terms_told"}),
        ("sale", TOLD | {"said_rate": 1, "said_fee": 2}, {"sale", "identity", "need_known", "verdict_told"}),
        ("sale", {"seen_open": TOPIC["privacy"]}, {"sale", "question_open"}),
        ("sale", {"seen_open": TOPIC["rate"]}, {"sale", "question_open", "account_question",
          "account_unverified"}),
        ("sale", {"seen_open": TOPIC["rate"], "identity": True},
         {"sale", "identity", "question_open", "account_question"}),
        ("sale", {"seen_voiced": 3, "resolved": 1}, {"sale", "objection_open"}),
        ("sale", {"seen_voiced": 3, "resolved": 3}, {"sale"}),
        ("sale", {"declined": 1, "garbled": True, "offered": 4},
         {"sale", "declined", "unreadable", "offered"}),
        ("sale", {"declined": 2, "human_requests": 1, "advised": 1},
         {"sale", "declined", "declined_twice", "human_wanted", "advised"}),
        ("service", {}, {"service", "problem_open"}),
        ("service", {"problem_settled": True}, {"service"}),
        ("service", {"problem": -1}, {"service"}),
        ("service", {"problem_settled": True, "main": USER["confirm_solved"]}, {"service", "nothing_left"}),
        ("service", {"main": USER["confirm_solved"]}, {"service", "problem_open"}),
        ("sale", {"main": USER["confirm_solved"]}, {"sale"}),
    ],
)  # fmt: skip
def test_facts_that_an_agent_can_see(desk, task, changes, expected):
    assert facts(desk.state(task, **changes)) == expected


@pytest.mark.parametrize(
    ("task", "changes", "best"),
    [
        ("sale", {}, "verify_identity"),
        ("sale", {"identity": True}, "discover_need"),
        ("sale", KNOWN, "qualify"),
        ("sale", TOLD, "present_terms"),
        ("sale", TERMS, "offer_product"),
        ("sale", OFFERED, "close_sale"),
        ("sale", OFFERED | {"seen_voiced": 1}, "handle_objection"),
        ("sale", OFFERED | {"seen_open": TOPIC["rate"]}, "answer_question"),
        ("sale", OFFERED | {"declined": 2}, "wrap_up"),
        ("sale", REFUSED, "refuse_and_advise"),
        ("sale", REFUSED | {"advised": 1}, "wrap_up"),
        ("sale", {"garbled": True, "identity": True, "known": NEED, "seen_known": NEED}, "clarify"),
        ("service", {}, "verify_identity"),
        ("service", {"identity": True}, "serve"),
        ("service", {"problem": -1, "seen_open": TOPIC["privacy"]}, "answer_question"),
        ("service", {"identity": True, "problem_settled": True, "main": USER["confirm_solved"]}, "wrap_up"),
    ],
)
def test_the_funnel_has_a_best_strategy_at_every_step(desk, task, changes, best):
    found = grades(desk.state(task, **changes))
    assert found[best] == BEST_GRADE == max(found.values())


@pytest.mark.parametrize(
    ("task", "changes", "forbidden"),
    [
        (
            "sale",
            {},
            {
                "discover_need",
                "qualify",
                "present_terms",
                "offer_product",
                "close_sale",
                "serve",
                "hand_over",
            },
        ),
        ("sale", KNOWN, {"close_sale", "serve"}),
        ("sale", TERMS | {"seen_voiced": 1}, {"close_sale"}),
        ("sale", OFFERED | {"declined": 2}, {"offer_product", "close_sale"}),
        ("sale", REFUSED, {"offer_product", "close_sale"}),
        ("sale", {"seen_open": TOPIC["rate"]}, {"answer_question", "wrap_up"}),
        (
            "service",
            {"identity": True},
            {"discover_need", "qualify", "offer_product", "close_sale", "wrap_up"},
        ),
        ("service", {}, {"serve"}),
        ("service", {"identity": True, "problem_settled": True}, {"serve"}),
    ],
)
def test_hard_rules(desk, task, changes, forbidden):
    state = desk.state(task, **changes)
    assert not forbidden & allowed(state)
    assert not forbidden & set(grades(state))  # what the SOP forbids never earns a grade


def test_what_hard_rules_leave_open(desk):
    assert {"verify_identity", "build_rapport"} <= allowed(desk.state())
    assert "close_sale" in allowed(desk.state(**OFFERED)) and "serve" in allowed(
        desk.state("service", identity=True)
    )
    assert "hand_over" in allowed(desk.state(human_requests=1))
    assert "answer_question" in allowed(desk.state(seen_open=TOPIC["privacy"]))
    assert "answer_question" in allowed(desk.state(seen_open=TOPIC["rate"], identity=True))


def test_gains_are_those_of_the_best_strategy_carried_out(desk):
    held = BOOK.facts(desk.state(**TERMS))
    assert BOOK.gains(held, ACT["offer"]) == (3, 3)
    assert BOOK.gains(held, ACT["inform_rate"]) == (1, 3)
    assert BOOK.gains(held, ACT["inform_rate"] | ACT["offer"]) == (3, 3)
    assert BOOK.gains(held, ACT["greet"]) == BOOK.gains(held, 0) == (0, 3)
    assert BOOK.gains(held, ACT["goodbye"]) == (0, 3)
    dull = BOOK.facts(desk.state("service", identity=True, problem_settled=True))
    assert BOOK.gains(dull, ACT["greet"]) == (0, 1)  # nothing fits, and nothing is lost but one grade


def test_every_act_carries_out_a_strategy_except_pressure():
    used = {intent for strategy in load_strategies().values() for intent in strategy.intents}
    assert set(ASSISTANT_ACTS) - used == {"urge"}


def test_esndcg_of_a_dialogue_is_discounted_gain_over_the_best():
    domain = CreditDomain()
    space = domain.space(split="test", scenario=SCENARIOS[0], level=0)
    starts = domain.starts(space, np.arange(40), np.zeros(40, np.uint64))
    row = int(np.flatnonzero(starts.shoppers.reached & (starts.shoppers.trust > 0.6))[0])
    dialogue = domain.begin(domain.task(row, level=0), starts, row)
    assert dialogue.outcome()["esndcg"] is None
    assert dialogue.strategy_grades()["verify_identity"] == 3
    assert "discover_need" not in dialogue.allowed_strategies()
    dialogue.step([DialogueAct(intent="smalltalk")])
    assert dialogue.outcome()["esndcg"] == 0
    best = max(dialogue.strategy_grades().values())
    assert best == 3
    dialogue.step([DialogueAct(intent="ask_identity")])
    expected = (3 / log2(3)) / (3 / log2(2) + 3 / log2(3))
    assert dialogue.outcome()["esndcg"] == pytest.approx(expected, abs=1e-6)
    without = domain.begin(domain.task(row, level=0), starts, row, judge_strategies=False)
    without.step([DialogueAct(intent="ask_identity")])
    assert without.outcome()["esndcg"] is None


def test_a_strategy_that_names_an_unknown_fact_is_refused(monkeypatch):
    text = '[strategies.x]\nintents = ["greet"]\nfits = [{ grade = 3, when = ["mood"] }]\n'
    for bad in (text, text.replace('"greet"', '"sing"').replace("mood", "sale")):
        monkeypatch.setattr(
            strategies.tomllib, "loads", lambda _, parse=strategies.tomllib.loads, bad=bad: parse(bad)
        )
        with pytest.raises(ValueError, match=r"names '(mood|sing)', which is no fact or intent"):
            load_strategies.__wrapped__()
        monkeypatch.undo()


def test_facts_fit_a_mask():
    assert len(FACT) == len(FACTS) == len(set(FACTS))
    assert all(0 <= fit.grade <= BEST_GRADE for s in load_strategies().values() for fit in s.fits)
