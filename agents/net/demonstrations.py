"""Demonstrations as act-level actions: whole calls, and contexts for single replies."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.demonstrators import demonstrated_episodes, demonstrator_session
from dialog_gym.agents.learning.rollout import Episodes, Rollout
from dialog_gym.core import Turn
from dialog_gym.envs.episode import Episode, Said
from dialog_gym.rollout import observe

OF_A_TURN: Final = ("progress", "violation")
"""Rewards beside those for language that say something about a single turn."""


class Demonstrations(NamedTuple):
    """Which dialogues were played and what was done in them."""

    tasks: np.ndarray
    """int64[D]."""
    seeds: np.ndarray
    """uint64[D]."""
    actions: np.ndarray
    """int64[D, T, K], -1 after the end."""


def demonstrate_actions(count: int, domain: Any, **options: Any) -> Demonstrations:
    """Demonstrations in which every turn fits into an action; see `demonstrated_episodes` for the options."""
    shape = (count, domain.max_turns, len(domain.act_level.nvec))
    tasks, seeds, actions = [], [], np.full(shape, -1, np.int64)
    for row, (episode, task, agent) in enumerate(demonstrated_episodes(count, domain=domain, **options)):
        taken = _play(episode, agent)
        actions[row, : len(taken)] = taken
        tasks.append(task)
        seeds.append(episode.seed)
    return Demonstrations(np.asarray(tasks, np.int64), np.asarray(seeds, np.uint64), actions)


def _play(episode: Episode, agent: Agent) -> list[list[int]]:
    session = demonstrator_session(agent, episode)
    act_level, said, taken = episode.domain.act_level, set[str](), []
    while episode.ended_by is None:
        wanted = session.reply(observe(episode, agent))
        assert isinstance(wanted, Turn)  # demonstrators say what they mean in acts, too
        action = act_level.fit(episode.dialogue, wanted.acts, said)
        acts = episode.dialogue.acts_of(action)
        episode.assistant(Said("...", acts, None))
        said |= {format_acts([act]) for act in acts}
        taken.append(action)
    return taken


class NetLogged:
    """`dialog_gym.agents.learning.single_turns.Logged` of a network."""

    def __init__(self, policy: Any, count: int, seed: int, scenario: str) -> None:
        """Has the calls made."""
        self.policy, self.scenario = policy, scenario
        place = {"split": policy.config.split, "level": policy.config.level, "scenario": scenario}
        self._found = demonstrate_actions(count, policy.domain, seed=seed, **place)
        self.turns = torch.from_numpy((self._found.actions[:, :, 0] >= 0).sum(1))

    def replies(self, calls: Tensor, turns: Tensor, group: np.ndarray, generator: torch.Generator) -> Rollout:
        """Sampled turns with the measures of language that can be judged on acts, and `OF_A_TURN`."""
        found, index = self._found, calls.numpy()
        episodes = Episodes(self.scenario, found.tasks[index], found.seeds[index], group)
        played = self.policy.reply(episodes, found.actions[index], turns, generator)
        names = {*self.policy.domain.act_level.language_rewards, *OF_A_TURN}
        rewards = {name: values for name, values in played.rewards.items() if name in names}
        return _at(turns, replace(played, rewards=rewards))


def _at(turns: Tensor, played: Rollout) -> Rollout:
    """One turn of each dialogue, int64[D], as dialogues of one turn."""

    def pick(values: Tensor) -> Tensor:
        return values[torch.arange(len(turns)), turns][:, None]

    def each(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: pick(values) for name, values in named.items()}

    return replace(
        played, logprob=pick(played.logprob), mask=pick(played.mask), rewards=each(played.rewards),
        cost=pick(played.cost), inputs=each(played.inputs),
    )  # fmt: skip
