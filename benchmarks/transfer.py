"""The transfer study: agents on every buyer style, the held-out one included, at every difficulty.

All agents meet the same customers: in one cell (a style at a level) the same tasks with the same randomness,
and from style to style the same people, who only decide otherwise. Runs of one learner that differ only in
the seed become one row, whose intervals are over tasks and seeds.
"""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dialog_gym import stats
from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.evaluate import RunConfig
from dialog_gym.benchmarks.jobs import Job, Reporter, Status, Stopped, run_jobs
from dialog_gym.benchmarks.playing import run_episodes
from dialog_gym.benchmarks.suite import Suite, load_suite
from dialog_gym.benchmarks.training_runs import Training, training_of
from dialog_gym.core import DialogGymError, Record, Score
from dialog_gym.domains.credit.shoppers import STYLES, TRAINING_STYLES
from dialog_gym.files import replacing
from dialog_gym.metrics import rows_matrix
from dialog_gym.store_format import config_hash

METRICS: Final = ("reached_conversion", "violation_rate", "tse")
REFERENCES: Final = ("scripted", "oracle")
LEVELS: Final = tuple(range(10))
SCENARIO: Final = "proactive_sale"
RESAMPLES: Final = 2_000


@dataclass(frozen=True)
class Plan:
    """What every agent plays."""

    suite: str = "credit-v1"
    styles: tuple[str, ...] = STYLES
    levels: tuple[int, ...] = LEVELS
    episodes: int = 500
    """Sales calls per cell, each with another customer."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises DialogGymError for an unknown style, a level outside 0-9 or no episodes."""
        for style in self.styles:
            if style not in STYLES:
                raise DialogGymError(f"unknown buyer style {style!r}; there are {', '.join(STYLES)}")
        for level in self.levels:
            if level not in LEVELS:
                raise DialogGymError(f"a level is from 0 to 9, not {level}")
        self.cells_suite().episodes(self.episodes, self.seed)

    def cells(self) -> list[tuple[str, int]]:
        """(style, level) of every cell."""
        return [(style, level) for style in self.styles for level in self.levels]

    def cells_suite(self) -> Suite:
        """The suite that is played in a cell: its sales calls, each task once."""
        suite = load_suite(self.suite)
        if SCENARIO not in suite.scenarios:
            raise DialogGymError(f"suite {suite.name} has no sales calls; the study needs {SCENARIO}")
        return suite.model_copy(update={"trials": 1, "scenarios": {SCENARIO: suite.scenarios[SCENARIO]}})


class Cells(NamedTuple):
    """One agent's dialogues, as far as the study needs them."""

    values: np.ndarray
    """float64[cells, n, metrics], numerators."""
    weights: np.ndarray
    """float64[cells, n, metrics], denominators."""
    tasks: np.ndarray
    """str[cells, n]."""


class TransferRow(Record):
    """One learner, or one agent that does not learn."""

    agent: str
    backbone: str | None
    seeds: int
    """Training seeds that were pooled."""
    level: int | None
    """Difficulty it was trained at; None for agents that were not trained."""
    styles: tuple[str, ...]
    """Buyer styles it was trained on."""
    scores: Mapping[str, Mapping[str, Mapping[str, Score]]]
    """By style, level and metric."""


class Transfer(Record):
    """The whole study."""

    suite: str
    suite_version: int
    seed: int
    episodes: int
    """Calls per cell and seed of an agent."""
    styles: tuple[str, ...]
    held_out: tuple[str, ...]
    """Styles on which no agent is trained unless asked to."""
    levels: tuple[int, ...]
    metrics: tuple[str, ...]
    rows: tuple[TransferRow, ...]


def run_transfer(
    agents: Sequence[str],
    plan: Plan,
    folder: Path,
    *,
    workers: int | None = None,
    resume: bool = False,
    on_status: Callable[[Status], None] = lambda _: None,
) -> Transfer:
    """Play all cells with all agents, as many agents at a time as there are cores.

    Args:
        agents: Names or folders; runs of one learner that differ only in the seed are pooled.
        plan: What is played.
        folder: Where each agent's figures are kept, in ``cells/``.
        workers: Processes; default one per core.
        resume: Keep the figures of agents that an earlier run finished.
        on_status: Told whenever something has changed.

    Raises:
        DialogGymError: an agent is unknown or given twice, or fails.
        KeyboardInterrupt: Ctrl-C; the figures of finished agents are kept.
    """
    if len(set(agents)) < len(agents):
        raise DialogGymError("an agent is named twice")
    trainings = {agent: training_of(agent) for agent in agents}
    names = _groups(trainings)
    files = {agent: folder / "cells" / _file(agent, plan, trainings[agent]) for agent in agents}
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    left = [agent for agent in agents if not (resume and files[agent].exists())]
    jobs = [Job(_short(agent), play_cells, (agent, plan, files[agent])) for agent in left]
    run_jobs(jobs, workers=workers, on_status=on_status)
    suite = plan.cells_suite()
    return Transfer(
        suite=suite.name, suite_version=suite.version, seed=plan.seed, episodes=plan.episodes,
        styles=plan.styles, held_out=tuple(s for s in plan.styles if s not in TRAINING_STYLES),
        levels=plan.levels, metrics=METRICS,
        rows=tuple(
            _row(name, plan, [read_cells(files[one]) for one in group], trainings[group[0]])
            for name, group in names.items()
        ),
    )  # fmt: skip


