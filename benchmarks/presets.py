"""Presets of the leaderboard: who plays, who learns how long and how often, and on how many dialogues.

One more learner on the board is one more line in `NET_LEARNERS` or `LM_LEARNERS`, one more ablation or
control arm beside it one in `NET_ABLATIONS`.
"""

from collections.abc import Collection, Mapping, Sequence
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
    """What an ablation or control arm is called; it is shown beside the board, not ranked on it."""

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

    def names(self) -> set[str]:
        """Whatever its learners can be chosen by."""
        return {self.backbone}.union(*(self._names(learner) for learner in self.learners))

    def only(self, names: Collection[str]) -> "Course | None":
        """The same with the named learners and the one that they start from; None where none is named."""
        named = self.backbone in names
        chosen = tuple(one for one in self.learners if named or not self._names(one).isdisjoint(names))
        first = tuple(one for one in self.learners[:1] if one not in chosen)
        return replace(self, learners=first + chosen) if chosen else None

    def _names(self, learner: Learner) -> set[str]:
        return {learner.name, f"{learner.name}-{self.backbone}"}


@dataclass(frozen=True)
class Preset:
    """A board as a run."""

    name: str
    agents: tuple[str, ...]
    """Agents without learning."""
    courses: tuple[Course, ...]
    episodes: int | None
    """Dialogues per agent and seed; None: the whole suite."""
    takes: str = ""
    """How long it takes, for people."""

    def without(self, backbone: str) -> "Preset":
        """The same without the learners of a backbone."""
        return replace(self, courses=tuple(one for one in self.courses if one.backbone != backbone))

    def only(self, names: Sequence[str]) -> "Preset":
        """The same with the named players only, and with the learners that these start from.

        Args:
            names: Agents without learning, learners (``more``, ``more-uniform``), backbones (``net``), or
                learners on a backbone (``more-net``).

        Raises:
            DialogGymError: nobody is called so.
        """
        known = {*self.agents, *(name for course in self.courses for name in course.names())}
        if unknown := [name for name in names if name not in known]:
            raise DialogGymError(
                f"preset {self.name} has no {unknown[0]!r}; {nearest(unknown[0], sorted(known))}"
            )
        courses = (course.only(names) for course in self.courses)
        return replace(
            self,
            agents=tuple(agent for agent in self.agents if agent in names),
            courses=tuple(course for course in courses if course is not None),
        )


_MIXED: Final = {"weighting": "uniform", "scaffold": False}
"""MORE's rewards without MORE: mixed with their fixed weights, nothing is reasoned."""

NET_LEARNERS: Final = tuple(map(Learner, ("sft", "dpo", "ppo", "grpo", "gopo", "more", "memento")))
NET_ABLATIONS: Final = (
    Learner("more", {"weighting": "uniform"}, "uniform"),
    Learner("more", {"merged": True}, "merged"),
    Learner("more", {"merged": True, "weighting": "uniform"}, "merged-uniform"),
    Learner("more", {"scaffold": False}, "no-reasoning"),
    Learner("more", _MIXED, "sum-then-normalise"),
    Learner("more", {**_MIXED, "mix": "normalise-then-sum"}, "normalise-then-sum"),
    Learner("grpo", {"levels": "joint"}, "joint"),
    Learner("gopo", {"expert": False}, "no-expert"),
)
LM_LEARNERS: Final = tuple(map(Learner, ("sft", "grpo", "more")))


def _with(learners: Sequence[Learner], changes: Mapping[str, Mapping[str, Any]]) -> tuple[Learner, ...]:
    """Learners with further options, by algorithm."""
    return tuple(replace(one, config={**one.config, **changes.get(one.algorithm, {})}) for one in learners)


# language models first: their jobs take longest, and all others fit beside them
QUICK: Final = Preset(
    "quick",
    agents=("random", "scripted", "oracle"),
    courses=(
        Course(
            "lm",
            _with(
                LM_LEARNERS,
                {
                    "sft": {"demonstrations": 300, "passes": 1},
                    "grpo": {"dialogues": 96},
                    "more": {
                        "dialogues": 96, "imitated": 8, "rounds": 1, "customers": 8, "answers": 4,
                        "measured": 8,
                    },
                },
            ),
            seeds=1,
            steps=1_800,
            validate_every=3,
            validation_episodes=32,
        ),
        Course(
            "net",
            _with(
                NET_LEARNERS,
                {"sft": {"demonstrations": 3_600}, "more": {"imitated": 200, "rounds": 3}},
            ),
            seeds=3,
            steps=150_000,
            validate_every=3,
            validation_episodes=300,
        ),
    ),
    episodes=920,
    takes="about 12 minutes on two free cores",
)  # fmt: skip
FULL: Final = Preset(
    "full",
    agents=NO_LEARNING,
    courses=(
        Course("lm", LM_LEARNERS, seeds=3, steps=80_000),
        Course(
            "net",
            NET_LEARNERS + NET_ABLATIONS,
            seeds=10,
            steps=500_000,
            validate_every=3,
            validation_episodes=500,
        ),
    ),
    episodes=None,
    takes="many hours",
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
