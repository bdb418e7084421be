"""Language measures of act-level turns, on turns written by hand and on whole dialogues."""

from types import SimpleNamespace

import numpy as np
import pytest

from dialog_gym.domains.act_repetition import ACT_MEASURES, Said
from dialog_gym.domains.credit.act_language import ActLanguage
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MOVE
from dialog_gym.domains.credit.ontology import NEED_SLOTS

AMOUNT = 1 << NEED_SLOTS.index("amount")


def judge(language, first, second="none", **facts):
    """The measures of one dialogue's next turn, by name."""
    usual = {
        "seen_open": 0, "seen_known": 0, "identity": False, "heard_amount": 0, "right": 0, "wrong": 0,
        "amount": 0,
    }  # fmt: skip
    known = {**usual, **facts}
    bits = ("seen_open", "seen_known", "right", "wrong")
    arrays = {
        name: np.array([value], np.uint64 if name in bits[:1] + bits[2:] else None)
        for name, value in known.items()
    }
    found = language.judge(
        SimpleNamespace(**arrays), SimpleNamespace(**arrays), np.array([[MOVE[first], MOVE[second]]])
    )
    assert set(found) == set(ACT_MEASURES)
    return {name: float(values[0]) for name, values in found.items()}


@pytest.fixture
def language():
    return ActLanguage(1)


def test_a_first_turn_repeats_nothing_and_is_not_new(language):
    found = judge(language, "greet", "ask_identity")
    assert np.isnan(found["repetition"]) and np.isnan(found["novelty"])
    assert found["consistency"] == 1.0


def test_repetition_looks_at_the_turn_before_and_novelty_further_back(language):
    judge(language, "greet", "ask_identity")
    again = judge(language, "ask_identity", "smalltalk")
    assert (again["repetition"], again["novelty"]) == (0.5, 0.5)
    later = judge(language, "greet")
    assert (later["repetition"], later["novelty"]) == (1.0, 0.0)


def test_novelty_forgets_after_five_turns(language):
    judge(language, "greet")
    for _ in range(4):
        judge(language, "smalltalk")
    assert judge(language, "greet")["novelty"] == 0.0
    for _ in range(5):
        judge(language, "smalltalk")
    assert judge(language, "greet")["novelty"] == 1.0


def test_fidelity_is_the_share_of_claims_that_are_right(language):
    assert judge(language, "smalltalk", right=0b101, wrong=0b010)["fidelity"] == pytest.approx(2 / 3)
    assert judge(language, "smalltalk", wrong=0b1)["fidelity"] == 0.0
    assert np.isnan(judge(language, "smalltalk")["fidelity"])


def test_coverage_is_the_share_of_open_questions_that_are_answered(language):
    assert judge(language, "smalltalk", seen_open=0b110, right=0b011)["coverage"] == 0.5
    assert judge(language, "smalltalk", seen_open=0b1)["coverage"] == 0.0
    assert np.isnan(judge(language, "smalltalk", right=0b1)["coverage"])


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"seen_known": AMOUNT}, 0.0),  # asks what is known
        ({}, 1.0),
        ({"identity": True}, 1.0),
    ],
)
def test_asking_what_is_known_contradicts(language, facts, wanted):
    assert judge(language, "ask_need:amount", **facts)["consistency"] == wanted


def test_other_contradictions(language):
    assert judge(language, "greet")["consistency"] == 1.0
    assert judge(language, "greet")["consistency"] == 0.0
    assert judge(language, "ask_identity", identity=True)["consistency"] == 0.0
    more = {"amount": 5000, "heard_amount": 3000}
    assert judge(language, "smalltalk", **more)["consistency"] == 0.0
    assert judge(language, "ask_identity", **more)["consistency"] == 0.5
    assert judge(language, "smalltalk", amount=3000, heard_amount=3000)["consistency"] == 1.0


def test_rows_begin_anew_and_are_left_out():
    said, turns = Said(3), np.array([[1], [2], [4]], np.uint64)
    said.judge(turns)
    said.begin(np.array([1]))
    assert np.array_equal(said.judge(turns)["repetition"], [0.0, np.nan, 0.0], equal_nan=True)
    said.keep(np.array([True, False, True]))
    assert said.judge(turns[[0, 1]])["repetition"].tolist() == [0.0, 1.0]


def test_lanes_judge_language_when_asked_and_play_the_same():
    domain, count = CreditDomain(), 40
    space = domain.space(split="train", scenario="customer_service", level=3)
    tasks = np.arange(count)
    keys = domain.noise_keys(space, tasks, tasks.astype(np.uint64))
    actions = np.random.default_rng(0).integers(0, domain.act_level.nvec, (6, count, 6))
    rewards = []
    for judged in (False, True):
        lanes = domain.act_level.lanes(count, language=judged)
        lanes.begin(tasks, domain.act_level.prepare(space, tasks), tasks, keys)
        turns = []
        for turn in actions:
            lanes.step(turn)
            turns.append({name: np.array(values) for name, values in lanes.rewards().items()})
        rewards.append(turns)
    plain, with_language = rewards
    for before, after in zip(plain, with_language, strict=True):
        assert set(after) == {*before, *ACT_MEASURES}
        for name, values in before.items():
            assert np.array_equal(values, after[name])
        for name in ACT_MEASURES:
            known = after[name][~np.isnan(after[name])]
            assert ((known >= 0) & (known <= 1)).all()
