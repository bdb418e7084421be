"""Whole dialogues in lock-step on the array dynamics: begun together, compacted as they end."""

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from dialog_gym.domains.credit.dynamics import noise_streams, turn_noise
from dialog_gym.domains.credit.features import ActionMask, Features
from dialog_gym.domains.credit.moves import action_array
from dialog_gym.domains.credit.state import State, begin_rows, empty_state
from dialog_gym.domains.credit.tracker import END, RUNNING
from dialog_gym.domains.credit.user_model import NOISE
from dialog_gym.envs.seeding import TaskTable
from dialog_gym.ops import ARRAYS

_FIELDS = tuple(field.name for field in fields(State))


class View(NamedTuple):
    """What the agent sees of the dialogues that are still running."""

    rows: np.ndarray
    """int64[n], which dialogues these are."""
    observation: np.ndarray
    """float32[n, F], as `EcomDialogActs-v0` gives it."""
    allowed: np.ndarray
    """bool[n, len(MOVES)], moves that the shop's rules allow."""


class Turns(NamedTuple):
    """What one turn led to, for the rows of the `View` it was taken in."""

    rewards: dict[str, np.ndarray]
    cost: np.ndarray


class ArrayDialogues:
    """The dialogues of one scenario. `begin`, then `view` and `step` until nobody is left."""

    def __init__(self, domain: Any, *, scenario: str, split: str, level: int) -> None:
        """Prepares lookup tables; tasks are drawn when first played and kept."""
        self.domain, self.dynamics = domain, domain.array_dynamics
        self.space = domain.space(split=split, scenario=scenario, level=level)
        self.tasks = TaskTable(domain, self.space)
        self.features = Features(len(domain.products), domain.max_turns)
        self.mask = ActionMask(ARRAYS, self.dynamics.moves.nvec)

    def begin(self, tasks: np.ndarray, seeds: np.ndarray) -> None:
        """Begin one dialogue per task index, int64[D], with the customers' seeds, uint64[D]."""
        if not self.tasks.has(tasks):
            self.tasks.prepare(tasks)
        drawn = self.tasks.drawn.take(tasks)
        self.state = empty_state(drawn)
        begin_rows(self.state, np.arange(len(tasks)), drawn)
        self.profile = self.tasks.profile.take(tasks, axis=0)
        self.streams = noise_streams(self.domain.noise_keys(self.space, tasks, seeds))
        self.rows = np.arange(len(tasks))
        self.outcome: dict[str, np.ndarray] = {}

    def view(self) -> View:
        """The running dialogues as the agent sees them."""
        size = self.profile.shape[1]
        observation = np.empty((len(self.rows), size + self.features.size), np.float32)
        observation[:, :size] = self.profile
        self.features.fill(observation[:, size:], self.state)
        return View(self.rows, observation, self.mask.flags(self.state).astype(bool))

    def step(self, actions: np.ndarray) -> Turns:
        """One turn, int64[n, 6], in every running dialogue; those that end are left out from then on."""
        s = self.state
        noise = dict(zip(NOISE, turn_noise(self.streams, s.turn), strict=True))
        self.dynamics.step(s, self.dynamics.moves.read(action_array(actions), s), noise)
        rewards = {name: np.array(values) for name, values in self.dynamics.rewards(s).items()}
        cost = 1.0 * self.dynamics.ops.take(self.dynamics.tracker.bits.count, s.violations)
        ended = s.ended != RUNNING
        if ended.any():
            self._keep(ended)
        return Turns(rewards, cost)

    def _keep(self, ended: np.ndarray) -> None:
        """Write down how some dialogues ended and go on with the others."""
        facts = self.dynamics.facts(self.state) | {"truncated": self.state.ended == END["max_turns"]}
        for name, values in facts.items():
            if name not in self.outcome:
                self.outcome[name] = np.zeros(int(self.rows.max()) + 1, values.dtype)
            self.outcome[name][self.rows[ended]] = values[ended]
        running = ~ended
        self.state = State(*[getattr(self.state, name)[running] for name in _FIELDS])
        self.profile, self.streams = self.profile[running], self.streams[running]
        self.rows = self.rows[running]
