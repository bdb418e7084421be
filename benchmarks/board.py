"""A board: rows of one suite with paired comparisons, its ranks, its forms on disk and on screen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.benchmarks.curves import Curve
from dialog_gym.benchmarks.suite import Suite, load_suite
from dialog_gym.benchmarks.training_runs import TrainingRun
from dialog_gym.core import DialogGymError, Record, Result, Trajectory
from dialog_gym.files import write_text
from dialog_gym.metrics import METRICS, Matrix
from dialog_gym.paired import Paired
from dialog_gym.stats import ranks_with_ties

Pairs = dict[str, dict[tuple[str, str], Paired]]


@dataclass
class Row:
    """One agent on the board."""

    result: Result
    matrix: Matrix | None = None
    """Per-episode rows of the compared metrics, with training seeds as the first axis of values and weights;
    None for rows shown from disk."""
    keys: list[tuple[str, int]] = field(default_factory=list)
    sample: list[Trajectory] = field(default_factory=list)
    """A few dialogues for the report's viewer, of the first seed, stratified by how they ended."""
    runs: list[TrainingRun] = field(default_factory=list)
    """The training runs behind it, by seed."""
    curves: list[Curve] = field(default_factory=list)

    @property
    def name(self) -> str:
        """See `row_name`."""
        return row_name(self.result)

    @property
    def variant(self) -> str:
        """What an ablation or control arm is called; empty for all others."""
        return self.runs[0].variant if self.runs else ""


def row_name(result: Result) -> str:
    """What a row is called where backbones are not shown beside it: one algorithm may be on both."""
    return f"{result.agent} ({result.backbone})" if result.backbone else result.agent


class PairedRow(Record):
    """A stored comparison; ``a`` and ``b`` are names of rows (`row_name`)."""

    metric: str
    a: str
    b: str
    paired: Paired


