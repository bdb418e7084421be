"""Environments: Gymnasium (text and act level), native vector, PettingZoo AEC and Parallel."""

from typing import Any

__all__ = ["ActsEnv", "DialogueEnv", "DialogueVectorEnv", "aec_env", "parallel_env"]

_HOMES = {
    "ActsEnv": "dialog_gym.envs.acts_env",
    "DialogueEnv": "dialog_gym.envs.dialogue_env",
    "DialogueVectorEnv": "dialog_gym.envs.vector_env",
    "aec_env": "dialog_gym.envs.multiagent",
    "parallel_env": "dialog_gym.envs.multiagent",
}


def __getattr__(name: str) -> Any:
    """Load an environment when it is first asked for: PettingZoo alone costs 0.15 s to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
