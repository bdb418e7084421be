"""Seeds of successive episodes: alone, in batches and in lanes they are the same dialogues."""

import numpy as np
import pytest
from gymnasium.utils.seeding import np_random

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import noise_block
from dialog_gym.envs import ActsEnv, DialogueEnv
from dialog_gym.envs.seeding import (
    LARGEST_BATCH,
    EpisodeBank,
    EpisodeQueue,
    EpisodeSource,
    episode_seeds,
    task_indices,
)
from dialog_gym.noise import MASK, mix

DOMAIN = CreditDomain()
SPACE = DOMAIN.space(split="train", scenario="proactive_sale", level=3)


def test_an_episodes_seed_is_a_function_of_key_and_number():
    keys, numbers = np.asarray([5, 5, MASK], np.uint64), np.asarray([0, 1, 10**6])
    seeds = episode_seeds(keys, numbers)
    assert seeds.tolist() == [
        mix(int(key), int(number)) >> 1 for key, number in zip(keys, numbers, strict=True)
    ]
    assert seeds.max() < 2**63
    assert task_indices(seeds, 1000).tolist() == [mix(int(seed), 1) % 1000 for seed in seeds]


def test_tasks_are_drawn_evenly():
    seeds = episode_seeds(np.full(40_000, 7, np.uint64), np.arange(40_000))
    counts = np.bincount(task_indices(seeds, 100), minlength=100)
    assert len(set(seeds.tolist())) == 40_000
    # 400 expected a cell: six standard deviations are 120
    assert counts.min() > 280 and counts.max() < 520


def test_a_queue_gives_the_same_episodes_in_whatever_batches():
    queue = EpisodeQueue(DOMAIN, SPACE, 99)
    taken = [queue.take() for _ in range(2 * LARGEST_BATCH)]
    keys = np.full(len(taken), 99, np.uint64)
    seeds = episode_seeds(keys, np.arange(len(taken)))
    assert [one.seed for one in taken] == seeds.tolist()
    assert [one.task_index for one in taken] == task_indices(seeds, SPACE.size).tolist()
    for one in (taken[0], taken[100], taken[-1]):
        alone = DOMAIN.starts(SPACE, np.asarray([one.task_index]), np.asarray([one.seed], np.uint64))
        assert np.array_equal(alone.noise[:, :, 0], one.starts.noise[:, :, one.row])
        assert np.array_equal(alone.profile[0], one.starts.profile[one.row])


def test_a_chosen_task_uses_up_one_episode():
    skipping, taking = EpisodeQueue(DOMAIN, SPACE, 4), EpisodeQueue(DOMAIN, SPACE, 4)
    pattern = [True, False, False, True, True, False, True, False]
    found = [skipping.skip() if skip else skipping.take().seed for skip in pattern]
    assert found == [taking.take().seed for _ in pattern]


def test_lanes_play_what_queues_play():
    lanes, rounds = 3, 50
    keys = np.asarray([11, 12, 13], np.uint64)
    bank, queues = EpisodeBank(DOMAIN, SPACE, lanes), [EpisodeQueue(DOMAIN, SPACE, int(key)) for key in keys]
    bank.restart(keys)
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        chosen = np.flatnonzero(rng.random(lanes) < 0.6)  # lanes end at different times
        if len(chosen):
            tasks, found = bank.take(chosen)
            assert bank.tasks.has(tasks)
            for lane, task, key in zip(chosen, tasks, found, strict=True):
                one = queues[lane].take()
                assert task == one.task_index
                assert np.array_equal(bank.tasks.drawn["profile"][task], one.starts.profile[one.row])
                noise = noise_block(np.asarray([key]), DOMAIN.max_turns)
                assert np.array_equal(noise[:, :, 0], one.starts.noise[:, :, one.row])


def test_levels_share_the_lanes_key():
    source = EpisodeSource(DOMAIN, SPACE)
    assert not source.started
    source.restart(np_random(3)[0])
    usual, hard = source.space_at(None), source.space_at(9)
    assert usual is SPACE and source.space_at(np.int64(9)) is hard
    first = source.next(usual)
    assert source.next(hard).seed == first.seed and source.next(usual).seed != first.seed
    for wrong in (10, -1, 1.5, True, "3"):
        with pytest.raises(DialogGymError, match="level must be an integer from 0 to 9"):
            source.space_at(wrong)
    for wrong in (-1, 2**64, 0.5, True, "3"):
        with pytest.raises(DialogGymError, match="seed must be an integer from 0"):
            source.at(usual, 0, wrong)


@pytest.mark.parametrize("kind", [DialogueEnv, ActsEnv])
def test_a_seed_fixes_all_following_episodes(kind):
    def ids(env, seed, count=40):
        return [env.reset(seed=seed)[1]["task_id"]] + [env.reset()[1]["task_id"] for _ in range(count)]

    env = kind()
    first = ids(env, 5)
    assert ids(env, 5) == first == ids(kind(), 5)
    assert len(set(first)) > 35 and not set(ids(env, 6)) & set(first)
    assert ids(env, None) != ids(kind(), None)


def test_an_unseeded_environment_begins_at_random_and_goes_on():
    assert len({DialogueEnv().reset()[1]["task_id"] for _ in range(5)}) > 1
    env = ActsEnv()
    assert env.reset(options={"task": 3})[1]["task_id"].endswith("/3")
    assert len({env.reset()[1]["task_id"] for _ in range(5)}) > 1
