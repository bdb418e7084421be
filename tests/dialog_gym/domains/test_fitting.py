from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dialog_gym.agents.scripted import act
from dialog_gym.domains.credit.claims import acts_of
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.fitting import NONE, Fitter
from dialog_gym.domains.credit.moves import MOVE, MOVES

SHOP = CreditDomain()
FITTER, READER = Fitter(SHOP.rulebook), SHOP.dynamics.moves
LADDER, PRODUCTS = SHOP.rulebook.ladder, list(SHOP.rulebook.products)
ASKED_FOR = len(LADDER)
"""Index of the amount that the customer asked for."""
PLACE = SHOP.space(split="train", scenario="proactive_sale", level=3)
STARTS = SHOP.starts(PLACE, np.arange(20), np.arange(20).astype(np.uint64))


def begun(row, heard=0):
    dialogue = SHOP.begin(SimpleNamespace(), STARTS, row)
    dialogue.state.heard_amount = heard
    return dialogue


def says(dialogue, action):
    return acts_of(action, READER, dialogue.state, dialogue.truth)


ACTIONS = st.tuples(*(st.integers(0, n - 1) for n in READER.nvec))
HEARD = st.sampled_from([0, 50, 1000, 1234, 2000, 77_777])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(ACTIONS, st.integers(0, 19), HEARD)
@example((MOVE["inform_interest"], MOVE["inform_rate"], 0, 0, 2, 0), 0, 0)  # three tiers of one rate
def test_fitting_what_an_action_says_says_the_same(action, row, heard):
    """The indices may differ: unused ones are 0, equal rates share a tier, an amount has one name."""
    assume(action[0] != NONE and action[0] != action[1])
    assume(heard or action[3] != ASKED_FOR)  # an amount that nobody named: see below
    dialogue = begun(row, heard)
    wanted = says(dialogue, action)
    found = FITTER.fit(wanted, set(), heard)
    assert says(dialogue, found) == wanted
    assert found[:2] == list(action[:2])
    assert all(0 <= index < size for index, size in zip(found, READER.nvec, strict=True))


@pytest.mark.parametrize("intent", ["offer", "close"])
def test_an_offer_without_an_amount_names_none(intent):
    """It is not fitted into some amount of the ladder: there is an index for as much as was asked for."""
    dialogue = begun(0)
    wanted = says(dialogue, [MOVE[intent], NONE, 1, ASKED_FOR, 0, 0])
    assert wanted == (act(intent, product=PRODUCTS[1]),)
    assert says(dialogue, FITTER.fit(wanted, set(), 0)) == wanted


def test_acts_that_contradict_each_other_are_left_out():
    acts = [
        act("inform_eligibility", product=PRODUCTS[0], verdict="eligible"),
        act("offer", product=PRODUCTS[1], amount=LADDER[2]),
        act("inform_fees", product=PRODUCTS[0], fee=0.0),
    ]
    fitted = FITTER.fit(acts, set(), 0)
    assert [MOVES[m].intent for m in fitted[:2]] == ["inform_eligibility", "inform_fees"]
    assert fitted[2] == 0


def test_an_act_said_twice_is_one_move():
    """A second move that repeats the first is not allowed: the turn would be no example any more.

    The oracle does say the same verdict twice, as the answer to two questions.
    """
    verdict = act("inform_eligibility", product=PRODUCTS[0], verdict="ineligible", reason="age")
    first, second, *_ = FITTER.fit([verdict, verdict, act("empathise")], set(), 0)
    assert (first, second) == (MOVE["inform_eligibility:ineligible"], MOVE["empathise"])


def test_what_was_said_before_comes_last():
    acts = [act("greet"), act("ask_identity"), act("smalltalk")]
    assert FITTER.fit(acts, {"greet()"}, 0)[:2] == [MOVE["ask_identity"], MOVE["smalltalk"]]
    assert FITTER.fit(acts, {"greet()", "ask_identity()", "smalltalk()"}, 0)[:2] == [
        MOVE["greet"],
        MOVE["ask_identity"],
    ]


def test_nothing_to_say_is_no_move():
    assert FITTER.fit([], set(), 0) == [NONE] * 6


@pytest.mark.parametrize(
    ("amount", "heard", "index"),
    [
        (LADDER[3], 0, 3),
        (LADDER[3] + 1, 0, 3),  # between two steps: the one below
        (1, 0, 0),  # below all of them
        (1234, 1234, ASKED_FOR),
        (LADDER[4], LADDER[4], 4),
    ],
)
def test_amounts(amount, heard, index):
    assert FITTER.fit([act("offer", product=PRODUCTS[0], amount=amount)], set(), heard)[3] == index


def test_a_coupon_is_no_amount_to_choose():
    assert FITTER.fit([act("inform_coupon", amount=LADDER[5], expires="2026-01-01")], set(), 0)[3] == 0
