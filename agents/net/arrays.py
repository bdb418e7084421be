"""Whole dialogues in lock-step on a domain's lanes: begun together, compacted as they end."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dialog_gym.core import END, RUNNING
from dialog_gym.envs.lanes import ActLevel, Lanes
from dialog_gym.envs.seeding import TaskTable


class View(NamedTuple):
    """What the agent sees of the dialogues that are still running."""

    rows: np.ndarray
    """int64[n], which dialogues these are."""
    observation: np.ndarray
    """float32[n, F], as the act-level environment gives it."""
    allowed: np.ndarray
    """bool[n, moves], moves that the domain's rules allow."""


class Turns(NamedTuple):
    """What one turn led to, for the rows of the `View` it was taken in."""

    rewards: Mapping[str, np.ndarray]
    cost: np.ndarray


class ArrayDialogues:
    """The dialogues of one scenario. `begin`, then `view` and `step` until nobody is left."""

    lanes: Lanes

    def __init__(self, domain: Any, *, scenario: str, split: str, level: int, language: bool = False) -> None:
        """Tasks are drawn when first played and kept; ``language`` adds rewards (`Lanes`)."""
        self.domain, self.language = domain, language
        self.act_level: ActLevel = domain.act_level
        self.space = domain.space(split=split, scenario=scenario, level=level)
        self.tasks = TaskTable(domain, self.space)

    def begin(self, tasks: np.ndarray, seeds: np.ndarray) -> None:
        """Begin one dialogue per task index, int64[D], with the users' seeds, uint64[D]."""
        if not self.tasks.has(tasks):
            self.tasks.prepare(tasks)
        self.rows = np.arange(len(tasks))
        self.lanes = self.act_level.lanes(len(tasks), language=self.language)
        keys = self.domain.noise_keys(self.space, tasks, seeds)
        self.lanes.begin(self.rows, self.tasks.drawn, tasks, keys)
        self.outcome: dict[str, np.ndarray] = {}

    def view(self) -> View:
        """The running dialogues as the agent sees them."""
        observation = np.empty((len(self.rows), self.act_level.size), np.float32)
        self.lanes.observe(observation)
        return View(self.rows, observation, self.lanes.allowed())

    def step(self, actions: np.ndarray) -> Turns:
        """One turn, int64[n, K], in every running dialogue; those that end are left out from then on."""
        lanes = self.lanes
        lanes.step(actions)
        turns = Turns({name: np.array(values) for name, values in lanes.rewards().items()}, lanes.cost())
        ended = lanes.ended != RUNNING
        if ended.any():
            self.leave(ended)
        return turns

    def _facts_at_end(self) -> dict[str, np.ndarray]:
        return {**self.lanes.facts(), "truncated": self.lanes.ended == END["max_turns"]}

    def leave(self, ended: np.ndarray) -> None:
        """Write down how some dialogues, bool[n], ended or stand, and go on with the others."""
        for name, values in self._facts_at_end().items():
            if name not in self.outcome:
                self.outcome[name] = np.zeros(int(self.rows.max()) + 1, values.dtype)
            self.outcome[name][self.rows[ended]] = values[ended]
        self.lanes.keep(~ended)
        self.rows = self.rows[~ended]
