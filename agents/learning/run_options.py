"""What a training run is asked to do, and how it tells where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dialog_gym.agents.learning import checkpoint, settings
from dialog_gym.agents.learning.algorithm import Algorithm
from dialog_gym.agents.learning.backbones import Backbone
from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.core import DialogGymError


@dataclass(frozen=True)
class RunOptions:
    """What a run does."""

    algorithm: str
    out: Path
    """The run's folder."""
    backbone: str = "net"
    seed: int = 0
    steps: int | None = None
    """Budget of environment steps; default the backbone's. Only for algorithms that play themselves."""
    level: int = 3
    init: Path | None = None
    """Folder of the agent to start from; without it, online algorithms first train one by SFT."""
    resume: bool = False
    save_every: int = 10
    """Iterations between checkpoints."""
    validate_every: int = 10
    """Iterations between validations; 0: none."""
    validation_episodes: int | None = None
    threads: int | None = None
    tensorboard: bool = False
    wandb: bool = False
    model: Mapping[str, Any] = field(default_factory=dict)
    """The backbone's own options, where given."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The algorithm's options, where given."""


class Progress(NamedTuple):
    """Where a run is."""

    name: str
    done: int
    total: int
    unit: str
    """What is counted: ``steps`` or ``passes``."""
    metrics: Mapping[str, float]


class Watch(Protocol):
    """Who follows a run, and may stop it."""

    def progress(self, progress: Progress) -> None:
        """An iteration is finished."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...

    def stop(self) -> bool:
        """Whether to save and stop."""
        ...


class Outcome(NamedTuple):
    """How a run ended."""

    card: AgentCard
    finished: bool
    """False when it was stopped before its end."""
    metrics: Mapping[str, float]
    """Of the last iteration; empty when there was none."""


def make_config(kind: type[Algorithm], back: Backbone, options: RunOptions) -> Any:
    """The algorithm's configuration: its defaults, the backbone's changes, then what was given.

    Raises:
        DialogGymError: a value is impossible.
    """
    made = settings.config_type(kind)
    config = made(**{**back.defaults(made), **options.config})
    settings.check(config)
    return config


def goes_on(options: RunOptions) -> bool:
    """Whether a run is taken up again."""
    return options.resume and checkpoint.exists(options.out)


def first_stage(options: RunOptions) -> RunOptions:
    """The options of the supervised fine-tuning that a run begins with."""
    folder = options.out / "sft"
    again = options.resume and checkpoint.exists(folder)
    return replace(options, algorithm="sft", out=folder, config={}, steps=None, resume=again)


def check_folder(options: RunOptions) -> None:
    """See that the run's folder is free, or holds the run to go on with.

    Raises:
        DialogGymError: it is not.
    """
    used = next((f for f in (options.out, options.out / "sft") if checkpoint.exists(f)), None)
    if options.resume and used is None:
        raise DialogGymError(f"{options.out} holds no run to go on with; leave --resume out to begin one")
    if used is not None and not options.resume:
        raise DialogGymError(f"{used} holds a run: go on with --resume, or choose another --out")
