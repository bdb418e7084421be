"""What `dialog_gym.envs.lanes` asks of a domain's act level, on every domain that ships."""

import numpy as np
import pytest

from dialog_gym import plugins
from dialog_gym.core import RUNNING

NAMES = ("credit", "multiwoz")
ROWS = 12


@pytest.fixture(scope="module", params=NAMES)
def domain(request):
    return plugins.load("domains", request.param)()


@pytest.fixture
def level(domain):
    return domain.act_level


def begun(domain, tasks, seeds):
    """Lanes with fresh dialogues of some tasks."""
    space = domain.space(split="train", scenario=domain.scenarios[0], level=3)
    lanes = domain.act_level.lanes(len(tasks))
    table = domain.act_level.prepare(space, np.asarray(tasks))
    keys = domain.noise_keys(space, np.asarray(tasks), np.asarray(seeds, np.uint64))
    lanes.begin(np.arange(len(tasks)), table, np.arange(len(tasks)), keys)
    return lanes, table, keys


def seen(lanes, level):
    """Observation, mask and allowed moves."""
    count = len(lanes.turn)
    observation = np.empty((count, level.size), np.float32)
    mask = np.empty((count, sum(level.nvec)), np.int8)
    lanes.observe(observation)
    lanes.mask(mask)
    return observation, mask, lanes.allowed()


def test_the_shape_of_an_action_level(level):
    assert level.nvec[0] == level.nvec[1] == len(level.moves) == len(set(level.moves))
    assert level.moves[0] == "none"
    assert level.uses.shape == (len(level.moves), len(level.nvec)) and level.uses.dtype == bool
    assert not level.uses[:, :2].any() and not level.uses[0].any()
    assert level.uses[:, 2:].any(0).all()  # a decision that no move makes would be no decision
    assert 0 <= level.profile_size < level.size


def test_masks_say_which_moves_are_allowed(domain, level):
    lanes, _, _ = begun(domain, range(ROWS), range(ROWS))
    _, mask, allowed = seen(lanes, level)
    moves = len(level.moves)
    assert allowed.any(1).all()
    assert (mask[:, :moves] == allowed).all()
    assert (mask[:, moves : 2 * moves][:, 1:] == allowed[:, 1:]).all() and mask[:, moves].all()
    assert mask[:, 2 * moves :].all()


def played(domain, lanes, steps, seed=0, rows=None):
    """Random allowed moves, the same ones in a dialogue whatever else is in the lanes."""
    level = domain.act_level
    rows = np.arange(ROWS) if rows is None else rows
    rng, found = np.random.default_rng(seed), []
    for _ in range(steps):
        draws = rng.random((ROWS, len(level.moves)))[rows]
        actions = np.zeros((len(rows), len(level.nvec)), np.int64)
        actions[:, 0] = (draws * lanes.allowed()).argmax(1)
        lanes.step(actions)
        rewards = np.stack([values.copy() for values in lanes.rewards().values()], 1)
        found.append((rewards, lanes.cost().copy(), lanes.ended.copy(), *seen(lanes, level)))
    return found


def test_rewards_are_named_in_the_order_of_their_weights(domain, level):
    lanes, _, _ = begun(domain, range(ROWS), range(ROWS))
    lanes.step(np.zeros((ROWS, len(level.nvec)), np.int64))
    assert list(lanes.rewards()) == list(level.reward_weights)
    assert all(values.shape == (ROWS,) and values.dtype == np.float64 for values in lanes.rewards().values())
    assert lanes.cost().shape == (ROWS,) and (lanes.turn == 1).all()


def test_dropping_rows_changes_nothing_for_the_others(domain):
    whole, _, _ = begun(domain, range(ROWS), range(ROWS))
    some, _, _ = begun(domain, range(ROWS), range(ROWS))
    running = np.arange(ROWS) % 3 != 1
    some.keep(running)
    rows = np.flatnonzero(running)
    for full, part in zip(played(domain, whole, 6), played(domain, some, 6, rows=rows), strict=True):
        for a, b in zip(full, part, strict=True):
            assert np.array_equal(a[rows], b)


def test_a_row_begun_anew_forgets_what_was_there(domain):
    lanes, table, keys = begun(domain, range(ROWS), range(ROWS))
    played(domain, lanes, 5, seed=3)
    lanes.begin(np.arange(ROWS), table, np.arange(ROWS), keys)
    fresh, _, _ = begun(domain, range(ROWS), range(ROWS))
    assert (lanes.turn == 0).all() and (lanes.ended == RUNNING).all()
    for again, first in zip(played(domain, lanes, 6), played(domain, fresh, 6), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(again, first, strict=True))


def test_rows_of_the_table_may_be_used_in_any_arrangement(domain):
    lanes, table, _ = begun(domain, range(ROWS), range(ROWS))
    order = np.random.default_rng(1).permutation(ROWS)
    space = domain.space(split="train", scenario=domain.scenarios[0], level=3)
    keys = domain.noise_keys(space, order, order.astype(np.uint64))
    mixed = domain.act_level.lanes(ROWS)
    mixed.begin(np.arange(ROWS), table, order, keys)
    first = seen(lanes, domain.act_level)
    for a, b in zip(first, seen(mixed, domain.act_level), strict=True):
        assert np.array_equal(a[order], b)
