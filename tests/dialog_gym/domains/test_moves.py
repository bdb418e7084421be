"""Act-level actions: what they say, and that text and act level are judged alike."""

from dataclasses import fields

import numpy as np
import pytest

from dialog_gym.core import RUNNING
from dialog_gym.domains.credit.claims import acts_of, read_turn
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MONTHS, MOVE, MOVES
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, TOPICS
from dialog_gym.domains.credit.shoppers import SCENARIOS
from dialog_gym.domains.credit.state import ACT, SLOT, TOPIC, AgentTurn, one
from dialog_gym.domains.credit.truth import truth_of

DOMAIN = CreditDomain()
READER = DOMAIN.dynamics.moves
LADDER = DOMAIN.rulebook.ladder
TURN_FIELDS = tuple(field.name for field in fields(AgentTurn))


def dialogues(scenario, count, level=4, first=0):
    space = DOMAIN.space(split="test", scenario=scenario, level=level)
    index = np.arange(first, first + count)
    starts = DOMAIN.starts(space, index, index.astype(np.uint64))
    return [
        DOMAIN.begin(DOMAIN.write(space, starts, row, int(i)), starts, row) for row, i in enumerate(index)
    ]


def quotable(product):
    """The rates of a product by price tier, in basis points."""
    return list(READER.rates)[product * READER.tiers : (product + 1) * READER.tiers]


def likely_action(rng, dialogue):
    """A random action that is often right, so that right claims meet wrong ones."""
    action = [int(rng.integers(n)) for n in READER.nvec]
    p, truth = action[2], dialogue.truth
    if rng.random() < 0.5:
        action[4] = quotable(p).index(truth.rates[p])
    if rng.random() < 0.5:
        action[3] = list(READER.amounts).index(truth.limits[p])
    if rng.random() < 0.25:
        action[0] = MOVE["ask_identity"]
    return action


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_text_and_act_level_turns_are_judged_alike(scenario):
    rng = np.random.default_rng(0)
    compared, right, wrong = 0, 0, 0
    for dialogue in dialogues(scenario, 300):
        while dialogue.ended_by is None:
            for _ in range(8):  # several actions per state, the last is played
                action = likely_action(rng, dialogue)
                direct = READER.read(action, dialogue.state)
                spoken = read_turn(dialogue.acts_of(action), dialogue.state, dialogue.truth)
                assert spoken == direct, dialogue.acts_of(action)
                compared, right, wrong = compared + 1, right | direct.right, wrong | direct.wrong
            dialogue.step_action(action)
    assert compared > 5_000
    every = (1 << len(TOPICS)) - 1
    assert right == every and wrong == every & ~(
        TOPIC["fees"] | TOPIC["reactivation"] | TOPIC["credit_check"] | TOPIC["privacy"]
    )


def test_an_action_and_its_acts_lead_to_the_same_dialogue():
    rng = np.random.default_rng(1)
    for first, second in zip(dialogues(SCENARIOS[0], 150), dialogues(SCENARIOS[0], 150), strict=True):
        while first.ended_by is None:
            action = likely_action(rng, first)
            one_step, other_step = second.step(second.acts_of(action)), first.step_action(action)
            assert one_step == other_step and first.state == second.state


@pytest.fixture(scope="module")
def customer():
    """A customer who may have pay later but not every product, at the start of a sale."""
    for dialogue in dialogues(SCENARIOS[0], 200):
        truth = dialogue.truth
        if truth.eligible[0] and not all(truth.eligible) and truth.coupon_amount and truth.limits[0] > 200:
            return dialogue
    raise AssertionError


def read(customer, first, second="none", product=0, amount=0, rate=0, months=0):
    action = [MOVE[first], MOVE[second], product, amount, rate, months]
    turn = READER.read(action, customer.state)
    assert turn == read_turn(
        acts_of(action, READER, customer.state, customer.truth), customer.state, customer.truth
    )
    return turn


def test_every_move_is_one_dialogue_act(customer):
    assert MOVES[0].name == "none" and len(MOVE) == len(MOVES) == READER.nvec[0]
    assert {move.intent for move in MOVES} == {"none", *ASSISTANT_ACTS}
    for name in MOVE:
        acts = acts_of([MOVE[name], 0, 0, 0, 0, 0], READER, customer.state, customer.truth)
        assert [act.intent for act in acts] == ([] if name == "none" else [name.partition(":")[0]])
        given = {slot.rstrip("?") for slot in ASSISTANT_ACTS.get(name.partition(":")[0], ())}
        needed = {slot for slot in ASSISTANT_ACTS.get(name.partition(":")[0], ()) if not slot.endswith("?")}
        for act in acts:
            assert needed <= set(act.slots) <= given


