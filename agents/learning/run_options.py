"""What a training run is asked to do, and how it tells where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dialog_gym import plugins
from dialog_gym.agents.learning import checkpoint, settings
from dialog_gym.agents.learning.algorithm import WEIGHTS, Algorithm
from dialog_gym.agents.learning.backbones import Backbone
from dialog_gym.agents.learning.card import AgentCard, read_card
from dialog_gym.core import DialogGymError


@dataclass(frozen=True)
class RunOptions:
    """What a run does."""

    algorithm: str
    out: Path
    """The run's folder."""
    backbone: str = "net"
    domain: str = "credit"
    seed: int = 0
    steps: int | None = None
    """Budget of environment steps; default the backbone's. Only for algorithms that play themselves."""
    level: int = 3
    styles: str = ""
    """Buyer styles to train on, comma-separated; default the training styles of the domain."""
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


def make_config(kind: type[Algorithm], back: Backbone, options: RunOptions, domain: Any = None) -> Any:
    """The algorithm's configuration: its defaults, the backbone's changes, then what was given.

    Args:
        kind: The algorithm.
        back: The backbone.
        options: What was given.
        domain: The domain, whose rewards are weighed; default the credit shop.

    Raises:
        DialogGymError: a value is impossible.
    """
    made = settings.config_type(kind)
    weights = {} if domain is None else usual_weights(made, domain)
    config = made(**{**back.defaults(made), **weights, **options.config})
    settings.check(config)
    return config


def usual_weights(config: Any, domain: Any) -> dict[str, dict[str, float]]:
    """The weights that a configuration class has for a domain's rewards; empty if it has none.

    The credit shop's are the class's own. Elsewhere they are the environment's, but a broken rule is as dear
    as in the shop, and those of the usual ones that the class leaves out stay out; its further ones stay in.
    """
    found = {setting.name: setting.default for setting in settings.settings(config)}
    if "weights" not in found or domain.name == "credit":
        return {}
    kept = {name: weight for name, weight in found["weights"].items() if name not in WEIGHTS}
    own = domain.act_level.reward_weights.items()
    usual = {name: weight for name, weight in own if name in found["weights"] or name not in WEIGHTS} | kept
    dear = {name: WEIGHTS[name] for name in ("violation",) if name in usual}
    return {"weights": usual | dear}


def make_domain(options: RunOptions) -> Any:
    """The domain that is learnt in, with no other buyer styles than those that were asked for.

    Raises:
        DialogGymError: there is no such domain, or it has no buyer styles.
    """
    kind = plugins.load("domains", options.domain)
    if not options.styles:
        return kind()
    try:
        return kind(styles=[style.strip() for style in options.styles.split(",")])
    except TypeError:
        raise DialogGymError(f"--styles: domain {options.domain} has no buyer styles") from None


def run_name(algorithm: str, backbone: str, domain: str, seed: int) -> str:
    """The name of a run's agent; that of the shop goes without saying."""
    where = () if domain == "credit" else (domain,)
    return "-".join((algorithm, backbone, *where, f"seed{seed}"))


def goes_on(options: RunOptions) -> bool:
    """Whether a run is taken up again."""
    return options.resume and checkpoint.exists(options.out)


def first_stage(options: RunOptions) -> RunOptions:
    """The options of the supervised fine-tuning that a run begins with."""
    folder = options.out / "sft"
    again = options.resume and checkpoint.exists(folder)
    return replace(options, algorithm="sft", out=folder, config={}, steps=None, resume=again)


def check_folder(options: RunOptions) -> None:
    """See that the run's folder is free, or holds the run to go on with, which learns in the same domain.

    Raises:
        DialogGymError: it is not.
    """
    used = next((f for f in (options.out, options.out / "sft") if checkpoint.exists(f)), None)
    if options.resume and used is None:
        raise DialogGymError(f"{options.out} holds no run to go on with; leave --resume out to begin one")
    if used is not None and options.resume and (learnt := read_card(used).domain) != options.domain:
        raise DialogGymError(f"{used} holds a run in domain {learnt}, not {options.domain}")
    if used is not None and not options.resume:
        raise DialogGymError(f"{used} holds a run: go on with --resume, or choose another --out")
