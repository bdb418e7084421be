"""`dialog-gym curves`: a logged metric over training, how steady it was, and a plot of several arms."""

from pathlib import Path
from typing import Annotated

import typer

from dialog_gym.cli_output import Json, note, number, say, say_json, table
from dialog_gym.core import DialogGymError


def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `train` wrote.")],
    metrics: Annotated[
        list[str],
        typer.Option(
            "--metric", help="A metric of metrics.jsonl; may be given several times.", metavar="NAME"
        ),
    ],
    last: Annotated[
        float,
        typer.Option(help="Share of the iterations, at the end, for mean and deviation.", metavar="SHARE"),
    ] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw the curves into this file (.svg, .png, .pdf).", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Draw metrics of training runs.

    Runs whose folders differ in -seedN only are one arm. Printed are the mean and the standard deviation over
    the last part of training, and the last value; each is a mean over the arm's runs.
    """
    from dialog_gym.benchmarks.curves import plot, read_arms

    if not metrics:
        raise DialogGymError("name what is to be drawn, e.g. --metric mac")
    arms = read_arms(runs, list(dict.fromkeys(metrics)), last)
    if out is not None:
        plot([curve for arm in arms for curve in arm.curves], out)
        note(f"plot: {out}")
    if json:
        found = [{"arm": arm.name, **arm.model_dump(include={"runs", "metrics"})} for arm in arms]
        say_json({"last": last, "arms": found})
        return
    rows = [
        [arm.name, str(arm.runs), metric, *([number(v) for v in (s.mean, s.std, s.end)] if s else "---")]
        for arm in arms
        for metric, s in arm.metrics.items()
    ]
    say(table(["arm", "runs", "metric", "mean", "std", "end"], rows))
