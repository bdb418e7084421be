"""`dialog-gym transfer`: how agents fare with buyer styles and difficulties they were not trained on."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from dialog_gym.cli_evaluate import SuiteName, again
from dialog_gym.cli_output import Interrupted, Json, Seed, Workers, note, say, say_json
from dialog_gym.cli_preset import JobLines
from dialog_gym.core import DialogGymError


def transfer(
    agents: Annotated[
        list[str],
        typer.Argument(metavar="AGENT...", help="Names or folders of agents, or patterns of folders."),
    ],
    suite: SuiteName = "credit-v1",
    styles: Annotated[
        str, typer.Option(help="Buyer styles; default all, the held-out one included.", metavar="A,B,...")
    ] = "",
    levels: Annotated[str, typer.Option(help="Difficulties, e.g. 0-9 or 0,3,9.")] = "0-9",
    episodes: Annotated[
        int, typer.Option(min=1, help="Sales calls per style, level and agent.", metavar="N")
    ] = 500,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[Path, typer.Option(help="Folder for figures, table and plot.", metavar="DIR")] = Path(
        "runs/transfer"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier run finished.")] = False,
    json: Json = False,
) -> None:
    """Test agents on every buyer style and difficulty.

    Agents trained alike that differ in their seed only make one row; the scripted agent and the oracle are
    played for reference. Writes transfer.md, transfer.json and, with the `report` extra, transfer.svg.
    """
    from dialog_gym.benchmarks.transfer import REFERENCES, Plan, agent_folders, run_transfer
    from dialog_gym.benchmarks.transfer_report import markdown, write_transfer

    named = [folder for pattern in agents for folder in agent_folders(pattern)]
    chosen: dict[str, tuple[str, ...]] = {"styles": _words(styles)} if styles else {}
    plan = Plan(suite=suite, levels=parse_levels(levels), episodes=episodes, seed=seed, **chosen)
    everyone = [*named, *(name for name in REFERENCES if name not in named)]
    try:
        found = run_transfer(everyone, plan, out, workers=workers, resume=resume, on_status=JobLines())
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; what is finished is in {out}; go on with: {again()}") from None
    files = write_transfer(found, out)
    if json:
        say_json(found.model_dump())
    else:
        say(markdown(found))
    note(f"written: {', '.join(map(str, files))}")
    if find_spec("matplotlib") is None:
        note("no plot: it needs pip install 'dialog-gym[report]'")


def parse_levels(text: str) -> tuple[int, ...]:
    """Levels written ``0-9`` or ``0,3,9``.

    Raises:
        DialogGymError: it is not written so.
    """
    found: list[int] = []
    for part in _words(text):
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError:
            raise DialogGymError(f"--levels: {part!r} is no level; write 0-9 or 0,3,9") from None
    if not found:
        raise DialogGymError(f"--levels: {text!r} names no level; write 0-9 or 0,3,9")
    return tuple(sorted(set(found)))


def _words(text: str) -> tuple[str, ...]:
    found: Sequence[str] = [part.strip() for part in text.split(",")]
    return tuple(dict.fromkeys(part for part in found if part))
