"""`AdaptiveLevel`: a curriculum over difficulty levels, for training only; evaluation is at fixed levels.

A window of neighbouring levels moves up and down with the agent's success at its top level. The idea is that
of EcomRLVE's adaptive difficulty; its rule, "promote when 32 episodes succeed at a rate of tau", is repaired:
it is asked again and again, so an agent well below tau is promoted by luck in time and never demoted.
Here a promotion needs the lower bound, and a demotion the upper bound, of Wilson's 95 % interval (1927).
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random as seeded_generator

from dialog_gym.core import LEVELS, DialogGymError
from dialog_gym.noise import mix, text_key
from dialog_gym.stats import wilson_interval

SMALLEST_BLOCK = 32
LARGEST_WIDTH = 4
MEMORY = 8
"""Blocks that count: older ones are another agent's, who was still learning."""
_KEY = text_key("adaptive level")


def winnable_success(outcome: Mapping[str, Any]) -> bool | None:
    """Success of an episode; None when no agent could have won it: nobody was reached, or nobody who buys.

    An outcome that says nothing about either could have been a success.
    """
    winnable = outcome.get("reached", True) and outcome.get("buyer", True)
    return bool(outcome["success"]) if winnable else None


class AdaptiveLevel(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Draws each episode's level uniformly from a window ``[low, high]`` that follows the agent's success.

    Wraps `EcomDialog-v0` or `EcomDialogActs-v0`; the level is in ``info["level"]``, in the outcome, in the
    task's id and so in a stored trajectory. Only episodes at ``high`` are counted. An episode whose task or
    level is given in the options of `reset` is played as it is and not counted.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        start: int = 0,
        width: int = LARGEST_WIDTH,
        block: int = SMALLEST_BLOCK,
        promote_at: float = 0.7,
        demote_at: float = 0.5,
        success: Callable[[Mapping[str, Any]], bool | None] = winnable_success,
    ) -> None:
        """Starts with ``start`` as the top level; the window is that level and the ``width - 1`` below it.

        Args:
            env: The environment.
            start: First top level, 0-9.
            width: Most levels in the window, 1 to 4.
            block: Episodes between two decisions, at least 32; the last 8 blocks at a level count.
            promote_at: Up when Wilson's lower bound of the success rate is at least this.
            demote_at: Down when Wilson's upper bound is at most this; must be below ``promote_at``.
            success: From an episode's outcome whether it counts as a success; None leaves it out.

        Raises:
            DialogGymError: a number is out of range.
        """
        gym.utils.RecordConstructorArgs.__init__(
            self,
            start=start,
            width=width,
            block=block,
            promote_at=promote_at,
            demote_at=demote_at,
            success=success,
        )
        super().__init__(env)
        if start not in LEVELS or not 1 <= width <= LARGEST_WIDTH or block < SMALLEST_BLOCK:
            raise DialogGymError(
                f"the curriculum needs start in 0..9, width in 1..{LARGEST_WIDTH} and "
                f"block >= {SMALLEST_BLOCK}, not start={start}, width={width}, block={block}"
            )
        if not 0 <= demote_at < promote_at <= 1:
            raise DialogGymError(f"demote_at {demote_at} must be below promote_at {promote_at}, both in 0..1")
        self.width, self.block = width, block
        self.promote_at, self.demote_at, self.success = promote_at, demote_at, success
        self.high = start
        self._blocks: deque[int] = deque(maxlen=MEMORY)
        """Successes in each full block at the top level."""
        self._count = self._wins = 0
        self._levels: np.random.Generator | None = None
        self._counts_now = False

    @property
    def low(self) -> int:
        """Lowest level of the window."""
        return max(LEVELS[0], self.high - self.width + 1)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode at a level drawn from the window; a seed fixes the order of levels too."""
        if seed is not None or self._levels is None:
            self._levels = seeded_generator(None if seed is None else mix(_KEY, seed))[0]
        given = dict(options or {})
        free = given.get("level") is None and given.get("task") is None
        if free:
            given["level"] = int(self._levels.integers(self.low, self.high + 1))
        self._counts_now = free and given["level"] == self.high
        observation, info = self.env.reset(seed=seed, options=given)
        return observation, info | {"level_window": (self.low, self.high)}

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """One turn; the end of an episode at the top level may move the window."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            if self._counts_now and info.get("ended_by") != "error":
                self.count(self.success(info["outcome"]))
            self._counts_now = False
        return observation, reward, terminated, truncated, info

    def count(self, success: bool | None) -> None:
        """Book one episode at the top level; None is left out."""
        if success is None:
            return
        self._count, self._wins = self._count + 1, self._wins + int(success)
        if self._count == self.block:
            self._blocks.append(self._wins)
            self._count = self._wins = 0
            self._decide()

    def _decide(self) -> None:
        low, high = wilson_interval(sum(self._blocks), self.block * len(self._blocks))
        if low >= self.promote_at and self.high < LEVELS[-1]:
            self._move(1)
        elif high <= self.demote_at and self.high > LEVELS[0]:
            self._move(-1)

    def _move(self, by: int) -> None:
        self.high += by
        self._blocks.clear()

    def state(self) -> dict[str, Any]:
        """The curriculum's state, JSON-ready: store it with a checkpoint and give it to `restore`."""
        return {
            "high": self.high,
            "blocks": list(self._blocks),
            "count": self._count,
            "wins": self._wins,
            "generator": None if self._levels is None else self._levels.bit_generator.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; the episode in progress is not counted.

        Raises:
            DialogGymError: it is no state of this curriculum.
        """
        try:
            high, blocks, generator = int(state["high"]), list(state["blocks"]), state["generator"]
            self._count, self._wins = int(state["count"]), int(state["wins"])
        except (KeyError, TypeError, ValueError) as error:
            raise DialogGymError(f"this is no curriculum state: {type(error).__name__}: {error}") from None
        if high not in LEVELS:
            raise DialogGymError(f"the state's top level must be from 0 to 9, not {high}")
        self.high, self._counts_now = high, False
        self._blocks = deque(blocks, maxlen=MEMORY)
        self._levels = None
        if generator is not None:
            self._levels = seeded_generator(0)[0]
            self._levels.bit_generator.state = generator
