"""The leaderboard: several agents on one suite, compared on common random numbers, ties shown as ties.

A board is a function of stored dialogues: every row can be recomputed (`grade`) and verified (`replay`).
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.benchmarks.evaluate import RunConfig, default_store, evaluate, grade
from dialog_gym.benchmarks.report import Run, write_report
from dialog_gym.benchmarks.report_dialogues import sample
from dialog_gym.benchmarks.suite import Suite, load_suite
from dialog_gym.core import DialogGymError, Record, Result, Trajectory
from dialog_gym.metrics import METRICS, Matrix, rows_matrix
from dialog_gym.stats import (
    Paired,
    align,
    paired_differences,
    ranks_with_ties,
    smallest_detectable_difference,
)
from dialog_gym.store import StoreHeader, read_store

NO_LEARNING = (
    "silent", "hello-and-stop", "random", "always-approve", "always-refuse", "always-close", "flood", "stall",
    "parrot", "quote-first", "scripted", "oracle",
)  # fmt: skip
"""The agents every board starts from: trivial ones and exploits at the bottom, two references."""
DIALOGUES_KEPT = 60
Pairs = dict[str, dict[tuple[str, str], Paired]]


@dataclass
class Row:
    """One agent on the board."""

    result: Result
    matrix: Matrix | None = None
    """Per-episode rows of the compared metrics; None for rows shown from disk."""
    keys: list[tuple[str, int]] = field(default_factory=list)
    sample: list[Trajectory] = field(default_factory=list)
    """A few dialogues for the report's viewer, stratified by how they ended."""


class PairedRow(Record):
    """A stored comparison."""

    metric: str
    a: str
    b: str
    paired: Paired


class StoredBoard(Record):
    """A board as it is committed: results, comparisons, and what it can detect."""

    suite: str
    suite_version: int
    results: tuple[Result, ...]
    pairs: tuple[PairedRow, ...]
    detectable: dict[str, float]


@dataclass
class Board:
    """Rows of one suite with their paired comparisons."""

    suite: Suite
    rows: list[Row]
    pairs: Pairs
    detectable: dict[str, float]
    """Smallest difference that two independent runs of this budget can tell apart, by metric."""

    def ranks(self, metric: str) -> dict[str, int | None]:
        """Rank by a metric, ties sharing one; references are not ranked, backbones are ranked apart."""
        found: dict[str, int | None] = {row.result.agent: None for row in self.rows}
        for backbone in {row.result.backbone for row in self.rows}:
            results = [
                r.result for r in self.rows if r.result.backbone == backbone and not r.result.reference
            ]
            agents = [result.agent for result in results]
            pairs = {
                (i, j): pair
                for (a, b), pair in self.pairs.get(metric, {}).items()
                if a in agents and b in agents
                for i, j in [(agents.index(a), agents.index(b))]
            }
            higher = METRICS[metric].higher_is_better
            found |= dict(
                zip(agents, ranks_with_ties([r.scores[metric] for r in results], pairs, higher), strict=True)
            )
        return found

    def ordered(self) -> list[tuple[Row, int | None]]:
        """Rows by rank on the suite's metric, references first."""
        ranks, metric = self.ranks(self.suite.rank_by), self.suite.rank_by
        sign = -1.0 if METRICS[metric].higher_is_better else 1.0

        def place(row: Row) -> tuple[int, float]:
            rank = ranks[row.result.agent]
            return (0 if rank is None else rank, sign * row.result.scores[metric].value)

        return [(row, ranks[row.result.agent]) for row in sorted(self.rows, key=place)]

    def to_json(self) -> dict[str, Any]:
        """The board for machines: ``rows[].{agent, backbone, seeds, env_steps, rank, reference, scores}``."""
        rows = [
            {
                "agent": row.result.agent,
                "backbone": row.result.backbone,
                "seeds": row.result.seeds,
                "env_steps": row.result.env_steps,
                "rank": rank,
                "reference": row.result.reference,
                "episodes": row.result.episodes,
                "scores": {name: score.model_dump() for name, score in row.result.scores.items()},
            }
            for row, rank in self.ordered()
        ]
        head = {"suite": self.suite.name, "suite_version": self.suite.version, "rank_by": self.suite.rank_by}
        return head | {"detectable_difference": self.detectable, "rows": rows}

    def markdown(self) -> str:
        """The board as a Markdown table of the headline metrics with 95 % intervals."""
        metrics = [self.suite.rank_by, *(m for m in self.suite.headline if m != self.suite.rank_by)]
        lines = [
            "| rank | agent | backbone | " + " | ".join(metrics) + " |",
            "|---|---|---|" + "---|" * len(metrics),
        ]
        ordered = self.ordered()
        shared = [rank for _, rank in ordered if rank is not None]
        for row, rank in ordered:
            shown = "ref" if rank is None else f"{rank}{'=' if shared.count(rank) > 1 else ''}"
            cells = " | ".join(_cell(row.result, metric) for metric in metrics)
            lines.append(f"| {shown} | {row.result.agent} | {row.result.backbone or '-'} | {cells} |")
        return "\n".join(lines)

    def stored(self) -> StoredBoard:
        """The board as it is committed."""
        pairs = [
            PairedRow(metric=metric, a=a, b=b, paired=paired)
            for metric, table in self.pairs.items()
            for (a, b), paired in table.items()
        ]
        return StoredBoard(
            suite=self.suite.name,
            suite_version=self.suite.version,
            results=tuple(row.result for row in self.rows),
            pairs=tuple(pairs),
            detectable=self.detectable,
        )

    def write(self, path: Path) -> Path:
        """Write the board as JSON, to a temporary file first."""
        part = path.with_name(f".{path.name}.part")
        part.write_text(self.stored().model_dump_json(indent=1) + "\n", "utf-8")
        os.replace(part, path)
        return path


