"""The leaderboard: several agents on one suite, compared on common random numbers, ties shown as ties.

A board is a function of stored dialogues: every row can be recomputed (`grade`) and verified (`replay`).
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dialog_gym.benchmarks.board import Board, Pairs, Row
from dialog_gym.benchmarks.evaluate import RunConfig, default_store, evaluate, grade
from dialog_gym.benchmarks.report import Run, write_report
from dialog_gym.benchmarks.report_learning import learning
from dialog_gym.benchmarks.rows import DIALOGUES_KEPT, Played, make_rows, played
from dialog_gym.benchmarks.suite import Suite, load_suite
from dialog_gym.benchmarks.training_runs import Training, folder_of, training_of
from dialog_gym.core import DialogGymError
from dialog_gym.stats import align, paired_differences, smallest_detectable_difference
from dialog_gym.store import StoreHeader, read_store

NO_LEARNING = (
    "silent", "hello-and-stop", "random", "always-approve", "always-refuse", "always-close", "flood", "stall",
    "parrot", "quote-first", "scripted", "oracle",
)  # fmt: skip
"""The agents every board starts from: trivial ones and exploits at the bottom, two references."""


def compare(rows: Sequence[Row], seed: int) -> Pairs:
    """Paired differences of every two agents on every metric that both are compared on.

    Ablations are compared with agents that were trained on the same backbone only.

    Raises:
        DialogGymError: two agents did not play the same episodes.
    """
    pairs: Pairs = {}
    for first, second in combinations(rows, 2):
        a, b = first.matrix, second.matrix
        apart = first.result.backbone != second.result.backbone and (first.variant or second.variant)
        if a is None or b is None or apart:
            continue
        names = [name for name in a.names if name in b.names]
        a, b = a.only(names), b.only(names)
        rows_a, rows_b = align(first.keys, second.keys)
        differences = paired_differences(
            a.values[:, rows_a], b.values[:, rows_b], a.weights[:, rows_a], b.weights[:, rows_b],
            a.strata[rows_a], a.clusters[rows_a], resamples=2_000, seed=seed,
        )  # fmt: skip
        for metric, difference in zip(a.names, differences, strict=True):
            pairs.setdefault(metric, {})[first.name, second.name] = difference
    return pairs


def assemble(suite: Suite, rows: Sequence[Row], seed: int) -> Board:
    """A board from rows: comparisons, and the detectable difference of the business-as-usual reference."""
    reference = next((row for row in rows if row.result.agent == "scripted"), rows[-1])
    matrix, detectable = reference.matrix, {}
    if matrix is not None:
        for column, metric in enumerate(matrix.names):
            values, weights = matrix.values[0, :, column], matrix.weights[0, :, column]
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
    found = []
    for agent in agents:
        config = RunConfig(suite, agent, episodes, seed)
        store = folder / f"{default_store(config, agent).name}.gz"

        def report(done: int, total: int, agent: str = agent) -> None:
            if on_progress:
                on_progress(agent, done, total)

        found.append(play_agent(config, store=store, workers=workers, resume=resume, on_progress=report))
    return write_board(found, suite, folder, seed)


def play_agent(config: RunConfig, *, store: Path, **options: Any) -> Played:
    """Play one agent; arguments as in `evaluate`.

    Raises:
        DialogGymError: it is unknown or fails.
    """
    result, trajectories = evaluate(config, store=store, **options)
    # the folder may be moved: what is inside it is named relative to it, and no clock is stored
    kept = result.model_copy(update={"trajectories": store.name, "wall_seconds": 0.0})
    return played(kept, trajectories, training_of(config.agent), folder_of(config.agent))


def write_board(agents: Sequence[Played], suite: Suite, folder: Path, seed: int) -> Board:
    """Compare agents, and write ``board.json`` and ``board.md``."""
    board = assemble(suite, make_rows(agents, suite), seed)
    board.write(folder / "board.json")
    (folder / "board.md").write_text(board.markdown() + "\n", "utf-8")
    return board


def board_of_stores(stores: Sequence[Path]) -> Board:
    """A board recomputed from trajectory stores.

    Raises:
        DialogGymError: no store is given, or they are of different suites or episodes.
    """
    if not stores:
        raise DialogGymError("no trajectory store given")
    agents: list[Played] = []
    first = _run_of(read_store(stores[0]).header)
    suite = load_suite(str(first["suite"]))
    for path in stores:
        found = read_store(path)
        header, run = found.header, _run_of(found.header)
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
        training = header.config.get("training")
        agents.append(played(result, found.trajectories, Training(**training) if training else None))
    return assemble(suite, make_rows(agents, suite), agents[0].result.seed)


def _run_of(header: StoreHeader) -> dict[str, Any]:
    """What must be the same for all stores of a board, by name."""
    own = ("reference", "trained", "training")
    config = {name: value for name, value in header.config.items() if name not in own}
    return config | {"suite": header.suite, "seed": header.seed, "simulator": header.simulator}


def write_board_report(board: Board, out: Path, reproduce: str = "") -> Path:
    """The HTML report of a board, without its ablations."""
    board = board.main()
    seed = board.rows[0].result.seed if board.rows else 0
    write_report(
        out,
        [Run(row.result, row.sample) for row in board.rows],
        title=f"{board.suite.name} leaderboard",
        suite=board.suite.name,
        pairs=board.pairs,
        headline=board.suite.compared,
        detectable=board.detectable,
        dialogues_per_agent=DIALOGUES_KEPT,
        reproduce=reproduce or f"dialog-gym leaderboard --suite {board.suite.name} --seed {seed}",
        notes=board.interval_notes(),
        learning=learning(board),
    )
    return out


def board_report(stores: Sequence[Path], out: Path) -> Path:
    """The HTML report of some stores."""
    return write_board_report(board_of_stores(stores), out, "dialog-gym report " + " ".join(map(str, stores)))
