"""Demonstrations as act-level actions."""

from typing import Any, NamedTuple

import numpy as np

from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.demonstrators import demonstrated_episodes, demonstrator_session
from dialog_gym.agents.net.fitting import Fitter
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
    """int64[D, T, 6], -1 after the end."""


def demonstrate_actions(count: int, *, max_turns: int, **options: Any) -> Demonstrations:
    """Demonstrations in which every turn fits into an action; see `demonstrated_episodes` for the options."""
    tasks, seeds, actions = [], [], np.full((count, max_turns, 6), -1, np.int64)
    for row, (episode, task, agent) in enumerate(demonstrated_episodes(count, **options)):
        taken = _play(episode, agent)
        actions[row, : len(taken)] = taken
        tasks.append(task)
        seeds.append(episode.seed)
    return Demonstrations(np.asarray(tasks, np.int64), np.asarray(seeds, np.uint64), actions)


def _play(episode: Episode, agent: Agent) -> list[list[int]]:
    session = demonstrator_session(agent, episode)
    fitter, said, taken = Fitter(episode.domain.rulebook), set[str](), []
    while episode.ended_by is None:
        wanted = session.reply(observe(episode, agent))
        assert isinstance(wanted, Turn)  # demonstrators say what they mean in acts, too
        action = fitter.fit(wanted.acts, said, int(episode.dialogue.state.heard_amount))
        acts = episode.dialogue.acts_of(action)
        episode.assistant(Said("...", acts, None))
        said |= {format_acts([act]) for act in acts}
        taken.append(action)
    return taken
