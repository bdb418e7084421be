"""`dialog-gym leaderboard` and `report`: compare agents, and turn stored runs into one HTML page."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dialog_gym.cli_evaluate import SuiteName, again, check_run, put_aside
from dialog_gym.cli_output import (
    Interrupted,
    Json,
    Seed,
    Workers,
    note,
    number,
    progress,
    say,
    say_json,
    table,
)
from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

if TYPE_CHECKING:
    from dialog_gym.benchmarks.board import Board
    from dialog_gym.benchmarks.suite import Suite

PRESETS = {"quick": 200}
"""Dialogues per agent."""


def leaderboard(
    suite: SuiteName = "credit-v1",
    agents: Annotated[
        str, typer.Option(help="Comma-separated agents; default the built-in ones.", metavar="A,B,...")
    ] = "",
    episodes: Annotated[
        int | None, typer.Option(help="Dialogues per agent; default the whole suite.", metavar="N")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"quick: {PRESETS['quick']} dialogues per agent.", metavar="NAME")
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[Path, typer.Option(help="Folder for dialogues and board.", metavar="DIR")] = Path(
        "runs/leaderboard"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run finished.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the shipped board; nothing is played.")] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Also write an HTML report.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Rank several agents on a suite.

    All play the same tasks against the same customers; ties are shown as ties. A stopped run goes on with
    --resume.
    """
    from dialog_gym.benchmarks.board import show_board
    from dialog_gym.benchmarks.leaderboard import NO_LEARNING, write_board_report
    from dialog_gym.benchmarks.suite import load_suite

    if show:
        board = show_board(suite)
    else:
        chosen = [name.strip() for name in agents.split(",") if name.strip()] or NO_LEARNING
        board = _played(load_suite(suite), chosen, _count(episodes, preset), out, seed, workers, resume)
    if json:
        say_json(board.to_json())
    else:
        say(_for_people(board) if sys.stdout.isatty() else board.markdown())
    if report_file is not None:
        note(f"report: {write_board_report(board, report_file, again(resume=False))}")


def _for_people(board: "Board") -> str:
    """The board as it fits a terminal: the interval of the ranking metric, the values of the others."""
    rank_by, others = board.suite.rank_by, [m for m in board.suite.headline if m != board.suite.rank_by]
    room = shutil.get_terminal_size().columns
    shown = list(others)
    while len((text := _columns(board, rank_by, shown)).splitlines()[0]) > room and shown:
        shown.pop()
    left_out = ", ".join(others[len(shown) :])
    return f"{text}\nnot shown here: {left_out} (--json has all)" if left_out else text


def _columns(board: "Board", rank_by: str, others: Sequence[str]) -> str:
    ordered, rows = board.ordered(), []
    ranks = [rank for _, rank in ordered]
    for row, rank in ordered:
        scores = row.result.scores
        first = scores[rank_by]
        interval = f"[{number(first.low)}, {number(first.high)}]"
        place = "ref" if rank is None else f"{rank}{'=' if ranks.count(rank) > 1 else ''}"
        values = [number(scores[metric].value) for metric in others]
        rows.append([place, row.result.agent, number(first.value), interval, *values])
    return table(["rank", "agent", rank_by, "95 % interval", *others], rows)


def _count(episodes: int | None, preset: str | None) -> int | None:
    if preset is not None and preset not in PRESETS:
        raise DialogGymError(f"unknown preset {preset!r}; {nearest(preset, PRESETS)}")
    return PRESETS[preset] if preset and episodes is None else episodes


def _played(
    suite: "Suite",
    agents: Sequence[str],
    episodes: int | None,
    folder: Path,
    seed: int,
    workers: int | None,
    resume: bool,
) -> "Board":
    from dialog_gym.benchmarks.evaluate import RunConfig, default_store
    from dialog_gym.benchmarks.leaderboard import run_board

    configs = [RunConfig(suite, agent, episodes, seed) for agent in agents]
    # a board's stores are packed when they are complete
    stores = [folder / default_store(config, config.agent).name for config in configs]
    if len(set(stores)) < len(stores):
        raise DialogGymError("an agent is named twice")
    for config in configs:  # every name is checked before hours are spent on the first
        check_run(config)
    if not resume:
        for store in stores:
            put_aside(store)
            put_aside(store.with_name(f"{store.name}.gz"))
    try:
        with progress("") as update:
            board = run_board(
                suite, agents, folder=folder, episodes=episodes, seed=seed, workers=workers, resume=resume,
                on_progress=lambda agent, done, total: update(done, total, agent),
            )  # fmt: skip
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; finished dialogues are in {folder}; go on with: {again()}") from None
    note(f"dialogues and board: {folder}")
    return board


def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files that `evaluate` wrote.")],
    out: Annotated[Path, typer.Option(help="The page to write.", metavar="FILE")] = Path("report.html"),
) -> None:
    """Write one HTML page from stored runs.

    It holds scores, comparisons and dialogues to read, and needs no network.
    """
    from dialog_gym.benchmarks.leaderboard import board_report

    say(str(board_report(files, out)))