def _short(agent: str) -> str:
    """A job's name: that of the agent's folder."""
    return Path(agent).name or agent


def _file(agent: str, plan: Plan, training: Training | None) -> str:
    """Where an agent's figures are: another plan, or an agent trained anew, has another file."""
    trained = training.weights if training else ""
    digest = config_hash({**asdict(plan), "agent": agent, "weights": trained})
    return f"{''.join(c if c.isalnum() or c in '-_.' else '-' for c in _short(agent))}-{digest[:12]}.npz"


def _groups(trainings: Mapping[str, Training | None]) -> dict[str, list[str]]:
    """The agents of every row by its name, in the order in which they appear."""
    groups: dict[str, list[str]] = {}
    for agent, training in trainings.items():
        key = json.dumps(training.row_options(), sort_keys=True, default=str) if training else agent
        groups.setdefault(key, []).append(agent)
    found: dict[str, list[str]] = {}
    for key, members in groups.items():
        training = trainings[members[0]]
        name = key if training is None else training.algorithm
        seeds = [one.seed for one in map(trainings.get, members) if one]
        if len(set(seeds)) < len(seeds):
            raise DialogGymError(f"{name}: two agents have the same training seed; give each agent once")
        found[f"{name} ({members[0]})" if name in found else name] = members
    return found


def play_cells(agent: str, plan: Plan, path: Path, reporter: Reporter) -> None:
    """Play all cells with one agent and write its figures, complete or not at all.

    Raises:
        DialogGymError: the agent is unknown or fails.
        Stopped: asked to stop; nothing is written.
    """
    service, cells, found = load_agent(agent), plan.cells(), []
    for done, (style, level) in enumerate(cells):
        if reporter.stop():
            raise Stopped
        reporter.progress(done, len(cells))
        config = RunConfig(
            plan.cells_suite(), agent, seed=plan.seed, level=level, domain_options={"styles": (style,)}
        )
        keys = config.suite.episodes(plan.episodes, plan.seed)
        played = [one for batch in run_episodes(config, service, keys, 1) for one in batch]
        found.append(rows_matrix(played, METRICS))
    arrays = Cells(*(np.stack([getattr(m, n) for m in found]) for n in ("values", "weights", "clusters")))
    with replacing(path) as working, working.open("wb") as file:
        np.savez_compressed(file, **arrays._asdict())


def read_cells(path: Path) -> Cells:
    """The figures that `play_cells` wrote.

    Raises:
        DialogGymError: they cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Cells(**{name: stored[name] for name in Cells._fields})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise DialogGymError(f"{path} holds no figures of a transfer study; remove it and go on") from None


def _row(name: str, plan: Plan, runs: Sequence[Cells], training: Training | None) -> TransferRow:
    """Scores of all cells; intervals over tasks, and over seeds where there are several."""
    values, weights = (np.stack([getattr(run, what) for run in runs]) for what in ("values", "weights"))
    scores: dict[str, dict[str, dict[str, Score]]] = {}
    for cell, (style, level) in enumerate(plan.cells()):
        found = stats.scores(
            values[:, cell], weights[:, cell], None, runs[0].tasks[cell], RESAMPLES, plan.seed
        )
        scores.setdefault(style, {})[str(level)] = dict(zip(METRICS, found, strict=True))
    return TransferRow(
        agent=name,
        backbone=training.backbone if training else None,
        seeds=len(runs),
        level=training.options.get("level") if training else None,
        styles=_trained_on(training),
        scores=scores,
    )


def _trained_on(training: Training | None) -> tuple[str, ...]:
    if training is None:
        return ()
    named: Any = training.options.get("styles")
    return tuple(str(named).split(",")) if named else TRAINING_STYLES


def agent_folders(pattern: str) -> list[str]:
    """The agents that an argument names: itself, or the agents' folders that match a pattern.

    Raises:
        DialogGymError: no folder of an agent matches.
    """
    if not any(c in pattern for c in "*?["):
        return [pattern]
    path = Path(pattern)
    root = Path(path.anchor) if path.is_absolute() else Path()
    relative = str(path.relative_to(root)) if path.is_absolute() else pattern
    found = sorted(str(match) for match in root.glob(relative) if (match / "agent.json").is_file())
    if not found:
        raise DialogGymError(f"no trained agent's folder matches {pattern!r}")
    return found
