"""Presets of the leaderboard: who plays, who learns how long and how often, and on how many dialogues.

One more learner on the board is one more line in `NET_LEARNERS` or `LM_LEARNERS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dialog_gym.benchmarks.leaderboard import NO_LEARNING
from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

START: Final = "sft"
"""The algorithm whose agents all those that play themselves start from, seed by seed."""


@dataclass(frozen=True)
class Learner:
    """An algorithm with options."""

    algorithm: str
    config: Mapping[str, Any] = field(default_factory=dict)
    """Options that are other than the algorithm's defaults on its backbone."""
    variant: str = ""
    """Tells learners of one algorithm apart, in the names of their folders."""

    @property
    def name(self) -> str:
        """For folders and messages."""
        return f"{self.algorithm}-{self.variant}" if self.variant else self.algorithm


@dataclass(frozen=True)
class Course:
    """Learners on one backbone that are trained alike: the same seeds, start and budget."""

    backbone: str
    learners: tuple[Learner, ...]
    """The first one is `START`."""
    seeds: int
    steps: int
    """Environment steps of every learner that plays."""
    validate_every: int = 10
    """Iterations between the points of a learning curve."""
    validation_episodes: int | None = None
    model: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A board as a run."""

    name: str
    agents: tuple[str, ...]
    """Agents without learning."""
    courses: tuple[Course, ...]
    episodes: int | None
    """Dialogues per agent and seed; None: the whole suite."""

    def without(self, backbone: str) -> "Preset":
        """The same without the learners of a backbone."""
        return replace(self, courses=tuple(one for one in self.courses if one.backbone != backbone))


NET_LEARNERS: Final = (Learner("sft"), Learner("dpo"), Learner("ppo"), Learner("grpo"))
LM_LEARNERS: Final = (Learner("sft"), Learner("grpo"))

# language models first: their jobs take longest, and all others fit beside them
QUICK: Final = Preset(
    "quick",
    agents=("random", "scripted", "oracle"),
    courses=(
        Course(
            "lm",
            (Learner("sft", {"demonstrations": 600}), *LM_LEARNERS[1:]),
            seeds=1,
            steps=4_000,
            validate_every=2,
            validation_episodes=32,
        ),
        Course("net", NET_LEARNERS, seeds=3, steps=500_000, validate_every=3, validation_episodes=500),
    ),
    episodes=920,
)
FULL: Final = Preset(
    "full",
    agents=NO_LEARNING,
    courses=(
        Course("lm", LM_LEARNERS, seeds=1, steps=25_000),
        Course("net", NET_LEARNERS, seeds=10, steps=500_000, validate_every=3, validation_episodes=500),
    ),
    episodes=None,
)
PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in (QUICK, FULL)}


def load_preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        DialogGymError: there is none of this name.
    """
    if name not in PRESETS:
        raise DialogGymError(f"unknown preset {name!r}; {nearest(name, PRESETS)}")
    return PRESETS[name]