def _cell(result: Result, metric: str) -> str:
    score = result.scores[metric]
    if np.isnan(score.value):
        return "-"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def make_row(result: Result, trajectories: Sequence[Trajectory], suite: Suite) -> Row:
    """A row with what comparisons and the report need of its dialogues."""
    compared = [suite.rank_by, *(m for m in suite.headline if m != suite.rank_by)]
    kept = [trajectories[i] for i in sample(trajectories, DIALOGUES_KEPT)]
    keys = [(trajectory.task.id, trajectory.trial) for trajectory in trajectories]
    return Row(result, rows_matrix(trajectories, compared), keys, kept)


def compare(rows: Sequence[Row], seed: int) -> Pairs:
    """Paired differences of every two agents on every compared metric.

    Raises:
        DialogGymError: two agents did not play the same episodes.
    """
    pairs: Pairs = {}
    for first, second in combinations(rows, 2):
        a, b = first.matrix, second.matrix
        if a is None or b is None:
            continue
        rows_a, rows_b = align(first.keys, second.keys)
        differences = paired_differences(
            a.values[rows_a], b.values[rows_b], a.weights[rows_a], b.weights[rows_b],
            a.strata[rows_a], a.clusters[rows_a], resamples=2_000, seed=seed,
        )  # fmt: skip
        for metric, difference in zip(a.names, differences, strict=True):
            pairs.setdefault(metric, {})[first.result.agent, second.result.agent] = difference
    return pairs


def assemble(suite: Suite, rows: Sequence[Row], seed: int) -> Board:
    """A board from rows: comparisons, and the detectable difference of the business-as-usual reference."""
    reference = next((row for row in rows if row.result.agent == "scripted"), rows[-1])
    matrix, detectable = reference.matrix, {}
    if matrix is not None:
        for column, metric in enumerate(matrix.names):
            values, weights = matrix.values[:, column], matrix.weights[:, column]
            found = smallest_detectable_difference(values, weights, matrix.strata, matrix.clusters)
            if np.isfinite(found) and found > 0:
                detectable[metric] = round(float(found), 6)
    return Board(suite, list(rows), compare(rows, seed), detectable)


