"""Language measures on acts at the booking desk."""

import numpy as np
import pytest

from dialog_gym.domains.act_repetition import ACT_MEASURES, Said
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.moves import MOVE
from tests.dialog_gym.domains.multiwoz.test_act_level import random_actions

DESK = MultiWOZDomain()
COUNT = 80


def begin(language=True, level=3):
    space = DESK.space(split="test", scenario="booking", level=level)
    rows = np.arange(COUNT)
    lanes = DESK.act_level.lanes(COUNT, language=language)
    keys = DESK.noise_keys(space, rows, rows.astype(np.uint64))
    lanes.begin(rows, DESK.act_level.prepare(space, rows), rows, keys)
    return lanes


def act(lanes, first, second="none"):
    lanes.step(np.tile([MOVE[first], MOVE[second], 0], (COUNT, 1)))
    return {name: lanes.rewards()[name] for name in ACT_MEASURES}


def test_they_are_rewards_when_asked_for_and_change_nothing_else():
    one, other, rng = begin(), begin(language=False), np.random.default_rng(0)
    for _ in range(8):
        actions = random_actions(rng, one, COUNT)
        one.step(actions)
        other.step(actions)
        found, plain = one.rewards(), other.rewards()
        assert set(found) - set(plain) == set(ACT_MEASURES) == set(DESK.act_level.language_rewards)
        assert all((found[name] == plain[name]).all() for name in plain)
        judged = np.stack([found[name] for name in ACT_MEASURES])
        assert ((judged >= 0) & (judged <= 1) | np.isnan(judged)).all()


def test_asking_again_repeats_and_contradicts_what_is_known():
    lanes = begin()
    first = act(lanes, "request:area")
    assert np.isnan(first["repetition"]).all() and np.isnan(first["novelty"]).all()
    known = (lanes.state.told != 0) & (lanes.ended < 0)
    again = act(lanes, "request:area")
    asked = ~np.isnan(again["repetition"])  # trains and taxis have no area
    assert asked.any() and not again["repetition"][asked & known].all()
    assert again["consistency"][asked].min() == 0
    greeted = act(lanes, "greet")
    assert (greeted["consistency"] == 0).all() and (greeted["novelty"] == 1).all()


def test_answers_cover_questions():
    lanes = begin()
    covered, left = [], []
    for turn in range(14):
        open_questions = (lanes.state.asked & ~lanes.state.heard) != 0
        actions = lanes.best_actions()
        if turn % 3 == 2:
            actions[:] = MOVE["reqmore"], 0, 0
        lanes.step(actions)
        coverage = lanes.rewards()["coverage"]
        answers = (actions[:, :2] == MOVE["answer"]).any(axis=1)
        covered += coverage[open_questions & answers].tolist()
        left += coverage[open_questions & ~answers].tolist()
    assert np.nanmean(covered) > 0.95 and np.nanmean(left) < 0.1


@pytest.mark.parametrize(("move", "true"), [("no_offer", "count"), ("book", "ready")])
def test_what_is_not_so_is_no_fidelity(move, true):
    rng = np.random.default_rng(1)
    seen = []
    lanes = begin(level=9)
    for turn in range(8):
        if turn in (0, 3, 5):
            ready, nothing = lanes.seen()["ready"].copy(), lanes.state.count == 0
            running = lanes.ended < 0
            found = act(lanes, move)["fidelity"]
            holds = nothing if true == "count" else ready
            claimed = running & ~np.isnan(found)
            assert not (found[claimed & ~holds] == 1).any()
            seen += found[claimed].tolist()
        else:
            lanes.step(random_actions(rng, lanes, COUNT))
    assert 0 in seen


def test_rows_begin_anew_and_are_dropped():
    said = Said(3, 2)
    bits = np.asarray([[1, 0], [3, 0], [0, 4]], np.uint64)
    said.judge(bits)
    said.begin(np.asarray([0]))
    again = said.judge(bits)
    assert np.isnan(again["repetition"][0]) and again["repetition"][1:].tolist() == [0, 0]
    said.keep(np.asarray([False, True, True]))
    fresh = said.judge(np.asarray([[4, 0], [0, 6]], np.uint64))
    assert fresh["repetition"].tolist() == [1, 0.5] and fresh["novelty"].tolist() == [1, 0.5]