def test_the_second_move_adds_and_a_repeated_one_counts_once(customer):
    both = read(customer, "ask_identity", "greet")
    assert (both.acts, both.count) == (ACT["ask_identity"] | ACT["greet"], 2)
    assert read(customer, "ask_identity", "ask_identity").count == 1
    silent = read(customer, "none")
    assert (silent.acts, silent.count, silent.product, silent.amount) == (0, 0, -1, 0)
    assert read(customer, "none", "ask_need:purpose").asked == SLOT["purpose"]


def test_right_and_wrong_verdicts(customer):
    allowed, forbidden = 0, customer.truth.eligible.index(False)
    yes = read(customer, "inform_eligibility:eligible", product=allowed)
    assert (yes.right, yes.wrong, yes.eligible_right) == (TOPIC["eligibility"], 0, 1)
    no = read(customer, "inform_eligibility:ineligible", product=forbidden)
    assert (no.right, no.wrong, no.ineligible_right) == (TOPIC["eligibility"], 0, 1 << forbidden)
    for verdict, product in (("ineligible", allowed), ("eligible", forbidden)):
        turn = read(customer, f"inform_eligibility:{verdict}", product=product)
        assert (turn.right, turn.wrong) == (0, TOPIC["eligibility"])
        assert turn.eligible_right == turn.ineligible_right == 0
    cases = (("eligible", allowed, 0), ("eligible", forbidden, 0), ("ineligible", allowed, 0))
    for verdict, product, named in (*cases, ("ineligible", forbidden, 1)):
        action = [MOVE[f"inform_eligibility:{verdict}"], 0, product, 0, 0, 0]
        slots = acts_of(action, READER, customer.state, customer.truth)[0].slots
        assert ("reason" in slots) == named
    hedge = read(customer, "inform_eligibility:eligible", "inform_eligibility:ineligible", product=allowed)
    assert hedge.wrong == TOPIC["eligibility"] and hedge.right == 0


def test_limits_rates_and_terms(customer):
    truth = customer.truth
    for step, amount in enumerate(LADDER):
        turn = read(customer, "inform_limit", amount=step)
        assert bool(turn.right) == (amount == truth.limits[0]) != bool(turn.wrong)
    for k, rate in enumerate(quotable(0)):
        turn = read(customer, "inform_rate", "inform_interest", rate=k)
        right = rate == truth.rates[0]
        said = acts_of([MOVE["inform_rate"], 0, 0, 0, k, 0], READER, customer.state, truth)
        assert said[0].slots["rate"] == rate / 10_000
        assert turn.right == ((TOPIC["rate"] | TOPIC["interest"]) if right else 0)
        assert (turn.said_rate, turn.rate_right) == (1, int(right))
        for m, months in enumerate(MONTHS):
            turn = read(customer, "inform_instalment", rate=k, months=m)
            assert bool(turn.right) == (right and months in truth.months[0])
    said = acts_of([MOVE["inform_fees"], 0, 3, 0, 0, 0], READER, customer.state, truth)
    assert said[0].slots == {"product": "cash_loan", "fee": 0.02}
    fee = read(customer, "inform_fees", product=3)
    assert (fee.said_fee, fee.fee_right, fee.right) == (8, 8, TOPIC["fees"])


def test_the_limit_of_a_forbidden_product_cannot_be_named_rightly(customer):
    forbidden = customer.truth.eligible.index(False)
    for step in range(len(LADDER) + 1):
        assert read(customer, "inform_limit", product=forbidden, amount=step).wrong == TOPIC["limit"]


def test_the_last_amount_index_is_the_wanted_amount_as_heard(customer):
    own = len(LADDER)
    assert read(customer, "offer", amount=own).amount == 0
    told = one([[getattr(customer.state, f.name)] for f in fields(customer.state)], 0)
    told.heard_amount = 750
    turn = READER.read([MOVE["offer"], 0, 2, own, 0, 0], told)
    assert (turn.product, turn.amount, turn.offers) == (2, 750, 4)
    assert acts_of([MOVE["offer"], 0, 2, own, 0, 0], READER, told, customer.truth)[0].slots == {
        "product": "revolving", "amount": 750
    }  # fmt: skip
    closing = READER.read([MOVE["close"], 0, 2, 1, 0, 0], told)
    assert (closing.product, closing.amount, closing.offers) == (2, LADDER[1], 0)


def test_a_coupon_that_does_not_exist_is_a_wrong_claim():
    for dialogue in dialogues(SCENARIOS[0], 40):
        turn = read(dialogue, "inform_coupon")
        assert bool(turn.wrong) == (not dialogue.truth.coupon_amount) != bool(turn.right)


def test_the_state_is_running_and_truth_belongs_to_the_row():
    space = DOMAIN.space(split="test", scenario=SCENARIOS[0], level=4)
    starts = DOMAIN.starts(space, np.arange(20), np.zeros(20, np.uint64))
    for row, dialogue in enumerate(dialogues(SCENARIOS[0], 20)):
        assert dialogue.state.ended == RUNNING
        assert dialogue.truth == truth_of(starts.shoppers, row, DOMAIN.rulebook)
        assert dialogue.state.limits == list(dialogue.truth.limits)
