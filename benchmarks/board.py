"""A board: rows of one suite with paired comparisons, its ranks, its forms on disk and on screen."""

import json
import os
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.benchmarks.suite import Suite, load_suite
from dialog_gym.core import DialogGymError, Record, Result, Trajectory
from dialog_gym.metrics import METRICS, Matrix
from dialog_gym.stats import Paired, ranks_with_ties

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