class StoredBoard(Record):
    """A board as it is committed: results, comparisons, what it can detect, and how agents learnt."""

    suite: str
    suite_version: int
    results: tuple[Result, ...]
    pairs: tuple[PairedRow, ...]
    detectable: dict[str, float]
    runs: tuple[TrainingRun, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass
class Board:
    """Rows of one suite with their paired comparisons."""

    suite: Suite
    rows: list[Row]
    pairs: Pairs
    detectable: dict[str, float]
    """Smallest difference that two independent runs of this budget can tell apart, by metric."""

    def ranks(self, metric: str) -> dict[str, int | None]:
        """Rank of every row by a metric, ties sharing one, backbones apart.

        References and ablations have none.
        """
        found: dict[str, int | None] = {row.name: None for row in self.rows}
        ranked = [row for row in self.rows if not row.result.reference and not row.variant]
        for backbone in {row.result.backbone for row in ranked}:
            rows = [row for row in ranked if row.result.backbone == backbone]
            names = [row.name for row in rows]
            pairs = {
                (names.index(a), names.index(b)): pair
                for (a, b), pair in self.pairs.get(metric, {}).items()
                if a in names and b in names
            }
            higher = METRICS[metric].higher_is_better
            scores = [row.result.scores[metric] for row in rows]
            found |= dict(zip(names, ranks_with_ties(scores, pairs, higher), strict=True))
        return found

    def main(self) -> "Board":
        """The board without its ablations."""
        kept = [row for row in self.rows if not row.variant]
        names = {row.name for row in kept}
        pairs = {
            metric: {pair: paired for pair, paired in table.items() if names.issuperset(pair)}
            for metric, table in self.pairs.items()
        }
        return Board(self.suite, kept, pairs, self.detectable)

    def ablations(self) -> list[Row]:
        """The other rows: variants of learners, each kind after its origin's name, best first."""
        rows = [row for row in self._best_first() if row.variant]
        return sorted(rows, key=lambda row: (row.result.backbone or "", row.runs[0].training.algorithm))

    def pair(self, metric: str, a: str, b: str) -> Paired | None:
        """Row ``a`` minus row ``b``, whichever way it is stored; None where they were not compared."""
        table = self.pairs.get(metric, {})
        if (a, b) in table:
            return table[a, b]
        return table[b, a].reversed() if (b, a) in table else None

    def ordered(self) -> list[tuple[Row, int | None]]:
        """Ranked rows with their ranks, best first on the suite's metric, references before all others."""
        ranks = self.ranks(self.suite.rank_by)
        return [(row, ranks[row.name]) for row in self._best_first() if not row.variant]

    def _best_first(self) -> list[Row]:
        metric = self.suite.rank_by
        sign = -1.0 if METRICS[metric].higher_is_better else 1.0

        def place(row: Row) -> tuple[bool, bool, float]:
            value = row.result.scores[metric].value
            return not row.result.reference, bool(np.isnan(value)), sign * value

        return sorted(self.rows, key=place)

    def places(self) -> list[tuple[Row, str]]:
        """`ordered` with ranks as they are shown: ``2=`` is shared with others of the same backbone."""
        ordered = self.ordered()
        taken = [(row.result.backbone, rank) for row, rank in ordered]
        return [
            (
                row,
                "ref"
                if rank is None
                else f"{rank}{'=' if taken.count((row.result.backbone, rank)) > 1 else ''}",
            )
            for row, rank in ordered
        ]

    def notes(self) -> list[str]:
        """What a reader of the table must know."""
        ranked = {row.result.backbone for row in self.rows if not row.result.reference}
        within = (
            "Ranks are within a backbone (net: compact network, lm: language model, -: no learning); rows "
            "are in the order of their values."
        )
        return [*([within] if len(ranked) > 1 else []), *self.interval_notes()]

    def interval_notes(self) -> list[str]:
        """What a reader of the intervals must know."""
        several = any(row.result.seeds > 1 for row in self.rows)
        return ["Rows of several training seeds: intervals are over tasks and seeds."] if several else []

    def to_json(self) -> dict[str, Any]:
        """The board for machines: ``rows[].{agent, backbone, seeds, env_steps, rank, reference, scores}``.

        Ranks are within a backbone. ``ablations`` are such rows without a rank. ``runs`` has the options of
        every training run.
        """
        rows = [_for_machines(row, rank) for row, rank in self.ordered()]
        ablations = [_for_machines(row, None) for row in self.ablations()]
        head = {"suite": self.suite.name, "suite_version": self.suite.version, "rank_by": self.suite.rank_by}
        runs = [run.model_dump() for row in self.rows for run in row.runs]
        found = {"rows": rows, "ablations": ablations, "runs": runs}
        return head | {"detectable_difference": self.detectable} | found

    def markdown(self) -> str:
        """The headline metrics with 95 % intervals as a Markdown table, notes, and a table of ablations."""
        parts = [self.table(self.places()), *self.notes()]
        if ablations := self.ablations():
            parts += ["Ablations and control arms:", self.table([(row, "-") for row in ablations])]
        return "\n\n".join(parts)

    def table(self, places: Sequence[tuple[Row, str]]) -> str:
        """Some rows, with what is shown as their ranks, as a Markdown table."""
        metrics = self.suite.compared
        several = any(row.result.seeds > 1 for row in self.rows)
        head = ["rank", "agent", "backbone", *(["seeds"] if several else []), *metrics]
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for row, place in places:
            result = row.result
            seeds = [str(result.seeds) if result.backbone else "-"] if several else []
            cells = [cell(result, metric) for metric in metrics]
            lines.append(f"| {' | '.join([place, result.agent, result.backbone or '-', *seeds, *cells])} |")
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
            runs=tuple(run for row in self.rows for run in row.runs),
            curves=tuple(curve for row in self.rows for curve in row.curves),
        )

    def write(self, path: Path) -> Path:
        """Write the board as JSON, to a temporary file first."""
        write_text(path, self.stored().model_dump_json(indent=1) + "\n")
        return path


def _for_machines(row: Row, rank: int | None) -> dict[str, Any]:
    result = row.result
    return {
        "agent": result.agent,
        "backbone": result.backbone,
        "seeds": result.seeds,
        "env_steps": result.env_steps,
        "rank": rank,
        "reference": result.reference,
        "episodes": result.episodes,
        "scores": {name: score.model_dump() for name, score in result.scores.items()},
    }


def cell(result: Result, metric: str) -> str:
    """A score with its interval; a dash where nothing could be judged."""
    score = result.scores[metric]
    if np.isnan(score.value):
        return "-"
    return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"


def show_board(suite_name: str, folder: Path | None = None) -> Board:
    """A stored board: the one that ships with the package, or the one in the folder of a run.

    Raises:
        DialogGymError: there is none of this suite.
    """
    suite = load_suite(suite_name)
    if folder is not None:
        path = folder / "board.json"
        if not path.is_file():
            line = "no run of `dialog-gym leaderboard` was finished there"
            raise DialogGymError(f"{folder} holds no board.json: {line}")
        return read_board(path.read_text("utf-8"), suite)
    shipped = files("dialog_gym.benchmarks") / f"results/{suite.name}.json"
    if not shipped.is_file():
        raise DialogGymError(
            f"no stored board for suite {suite.name!r}; make one with: dialog-gym leaderboard"
        )
    return read_board(shipped.read_text("utf-8"), suite)


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
    for pair in stored.pairs:
        pairs.setdefault(pair.metric, {})[pair.a, pair.b] = pair.paired
    rows = [Row(result) for result in stored.results]
    for row in rows:
        row.runs = [run for run in stored.runs if run.agent == row.name]
        row.curves = [curve for curve in stored.curves if curve.agent == row.name]
    return Board(suite, rows, pairs, dict(stored.detectable))
