"""Replies to logged calls: which contexts are chosen, and what counts as a step."""

import numpy as np
import pytest
import torch

from dialog_gym.agents.learning.sampler import SALE, SERVICE, EpisodeSampler
from dialog_gym.agents.learning.single_turns import SingleTurns
from dialog_gym.agents.learning.trainer import Position
from tests.agents.learning.hand import by_hand

TURNS = {SALE: [3, 1, 2], SERVICE: [2]}


class Calls:
    """Logged calls that note which contexts are replied to."""

    def __init__(self, turns):
        self.turns, self.asked = torch.tensor(turns), []

    def replies(self, calls, turns, group, generator):
        self.asked += list(zip(calls.tolist(), turns.tolist(), group.tolist(), strict=True))
        return by_hand({"novelty": [[1.0]] * len(calls)}, group=group.tolist())


class Policy:
    def __init__(self):
        self.made = []

    def logged(self, count, seed, scenario):
        self.made.append((count, scenario))
        return Calls(TURNS[scenario])


def replied(scenarios=(SALE, SERVICE), **options):
    chosen = {"calls": 3, "seed": 5} | options
    sampler = EpisodeSampler(dict.fromkeys(scenarios, 100), dialogues=80, group=4, seed=1)
    return SingleTurns(Policy(), sampler, 100, **chosen)


@pytest.fixture
def experience():
    return replied()


def test_calls_are_made_once_and_at_least_one_of_each_scenario(experience):
    assert experience.policy.made == []
    for iteration in range(2):
        experience.rollouts(iteration, torch.Generator())
    assert experience.policy.made == [(3, SALE), (1, SERVICE)]


def test_a_group_replies_to_one_context_and_every_turn_is_replied_to(experience):
    experience.rollouts(0, torch.Generator())
    for name, calls in experience.logged.items():
        groups = {}
        for call, turn, group in calls.asked:
            groups.setdefault(group, []).append((call, turn))
        assert all(len(found) == 4 and len(set(found)) == 1 for found in groups.values())
        every = {(call, turn) for call, count in enumerate(TURNS[name]) for turn in range(count)}
        assert {found[0] for found in groups.values()} <= every
        assert len(every) > 4 or {found[0] for found in groups.values()} == every
    chosen = {context for i in range(1, 8) for context in contexts(experience, i)}
    assert chosen == {(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)}


def contexts(experience, iteration):
    calls = experience.logged[SALE]
    calls.asked.clear()
    experience.rollouts(iteration, torch.Generator())
    return [(call, turn) for call, turn, _ in calls.asked]


def test_contexts_derive_from_seed_and_iteration(experience):
    assert contexts(experience, 3) == contexts(replied(), 3)
    assert contexts(experience, 3) != contexts(experience, 4)


def test_a_reply_is_a_step_and_outcomes_are_not_known(experience):
    parts = experience.rollouts(0, torch.Generator())
    assert set(parts) == {SALE, SERVICE}
    assert all(set(part.outcome) == {"reached"} and part.outcome["reached"].all() for part in parts.values())
    position = experience.after(Position(), parts, 1.0)
    assert position.env_steps == 80 and experience.progress(position) == (80, 100)
    assert np.sum([part.env_steps for part in parts.values()]) == 80
