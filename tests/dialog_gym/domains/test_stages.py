"""Stages and TSE: what counts as progress, and that no dialogue scores above the best possible one."""

from math import log2

import numpy as np
import pytest

from dialog_gym.core import END, RUNNING
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import NEED_SLOTS, OBJECTIONS, SOLUTIONS, TOPICS
from dialog_gym.domains.credit.shoppers import SCENARIOS
from dialog_gym.domains.credit.state import ACT, INFORM_TOPICS, SLOT, TOPIC, AgentTurn
from dialog_gym.domains.credit.tracker import STAGE_WEIGHTS, Tracker, stage_list
from dialog_gym.domains.credit.user_model import NOISE
from dialog_gym.ops import SCALAR

DOMAIN = CreditDomain()
DYNAMICS = DOMAIN.array_dynamics
PAY_LATER, INSTALMENT, REVOLVING = 1, 2, 4
D1, D2, D3, D4 = (1 / log2(1 + t) for t in (1, 2, 3, 4))


# -- stages --------------------------------------------------------------------------------------------------


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
        ({"verdicts": PAY_LATER, "fee_told": PAY_LATER}, {"eligibility": 1}),
        ({"required": 0b111, "known": 0b1}, {"need": 0.3333}),
        (
            {"verdicts": PAY_LATER, "rate_told": PAY_LATER, "fee_told": PAY_LATER},
            {"eligibility": 1, "terms": 1},
        ),
        ({"verdicts": PAY_LATER, "rate_told": REVOLVING, "fee_told": REVOLVING}, {"eligibility": 1}),
        ({"rate_told": PAY_LATER, "fee_told": PAY_LATER}, {}),
        ({"resolved": 0b01}, {"objections": 0.5}),
        ({"resolved": 0b11100}, {}),
        ({"decided": True}, {"decision": 1}),
    ],
)
def test_stages_of_a_sale(desk, changes, expected):
    stages = stage_list(desk.tracker, desk.state(**changes))
    assert list(stages) == list(STAGE_WEIGHTS["proactive_sale"])
    assert {name: share for name, share in stages.items() if share} == (
        {"reached": 1} | expected if expected != {"reached": 0} else {}
    )


def test_stages_of_a_service_dialogue(desk):
    nothing = desk.state("service", verdicts=PAY_LATER, rate_told=1, fee_told=1)
    assert stage_list(desk.tracker, nothing) == dict.fromkeys(STAGE_WEIGHTS["customer_service"], 0.0)
    everything = desk.state("service", identity=True, credited=1023, problem_settled=True, decided=True)
    assert stage_list(desk.tracker, everything) == dict.fromkeys(STAGE_WEIGHTS["customer_service"], 1.0)
    assert desk.tracker.achieved(everything) == pytest.approx(1.0)


def test_the_weights_of_each_scenario_sum_to_one(desk):
    assert [round(sum(weights.values()), 9) for weights in STAGE_WEIGHTS.values()] == [1.0, 1.0]


# -- TSE by hand ---------------------------------------------------------------------------------------------


def test_the_ideal_of_a_sale_and_of_a_service_dialogue(desk):
    sale = 0.12 * D1 + 0.09 * (D2 + D3) + 0.06 * (D1 + D2) + (0.18 + 0.14) * D4 + 0.05 * (D2 + D3) + 0.16 * D4
    assert desk.state().ideal == pytest.approx(sale, abs=1e-8)
    refusal = sale - 0.14 * D4  # nothing to disclose terms of
    assert desk.state(solvable=0).ideal == pytest.approx(refusal, abs=1e-8)
    service = 0.15 * D1 + 0.175 * (D1 + D2) + 0.30 * D2 + 0.20 * D2
    assert desk.state("service").ideal == pytest.approx(service, abs=1e-8)
    asks = 0.15 * D1 + 0.35 * D1 + 0.20 * D1
    assert desk.state("service", problem=-1, questions=TOPIC["privacy"]).ideal == pytest.approx(
        asks, abs=1e-8
    )
    account = 0.15 * D1 + 0.35 * D2 + 0.20 * D2
    assert desk.state("service", problem=-1, questions=TOPIC["rate"]).ideal == pytest.approx(
        account, abs=1e-8
    )
    solve = 0.15 * D1 + 0.30 * D2 + 0.20 * D2
    for problem in (0, 1):
        assert desk.state("service", questions=0, problem=problem).ideal == pytest.approx(solve, abs=1e-8)


