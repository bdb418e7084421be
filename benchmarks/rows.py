"""Rows of a board from played dialogues: runs of one learner that differ only in the seed become one row."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dialog_gym import stats
from dialog_gym.benchmarks.board import Row
from dialog_gym.benchmarks.report_dialogues import sample
from dialog_gym.benchmarks.suite import Suite
from dialog_gym.benchmarks.training_runs import Training, TrainingRun, learning_curves, read_log, reasoning
from dialog_gym.core import DialogGymError, Result, Trajectory
from dialog_gym.language import LANGUAGE_REWARDS
from dialog_gym.metrics import Matrix, rows_matrix

DIALOGUES_KEPT = 60


class Played(NamedTuple):
    """One agent's dialogues, as far as a board needs them: small enough to hold many."""

    result: Result
    matrix: Matrix
    """All metrics."""
    keys: list[tuple[str, int]]
    """(task, trial) per dialogue."""
    sample: list[Trajectory]
    training: Training | None = None
    folder: Path | None = None
    """Of the trained agent, where it is at hand."""
    variant: str = ""
    """What an ablation or control arm is called."""


def played(
    result: Result,
    trajectories: Sequence[Trajectory],
    training: Training | None = None,
    folder: Path | None = None,
) -> Played:
    """What a board needs of an agent's dialogues."""
    kept = [trajectories[i] for i in sample(trajectories, DIALOGUES_KEPT)]
    keys = [(trajectory.task.id, trajectory.trial) for trajectory in trajectories]
    return Played(result, rows_matrix(trajectories), keys, kept, training, folder)


def make_rows(agents: Sequence[Played], suite: Suite) -> list[Row]:
    """The rows of a board, in the order in which they first appear.

    Raises:
        DialogGymError: an agent is given twice, or runs of one row did not play the same dialogues.
    """
    groups: dict[str, list[Played]] = {}
    for agent in agents:
        groups.setdefault(_identity(agent), []).append(agent)
    names = _names(list(groups.values()))
    return [_row(name, runs, suite) for name, runs in zip(names, groups.values(), strict=True)]


def _identity(agent: Played) -> str:
    """The same for runs that differ only in the seed."""
    if agent.training is None:
        return agent.result.agent
    return json.dumps(agent.training.row_options(), sort_keys=True, default=str)


def _names(groups: Sequence[list[Played]]) -> list[str]:
    """The algorithm with its variant, and where one is trained in several ways, the options that differ."""
    found = []
    for runs in groups:
        training = runs[0].training
        if training is None:
            found.append(runs[0].result.agent)
            continue
        if variant := runs[0].variant:
            found.append(f"{training.algorithm} [{variant}]")
            continue
        rivals = [
            other.training.row_options()
            for (other, *_) in groups
            if other.training
            and not other.variant
            and (other.training.algorithm, other.training.backbone) == (training.algorithm, training.backbone)
        ]
        own = training.row_options()
        differ = [name for name in own if any(rival.get(name) != own[name] for rival in rivals)]
        options = ", ".join(f"{name}={own[name]}" for name in differ)
        found.append(f"{training.algorithm} [{options}]" if options else training.algorithm)
    return found


def _row(name: str, runs: list[Played], suite: Suite) -> Row:
    runs = sorted(runs, key=lambda run: run.training.seed if run.training else 0)
    _check(name, runs)
    first = runs[0]
    order = [stats.align(first.keys, run.keys) for run in runs]
    keys = [first.keys[i] for i in order[0][0]]
    matrix = Matrix(
        first.matrix.names,
        np.stack([run.matrix.values[rows] for run, (_, rows) in zip(runs, order, strict=True)]),
        np.stack([run.matrix.weights[rows] for run, (_, rows) in zip(runs, order, strict=True)]),
        first.matrix.strata[order[0][0]],
        first.matrix.clusters[order[0][0]],
    )
    result = _result(name, runs, matrix)
    spoken = LANGUAGE_REWARDS if first.training else ()
    kept = matrix.only([*suite.compared, *(name for name in spoken if name in matrix.names)])
    row = Row(result, kept, keys, first.sample)
    row.runs = [_training_run(row.name, run, suite) for run in runs if run.training]
    if folders := [run.folder for run in runs if run.folder]:
        row.curves = learning_curves(row.name, folders)
    return row


def _check(name: str, runs: Sequence[Played]) -> None:
    seeds = [run.training.seed if run.training else 0 for run in runs]
    if len(set(seeds)) < len(seeds):
        twice = f" of seed {next(s for s in seeds if seeds.count(s) > 1)}" if runs[0].training else ""
        raise DialogGymError(f"agent {name!r}{twice} is already on this board; give each agent once")


def _result(name: str, runs: Sequence[Played], matrix: Matrix) -> Result:
    """The one run's result, or that of all seeds: intervals over tasks and seeds."""
    first = runs[0].result.model_copy(update={"agent": name})
    if len(runs) == 1:
        return first
    found = stats.scores(matrix.values, matrix.weights, matrix.strata, matrix.clusters, seed=first.seed)
    steps = [run.result.env_steps for run in runs]
    return first.model_copy(
        update={
            "seeds": len(runs),
            "env_steps": round(sum(steps) / len(steps)),
            "episodes": sum(run.result.episodes for run in runs),
            "scores": dict(zip(matrix.names, found, strict=True)),
            "trajectories": None,
        }
    )


def _training_run(name: str, run: Played, suite: Suite) -> TrainingRun:
    assert run.training is not None
    return TrainingRun(
        agent=name,
        training=run.training,
        scores={metric: run.result.scores[metric].value for metric in suite.compared},
        trajectories=run.result.trajectories,
        log=read_log(run.folder) if run.folder else None,
        variant=run.variant,
        reasoning=reasoning(run.folder) if run.folder else {},
    )
