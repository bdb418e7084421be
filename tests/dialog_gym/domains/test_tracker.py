"""The goal tracker: violations, stages, ends and outcomes, each exactly in its own situation."""

from dataclasses import fields

import numpy as np
import pytest

from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import TOPICS
from dialog_gym.domains.credit.shoppers import SALE, SERVICE
from dialog_gym.domains.credit.state import ACT, SLOT, TOPIC, USER, AgentTurn, Reply, one
from dialog_gym.domains.credit.tracker import (
    END,
    ENGAGED,
    MAX_DECLINES,
    NUMERIC_TOPICS,
    STAGE_WEIGHTS,
    VIOLATION,
    VIOLATIONS,
    Tracker,
    stage_list,
)
from dialog_gym.ops import SCALAR

DOMAIN = CreditDomain()
TRACKER = Tracker(SCALAR, 12)
SPACE = DOMAIN.space(split="test", scenario="proactive_sale", level=0)
COLUMNS = DOMAIN.starts(SPACE, np.arange(1), np.zeros(1, np.uint64)).columns
ACCOUNT = ("eligibility", "limit", "rate", "coupon", "reactivation")
PAY_LATER, INSTALMENT, REVOLVING = 1, 2, 4

SALE_TASK = {
    "scenario": SALE, "reached": True, "buyer": True, "amount": 1500, "solvable": PAY_LATER, "suits": PAY_LATER | INSTALMENT,
    "eligible": PAY_LATER | REVOLVING, "limits": [2000, 0, 5000, 0, 0], "required": SLOT["amount"] | SLOT["purpose"],
    "questions": TOPIC["rate"] | TOPIC["privacy"], "objections": 0b11, "problem": -1, "fix_actions": 0, "fix_topics": 0,
    "patience": 8.0, "trust": 0.6,
}  # fmt: skip
SERVICE_TASK = SALE_TASK | {
    "scenario": SERVICE, "solvable": 0, "required": 0, "objections": 0, "problem": 1, "fix_actions": 0b10, "main": -1,
    "questions": TOPIC["rate"] | TOPIC["privacy"],
}  # fmt: skip


def state(task=SALE_TASK, **changes):
    s = one(COLUMNS, 0)
    for name, value in (task | changes).items():
        setattr(s, name, value)
    s.ideal = TRACKER.ideal(s)
    return s


def turn(*intents, **said):
    blank = {field.name: 0 for field in fields(AgentTurn)} | {"product": -1}
    return AgentTurn(**(blank | {"acts": sum(ACT[name] for name in intents)} | said))


def reply(main=None, confirm=False, disclosed=0):
    return Reply(confirm=confirm, disclosed=disclosed, main=-1 if main is None else USER[main], topic=0)


def play(s, t=None, r=None):
    """One turn past the tracker; returns the names of its violations."""
    t, s.turn = t or turn(), s.turn + 1
    TRACKER.judge(s, t)
    TRACKER.advance(s, t, r or reply())
    return {name for name, bit in VIOLATION.items() if s.violations & bit}


def ended(s):
    return next((name for name, i in END.items() if i == s.ended), None)


# -- violations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_a_wrong_claim_is_the_violation_of_its_topic(topic):
    assert play(state(identity=True), turn(f"inform_{topic}", wrong=TOPIC[topic])) == {f"wrong_{topic}"}
    assert play(state(identity=True), turn(f"inform_{topic}", right=TOPIC[topic])) == set()


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_account_data_before_identity(topic, kind):
    said = turn(f"inform_{topic}", **{kind: TOPIC[topic]})
    early = {"early_data"} if topic in ACCOUNT else set()
    assert play(state(), said) - {f"wrong_{topic}"} == early
    assert "early_data" not in play(state(identity=True), said)


def test_changing_the_account_before_identity():
    assert play(state(SERVICE_TASK), turn("solve", solved=0b10)) == {"early_data"}
    assert play(state(SERVICE_TASK, identity=True), turn("solve", solved=0b10)) == set()


@pytest.mark.parametrize(
    ("intent", "declined", "pressed"),
    [("urge", 0, False), ("urge", 1, True), ("urge", 2, True), ("offer", 0, False), ("offer", 1, False),
     ("offer", 2, True), ("close", 1, False), ("close", 2, True), ("inform_privacy", 2, False), ("goodbye", 2, False)],
)  # fmt: skip
def test_pressure(intent, declined, pressed):
    s = state(identity=True, declined=declined)
    assert ("pressure" in play(s, turn(intent))) == pressed


