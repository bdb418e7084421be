"""`EcomDialogActs-v0`: the shop at act level for classical RL, ``Box`` and ``MultiDiscrete``."""

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from dialog_gym.act_view import ActView
from dialog_gym.core import DialogGymError, Task
from dialog_gym.envs.dialogue_env import make_domain
from dialog_gym.envs.episode import (
    RESET_OPTIONS,
    checked_options,
    checked_render_mode,
    checked_weights,
    weighted_sum,
)
from dialog_gym.envs.lanes import ActDialogue, ActLevel
from dialog_gym.envs.seeding import EpisodeSource


def act_spaces(act_level: ActLevel) -> tuple[spaces.Box, spaces.MultiDiscrete]:
    """Observation and action space of a domain's act level."""
    box = spaces.Box(-1.0, 10.0, (act_level.size,), np.float32)
    return box, spaces.MultiDiscrete(list(act_level.nvec))


class ActsEnv(gym.Env[np.ndarray, np.ndarray]):
    """One dialogue at act level.

    Observation: float32 vector, the visible profile and the conversation so far. Action: two moves and the
    slot values that some moves use (`ActLevel`). ``info["action_mask"]`` is an int8 vector over the
    concatenated action dimensions, 1 where a choice makes sense under the shop's rules. `acts` names what an
    action says.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - Gymnasium's own annotation

    def __init__(
        self,
        domain: Any = "credit",
        *,
        scenario: str | None = None,
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
        checked_render_mode(render_mode, self.metadata["render_modes"])
        self.scenario = scenario or self.domain.scenarios[0]
        self.split, self.level, self.render_mode = split, level, render_mode
        act_level: ActLevel = self.domain.act_level
        self.reward_weights = checked_weights(reward_weights, act_level.reward_weights)
        space = self.domain.space(split=split, scenario=self.scenario, level=level)
        self.observation_space, self.action_space = act_spaces(act_level)
        self._sizes = act_level.nvec
        self._source = EpisodeSource(self.domain, space)
        self._dialogue: ActDialogue | None = None
        self._lines: list[str] = []

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a dialogue.

        Args:
            seed: Fixes this and all following episodes.
            options: ``{"task": index | id | Task, "level": 0-9, "episode_seed": int}``, each optional: which
                task of this environment (else one is drawn), at which difficulty (of this episode; default
                the environment's), and the seed of the user's randomness: with a task it fixes the dialogue,
                as evaluation does.

        Returns:
            Observation and info (``task_id``, ``level``, ``action_mask``, ``rewards``, ``cost``, ``costs``).

        Raises:
            DialogGymError: an option is unknown or there is no such task or level.
        """
        super().reset(seed=seed)
        chosen = checked_options(options, RESET_OPTIONS)
        if seed is not None or not self._source.started:
            self._source.restart(self.np_random)
        space = self._source.space_at(chosen.get("level"))
        index = None if chosen.get("task") is None else self._index(chosen["task"], space)
        episode = self._source.next(space, index, chosen.get("episode_seed"))
        task_id = self.domain.task_id(space, episode.task_index)
        dialogue: ActDialogue = self.domain.begin(_bare(task_id, space), episode.starts, episode.row, False)
        self._dialogue = dialogue
        self._lines = [f"user: {act.intent}" for act in dialogue.open()]
        view = dialogue.act_view()
        return view.vector, _info(dialogue, view, {}, {}) | {"task_id": task_id}

    def _index(self, task: Any, space: Any) -> int:
        name = task.id if isinstance(task, Task) else task
        if isinstance(name, str):
            index = name.rpartition("/")[2]
            if not index.isdecimal() or name != self.domain.task_id(space, int(index)):
                wanted = self.domain.task_id(space, 0)
                raise DialogGymError(f"task {name!r} is not one of this environment's, e.g. {wanted!r}")
            return int(index)
        if isinstance(name, bool) or not isinstance(name, int | np.integer):
            kind = type(task).__name__
            raise DialogGymError(f"options['task'] must be an index, an id or a Task, not {kind}")
        return int(name)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """Say one act-level turn.

        Raises:
            DialogGymError: the action is outside the action space, or the dialogue is over.
        """
        dialogue, indices = self._running(), self._checked(action)
        if self.render_mode:
            said = self.domain.word_assistant(dialogue.acts_of(indices)) or "..."
            self._lines.append(f"assistant: {said}")
        step = dialogue.step_action(indices)
        if self.render_mode:
            self._lines.append("user: " + _names(step.user_acts))
        reward = weighted_sum(self.reward_weights, step.rewards)
        truncated = step.ended_by == "max_turns"
        view = dialogue.act_view()
        info = _info(dialogue, view, step.costs, step.rewards)
        if step.ended_by is not None:
            info |= {"ended_by": step.ended_by, "outcome": dialogue.outcome()}
        return view.vector, float(reward), step.ended_by is not None and not truncated, truncated, info

    def _running(self) -> ActDialogue:
        if self._dialogue is None or self._dialogue.ended_by is not None:
            raise DialogGymError("the dialogue is over (or never began): call reset() before step()")
        return self._dialogue

    def _checked(self, action: np.ndarray) -> list[int]:
        sizes, indices = self._sizes, np.asarray(action)
        if indices.dtype.kind not in "iu" or indices.shape != (len(sizes),):
            raise DialogGymError(
                f"an action is {len(sizes)} integers, not {indices.dtype} of shape {indices.shape}"
            )
        found: list[int] = indices.tolist()
        if not all(0 <= i < n for i, n in zip(found, sizes, strict=True)):
            raise DialogGymError(f"action {found} is outside MultiDiscrete({list(sizes)})")
        return found

    def acts(self, action: np.ndarray) -> tuple[Any, ...]:
        """The dialogue acts of an action in the present state."""
        return self._running().acts_of(self._checked(action))

    def action_masks(self) -> np.ndarray:
        """The mask as booleans, the name that sb3-contrib's MaskablePPO looks for."""
        if self._dialogue is None:
            raise DialogGymError("there is no dialogue yet: call reset() first")
        return self._dialogue.act_view().mask.astype(bool)

    def render(self) -> str | None:
        """The dialogue so far: the agent's turns in template wording, the user's as acts."""
        return "\n".join(self._lines) if self.render_mode == "ansi" else None


def _info(
    dialogue: ActDialogue, view: ActView, costs: Mapping[str, float], rewards: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "action_mask": view.mask,
        "level": dialogue.task.level,
        "cost": float(len(costs)),
        "costs": costs,
        "rewards": rewards,
    }


def _bare(task_id: str, space: Any) -> Task:
    """A task without its record: at act level only the id and the level are ever looked at."""
    return Task.model_construct(id=task_id, scenario=space.scenario, level=space.level)


def _names(acts: tuple[Any, ...]) -> str:
    return "; ".join(f"{act.intent}({', '.join(f'{k}={v}' for k, v in act.slots.items())})" for act in acts)
