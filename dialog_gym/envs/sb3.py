"""The native vector environment as a Stable-Baselines3 ``VecEnv``: many dialogues advance in one step.

``EcomDialogActs-v0`` needs none of this: SB3 takes it as it is. This only makes training faster. It needs
the extra ``sb3`` (``pip install dialog-gym[sb3]``).
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dialog_gym.core import END_REASONS, DialogGymError
from dialog_gym.envs.vector_env import DialogueVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
except ImportError as error:
    raise DialogGymError("this needs Stable-Baselines3: pip install 'dialog-gym[sb3]'") from error

Infos = list[dict[str, Any]]


class SB3VecEnv(VecEnv):  # type: ignore[misc, unused-ignore]
    """N act-level dialogues for SB3.

    Where a dialogue ended, its info has SB3's ``terminal_observation``, ``TimeLimit.truncated`` and
    ``episode`` (return, length, seconds: what a ``VecMonitor`` would add), and ours: ``ended_by`` and
    ``outcome``.
    """

    def __init__(self, num_envs: int, **options: Any) -> None:
        """Sets the dialogues up.

        Args:
            num_envs: Number of dialogues that advance together.
            options: Options of `DialogueVectorEnv`; action masks are off unless asked for.
        """
        self.env = DialogueVectorEnv(
            num_envs, **{"action_masks": False, **options, "autoreset_mode": "SameStep"}
        )
        self.render_mode: str | None = None
        super().__init__(num_envs, self.env.single_observation_space, self.env.single_action_space)
        self._began = time.monotonic()
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._masks: np.ndarray | None = None
        self._actions: np.ndarray | None = None

    def reset(self) -> np.ndarray:
        """Begin all dialogues; ``seed(s)`` before it fixes them, lane i by ``s + i``."""
        seeds = None if self._seeds[0] is None else self._seeds
        observation, info = self.env.reset(seed=seeds)
        self._reset_seeds()
        self._returns[:], self._lengths[:] = 0.0, 0
        self._masks = info.get("action_mask")
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Infos]:
        """One turn of every dialogue; those that end begin anew at once."""
        assert self._actions is not None
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        self._returns += reward
        self._lengths += 1
        self._masks = info.get("action_mask")
        done = terminated | truncated
        infos: Infos = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(done):
            infos[lane] = self._final(int(lane), info) | {"TimeLimit.truncated": bool(truncated[lane])}
        self._returns[done], self._lengths[done] = 0.0, 0
        return observation, reward.astype(np.float32), done, infos

    def _final(self, lane: int, info: dict[str, Any]) -> dict[str, Any]:
        seconds = round(time.monotonic() - self._began, 6)
        return {
            "terminal_observation": info["final_obs"][lane],
            "episode": {"r": float(self._returns[lane]), "l": int(self._lengths[lane]), "t": seconds},
            "ended_by": END_REASONS[info["ended_by"][lane]],
            "outcome": {
                name: values[lane].item() for name, values in info["outcome"].items() if name[0] != "_"
            },
        }

    def action_masks(self) -> np.ndarray:
        """bool[N, M] as sb3-contrib's MaskablePPO asks for it; needs ``action_masks=True``.

        Raises:
            DialogGymError: the masks are off, or `reset` was not called.
        """
        if self._masks is None:
            raise DialogGymError("no masks: create the environment with action_masks=True and call reset()")
        return self._masks.astype(bool)

    def close(self) -> None:
        """Nothing to free."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """An attribute of the vector environment, once per lane: all lanes share it."""
        return [getattr(self.env, attr_name)] * len(self._chosen(indices))

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Set an attribute of the vector environment.

        Raises:
            DialogGymError: only some lanes are named; they share their attributes.
        """
        if len(self._chosen(indices)) != self.num_envs:
            raise DialogGymError("the dialogues share their attributes: leave indices out")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: int | Iterable[int] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Only ``action_masks`` can be called per lane.

        Raises:
            DialogGymError: another method is asked for.
        """
        if method_name != "action_masks":
            raise DialogGymError(f"env_method {method_name!r} is not supported; known: action_masks")
        masks = self.action_masks()
        return [masks[lane] for lane in self._chosen(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[Any], indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """Whether lanes are wrapped: never."""
        return [False] * len(self._chosen(indices))

    def has_attr(self, attr_name: str) -> bool:
        """Whether the vector environment has an attribute; ``action_masks`` when masks are on."""
        return attr_name == "action_masks" or hasattr(self.env, attr_name)

    def _chosen(self, indices: int | Iterable[int] | None) -> Sequence[int]:
        return list(self._get_indices(indices))
