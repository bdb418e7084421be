"""A population of users: each dialogue draws its simulator from a distribution over styles and models."""

import tomllib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from dialog_gym.core import DialogGymError, Task, UserSimulator
from dialog_gym.noise import mix, text_key
from dialog_gym.speaking import Request, ask_many, load_simulator

_DRAW: Final = text_key("who plays the user")
STYLES: Final[Sequence[tuple[str, float]]] = (
    ("agenda", 0.4),
    ("agenda?verbosity=terse", 0.2),
    ("agenda?verbosity=chatty", 0.2),
    ("agenda?code_words=true", 0.1),
    ("agenda?typos=0.1", 0.1),
)
"""Simulators and weights of the default population."""


class MixtureSession:
    """The user side of one dialogue: the session of whoever was drawn, whose counters it shows as its own."""

    def __init__(self, part: UserSimulator, session: Any) -> None:
        """Wraps a session of ``part``."""
        self.part, self.session = part, session

    def __getattr__(self, name: str) -> Any:
        if name in ("part", "session"):  # not there yet: a copy is being made
            raise AttributeError(name)
        return getattr(self.session, name)

    def say(self, acts: Any, dialogue: Any, *, garbled: bool) -> Any:
        """What the drawn user says."""
        return self.session.say(acts, dialogue, garbled=garbled)


class MixtureSimulator:
    """Plays each user with one of several simulators.

    By name ``mixture``, ``mixture:agenda=1,lm=3``, or ``mixture:FILE``: a TOML file with a table ``[users]``
    of simulators' names, options included, and their weights::

        [users]
        agenda = 0.5
        "lm?temperature=1.0" = 0.3
        "openai:gpt-4.1-mini?mode=free" = 0.2
    """

    name = "mixture"

    def __init__(self, parts: "str | Mapping[Any, float] | None" = None) -> None:
        """Takes the population.

        Args:
            parts: Simulators, by name or as objects, and their weights; a text of names and weights, or a
                file; default `STYLES`.

        Raises:
            DialogGymError: a simulator is unknown, a weight is not above 0, or the file cannot be read.
        """
        weights = _read(parts) if isinstance(parts, str) else list((parts or dict(STYLES)).items())
        if not weights:
            raise DialogGymError("a mixture needs at least one simulator, e.g. mixture:agenda=1,lm=3")
        for part, weight in weights:
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e9:
                raise DialogGymError(f"mixture: the weight of {part} must be above 0, not {weight!r}")
        self.parts = [load_simulator(part) for part, _ in weights]
        total = sum(weight for _, weight in weights)
        self.shares = [(str(part), weight / total) for part, weight in weights]
        self._bounds = list(accumulate(share for _, share in self.shares))

    def settings(self) -> dict[str, Any]:
        """The shares, and what the parts' words depend on: a run's store keeps it."""
        told = [getattr(part, "settings", None) for part in self.parts]
        return {
            "shares": [list(share) for share in self.shares],
            "parts": [tell() if callable(tell) else None for tell in told],
        }

    def start(self, task: Task, seed: int) -> MixtureSession:
        """A session of the simulator that the task and the seed draw."""
        draw = mix(_DRAW, seed) / 2**64
        which = next((i for i, bound in enumerate(self._bounds) if draw < bound), len(self.parts) - 1)
        return MixtureSession(self.parts[which], self.parts[which].start(task, seed))

    def say_many(self, sessions: Sequence[MixtureSession], requests: Sequence[Request]) -> list[Any]:
        """What users say next: one call to each simulator that has some of them."""
        said: list[Any] = [None] * len(sessions)
        for part in self.parts:
            mine = [i for i, session in enumerate(sessions) if session.part is part]
            if mine:
                words = ask_many(part, [sessions[i].session for i in mine], [requests[i] for i in mine])
                for i, text in zip(mine, words, strict=True):
                    said[i] = text
        return said


def _read(parts: str) -> list[tuple[Any, Any]]:
    """Names and weights of a text or a file."""
    if not parts.endswith(".toml"):
        pairs = [part.rpartition("=") for part in parts.split(",")]
        return [(name or text, _weight(text) if name else 1.0) for name, _, text in pairs]
    try:
        found = tomllib.loads(Path(parts).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DialogGymError(f"{parts}: no mixture of users: {error}") from None
    users = found.get("users")
    if not isinstance(users, dict):
        raise DialogGymError(f"{parts}: a mixture needs a table [users] of simulators and weights")
    return list(users.items())


def _weight(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
