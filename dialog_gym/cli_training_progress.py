"""The live line of a training run: where it is, how fast, and what it is learning."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dialog_gym.cli_output import note

if TYPE_CHECKING:
    from dialog_gym.agents.learning.run_options import Progress

PAUSE = 30.0
"""Seconds between lines where stderr is no terminal."""
SHOWN = {
    "reward": "reward {:.2f}", "conversion": "conversion {:.3f}", "violations": "violations {:.2f}",
    "kl": "KL {:.4f}", "old_kl": "step KL {:.4f}", "loss": "loss {:.3f}",
    "validation_conversion": "held-out conversion {:.3f}",
}  # fmt: skip
"""What is shown of the metrics, while it is known."""


def figures(metrics: Mapping[str, float]) -> str:
    """The metrics that people watch, in one line."""
    known = [
        form.format(metrics[name])
        for name, form in SHOWN.items()
        if math.isfinite(metrics.get(name, math.nan))
    ]
    return ", ".join(
        [f"iteration {metrics['iteration']:,}", f"{metrics['steps_per_second']:,.0f} steps/s", *known]
    )


@contextmanager
def training_progress() -> Iterator[Callable[["Progress"], None]]:
    """A bar with figures on stderr when that is a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(20), MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"), TextColumn("left"), TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Bars(bar)


class _Bars:
    """For terminals: a bar per run, as one may begin with another."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.jobs: dict[str, Any] = {}
        self.last: dict[str, float] = {}

    def __call__(self, progress: "Progress") -> None:
        name = progress.name
        if name not in self.jobs:
            self.jobs[name] = self.bar.add_task(name, unit=progress.unit, figures="")
        self.last |= progress.metrics  # a validation's figures stay until the next one
        self.bar.update(
            self.jobs[name], completed=progress.done, total=progress.total, figures=figures(self.last)
        )


class _Lines:
    """For log files."""

    def __init__(self) -> None:
        self.next = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        done, total = progress.done, progress.total
        now, seconds = time.monotonic(), progress.metrics["seconds"]
        if now < self.next and done < total:
            return
        self.next = now + PAUSE
        left = seconds * (total - done) / done if done else math.nan
        at = f"{progress.name}: {done:,} of {total:,} {progress.unit}, {_span(left)} left"
        note(f"{at}, {figures(progress.metrics)}")


def _span(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
