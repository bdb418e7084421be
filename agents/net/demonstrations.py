"""Demonstrations as act-level actions."""

from typing import Any, NamedTuple

import numpy as np

from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.demonstrators import demonstrated_episodes, demonstrator_session
from dialog_gym.core import Turn
from dialog_gym.envs.episode import Episode, Said
from dialog_gym.rollout import observe


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
