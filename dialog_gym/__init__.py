"""dialog-gym: a simulation gym and benchmark suite for e-commerce dialogue agents.

Importing it registers the environments; it needs neither torch nor a network.
"""

from importlib.metadata import PackageNotFoundError, version

import gymnasium as gym

from dialog_gym.core import (
    DialogGymError,
    DialogueAct,
    Goal,
    Observation,
    Result,
    Score,
    Task,
    Trajectory,
    Turn,
    UserProfile,
)

try:
    __version__ = version("dialog-gym")
except PackageNotFoundError:  # a source tree on sys.path without installation
    __version__ = "0+unknown"

__all__ = [
    "DialogGymError",
    "DialogueAct",
    "Goal",
    "Observation",
    "Result",
    "Score",
    "Task",
    "Trajectory",
    "Turn",
    "UserProfile",
    "__version__",
]

gym.register(id="EcomDialog-v0", entry_point="dialog_gym.envs.dialogue_env:DialogueEnv")
gym.register(
    id="EcomDialogActs-v0",
    entry_point="dialog_gym.envs.acts_env:ActsEnv",
    vector_entry_point="dialog_gym.envs.vector_env:DialogueVectorEnv",
)
gym.register(
    id="MultiWOZ-v0",
    entry_point="dialog_gym.envs.dialogue_env:DialogueEnv",
    kwargs={"domain": "multiwoz"},
)
gym.register(
    id="MultiWOZActs-v0",
    entry_point="dialog_gym.envs.acts_env:ActsEnv",
    vector_entry_point="dialog_gym.envs.vector_env:DialogueVectorEnv",
    kwargs={"domain": "multiwoz"},
)
