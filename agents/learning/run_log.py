"""What a run writes down per iteration: JSONL always, TensorBoard and Weights & Biases when asked for."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dialog_gym.core import DialogGymError
from dialog_gym.files import write_text
from dialog_gym.noise import text_key

METRICS: Final = "metrics.jsonl"
Write = Callable[[Mapping[str, float]], None]
"""Takes the metrics of an iteration; ``iteration`` is its number. NaN is written as null."""


@contextmanager
def run_log(
    folder: Path,
    iteration: int,
    *,
    config: Mapping[str, Any] | None = None,
    tensorboard: bool = False,
    wandb: bool = False,
) -> Iterator[Write]:
    """Open the logs of a run.

    Args:
        folder: Of the run; it exists.
        iteration: Where the run goes on: lines of later iterations, from before it was killed, are dropped.
        config: The run's options, for Weights & Biases.
        tensorboard: Also write TensorBoard's event files into ``tensorboard/``.
        wandb: Also log to Weights & Biases, offline unless WANDB_MODE says otherwise.

    Raises:
        DialogGymError: a package is missing, or the log cannot be written.
    """
    keep_until(folder / METRICS, iteration)
    writers: list[Callable[[Mapping[str, Any]], None]] = [_lines(folder / METRICS)]
    closers: list[Callable[[], Any]] = []
    if tensorboard:
        board = _tensorboard(folder)
        writers.append(lambda metrics: _scalars(board, metrics))
        closers.append(board.close)
    if wandb:
        run = _wandb(folder, config or {})
        writers.append(lambda metrics: run.log(dict(metrics), step=metrics["iteration"]))
        closers.append(run.finish)

    def write(metrics: Mapping[str, Any]) -> None:
        known = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        for writer in writers:
            writer(known)

    try:
        yield write
    finally:
        for close in closers:
            close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run, one dictionary per iteration; a line cut off by a crash is left out."""
    path, found = folder / METRICS, []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def keep_until(path: Path, iteration: int) -> None:
    """Drop the lines of iterations after ``iteration``: the run will go through them again."""
    if not path.exists():
        return
    kept = [line for line in read_metrics(path.parent) if line["iteration"] <= iteration]
    write_text(path, "".join(f"{json.dumps(line)}\n" for line in kept))


def _lines(path: Path) -> Callable[[Mapping[str, Any]], None]:
    def write(metrics: Mapping[str, Any]) -> None:
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(metrics)}\n")
        except OSError as error:
            raise DialogGymError(f"{path} cannot be written: {error.strerror or error}") from error

    return write


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise DialogGymError(
            "--tensorboard needs TensorBoard: pip install 'dialog-gym[tensorboard]'"
        ) from None
    return SummaryWriter(str(folder / "tensorboard"))


def _scalars(board: Any, metrics: Mapping[str, Any]) -> None:
    for name, value in metrics.items():
        if name != "iteration" and value is not None:
            board.add_scalar(name, value, metrics["iteration"])


def _wandb(folder: Path, config: Mapping[str, Any]) -> Any:
    try:
        wandb = import_module("wandb")
    except ImportError:
        line = "--wandb needs Weights & Biases: pip install 'dialog-gym[wandb]'"
        raise DialogGymError(line) from None
    identity = f"{text_key(str(folder.resolve())):016x}"  # a resumed run goes on in the same one
    return wandb.init(
        project="dialog-gym", name=folder.name, dir=str(folder), config=dict(config), id=identity,
        resume="allow", mode=os.environ.get("WANDB_MODE", "offline"),
    )  # fmt: skip


def peak_memory() -> float | None:
    """The most memory this process has held so far, in MiB; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)