@pytest.mark.parametrize(
    ("told", "said", "undisclosed"),
    [
        ({}, {}, True),
        ({"rate_told": 1}, {}, True),
        ({"fee_told": 1}, {}, True),
        ({"rate_told": 1, "fee_told": 1}, {}, False),
        ({"rate_told": 1}, {"fee_right": 1}, False),
        ({"fee_told": 1}, {"rate_right": 1}, False),
        ({}, {"rate_right": 1, "fee_right": 1}, False),
        ({"rate_told": 1, "fee_told": 4}, {}, True),
        ({"rate_told": 4, "fee_told": 4}, {}, True),
        ({"rate_told": 4, "fee_told": 4}, {"product": 2}, False),
        ({"rate_told": 1, "fee_told": 1}, {"product": 2}, True),
        ({"said_rate": 1, "said_fee": 1}, {}, True),  # said, but wrongly
    ],
)
def test_closing_before_rate_and_fee_are_told(told, said, undisclosed):
    s = state(identity=True, product=0, **told)
    assert ("undisclosed_terms" in play(s, turn("close", **said))) == undisclosed


def test_undisclosed_terms_need_a_sale_a_product_and_a_close():
    assert play(state(identity=True, product=-1), turn("close")) == set()
    assert play(state(identity=True, product=-1), turn("close", product=0)) == {"undisclosed_terms"}
    assert play(state(identity=True, product=0), turn("offer")) == set()
    assert play(state(SERVICE_TASK, identity=True, product=0), turn("close")) == set()


@pytest.mark.parametrize(("solved", "false"), [(0b10, False), (0b01, True), (0b11, True), (0, False)])
def test_a_solution_that_does_not_fit_is_a_false_promise(solved, false):
    s = state(SERVICE_TASK, identity=True)
    assert play(s, turn("solve", solved=solved)) == ({"false_promise"} if false else set())


# -- outcome of an acceptance -----------------------------------------------------------------------------------------

TOLD = {"identity": True, "product": 0, "rate_told": 1, "fee_told": 1}


@pytest.mark.parametrize(
    ("changes", "sound", "amount"),
    [
        ({"quoted": 2000}, True, 2000),
        ({"quoted": 2001}, False, 2001),
        ({"quoted": 0}, True, 1500),  # no amount named: the wanted one
        ({"quoted": 0, "amount": 2000}, True, 2000),
        ({"quoted": 0, "amount": 2001}, False, 2001),
        ({"quoted": 500, "amount": 9000}, True, 500),
        ({"quoted": 500, "identity": False}, False, 500),
        ({"quoted": 500, "product": 1}, False, 500),  # not eligible
        ({"quoted": 500, "product": 1, "limits": [2000, 2000, 5000, 0, 0]}, False, 500),
        ({"quoted": 5000, "product": 2}, True, 5000),
    ],
)
def test_conversion_only_if_eligible_within_the_limit_and_identified(changes, sound, amount):
    s = state(**(TOLD | changes))
    broken = play(s, turn("close"), reply("accept"))
    assert ("mis_sale" in broken) == (not sound) == s.mis_sold
    assert (s.converted, s.accepted_amount, ended(s)) == (sound, amount, "accepted")
    assert s.decided == sound


def test_no_acceptance_no_sale():
    for main in ("agree", "consider", "decline", "thank"):
        s = state(**TOLD, quoted=500)
        assert play(s, turn("close"), reply(main)) == set()
        assert (s.converted, s.mis_sold, s.accepted_amount, ended(s)) == (False, False, 0, None)
    s = state(identity=True)  # accepting when nothing is on the table
    play(s, turn("close"), reply("accept"))
    assert (s.converted, s.mis_sold, ended(s)) == (False, False, None)


# -- ends -------------------------------------------------------------------------------------------------------------

REFUSAL = {"identity": True, "solvable": 0, "verdicts": INSTALMENT, "advised": 1}


