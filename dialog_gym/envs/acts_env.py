"""`EcomDialogActs-v0`: the shop at act level for classical RL, ``Box`` and ``MultiDiscrete``."""

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dialog_gym.core import DialogGymError, Task
from dialog_gym.domains.credit.dynamics import REWARDS
from dialog_gym.domains.credit.features import ActionMask, Features
from dialog_gym.envs.dialogue_env import make_domain
from dialog_gym.envs.episode import checked_weights
from dialog_gym.envs.seeding import EpisodeQueue, Prepared
from dialog_gym.ops import SCALAR


def act_spaces(domain: Any) -> tuple[spaces.Box, spaces.MultiDiscrete, int]:
    """Observation space, action space and the length of the profile part, for a credit domain."""
    features = Features(len(domain.products), domain.max_turns)
    profile = domain.profile_feature_count
    box = spaces.Box(-1.0, 10.0, (profile + features.size,), np.float32)
    return box, spaces.MultiDiscrete(domain.dynamics.moves.nvec), profile


class ActsEnv(gym.Env[np.ndarray, np.ndarray]):
    """One dialogue at act level.

    Observation: float32 vector, the visible profile and the conversation so far. Action: two moves and four
    slot values (`dialog_gym.domains.credit.moves`). ``info["action_mask"]`` is an int8 vector over the
    concatenated action dimensions, 1 where a choice makes sense under the shop's rules. `acts` names what an
    action says.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - Gymnasium's own annotation

    def __init__(
        self,
        domain: Any = "credit",
        *,
        scenario: str = "proactive_sale",
        split: str = "train",
        level: int = 3,
        max_turns: int | None = None,
        reward_weights: Mapping[str, float] | None = None,
        profile_source: str | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        """Sets the environment up; the options are those of `DialogueEnv`.

        Raises:
            DialogGymError: an option has an unknown name or value.
        """
        chosen = {"max_turns": max_turns, "profile_source": profile_source, **options}
        self.domain = make_domain(domain, **{k: v for k, v in chosen.items() if v is not None})
        self.scenario, self.split, self.level, self.render_mode = scenario, split, level, render_mode
        self.reward_weights = checked_weights(reward_weights, REWARDS)
        self._space = self.domain.space(split=split, scenario=scenario, level=level)
        self.observation_space, self.action_space, self._profile_size = act_spaces(self.domain)
        self._features = Features(len(self.domain.products), self.domain.max_turns)
        self._mask = ActionMask(SCALAR, self.domain.dynamics.moves.nvec)
        self._queue = EpisodeQueue(self.domain, self._space)
        self._dialogue: Any = None
        self._observation = np.zeros(self.observation_space.shape, np.float32)
        self._lines: list[str] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a dialogue; ``options={"task": index}`` picks the task.

        Raises:
            DialogGymError: an option is unknown or the index out of range.
        """
        super().reset(seed=seed)
        if seed is not None or not self._queue.started:
            self._queue.restart(self.np_random)
        episode = self._next(options or {})
        task_id = self.domain.task_id(self._space, episode.task_index)
        self._dialogue = self.domain.begin(_bare(task_id, self._space), episode.starts, episode.row, False)
        self._observation[: self._profile_size] = episode.starts.profile[episode.row]
        self._lines = [f"user: {act.intent}" for act in self._dialogue.open()]
        return self._observe(), self._info({}) | {"task_id": task_id}

    def _next(self, options: Mapping[str, Any]) -> Prepared:
        if unknown := sorted(set(options) - {"task"}):
            raise DialogGymError(f"unknown reset option {unknown[0]!r}; known: task")
        if "task" not in options:
            return self._queue.take()
        seed, index = self._queue.skip(), int(options["task"])
        starts = self.domain.starts(self._space, np.asarray([index]), np.asarray([seed], np.uint64))
        return Prepared(seed, index, starts, 0)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """Say one act-level turn.

        Raises:
            DialogGymError: the action is outside the action space, or the dialogue is over.
        """
        indices = self._checked(action)
        if self.render_mode:
            self._lines.append("assistant: " + self._say(indices))
        step = self._dialogue.step_action(indices)
        if self.render_mode:
            self._lines.append("user: " + _names(step.user_acts))
        reward = sum(self.reward_weights[name] * value for name, value in step.rewards.items())
        truncated = step.ended_by == "max_turns"
        info = self._info(step.costs) | {"rewards": step.rewards}
        if step.ended_by is not None:
            info |= {"ended_by": step.ended_by, "outcome": self._dialogue.outcome()}
        return self._observe(), float(reward), step.ended_by is not None and not truncated, truncated, info

    def _checked(self, action: np.ndarray) -> list[int]:
        if self._dialogue is None or self._dialogue.ended_by is not None:
            raise DialogGymError("the dialogue is over (or never began): call reset() before step()")
        indices: list[int] = np.asarray(action).tolist()
        sizes = self.domain.dynamics.moves.nvec
        if len(indices) != len(sizes) or not all(0 <= i < n for i, n in zip(indices, sizes, strict=True)):
            raise DialogGymError(f"action {indices} is outside MultiDiscrete({list(sizes)})")
        return indices

    def acts(self, action: np.ndarray) -> tuple[Any, ...]:
        """The dialogue acts of an action in the present state."""
        return tuple(self._dialogue.acts_of(self._checked(action)))

    def _say(self, indices: list[int]) -> str:
        return str(self.domain.word_assistant(self._dialogue.acts_of(indices))) or "..."

    def action_masks(self) -> np.ndarray:
        """The mask as booleans, the name that sb3-contrib's MaskablePPO looks for."""
        return self._action_mask().astype(bool)

    def _action_mask(self) -> np.ndarray:
        mask = np.empty(sum(self.domain.dynamics.moves.nvec), np.int8)
        self._mask.fill(mask, self._dialogue.state)
        return mask

    def _observe(self) -> np.ndarray:
        self._features.fill(self._observation[self._profile_size :], self._dialogue.state)
        return self._observation.copy()

    def _info(self, costs: Mapping[str, float]) -> dict[str, Any]:
        return {"action_mask": self._action_mask(), "cost": float(len(costs)), "costs": costs, "rewards": {}}

    def render(self) -> str | None:
        """The dialogue so far: the agent's turns in template wording, the user's as acts."""
        return "\n".join(self._lines) if self.render_mode == "ansi" else None


def _bare(task_id: str, space: Any) -> Task:
    """A task without its record: at act level only the id and the level are ever looked at."""
    return Task.model_construct(id=task_id, scenario=space.scenario, level=space.level)


def _names(acts: tuple[Any, ...]) -> str:
    return "; ".join(f"{act.intent}({', '.join(f'{k}={v}' for k, v in act.slots.items())})" for act in acts)
