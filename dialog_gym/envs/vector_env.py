"""The native vector environment: ``make_vec("EcomDialogActs-v0", vectorization_mode="vector_entry_point")``.

All N dialogues advance in one set of array operations. Lane i of ``reset(seed=s)`` plays exactly the
episodes that `ActsEnv` plays after ``reset(seed=s + i)``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random as seeded_generator
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from dialog_gym.core import END, RUNNING, DialogGymError
from dialog_gym.envs.acts_env import act_spaces
from dialog_gym.envs.dialogue_env import make_domain
from dialog_gym.envs.episode import checked_options, checked_weights, weighted_sum
from dialog_gym.envs.lanes import Lanes
from dialog_gym.envs.seeding import EpisodeBank


class DialogueVectorEnv(gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """N act-level dialogues in arrays; observations, actions and rewards as in `ActsEnv`, stacked.

    ``info`` has ``action_mask`` (int8[N, M]), ``cost`` (float[N]), ``rewards`` (name to float[N]) and, when
    some dialogue ended, ``ended_by`` (index into `END_REASONS`, -1 while running) and ``outcome`` (name to
    array).
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 - Gymnasium's annotation

    def __init__(
        self,
        num_envs: int = 1,
        domain: Any = "credit",
        *,
        scenario: str | None = None,
        split: str = "train",
        level: int = 3,
        max_turns: int | None = None,
        reward_weights: Mapping[str, float] | None = None,
        profile_source: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        action_masks: bool = True,
        **options: Any,
    ) -> None:
        """Sets the environments up; the options are those of `DialogueEnv`.

        Args:
            num_envs: Number of lanes.
            domain: Name of a domain, or a domain object.
            scenario: See `DialogueEnv`.
            split: See `DialogueEnv`.
            level: See `DialogueEnv`.
            max_turns: See `DialogueEnv`.
            reward_weights: See `DialogueEnv`.
            profile_source: See `DialogueEnv`.
            autoreset_mode: ``NextStep`` (Gymnasium's default) or ``SameStep``.
            action_masks: Whether ``info`` carries masks.
            options: Further options of the domain.

        Raises:
            DialogGymError: an option has an unknown name or value.
        """
        chosen = {"max_turns": max_turns, "profile_source": profile_source, **options}
        self.domain = make_domain(domain, **{k: v for k, v in chosen.items() if v is not None})
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise DialogGymError(f"num_envs must be a whole number from 1 up, not {num_envs!r}")
        self.num_envs, self.mode = num_envs, _autoreset(autoreset_mode)
        self.metadata = self.metadata | {"autoreset_mode": self.mode}
        self._act_level = self.domain.act_level
        self.reward_weights = checked_weights(reward_weights, self._act_level.reward_weights)
        space = self.domain.space(split=split, scenario=scenario or self.domain.scenarios[0], level=level)
        self.single_observation_space, self.single_action_space = act_spaces(self._act_level)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._sizes = np.asarray(self._act_level.nvec)
        self._masked = action_masks
        self._bank = EpisodeBank(self.domain, space, num_envs)
        self._lanes: Lanes = self._act_level.lanes(num_envs)
        self._ended = np.zeros(num_envs, bool)
        self._begun = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin all dialogues; lane i is seeded with ``seed + i``, or ``seed[i]``.

        Raises:
            DialogGymError: a sequence of seeds of another length than the number of lanes, or any option.
        """
        checked_options(options, ())
        if seed is not None or not self._begun:
            self._bank.restart(self._keys(seed))
        self._begin(np.arange(self.num_envs))
        self._begun = True
        self._ended = np.zeros(self.num_envs, bool)
        return self._observe(), self._info(None)

    def _keys(self, seed: int | Sequence[int | None] | None) -> np.ndarray:
        if seed is None:
            self._np_random, self._np_random_seed = seeded_generator(None)
            keys: np.ndarray = self._np_random.integers(2**63, size=self.num_envs, dtype=np.uint64)
            return keys
        given = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else list(seed)
        seeds = [None if one is None else int(one) for one in given]
        if len(seeds) != self.num_envs:
            raise DialogGymError(f"{len(seeds)} seeds given for {self.num_envs} environments")
        self._np_random, self._np_random_seed = seeded_generator(seeds[0])
        return np.asarray([seeded_generator(one)[0].integers(2**63) for one in seeds], np.uint64)

    def _begin(self, lanes: np.ndarray) -> None:
        tasks, keys = self._bank.take(lanes)
        self._lanes.begin(lanes, self._bank.tasks.drawn, tasks, keys)

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Say one turn in every dialogue.

        Raises:
            DialogGymError: the actions have another shape than (num_envs, K) or are outside the action space.
        """
        lanes, chosen = self._lanes, self._checked(actions)
        waiting = np.flatnonzero(self._ended)  # lanes whose dialogue ended in the step before (NEXT_STEP)
        lanes.step(chosen)
        # copies, because they may be the lanes' own arrays
        rewards = {name: values.copy() for name, values in lanes.rewards().items()}
        cost = lanes.cost().copy()
        ended = lanes.ended != RUNNING
        if len(waiting):
            for values in (*rewards.values(), cost):
                values[waiting] = 0.0
            ended[waiting] = False
            self._begin(waiting)
        reward = weighted_sum(self.reward_weights, rewards)
        truncated = ended & (lanes.ended == END["max_turns"])
        info: dict[str, Any] = {"rewards": rewards, "cost": cost}
        if ended.any():
            info |= {
                "ended_by": np.where(ended, lanes.ended, RUNNING),
                "_ended_by": ended,
                "outcome": self._outcome(ended),
            }
        if self.mode == AutoresetMode.SAME_STEP and ended.any():
            info |= self._restart(np.flatnonzero(ended))
            self._ended = np.zeros(self.num_envs, bool)
        else:
            self._ended = ended
        return (
            self._observe(),
            np.asarray(reward, np.float64),
            ended & ~truncated,
            truncated,
            self._info(info),
        )

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        if not self._begun:
            raise DialogGymError("the dialogues have not begun: call reset() before step()")
        given, wanted = np.asarray(actions), self.action_space.shape
        if given.dtype.kind not in "iu" or given.shape != wanted:
            raise DialogGymError(
                f"actions are {given.dtype} of shape {given.shape}, not integers of shape {wanted}"
            )
        if (given.min(axis=0) < 0).any() or (given.max(axis=0) >= self._sizes).any():
            raise DialogGymError(f"some action is outside MultiDiscrete({self._sizes.tolist()})")
        return given

    def _restart(self, lanes: np.ndarray) -> dict[str, Any]:
        """Same-step autoreset: keep the last observation of ended lanes, begin their next dialogue."""
        last = np.empty(self.num_envs, object)
        final = self._observe()
        for lane in lanes:
            last[lane] = final[lane]
        mask = np.zeros(self.num_envs, bool)
        mask[lanes] = True
        self._begin(lanes)
        return {"final_obs": last, "_final_obs": mask}

    def _outcome(self, ended: np.ndarray) -> dict[str, np.ndarray]:
        """Facts of the dialogues that ended; entries of the others are meaningless (mask ``_outcome``).

        Copies: the state's own arrays are overwritten when the next dialogues begin.
        """
        found = {"_outcome": ended} | dict(self._lanes.facts())
        return {name: values.copy() for name, values in found.items()}

    def _observe(self) -> np.ndarray:
        observation = np.empty((self.num_envs, self._act_level.size), np.float32)
        self._lanes.observe(observation)
        return observation

    def _info(self, info: dict[str, Any] | None) -> dict[str, Any]:
        found: dict[str, Any] = {"cost": np.zeros(self.num_envs)} if info is None else info
        if self._masked:
            masks = np.empty((self.num_envs, int(self._sizes.sum())), np.int8)
            self._lanes.mask(masks)
            found["action_mask"] = masks
        return found


def _autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        chosen = AutoresetMode(mode)
    except ValueError:
        raise DialogGymError(f"autoreset_mode {mode!r} is not one of NextStep, SameStep") from None
    if chosen == AutoresetMode.DISABLED:
        raise DialogGymError("autoreset_mode Disabled is not supported; use NextStep or SameStep")
    return chosen