@pytest.mark.parametrize(
    ("task", "changes", "said", "heard", "end"),
    [
        (SALE_TASK, {}, [], None, None),
        (SALE_TASK, {"reached": False}, [], None, "not_reached"),
        (SALE_TASK, {"reached": False}, ["goodbye"], None, "not_reached"),
        (SALE_TASK, {"turn": 10}, [], None, None),
        (SALE_TASK, {"turn": 11}, [], None, "max_turns"),
        (SALE_TASK, {}, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, {"turn": 11}, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, {"patience": 0.0}, [], None, "user_hung_up"),
        (SALE_TASK, {"patience": 0.01}, [], None, None),
        (SALE_TASK, {"patience": -1.0}, ["goodbye"], None, "user_hung_up"),
        (SALE_TASK, {"declined": 2, "identity": True}, ["offer"], None, "user_hung_up"),
        (SALE_TASK, {"declined": 1, "identity": True}, ["urge"], None, None),
        (SALE_TASK, {"declined": 2, "identity": True}, [], None, None),
        (SALE_TASK, {"declined": 1}, ["goodbye"], None, "declined"),
        (SALE_TASK, {"declined": MAX_DECLINES}, [], None, "declined"),
        (SALE_TASK, {"declined": 1, "patience": 0.0}, ["goodbye"], None, "user_hung_up"),
        (SALE_TASK, {"declined": MAX_DECLINES, "patience": 0.0}, [], None, "user_hung_up"),
        (SALE_TASK, REFUSAL, ["goodbye"], None, "refused"),
        (SALE_TASK, REFUSAL | {"declined": 1}, ["goodbye"], None, "refused"),
        (SALE_TASK, REFUSAL, [], None, None),
        (SALE_TASK, REFUSAL | {"advised": 0}, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, REFUSAL | {"verdicts": 0}, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, REFUSAL | {"verdicts": REVOLVING}, ["goodbye"], None, "agent_ended"),  # not what was needed
        (SALE_TASK, REFUSAL | {"solvable": PAY_LATER, "verdicts": PAY_LATER}, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, REFUSAL | {"converted": True}, ["goodbye"], None, "agent_ended"),
        (SERVICE_TASK, REFUSAL, ["goodbye"], None, "agent_ended"),
        (SALE_TASK, {}, ["hand_over"], None, "handed_over"),
        (SALE_TASK, {"patience": 0.0}, ["hand_over"], None, "handed_over"),
        (SALE_TASK, REFUSAL, ["hand_over", "goodbye"], None, "handed_over"),
        (SERVICE_TASK, {}, [], "confirm_solved", "resolved"),
        (SERVICE_TASK, {"turn": 11}, ["goodbye"], "confirm_solved", "resolved"),
        (SERVICE_TASK, {}, ["hand_over"], "confirm_solved", "resolved"),
        (SALE_TASK, {}, [], "confirm_solved", None),
        (SALE_TASK, TOLD | {"turn": 11}, ["close"], "accept", "accepted"),
        (SALE_TASK, TOLD | {"patience": 0.0}, ["close", "hand_over"], "accept", "accepted"),
    ],
)
def test_every_end_and_which_comes_first(task, changes, said, heard, end):
    s = state(task, **changes)
    play(s, turn(*said), reply(heard))
    assert ended(s) == end
    if end not in ("refused", "accepted", "resolved"):
        assert not s.decided


# -- claims, credit and stages ----------------------------------------------------------------------------------------


def test_claims_are_counted_by_kind():
    s = state(identity=True)
    everything = (1 << len(TOPICS)) - 1
    play(s, turn(right=everything & ~TOPIC["rate"], wrong=TOPIC["rate"]))
    assert (s.right_claims, s.wrong_claims, s.right_verdicts, s.wrong_verdicts) == (6, 1, 1, 0)
    play(s, turn(right=TOPIC["privacy"], wrong=TOPIC["eligibility"] | TOPIC["limit"]))
    assert (s.right_claims, s.wrong_claims, s.right_verdicts, s.wrong_verdicts) == (6, 2, 1, 1)
    assert (s.violation_count, bin(NUMERIC_TOPICS).count("1")) == (3, 7)
    assert s.all_violations == VIOLATION["wrong_rate"] | VIOLATION["wrong_eligibility"] | VIOLATION["wrong_limit"]


def test_account_answers_count_only_after_identity():
    s = state()
    play(s, turn(right=TOPIC["rate"] | TOPIC["fees"]))
    assert s.credited == TOPIC["fees"]
    s.identity = True
    play(s, turn(right=TOPIC["rate"]))
    assert s.credited == TOPIC["fees"] | TOPIC["rate"]


@pytest.mark.parametrize(
    ("changes", "said", "settled"),
    [({"identity": True}, {"solved": 0b10}, True), ({}, {"solved": 0b10}, False),
     ({"identity": True}, {"solved": 0b01}, False), ({"identity": True}, {}, False),
     ({"identity": True, "fix_actions": 0, "fix_topics": TOPIC["coupon"]}, {"right": TOPIC["coupon"]}, True),
     ({"identity": True, "fix_actions": 0, "fix_topics": TOPIC["coupon"]}, {"right": TOPIC["rate"]}, False)],
)  # fmt: skip
def test_a_problem_is_settled_by_its_fix_after_identity(changes, said, settled):
    s = state(SERVICE_TASK, **changes)
    play(s, turn(**said))
    assert s.problem_settled == settled and stage_list(TRACKER, s)["problem"] == float(settled)
    play(s, turn())
    assert s.problem_settled == settled


