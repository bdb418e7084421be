"""What a board knows of training runs: how an agent came to be, how long it took, and its learning curve."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from dialog_gym import plugins
from dialog_gym.agents.learning.card import CARD, read_card
from dialog_gym.agents.learning.run_log import read_metrics
from dialog_gym.benchmarks.curves import Curve, Spread, curve, spread
from dialog_gym.core import Record

SEED_ONLY: Final = ("seed", "init")
"""Options in which runs of one row of the board may differ: the start is of the same seed."""
REASONING: Final = ("mac", "pnr", "mac_unseen", "pnr_unseen")
"""Shares of exact answers to MORE's reasoning tasks, also on combinations that are kept out of training."""
CURVES: Final[Mapping[str, str]] = {
    **{name: f"validation_{name}" for name in ("conversion", "violations", "reward", "tse")},
    "mac": "mac", "pnr": "pnr",
}  # fmt: skip
"""What is measured on validation tasks while agents learn, and what it is called in their logs."""
START_FOLDER: Final = "sft"
"""Where a run keeps the agent that it began with, if it trained that one itself."""


class Training(Record):
    """How a trained agent came to be: what its card says, without the places of files."""

    algorithm: str
    backbone: str
    seed: int
    env_steps: int
    options: Mapping[str, Any]
    """All options of its training, except where it started from."""
    weights: str
    """Digest of its weights, so that dialogues of an agent trained anew are not taken for the old one's."""

    def row_options(self) -> dict[str, Any]:
        """The options that runs of one row share."""
        return {name: value for name, value in self.options.items() if name not in SEED_ONLY}


class Log(Record):
    """What a run cost."""

    seconds: float
    """In iterations: playing and learning, without validation."""
    memory_mib: float | None
    steps_per_second: float


class TrainingRun(Record):
    """One training run behind a row of the board."""

    agent: str
    """The row's name."""
    training: Training
    scores: Mapping[str, float]
    """Of this run alone."""
    trajectories: str | None
    log: Log | None
    variant: str = ""
    """What an ablation or control arm is called."""
    reasoning: Mapping[str, Spread] = Field(default_factory=dict)
    """By metric, see `reasoning`."""


def training_of(agent: Any) -> Training | None:
    """The training of an agent named by its folder; None for all others.

    Raises:
        DialogGymError: the folder's card cannot be read.
    """
    folder = folder_of(agent)
    if folder is None:
        return None
    card = read_card(folder)
    options = {name: value for name, value in card.config.items() if name != "init"}
    return Training(
        algorithm=card.algorithm, backbone=card.backbone, seed=card.seed, env_steps=card.env_steps,
        options=options, weights=_digest(folder),
    )  # fmt: skip


def folder_of(agent: Any) -> Path | None:
    """The folder that a trained agent is named by."""
    named = isinstance(agent, str) and agent not in plugins.names("agents")
    return Path(agent) if named and (Path(agent) / CARD).is_file() else None


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.glob("**/*.safetensors")):
        if path.relative_to(folder).parts[0] != START_FOLDER:
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


def read_log(folder: Path) -> Log | None:
    """What a run cost; None where nothing is logged."""
    lines = [line for line in read_metrics(folder) if "memory_mib" in line or line.get("seconds")]
    if not lines or not (seconds := lines[-1]["seconds"]):
        return None
    memory = [line["memory_mib"] for line in lines if line.get("memory_mib")]
    speed = lines[-1]["env_steps"] / seconds
    return Log(seconds=seconds, memory_mib=max(memory, default=None), steps_per_second=speed)


def learning_curves(agent: str, folders: Sequence[Path]) -> list[Curve]:
    """The curves of a row over its seeds; none for agents that learnt from demonstrations only."""
    logs = [read_metrics(folder) for folder in folders]
    found = [curve(agent, metric, logs, logged) for metric, logged in CURVES.items()]
    return [one for one in found if one is not None]


def reasoning(folder: Path) -> dict[str, Spread]:
    """How exact a run's answers to reasoning tasks were, see `curves.spread`; empty where none were asked."""
    log = read_metrics(folder)
    found = {metric: spread(log, metric) for metric in REASONING}
    return {metric: one for metric, one in found.items() if one is not None}