def test_the_best_possible_sale_scores_one(desk):
    s, heard = desk.state(), desk.reply
    desk.play(s, desk.turn(right=TOPIC["privacy"]), confirmed(s, heard(confirm=True)))
    s.known, s.resolved = SLOT["amount"], 0b01
    desk.play(s, desk.turn(right=TOPIC["rate"]), heard(disclosed=SLOT["amount"]))
    s.known, s.resolved = SLOT["amount"] | SLOT["purpose"], 0b11
    desk.play(s, desk.turn(), heard(disclosed=SLOT["purpose"]))
    assert desk.tracker.tse(s) == pytest.approx((s.ideal - 0.48 * D4) / s.ideal)
    s.rate_told = s.fee_told = PAY_LATER
    s.product, s.quoted = 0, 1500
    desk.play(s, desk.turn("close", eligible_right=PAY_LATER), heard("accept"))
    assert (s.converted, desk.tracker.tse(s), s.progress) == (True, pytest.approx(1), pytest.approx(1))


def confirmed(state, reply):
    state.identity = True
    return reply


@pytest.mark.parametrize("max_turns", [1, 12, 16, 17, 100])
def test_every_turn_of_the_longest_dialogue_has_its_discount(max_turns):
    discount = Tracker(SCALAR, max_turns).discount
    expected = [1 / log2(1 + turn) for turn in range(1, max_turns + 1)]
    assert list(discount[1 : max_turns + 1]) == pytest.approx(expected, abs=1e-8)
    assert len(discount) > 2 + len(OBJECTIONS)  # the ideal of the shortest dialogue looks that far


@pytest.mark.parametrize(
    ("main", "counts"),
    [("ask", 1), ("object", 1), ("agree", 1), ("decline", 1), ("consider", 1), ("challenge", 1),
     ("correct", 1),
     ("report", 1), ("smalltalk", 0), ("unclear", 0), ("complain", 0), ("request_human", 0), ("thank", 0),
     ("greet", 0), ("goodbye", 0), (None, 0)],
)  # fmt: skip
def test_a_stage_earns_only_if_the_user_stays_on_the_task(desk, main, counts):
    s = desk.state(identity=True, known=SLOT["amount"])
    desk.play(s, None, desk.reply(main))
    assert s.gain == s.dcg == (pytest.approx(0.02 + 0.10 + 0.09) if counts else 0)
    assert s.progress == pytest.approx(0.21)
    desk.play(s, None, desk.reply("agree"))
    assert s.gain == 0  # lost, not postponed


def test_ending_on_the_right_decision_is_on_the_task(desk):
    for advised in (1, 0):
        s = desk.state(identity=True, solvable=0, verdicts=INSTALMENT, advised=advised, progress=0.30)
        desk.play(s, desk.turn("goodbye"), desk.reply("thank"))
        assert s.gain == (pytest.approx(0.16) if advised else 0)  # refused, or only left


def test_answers_count_as_staying_on_the_task(desk):
    for reply in (desk.reply(confirm=True), desk.reply(disclosed=1), desk.reply("smalltalk", disclosed=1)):
        s = desk.state()
        desk.play(s, None, reply)
        assert s.gain == pytest.approx(0.02)


def test_gains_are_discounted_by_the_turn(desk):
    s = desk.state(turn=2, progress=0.02)
    s.identity = True
    desk.play(s, None, desk.reply("agree"))
    assert (s.turn, s.gain) == (3, pytest.approx(0.10))
    assert s.dcg == pytest.approx(0.10 * D3)
    assert desk.tracker.tse(s) == pytest.approx(0.10 * D3 / s.ideal)


def test_nobody_answered_earns_nothing_and_buys_nothing(desk):
    s = desk.state(reached=False, identity=True, product=0, rate_told=1, fee_told=1)
    desk.play(s, desk.turn("close"), desk.reply("accept"))
    assert (s.converted, s.mis_sold, s.gain, s.progress, s.dcg, desk.ended(s)) == (
        False,
        False,
        0,
        0,
        0,
        "not_reached",
    )


# -- TSE of whole dialogues ----------------------------------------------------------------------------------


def some(rng, mask, keep, bits):
    """A random subset of each row's bits, each kept with probability ``keep``."""
    kept = (rng.random((len(mask), bits)) < keep).astype(np.int64) << np.arange(bits)
    return mask & kept.sum(axis=1)