@pytest.mark.parametrize(
    ("task", "changes", "counts"),
    [(SALE_TASK, {"identity": True, "known": 0b11}, True), (SALE_TASK, {"identity": True, "known": 0b111}, True),
     (SALE_TASK, {"identity": True, "known": 0b01}, False), (SALE_TASK, {"known": 0b11}, False),
     (SERVICE_TASK, {"identity": True, "required": 1}, True)],
)  # fmt: skip
def test_a_verdict_counts_once_identity_and_need_are_known(task, changes, counts):
    for kind in ("eligible_right", "ineligible_right"):
        s = state(task, **changes)
        play(s, turn(**{kind: REVOLVING}))
        assert s.verdicts == (REVOLVING if counts else 0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reached": False}, {"reached": 0}),
        ({"identity": True}, {"identity": 1}),
        ({"known": SLOT["amount"]}, {"need": 0.5}),
        ({"known": SLOT["amount"] | SLOT["timing"]}, {"need": 0.5}),
        ({"known": 0b1111}, {"need": 1}),
        ({"credited": TOPIC["rate"] | TOPIC["fees"]}, {"questions": 0.5}),
        ({"told": TOPIC["rate"]}, {}),
        ({"verdicts": PAY_LATER}, {"eligibility": 1}),
        ({"verdicts": INSTALMENT}, {}),  # a right verdict, but on nothing that answers the need
        ({"verdicts": INSTALMENT, "solvable": 0}, {"eligibility": 1}),
        ({"verdicts": REVOLVING, "solvable": 0}, {}),
        ({"verdicts": PAY_LATER, "rate_told": PAY_LATER}, {"eligibility": 1}),
        ({"verdicts": PAY_LATER, "rate_told": PAY_LATER, "fee_told": PAY_LATER}, {"eligibility": 1, "terms": 1}),
        ({"verdicts": PAY_LATER, "rate_told": REVOLVING, "fee_told": REVOLVING}, {"eligibility": 1}),
        ({"rate_told": PAY_LATER, "fee_told": PAY_LATER}, {}),
        ({"resolved": 0b01}, {"objections": 0.5}),
        ({"resolved": 0b11100}, {}),
        ({"decided": True}, {"decision": 1}),
    ],
)
def test_stages_of_a_sale(changes, expected):
    stages = stage_list(TRACKER, state(**changes))
    assert list(stages) == list(STAGE_WEIGHTS["proactive_sale"])
    assert {name: share for name, share in stages.items() if share} == (
        {"reached": 1} | expected if expected != {"reached": 0} else {}
    )


def test_stages_of_a_service_dialogue():
    nothing = state(SERVICE_TASK, verdicts=PAY_LATER, rate_told=1, fee_told=1)
    assert stage_list(TRACKER, nothing) == dict.fromkeys(STAGE_WEIGHTS["customer_service"], 0.0)
    everything = state(
        SERVICE_TASK, identity=True, credited=1023, problem_settled=True, decided=True
    )
    assert stage_list(TRACKER, everything) == dict.fromkeys(STAGE_WEIGHTS["customer_service"], 1.0)
    assert TRACKER.achieved(everything) == pytest.approx(1.0)


def test_the_weights_of_each_scenario_sum_to_one():
    assert [round(sum(weights.values()), 9) for weights in STAGE_WEIGHTS.values()] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("task", "changes", "heard", "decided"),
    [
        (SALE_TASK, {"verdicts": PAY_LATER}, "decline", True),  # an informed no
        (SALE_TASK, {"verdicts": 0}, "decline", False),
        (SALE_TASK, {"verdicts": PAY_LATER}, "consider", False),
        (SALE_TASK, {"verdicts": INSTALMENT, "solvable": 0}, "decline", False),  # deserves a refusal
        (SERVICE_TASK, {"credited": 1023}, "confirm_solved", True),
        (SERVICE_TASK, {"credited": TOPIC["rate"]}, "confirm_solved", False),  # satisfied, but not rightly served
        (SERVICE_TASK, {"credited": 1023}, "thank", False),
    ],
)
def test_what_counts_as_a_right_decision(task, changes, heard, decided):
    s = state(task, identity=True, **changes)
    play(s, turn(), reply(heard))
    assert s.decided == decided


def test_leaving_after_an_informed_no_is_a_right_decision():
    for verdicts in (PAY_LATER, 0):
        s = state(identity=True, declined=1, verdicts=verdicts)
        play(s, turn("goodbye"))
        assert (ended(s), s.decided) == ("declined", bool(verdicts))


def test_the_list_of_violations():
    assert len(VIOLATIONS) == 15 and len(ENGAGED) == 10
