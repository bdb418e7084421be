"""The page of results, from what is stored: a board, and the transfer study where it was run.

Nothing is trained or played, and every figure is one of the board's or follows from its paired differences.
"""

import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from dialog_gym.agents.learning import registry
from dialog_gym.benchmarks import results_comparisons as comparisons
from dialog_gym.benchmarks import transfer_report
from dialog_gym.benchmarks.board import Board, Row
from dialog_gym.benchmarks.curves import plot
from dialog_gym.benchmarks.presets import FULL
from dialog_gym.benchmarks.results_comparisons import NOT_RUN, markdown_table
from dialog_gym.benchmarks.training_runs import CURVES, REASONING
from dialog_gym.benchmarks.transfer import Transfer
from dialog_gym.files import write_text

OWN: Final = "reward"
"""Not drawn: learners weight rewards differently, so their sums do not compare."""
COMMANDS: Final = """\
```
dialog-gym leaderboard --preset full --out runs/full     # goes on with --resume
python scripts/publish_board.py runs/full
python scripts/write_results.py
```"""


def write_results(board: Board, out: Path, transfer: Transfer | None = None) -> list[Path]:
    """Write the page and, beside it, its plots.

    Args:
        board: With its runs and curves.
        out: The page; plots are named after it.
        transfer: The transfer study.

    Returns:
        The files, the page first.

    Raises:
        DialogGymError: matplotlib is missing.
    """
    plots = _plots(board, out, transfer)
    text = page(board, {name: path.name for name, path in plots.items()}, transfer)
    write_text(out, text)
    return [out, *plots.values()]


def _plots(board: Board, out: Path, transfer: Transfer | None) -> dict[str, Path]:
    """Plots of learners, of reasoning and of the transfer study, as far as there is anything to draw."""
    found = {}
    learnt = {
        **{
            backbone: [row for row in _trained(board, backbone) if not row.variant]
            for backbone in ("net", "lm")
        },
        "reasoning": [row for row in board.rows if row.runs and row.runs[0].reasoning],
    }
    for name, rows in learnt.items():
        shown = REASONING if name == "reasoning" else [one for one in CURVES if one not in (*REASONING, OWN)]
        curves = [one for row in rows for one in row.curves if one.metric in shown]
        if curves:
            found[name] = out.with_name(f"{out.stem}-{name}.svg")
            plot(curves, found[name])
    if transfer is not None:
        found["transfer"] = out.with_name(f"{out.stem}-transfer.svg")
        transfer_report.plot(transfer, found["transfer"])
    return found


