"""`dialog-gym train simulator`, `certify simulator` and `matrix`: users made, measured and compared."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dialog_gym.cli_evaluate import SuiteName
from dialog_gym.cli_output import Json, Seed, Workers, note, progress, say, say_json
from dialog_gym.core import Trajectory

LEVELS: Final = range(7)
"""Difficulty levels of the dialogues that a user model learns from; the highest are kept for tests."""
SCENARIOS: Final = {"proactive_sale": 0.7, "customer_service": 0.3}
TOURISTS: Final = 1.0
"""Dialogues of MultiWOZ for each of the shop."""
SHARES: Final = {
    "feedback": 0.58, "choice": 0.12, "alignment": 0.03, "target": 0.03, "real users": 0.16,
    "real users, given acts": 0.08,
}  # fmt: skip
"""Shares of the tasks among the examples; see `dialog_gym.simulators.training_data`."""
TURNS: Final = 30.0
"""Examples of feedback that a dialogue gives, at least, on average."""


def demonstrations(count: int, seed: int) -> Iterator[Trajectory]:
    """Dialogues of the train splits with users who type well, evenly over levels and scenarios."""
    from dialog_gym.agents.learning.demonstrators import demonstrate

    for level in LEVELS:
        for scenario, share in SCENARIOS.items():
            number = int(count * share / len(LEVELS)) + 1
            yield from demonstrate(
                number, seed=seed, scenario=scenario, split="train", level=level,
                difficulty={"typos": 0.0},
            )  # fmt: skip
        number = int(count * TOURISTS / len(LEVELS)) + 1
        yield from demonstrate(number, seed=seed, split="train", level=level, domain="multiwoz")


def train_simulator(
    out: Annotated[Path, typer.Option(help="Folder for the user model.", metavar="DIR")] = Path("runs/user"),
    model: Annotated[str, typer.Option(help="What to start from; default the shipped language model.")] = "",
    examples: Annotated[int, typer.Option(help="Examples to learn from, each once.")] = 40_000,
    data_dir: Annotated[
        Path | None, typer.Option(help="Real dialogues; default $DIALOG_GYM_DATA.", metavar="DIR")
    ] = None,
    real: Annotated[bool, typer.Option(help="Learn from real users, too.")] = True,
    rate: Annotated[float, typer.Option(help="Largest learning rate.")] = 1e-3,
    batch: Annotated[int, typer.Option(help="Examples of one update.")] = 32,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Train a language model to play users.

    Supervised, after SMTPO: feedback generation, attribute alignment and target prediction on dialogues of
    the shop, and the turns of real users. The folder is then a simulator: `--simulator lm:DIR`.
    """
    from dialog_gym.simulators import training_data
    from dialog_gym.simulators.training import Progress, Recipe, fit

    root = data_dir or Path(os.environ.get("DIALOG_GYM_DATA", ""))
    shares = {task: int(examples * share) for task, share in SHARES.items()}

    def everything() -> Iterator[Any]:
        for trajectory in demonstrations(int(shares["feedback"] / TURNS), seed):
            yield from training_data.shop_examples(trajectory)
        if real:
            yield from training_data.real_examples(root)

    note("dialogues are played and read")
    data = training_data.mixed(everything(), shares, seed)
    with progress(f"user model in {out}") as update:

        def shown(now: Progress) -> None:
            update(now.updates, now.of)
            if now.updates % 100 == 0 or now.updates == now.of:
                speed = now.tokens / now.seconds
                note(f"update {now.updates:,} of {now.of:,}: loss {now.loss:.3f}, {speed:,.0f} tokens/s")

        facts = fit(data, Recipe(model, batch, rate, seed=seed), out, shown)
    if json:
        say_json({"folder": str(out), **facts})
        return
    say(f"{facts['examples']:,} examples, {facts['tokens']:,} tokens; play against it: --simulator lm:{out}")


certify = typer.Typer(no_args_is_help=True, help="Report cards.")


@certify.callback()
def _certify() -> None:
    """Report cards."""


@certify.command("simulator")
def certify_simulator(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A simulator (see `list simulators`), lm:DIR, ...")
    ],
    domain: Annotated[str, typer.Option(help="The shop.")] = "credit",
    dialogues: Annotated[int, typer.Option(help="Per scenario and reference agent.", metavar="N")] = 64,
    level: Annotated[int, typer.Option(help="Difficulty; at 0 nobody mistypes.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the card, as .md or .json.", metavar="FILE")] = None,
    seed: Seed = 0,
    json: Json = False,
) -> int:
    """Certify a user simulator.

    Errors by kind, leaks, premature stops, consistency, diversity, decisions of buyers and others (of a
    language model in both modes), realism, cost and speed. Exits with 1 when a limit is not kept.
    """
    from dialog_gym.benchmarks import certificate
    from dialog_gym.benchmarks.certify import certify as measured

    with progress(f"certify {name}") as update:
        found = measured(name, domain=domain, dialogues=dialogues, level=level, seed=seed, on_progress=update)
    if out is not None:
        certificate.write(found, out)
    if json:
        say_json(found.to_json())
    else:
        say(found.to_markdown().rstrip())
    return int(bool(found.failures))


def matrix(
    agents: Annotated[list[str], typer.Argument(metavar="AGENT...", help="Names, files or folders.")],
    simulators: Annotated[
        str,
        typer.Option(help="Comma-separated, e.g. agenda,lm,openai:MODEL.", metavar="A,B,..."),
    ] = "agenda,lm",
    suite: SuiteName = "credit-v1",
    episodes: Annotated[
        int | None, typer.Option(help="Dialogues per cell; default the whole suite.", metavar="N")
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    out: Annotated[Path, typer.Option(help="Folder for dialogues and tables.", metavar="DIR")] = Path(
        "runs/matrix"
    ),
    resume: Annotated[bool, typer.Option("--resume", help="Keep what an earlier matrix finished.")] = False,
    json: Json = False,
) -> None:
    """Play every agent against every user simulator.

    The same tasks in every cell; buyers and non-buyers apart. Says per agent whether it collapses with other
    users than the first. Writes a table (.md), a heat map (.html) and all figures (.json).
    """
    from dialog_gym.benchmarks.matrix import run_matrix, write_matrix
    from dialog_gym.benchmarks.suite import load_suite

    names = [name.strip() for name in simulators.split(",") if name.strip()]
    with progress("matrix") as update:
        found = run_matrix(
            agents, names, load_suite(suite), out, episodes=episodes, seed=seed, workers=workers,
            resume=resume, on_progress=update,
        )  # fmt: skip
    files = write_matrix(found, out)
    if json:
        say_json(found.model_dump())
    else:
        say(found.to_markdown().rstrip())
    note(f"written: {', '.join(map(str, files))}")
