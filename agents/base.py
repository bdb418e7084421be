"""The agent to subclass, and loading agents by name, class, callable or file."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym import plugins
from dialog_gym.core import DialogGymError, Observation, Scalar, Turn


class Agent:
    """A service that answers customers.

    Write `reply`; per-dialogue state belongs into attributes set in `begin`. Every dialogue runs on its own
    shallow copy with its own random generator ``self.rng``, so nothing leaks between dialogues.
    """

    name = "agent"
    sees_hidden_state = False
    """Only references such as the oracle set this; the board marks them and never ranks them."""
    sees_act_view = False
    """Whether observations carry the act-level view (`ActView`); it shows nothing hidden."""

    rng: np.random.Generator

    def begin(self) -> None:
        """Called at the start of every dialogue."""

    def reply(self, observation: Observation) -> str | Turn:
        """The next turn: plain text, act notation, JSON acts, or a `Turn` whose ``thought`` stays private."""
        raise NotImplementedError(f"{type(self).__name__} must define reply(self, observation)")

    def start(self, seed: int) -> "Agent":
        """A session for one dialogue."""
        session = copy.copy(self)
        session.rng = np.random.default_rng(seed)
        session.begin()
        return session


def observation_text(observation: Observation) -> str:
    """An observation as one text: guidelines, profile, then the dialogue as ``role: text`` lines."""
    profile = "\n".join(f"{name}: {_shown(value)}" for name, value in observation.profile.items())
    dialogue = "\n".join(f"{turn.role}: {turn.text}" for turn in observation.dialogue)
    return f"{observation.guidelines}\n\nCustomer profile:\n{profile}\n\nDialogue:\n{dialogue}\nassistant:"


def _shown(value: Scalar) -> str:
    return "unknown" if value is None else str(value)


class CallableAgent(Agent):
    """Any ``str -> str`` function: it is given `observation_text` and returns the reply."""

    def __init__(self, function: Callable[[str], str], name: str = "") -> None:
        """Wraps a function."""
        self.function = function
        self.name = name or getattr(function, "__name__", "callable")

    def reply(self, observation: Observation) -> str:
        """The function's answer.

        Raises:
            DialogGymError: it did not return a text.
        """
        answer = self.function(observation_text(observation))
        if not isinstance(answer, str):
            raise DialogGymError(f"agent {self.name!r} returned {type(answer).__name__}, not a text (str)")
        return answer


def load_agent(spec: Any, options: Mapping[str, Any] | None = None) -> Any:
    """An agent from a name, a trained agent's folder, ``module:Object``, ``path.py[:Object]``, a class, ...

    A name may carry an argument and options: ``openai:MODEL?temperature=0.7``. A function or any object with
    ``start`` will do, too.

    Raises:
        DialogGymError: it cannot be found, built, or is no agent.
    """
    if isinstance(spec, str | Path) and _is_folder(str(spec)):
        return _trained(Path(spec))
    named = plugins.resolve("agents", spec) if isinstance(spec, str) else plugins.Named(spec, (), {})
    found = named.found
    label = spec if isinstance(spec, str) else getattr(found, "__name__", type(found).__name__)
    if isinstance(found, type):
        try:
            found = found(*named.arguments, **named.options, **dict(options or {}))
        except TypeError as error:
            how = "from its name" if named.arguments or named.options or options else "without arguments"
            raise DialogGymError(f"agent {label!r} cannot be built {how}: {error}") from None
    elif not named.bare:
        raise DialogGymError(f"agent {label!r} takes neither an argument nor options")
    if callable(getattr(found, "start", None)):
        if isinstance(found, Agent) and found.name == Agent.name:
            found.name = str(label)
        return found
    if callable(found):
        return CallableAgent(found, str(label))
    raise DialogGymError(
        f"{label!r} is no agent: it needs start(seed) -> session with reply(observation), or be callable"
    )


def _is_folder(spec: str) -> bool:
    """Whether a name means a trained agent's folder; registered names come first.

    Raises:
        DialogGymError: it is written like a path, but nothing is there.
    """
    if spec in plugins.names("agents") or ":" in spec or spec.endswith(".py"):
        return False
    path = Path(spec)
    if len(path.parts) > 1 and not path.is_dir():
        raise DialogGymError(f"no such folder: {spec}; a trained agent is named by the folder of its run")
    return path.is_dir()


def _trained(folder: Path) -> Agent:
    from dialog_gym.agents.learning.trained import load_trained  # torch is imported for trained agents only

    return load_trained(folder)
