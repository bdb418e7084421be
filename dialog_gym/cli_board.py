"""`dialog-gym leaderboard` and `report`: compare agents, and turn stored runs into one HTML page."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from dialog_gym.cli_output import Interrupted, Json, Seed, Workers, note, progress, say, say_json
from dialog_gym.core import DialogGymError

QUICK_EPISODES = 200
PRESETS = {"quick": QUICK_EPISODES}


def leaderboard(
    suite: Annotated[
        str, typer.Option(help="What to play: a name (see `list suites`) or a .toml file.")
    ] = "credit-v1",
    agents: Annotated[
        str, typer.Option(help="Comma-separated agents; default all installed ones.", metavar="A,B,...")
    ] = "",
    episodes: Annotated[
        int | None, typer.Option(help="Dialogues per agent; default the whole suite.", metavar="N")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"`quick`: {QUICK_EPISODES} dialogues per agent.", metavar="NAME")
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[Path, typer.Option(help="Folder for the dialogues.", metavar="DIR")] = Path(
        "runs/leaderboard"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run finished.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the shipped board; nothing is played.")] = False,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Also write an HTML report.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Play a suite with several agents and rank them, with intervals and paired comparisons."""
    from dialog_gym.benchmarks import leaderboard as boards
    from dialog_gym.benchmarks.suite import load_suite

    played = load_suite(suite)
    if show:
        board = boards.show_board(suite)
    else:
        chosen = _agents(agents)
        count = _count(episodes, preset)
        try:
            with progress("leaderboard") as update:
                board = boards.run_board(
                    played, chosen, folder=out, episodes=count, seed=seed, workers=workers, resume=resume,
                    on_progress=lambda agent, done, total: update(done, total),
                )  # fmt: skip
        except KeyboardInterrupt:
            again = shlex.join(["dialog-gym", *[a for a in sys.argv[1:] if a != "--resume"], "--resume"])
            raise Interrupted(f"stopped; finished dialogues are in {out}; go on with: {again}") from None
        note(f"dialogues: {out}")
    if json:
        say_json(board.to_json())
    else:
        say(board.markdown())
    if report_file is not None:
        raise DialogGymError("todo")


def _agents(names: str) -> list[str]:
    from dialog_gym import plugins

    return [name.strip() for name in names.split(",") if name.strip()] or plugins.names("agents")


def _count(episodes: int | None, preset: str | None) -> int | None:
    if preset is None:
        return episodes
    if preset not in PRESETS:
        raise DialogGymError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    return episodes or PRESETS[preset]


def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files that `evaluate` wrote.")],
    out: Annotated[Path, typer.Option(help="The page to write.", metavar="FILE")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page from stored runs: scores, comparisons, dialogues to read."""
    from dialog_gym.benchmarks.leaderboard import board_report

    say(str(board_report(files, out)))
