"""Logged metrics over training: their mean and spread per arm, and a plot. Any metric that runs log will do.

The *standard deviation over training* of a run is that of the metric's values in the last part of its
iterations, so that the climb at the beginning does not count as instability (MORE, arXiv 2606.09293, reports
it for the accuracy of reasoning); an arm's is the mean over its runs.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from dialog_gym.agents.learning.run_log import METRICS, read_metrics
from dialog_gym.core import DialogGymError, Record
from dialog_gym.files import replacing
from dialog_gym.plugins import nearest

LAST: Final = 0.5
"""Share of a run's iterations, at its end, over which mean and standard deviation are taken."""
POINTS: Final = 41
"""Of a curve."""

Log = Sequence[Mapping[str, Any]]


class Spread(Record):
    """A metric over the last part of training."""

    mean: float
    std: float
    end: float
    """The last value."""


class Curve(Record):
    """A metric against environment steps, over the runs of an arm."""

    agent: str
    """The name of the arm; on a board, of the row."""
    metric: str
    env_steps: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    """The lowest run."""
    high: tuple[float, ...]
    """The highest run."""


class Arm(Record):
    """Runs that differ in their seed only."""

    name: str
    runs: int
    metrics: Mapping[str, Spread | None]
    """Means over the runs; None where a run has not logged the metric."""
    curves: tuple[Curve, ...]


def read_arms(folders: Sequence[Path], metrics: Sequence[str], last: float = LAST) -> list[Arm]:
    """Group runs into arms and read their metrics.

    Args:
        folders: Of runs; those whose names differ in ``-seedN`` only are one arm.
        metrics: Names, as in ``metrics.jsonl``.
        last: Share of the iterations for mean and standard deviation, above 0 and up to 1.

    Raises:
        DialogGymError: a folder holds no log, is given twice, or no run has logged some metric.
    """
    if not 0 < last <= 1:
        raise DialogGymError(f"--last must be above 0 and up to 1, not {last}")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise DialogGymError("a run is given twice")
    logs = {folder: _log(folder) for folder in folders}
    known = dict.fromkeys(name for log in logs.values() for line in log for name in line)
    if unknown := [metric for metric in metrics if metric not in known]:
        raise DialogGymError(f"no run has logged {unknown[0]!r}; {nearest(unknown[0], list(known))}")
    arms: dict[str, list[Log]] = {}
    for folder, log in logs.items():
        arms.setdefault(arm_name(folder), []).append(log)
    return [_arm(name, runs, metrics, last) for name, runs in arms.items()]


def arm_name(folder: Path) -> str:
    """A run's folder without its seed."""
    return re.sub(r"-seed\d+$", "", folder.resolve().name)


def _log(folder: Path) -> Log:
    if found := read_metrics(folder):
        return found
    raise DialogGymError(f"{folder} is no training run: it holds no {METRICS}")


def _arm(name: str, logs: Sequence[Log], metrics: Sequence[str], last: float) -> Arm:
    found = {metric: mean_spread([spread(log, metric, last) for log in logs]) for metric in metrics}
    curves = [curve(name, metric, logs, metric) for metric in metrics]
    return Arm(name=name, runs=len(logs), metrics=found, curves=tuple(one for one in curves if one))


def spread(log: Log, metric: str, last: float = LAST) -> Spread | None:
    """A run's metric over the last part of its iterations; None where it was never measured."""
    _, values = points(log, metric)
    if not values:
        return None
    part = np.array(values[-max(1, round(last * len(values))) :])
    return Spread(mean=float(part.mean()), std=float(part.std()), end=float(values[-1]))


def mean_spread(runs: Sequence[Spread | None]) -> Spread | None:
    """The mean over runs; None where one has none."""
    known = [run for run in runs if run is not None]
    if not known or len(known) < len(runs):
        return None
    mean, std, end = np.mean([(run.mean, run.std, run.end) for run in known], axis=0)
    return Spread(mean=float(mean), std=float(std), end=float(end))


def curve(agent: str, metric: str, logs: Sequence[Log], logged: str) -> Curve | None:
    """A curve over runs, which measure at steps of their own.

    All are read off at the same steps, straight lines in between, as far as the shortest run goes. None where
    a run has no value of it or has taken no steps.

    Args:
        agent: Whose.
        metric: What it is called.
        logs: One per run.
        logged: What it is called in the logs.
    """
    end = min((max((line["env_steps"] for line in log), default=0) for log in logs), default=0)
    found = [points(log, logged) for log in logs]
    if end <= 0 or not all(len(x) for x, _ in found):
        return None
    steps = np.linspace(0.0, end, POINTS)
    runs = np.array([np.interp(steps, x, y) for x, y in found])
    sides = (runs.mean(axis=0), runs.min(axis=0), runs.max(axis=0))
    mean, low, high = (tuple(np.round(side, 6).tolist()) for side in sides)
    return Curve(agent=agent, metric=metric, env_steps=tuple(steps), mean=mean, low=low, high=high)


def points(log: Log, metric: str) -> tuple[list[float], list[float]]:
    """Environment steps and values of a metric, where it was measured."""
    known = [(line["env_steps"], line[metric]) for line in log if line.get(metric) is not None]
    return [x for x, _ in known], [y for _, y in known]


def plot(curves: Sequence[Curve], path: Path) -> None:
    """A panel per metric with a line per arm, from the lowest to the highest run as a band.

    The same curves give the same bytes.

    Args:
        curves: Of any arms and metrics.
        path: The file; its suffix says which kind, usually SVG.

    Raises:
        DialogGymError: matplotlib is missing, or there is nothing to draw.
    """
    if not curves:
        raise DialogGymError("there is nothing to draw: the runs took no environment steps")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError:
        raise DialogGymError("plots need matplotlib: pip install 'dialog-gym[report]'") from None
    metrics = list(dict.fromkeys(one.metric for one in curves))
    colours = {name: f"C{i % 10}" for i, name in enumerate(dict.fromkeys(one.agent for one in curves))}
    with mpl.rc_context({"svg.hashsalt": "dialog-gym", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(2.2 + 3.0 * len(metrics), 3.1), layout="constrained")
        for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            for one in (one for one in curves if one.metric == metric):
                axes.plot(one.env_steps, one.mean, color=colours[one.agent])
                axes.fill_between(
                    one.env_steps, one.low, one.high, color=colours[one.agent], alpha=0.15, linewidth=0
                )
            axes.set_title(metric)
            axes.set_xlabel("environment steps")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        handles = [mpl.lines.Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
        figure.legend(handles=handles, loc="outside right upper", frameon=False)
        with replacing(path) as working:
            figure.savefig(working, metadata={"Date": None} if path.suffix == ".svg" else None)
