"""`dialog-gym leaderboard` and `report`: compare agents, and turn stored runs into one HTML page."""

import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
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
from dialog_gym.cli_preset import preset_board
from dialog_gym.cli_served import paused
from dialog_gym.core import DialogGymError

if TYPE_CHECKING:
    from dialog_gym.benchmarks.board import Board
    from dialog_gym.benchmarks.suite import Suite


def leaderboard(
    suite: SuiteName = "credit-v1",
    agents: Annotated[
        str,
        typer.Option(
            help="Comma-separated names, files or folders of trained agents; default the built-in ones "
            "without learning. With --preset they play beside its own.",
            metavar="A,B,...",
        ),
    ] = "",
    episodes: Annotated[
        int | None, typer.Option(help="Dialogues per agent; default the whole suite.", metavar="N")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Train agents first: quick (minutes, few seeds) or full (hours, the shipped board).",
            metavar="NAME",
        ),
    ] = None,
    lm: Annotated[
        bool, typer.Option("--lm/--no-lm", help="Whether the preset's language models are trained, too.")
    ] = True,
    only: Annotated[
        str,
        typer.Option(
            help="Those of the preset who train and play: learners, learners on a backbone, backbones or "
            "agents, e.g. more,gopo-net,scripted; the board then shows nobody else.",
            metavar="A,B,...",
        ),
    ] = "",
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for dialogues and board; default runs/leaderboard.", metavar="DIR"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run finished.")] = False,
    show: Annotated[
        bool,
        typer.Option("--show", help="Print the shipped board, or that of --out; nothing is played."),
    ] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Also write an HTML report.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Rank several agents on a suite.

    All play the same tasks against the same customers; ties are shown as ties. Agents trained alike that
    differ in their seed only make one row. A stopped run goes on with --resume.
    """
    from dialog_gym.benchmarks.board import show_board
    from dialog_gym.benchmarks.leaderboard import NO_LEARNING, write_board_report
    from dialog_gym.benchmarks.suite import load_suite

    named = _listed(agents)
    if only and preset is None:
        raise DialogGymError("--only chooses from a preset; give --preset, too")
    folder = out or Path("runs/leaderboard")
    if show:
        board = show_board(suite, out)
    elif preset is not None:
        board = preset_board(
            preset, load_suite(suite), named, lm=lm, only=_listed(only), episodes=episodes, seed=seed,
            workers=workers, folder=folder, resume=resume,
        )  # fmt: skip
        report_file = report_file or _default_report(folder)
    else:
        board = _played(load_suite(suite), named or NO_LEARNING, episodes, folder, seed, workers, resume)
    if json:
        say_json(board.to_json())
    else:
        say(_for_people(board) if sys.stdout.isatty() else board.markdown())
    if report_file is not None:
        note(f"report: {write_board_report(board, report_file, again(resume=False))}")


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _for_people(board: "Board") -> str:
    """The board as it fits a terminal: the interval of the ranking metric, the values of the others."""
    rank_by, others = board.suite.rank_by, [m for m in board.suite.headline if m != board.suite.rank_by]
    room = shutil.get_terminal_size().columns
    shown = list(others)
    while len((text := _columns(board, rank_by, shown)).splitlines()[0]) > room and shown:
        shown.pop()
    left_out = ", ".join(others[len(shown) :])
    notes = [*board.notes(), *([f"not shown here: {left_out} (--json has all)"] if left_out else [])]
    if ablations := len(board.ablations()):
        notes.append(f"{ablations} ablations and control arms are not shown here (--json has them)")
    return "\n".join([text, *notes])


def _columns(board: "Board", rank_by: str, others: Sequence[str]) -> str:
    rows = []
    for row, place in board.places():
        scores = row.result.scores
        first = scores[rank_by]
        interval = f"[{number(first.low)}, {number(first.high)}]"
        values = [number(scores[metric].value) for metric in others]
        rows.append([place, row.name, number(first.value), interval, *values])
    return table(["rank", "agent", rank_by, "95 % interval", *others], rows)


def _default_report(folder: Path) -> Path | None:
    """Where a preset's report goes; None where it cannot be made, which is no reason to lose a board."""
    if all(find_spec(package) for package in ("jinja2", "plotly")):
        return folder / "report.html"
    note("no HTML report: it needs pip install 'dialog-gym[report]'")
    return None


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
        with paused(f"finished dialogues are in {folder}", again()), progress("") as update:
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