def page(board: Board, plots: dict[str, str], transfer: Transfer | None = None) -> str:
    """The page as Markdown; ``plots`` are names of files beside it."""
    suite = board.suite
    parts = [
        "# Results",
        f"Suite `{suite.name}`, version {suite.version}: {suite.description}. Values with 95 % intervals. "
        "This page is written by a command from stored results; nobody edits it. To repeat everything:",
        COMMANDS,
        "## What was run",
        _runs(board),
        _missing(board),
        "## The board",
        *_boards(board),
        "## Compared in pairs",
        "On the same dialogues, and seed by seed where both were trained equally often; a difference is the "
        "first agent minus the second. A lift is relative to the second agent's value; the papers' lifts are "
        "their own, on their own data.",
        comparisons.claims(board),
        comparisons.recovered(board),
        "## Ablations",
        comparisons.ablations(board),
        "## Reasoning",
        comparisons.reasoning(board),
        "## Learning curves",
        "Lines are means over seeds, bands reach from the lowest to the highest seed.",
        *(_picture(name, plots) for name in ("net", "lm", "reasoning")),
        "## Transfer",
        *_transfer(transfer, plots),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _trained(board: Board, backbone: str) -> list[Row]:
    return [row for row in board.rows if row.runs and row.result.backbone == backbone]


# -- what was run


def _runs(board: Board) -> str:
    """Seeds, steps, options that were chosen, time and memory of every learner; versions."""
    trained = [row for row in board.rows if row.runs]
    if not trained:
        return f"Training: {NOT_RUN}."
    head = (
        "learner",
        "seeds",
        "env steps",
        "options, if not default",
        "minutes per run",
        "MiB",
        "steps/s",
    )
    versions = {f"{name} {version}" for row in board.rows for name, version in row.result.versions.items()}
    total = sum(run.log.seconds for row in trained for run in row.runs if run.log)
    return "\n\n".join([
        markdown_table(head, [_cost(row) for row in trained]),
        "Medians over the seeds; minutes are those of playing and learning, without validation, one thread "
        f"per run, beside other work. All runs together: {total / 3600:.1f} hours.",
        f"Versions: {', '.join(sorted(versions))}.",
    ])  # fmt: skip


def _cost(row: Row) -> list[str]:
    logs = [run.log for run in row.runs if run.log]
    memory = [log.memory_mib for log in logs if log.memory_mib]
    return [
        row.name,
        str(row.result.seeds),
        f"{row.result.env_steps:,}",
        _chosen(row),
        f"{statistics.median(log.seconds for log in logs) / 60:.1f}" if logs else "-",
        f"{statistics.median(memory):,.0f}" if memory else "-",
        f"{statistics.median(log.steps_per_second for log in logs):,.0f}"
        if row.result.env_steps and logs
        else "-",
    ]


def _chosen(row: Row) -> str:
    """The options of a learner that are not the defaults; all of them are in the stored board."""
    registry.require_torch()
    from dialog_gym.agents.learning.backbones import backbone
    from dialog_gym.agents.learning.run_options import RunOptions, make_config

    training = row.runs[0].training
    kind, back = registry.load(training.algorithm), backbone(training.backbone)
    usual = asdict(make_config(kind, back, RunOptions(training.algorithm, Path())))
    found = [
        f"{name}={_option(value, usual[name])}"
        for name, value in training.options.items()
        if name in usual and value != usual[name]
    ]
    return ", ".join(found) or "defaults"


def _option(value: Any, usual: Any) -> str:
    """A value; of weights, those that are others than usual."""
    if not isinstance(value, Mapping):
        return str(value)
    return " ".join(f"{name}:{weight:g}" for name, weight in value.items() if weight != usual.get(name))


def _missing(board: Board) -> str:
    """Learners of the full preset that are not on the board, or with fewer seeds."""
    seeds: dict[tuple[str | None, str, str], int] = {
        (row.result.backbone, row.runs[0].training.algorithm, row.variant): len(row.runs)
        for row in board.rows
        if row.runs
    }
    lines = []
    for course in FULL.courses:
        for learner in course.learners:
            done = seeds.get((course.backbone, learner.algorithm, learner.variant), 0)
            if done < course.seeds:
                state = f"{done} of {course.seeds} seeds run" if done else NOT_RUN
                lines.append(f"- {learner.name} on {course.backbone}: {state}")
    return (
        "\n".join(["Of the full preset:", "", *lines]) if lines else "Of the full preset everything was run."
    )


def _boards(board: Board) -> list[str]:
    """A table per backbone, those without learning last."""
    places = board.places()
    found = []
    for backbone, title in (("net", "Compact network"), ("lm", "Language model"), (None, "No learning")):
        rows = [(row, place) for row, place in places if row.result.backbone == backbone]
        found += [f"### {title}", board.table(rows) if rows else f"{NOT_RUN.capitalize()}."]
    return [*found, *board.interval_notes()]


# -- plots and transfer


def _picture(name: str, plots: dict[str, str]) -> str:
    titles = {
        "net": "compact network",
        "lm": "language model",
        "reasoning": "exact answers to reasoning tasks",
    }
    shown = f"![{titles[name]}]({plots[name]})" if name in plots else f"{NOT_RUN.capitalize()}."
    return f"{titles[name].capitalize()}:\n\n{shown}"


def _transfer(transfer: Transfer | None, plots: dict[str, str]) -> list[str]:
    if transfer is None:
        return [f"{NOT_RUN.capitalize()}; `dialog-gym transfer` does it."]
    table = transfer_report.markdown(transfer).replace("\n## ", "\n### ")
    return [f"![transfer over buyer styles and difficulty]({plots['transfer']})", table]
