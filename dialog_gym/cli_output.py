"""What the command line prints: results on stdout, notes and progress on stderr."""

import json
import math
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Seed = Annotated[
    int, typer.Option(min=0, max=2**63 - 1, help="Fixes all randomness: same seed, same result.")
]
Level = Annotated[int | None, typer.Option(min=0, max=9, help="Difficulty, 0 (easy) to 9 (hard).")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")]


class Interrupted(Exception):
    """Ctrl-C in work that can be taken up again; the text says how."""


class Failed(Exception):
    """Work that was asked for rightly and went wrong; the command exits with 1."""


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    print(printable(text))


def note(text: str) -> None:
    """A line about the work, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Text without the control characters that an agent or a file could use to draw over the terminal."""
    return "".join(c if (c >= " " and not "\x7f" <= c < "\xa0") or c in "\n\t" else "\ufffd" for c in text)


def say_json(data: Any) -> None:
    """One JSON object on stdout. JSON has no NaN: what could not be judged is null."""
    print(json.dumps(finite(data), indent=2, allow_nan=False))


def finite(value: Any) -> Any:
    """A value with None in place of NaN and the infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def number(value: float) -> str:
    """A figure to three decimals; a dash where nothing could be judged."""
    return f"{value:,.3f}" if math.isfinite(value) else "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns under a heading; figures to the right, words to the left."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    right = [bool(cells) and all(_is_figure(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [list(head), *cells]
    ]
    return "\n".join(lines)


def _is_figure(cell: str) -> bool:
    return cell in ("", "-") or cell.lstrip("+-")[:1].isdigit()


class Progress(Protocol):
    """Told how far some work is."""

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """``done`` of ``total`` are finished; another ``label`` starts a new bar."""
        ...


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """A progress bar on stderr when that is a terminal, else a line every half minute."""
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Bars(bar, label)


class _Bars:
    """Progress for terminals: one bar per label."""

    def __init__(self, bar: Any, label: str) -> None:
        self.bar, self.label = bar, label
        self.jobs: dict[str, tuple[Any, float, int]] = {}

    def __call__(self, done: int, total: int, label: str = "") -> None:
        label, now = label or self.label, time.monotonic()
        if label not in self.jobs:  # a resumed run begins above 0, which is no speed
            self.jobs[label] = (self.bar.add_task(label, rate=""), now, done)
        job, began, first = self.jobs[label]
        rate = (done - first) / (now - began) if now > began else 0.0
        self.bar.update(job, completed=done, total=total, rate=f"{rate:,.0f}/s" if rate >= 1 else "")


class _Lines:
    """Progress for log files."""

    PAUSE = 30.0

    def __init__(self, label: str) -> None:
        self.label, self.last = label, time.monotonic()

    def __call__(self, done: int, total: int, label: str = "") -> None:
        if time.monotonic() - self.last >= self.PAUSE:
            self.last = time.monotonic()
            note(f"{label or self.label}: {done:,} of {total:,}")


def plain_warnings() -> None:
    """Show Python warnings as one line each."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        note(f"dialog-gym: warning: {' '.join(str(message).split())}")

    warnings.showwarning = show