def run_board(
    suite: Suite,
    agents: Sequence[str] = NO_LEARNING,
    *,
    folder: Path = Path("runs/leaderboard"),
    episodes: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    resume: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Board:
    """Play every agent, compare them, write ``board.json`` and ``board.md``.

    Args:
        suite: The suite.
        agents: Names or paths of agents.
        folder: Where stores and the board go.
        episodes: Episodes per agent, default the whole suite.
        seed: Common to all agents.
        workers: Processes, default one per core.
        resume: Keep finished episodes of an earlier run.
        on_progress: Called with (agent, finished, all).

    Raises:
        DialogGymError: an agent is unknown or fails.
    """
    rows = []
    for agent in agents:
        config = RunConfig(suite, agent, episodes, seed)
        store = folder / f"{default_store(config, agent).name}.gz"

        def report(done: int, total: int, agent: str = agent) -> None:
            if on_progress:
                on_progress(agent, done, total)

        result, trajectories = evaluate(
            config, store=store, workers=workers, resume=resume, on_progress=report
        )
        # the folder may be moved: what is inside it is named relative to it, and no clock is stored
        kept = result.model_copy(update={"trajectories": store.name, "wall_seconds": 0.0})
        rows.append(make_row(kept, trajectories, suite))
    board = assemble(suite, rows, seed)
    board.write(folder / "board.json")
    (folder / "board.md").write_text(board.markdown() + "\n", "utf-8")
    return board


def show_board(suite_name: str) -> Board:
    """The board that ships with the package.

    Raises:
        DialogGymError: there is none for this suite.
    """
    suite = load_suite(suite_name)
    path = files("dialog_gym.benchmarks") / f"results/{suite.name}.json"
    if not path.is_file():
        raise DialogGymError(
            f"no stored board for suite {suite.name!r}; make one with: dialog-gym leaderboard"
        )
    return read_board(path.read_text("utf-8"), suite)


def read_board(text: str, suite: Suite) -> Board:
    """A board from its JSON.

    Raises:
        DialogGymError: it belongs to another version of the suite.
    """
    stored = StoredBoard.model_validate(json.loads(text))
    if (stored.suite, stored.suite_version) != (suite.name, suite.version):
        raise DialogGymError(
            f"the board is of {stored.suite} version {stored.suite_version}, this is {suite.name} version "
            f"{suite.version}"
        )
    pairs: Pairs = {}
    for row in stored.pairs:
        pairs.setdefault(row.metric, {})[row.a, row.b] = row.paired
    return Board(suite, [Row(result) for result in stored.results], pairs, dict(stored.detectable))


def board_of_stores(stores: Sequence[Path]) -> Board:
    """A board recomputed from trajectory stores.

    Raises:
        DialogGymError: no store is given, or they are of different suites or episodes.
    """
    if not stores:
        raise DialogGymError("no trajectory store given")
    rows: list[Row] = []
    first = _run_of(read_store(stores[0]).header)
    suite = load_suite(str(first["suite"]))
    for path in stores:
        found = read_store(path)
        header, run = found.header, _run_of(found.header)
        if header.agent in [row.result.agent for row in rows]:
            raise DialogGymError(
                f"{path}: agent {header.agent!r} is already on this board; give each agent once"
            )
        if header.suite_version != suite.version or header.suite != suite.name:
            raise DialogGymError(
                f"{path}: suite {header.suite} version {header.suite_version} cannot be on a board of "
                f"{suite.name} version {suite.version}"
            )
        if other := [name for name in first | run if first.get(name) != run.get(name)]:
            raise DialogGymError(
                f"{path}: {other[0]} is {run.get(other[0])!r}, in {stores[0]} {first.get(other[0])!r}; "
                "a board compares agents on the same dialogues"
            )
        result = grade(path).model_copy(update={"trajectories": path.name})
        rows.append(make_row(result, found.trajectories, suite))
    return assemble(suite, rows, rows[0].result.seed)


def _run_of(header: StoreHeader) -> dict[str, Any]:
    """What must be the same for all stores of a board, by name."""
    config = {name: value for name, value in header.config.items() if name != "reference"}
    return config | {"suite": header.suite, "seed": header.seed, "simulator": header.simulator}


def write_board_report(board: Board, out: Path, reproduce: str = "") -> Path:
    """The HTML report of a board."""
    seed = board.rows[0].result.seed if board.rows else 0
    write_report(
        out,
        [Run(row.result, row.sample) for row in board.rows],
        title=f"{board.suite.name} leaderboard",
        suite=board.suite.name,
        pairs=board.pairs,
        headline=(board.suite.rank_by, *(m for m in board.suite.headline if m != board.suite.rank_by)),
        detectable=board.detectable,
        dialogues_per_agent=DIALOGUES_KEPT,
        reproduce=reproduce or f"dialog-gym leaderboard --suite {board.suite.name} --seed {seed}",
    )
    return out


def board_report(stores: Sequence[Path], out: Path) -> Path:
    """The HTML report of some stores."""
    return write_board_report(board_of_stores(stores), out, "dialog-gym report " + " ".join(map(str, stores)))