def right_turn(rng, s, keep):
    """Many acts at once, none of them wrong: what the fastest conceivable agent might say."""
    count, products = len(s.turn), s.limits.shape[1]
    everything = np.full(count, (1 << products) - 1)
    eligible, refused = (
        some(rng, s.eligible, keep, products),
        some(rng, everything & ~s.eligible, keep, products),
    )
    rates, fees = some(rng, everything, keep, products), some(rng, everything, keep, products)
    right = some(rng, np.full(count, (1 << len(TOPICS)) - 1), keep, len(TOPICS))
    for topic, said in (("eligibility", eligible | refused), ("rate", rates), ("fees", fees)):
        right = np.where(said != 0, right | TOPIC[topic], right & ~TOPIC[topic])
    asked = some(rng, np.full(count, 15), keep, len(NEED_SLOTS))
    addressed, solved = (
        some(rng, np.full(count, 31), keep, len(OBJECTIONS)),
        some(rng, s.fix_actions, keep, len(SOLUTIONS)),
    )
    product = np.argmax(
        (s.solvable[:, None] >> np.arange(products) & 1) * rng.random((count, products)), axis=1
    )
    offers, closes, leaves = (
        rng.random(count) < keep / 2,
        rng.random(count) < keep / 2,
        rng.random(count) < 0.03,
    )
    acts = sum(np.where(right >> i & 1, ACT[name], 0) for i, name in enumerate(INFORM_TOPICS))
    for name, flag in (("ask_identity", rng.random(count) < keep), ("ask_need", asked != 0),
     ("offer", offers),
                       ("close", closes), ("goodbye", leaves), ("advise", np.ones(count, bool))):  # fmt: skip
        acts = acts | np.where(flag, ACT[name], 0)
    proposes, none = offers | closes, np.zeros(count, np.int64)
    return AgentTurn(
        acts=acts, count=none + 3, asked=asked, right=right, wrong=none, said_eligible=eligible,
        said_ineligible=refused,
        said_rate=rates, said_fee=fees, eligible_right=eligible, ineligible_right=refused, rate_right=rates,
        fee_right=fees, offers=np.where(offers, 1 << product, 0), product=np.where(proposes, product, -1),
        amount=np.where(proposes, np.minimum(s.amount, s.limits[np.arange(count), product]), 0),
        addressed=addressed, solved=solved, advised=none + 1,
    )  # fmt: skip


def draws(rng, count, willing):
    """A turn's noise; a willing user tells all that is asked, and says yes or no by the toss of a coin."""
    noise = {name: rng.random(count) for name in NOISE} | {"choice": rng.logistic(size=count)}
    if willing:
        noise |= {name: np.zeros(count) for name in ("confirm", "disclose")}
        noise |= {name: np.ones(count) for name in ("notice", "handover", "garble", "consider")}
        noise |= {"choice": np.where(rng.random(count) < 0.5, 60.0, -60.0)}
    return noise


def by_hand(state, rng):
    """More on the agenda than any drawn task has."""
    count = len(state.turn)
    state.objections, state.required = rng.integers(0, 32, count), rng.integers(0, 16, count)
    state.questions = rng.integers(1, 1024, count)
    DYNAMICS.tracker.begin(state)


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("willing", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_dialogue_beats_the_ideal(scenario, willing, crowded):
    count, rng = 4000, np.random.default_rng(5)
    for level, keep in ((0, 1.0), (5, 0.9), (9, 0.6)):
        space = DOMAIN.space(split="train", scenario=scenario, level=level)
        s = DOMAIN.starts(space, np.arange(count), np.arange(count).astype(np.uint64)).state
        if crowded:
            by_hand(s, rng)
        before, open_, best = np.zeros(count), np.ones(count, bool), np.zeros(count)
        for _ in range(DOMAIN.max_turns):
            DYNAMICS.step(s, right_turn(rng, s, keep), draws(rng, count, willing))
            assert (s.progress >= before).all() and (s.progress < 1 + 1e-9).all()
            assert (s.gain >= 0).all() and not s.gain[~s.reached].any()
            assert (s.dcg[open_] <= s.ideal[open_] * (1 + 1e-12)).all()
            tse = DYNAMICS.tracker.tse(s)
            assert ((tse >= 0) & (tse <= 1)).all()
            best[open_], before = tse[open_], s.progress.copy()
            assert not (s.converted & s.mis_sold)[open_].any()
            sold = s.converted & open_
            amount = np.where(s.quoted > 0, s.quoted, s.amount)
            assert (s.identity & s.reached & (s.eligible >> s.product & 1 == 1))[sold].all()
            assert (amount <= s.limits[np.arange(count), s.product])[sold].all()
            open_ &= s.ended == RUNNING
        assert not open_.any() and best.max() > 0.9
        assert set(np.unique(s.ended)) >= {
            END["not_reached"] if scenario == SCENARIOS[0] else END["resolved"]
        }


def test_stalling_and_small_talk_earn_nothing():
    rng, count = np.random.default_rng(6), 500
    space = DOMAIN.space(split="test", scenario=SCENARIOS[0], level=3)
    for intent in ("greet", "smalltalk", "acknowledge", "empathise", "urge", "clarify"):
        s = DOMAIN.starts(space, np.arange(count), np.arange(count).astype(np.uint64)).state
        while (s.ended == RUNNING).any():
            turn = DYNAMICS.moves.read(np.zeros((6, count), np.int64), s)
            turn.acts = turn.acts | ACT[intent]
            DYNAMICS.step(s, turn, draws(rng, count, False))
        assert s.progress[s.reached] == pytest.approx(0.02)  # somebody picked up, nothing else
        assert not s.converted.any() and not s.decided.any()
