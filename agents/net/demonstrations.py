"""Demonstrations as act-level actions."""

from typing import Any, NamedTuple

import numpy as np

from dialog_gym.acts import format_acts
from dialog_gym.agents.learning.demonstrators import demonstrated_episodes, demonstrator_session
from dialog_gym.agents.net.fitting import Fitter
from dialog_gym.envs.episode import Episode, Said


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
        taken = _play(episode, demonstrator_session(agent, episode), agent.sees_hidden_state)
        actions[row, : len(taken)] = taken
        tasks.append(task)
        seeds.append(episode.seed)
    return Demonstrations(np.asarray(tasks, np.int64), np.asarray(seeds, np.uint64), actions)


def _play(episode: Episode, session: Any, sees_hidden_state: bool) -> list[list[int]]:
    fitter, said, taken = Fitter(episode.domain.rulebook), set[str](), []
    while episode.ended_by is None:
        observation = episode.observation
        if sees_hidden_state:
            observation = observation._replace(hidden=episode.dialogue)
        wanted = session.reply(observation).acts
        action = fitter.fit(wanted, said, int(episode.dialogue.state.heard_amount))
        acts = episode.dialogue.acts_of(action)
        episode.assistant(Said("...", acts, None))
        said |= {format_acts([act]) for act in acts}
        taken.append(action)
    return taken
