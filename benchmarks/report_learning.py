"""The learning part of the report: curves over environment steps, and what every training run cost."""

from typing import Any

from dialog_gym.benchmarks.board import Board
from dialog_gym.benchmarks.training_runs import CURVES, TrainingRun


def learning(board: Board) -> dict[str, Any] | None:
    """Curves and runs of a board as plain data for the page; None where nobody has learnt.

    Returns:
        ``metrics``, ``curves[metric] = [{name, backbone, x, mean, low, high}, ...]`` and ``runs``, one
        mapping each.
    """
    runs = [run for row in board.rows for run in row.runs]
    if not runs:
        return None
    curves = {
        metric: [
            {
                "name": one.agent,
                "backbone": row.result.backbone,
                "x": one.env_steps,
                "mean": one.mean,
                "low": one.low,
                "high": one.high,
            }
            for row in board.rows
            for one in row.curves
            if one.metric == metric
        ]
        for metric in CURVES
    }
    return {
        "metrics": [metric for metric in CURVES if curves[metric]],
        "curves": curves,
        "runs": [_run(run, board.suite.rank_by) for run in runs],
    }


def _run(run: TrainingRun, rank_by: str) -> dict[str, Any]:
    log = run.log
    return {
        "name": run.agent,
        "seed": run.training.seed,
        "env_steps": run.training.env_steps,
        "seconds": log and log.seconds,
        "memory_mib": log and log.memory_mib,
        "steps_per_second": log and log.steps_per_second,
        "score": run.scores.get(rank_by),
        "score_name": rank_by,
        "options": ", ".join(f"{name}={value}" for name, value in run.training.row_options().items()),
    }
