"""Which dialogues an iteration plays."""

import numpy as np
import pytest

from dialog_gym.agents.learning.sampler import SALE, SERVICE, EpisodeSampler

SIZES = {SALE: 1000, SERVICE: 50}


def drawn(iteration=0, **options):
    return EpisodeSampler(SIZES, **({"dialogues": 40, "group": 4, "seed": 3} | options)).episodes(iteration)


def test_groups_share_task_and_customer():
    for one in drawn():
        assert len(one.tasks) == len(one.seeds) == len(one.group) and one.tasks.max() < SIZES[one.scenario]
        for group in np.unique(one.group):
            members = one.group == group
            assert members.sum() == 4
            assert len(np.unique(one.tasks[members])) == len(np.unique(one.seeds[members])) == 1
        assert len(np.unique(one.seeds)) == one.group.max() + 1


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 7, 10])
def test_one_group_in_five_is_a_service_one(groups):
    played = {SALE: 0, SERVICE: 0}
    for iteration in range(10):
        found = drawn(iteration, dialogues=2 * groups, group=2)
        assert sum(len(one.tasks) for one in found) == 2 * groups
        for one in found:
            played[one.scenario] += len(one.tasks) // 2
    assert played == {SALE: 8 * groups, SERVICE: 2 * groups}


def test_seed_and_iteration_fix_everything():
    def key(**options):
        return [(one.scenario, one.tasks.tolist(), one.seeds.tolist()) for one in drawn(**options)]

    assert key(iteration=2) == key(iteration=2)
    assert key(iteration=2) != key(iteration=3) and key(iteration=2) != key(iteration=2, seed=4)


def test_iterations_hardly_repeat_a_dialogue():
    seeds = [seed for k in range(50) for one in drawn(k, group=1) for seed in one.seeds.tolist()]
    assert len(set(seeds)) == len(seeds) == 2000
