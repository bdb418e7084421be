"""The page of results: from stored boards only, with what was not run said plainly."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from dialog_gym.benchmarks.board import Board, show_board
from dialog_gym.benchmarks.curves import Curve, Spread
from dialog_gym.benchmarks.results_page import page, write_results
from dialog_gym.paired import Paired
from dialog_gym.stats import paired_difference

ROOT = Path(__file__).parents[2]


def renamed(row, algorithm, variant="", spread=None):
    """A stored row as if another learner had earned it."""
    name = f"{algorithm} [{variant}]" if variant else algorithm
    row_name = f"{name} ({row.result.backbone})"
    runs = [
        run.model_copy(
            update={
                "agent": row_name, "variant": variant, "reasoning": spread or {},
                "training": run.training.model_copy(update={"algorithm": algorithm}),
            }
        )
        for run in row.runs
    ]  # fmt: skip
    curve = Curve(agent=row_name, metric="mac", env_steps=(0, 9), mean=(0, 1), low=(0, 1), high=(0, 1))
    found = type(row)(row.result.model_copy(update={"agent": name}), runs=runs, curves=[curve])
    assert found.name == row_name
    return found


def lift(relative, low, high):
    return Paired(
        difference=0.02, low=0.01, high=0.03, n=9, relative=relative, relative_low=low, relative_high=high,
        p_superior=1.0,
    )  # fmt: skip


@pytest.fixture
def board():
    """The shipped board's references and GRPO, with two arms of MORE in its place."""
    shipped = show_board("credit-v1")
    grpo = next(row for row in shipped.rows if row.name == "grpo (net)")
    kept = [row for row in shipped.rows if row.name in ("scripted", "oracle")]
    spread = {"mac": Spread(mean=0.9, std=0.012, end=0.955), "pnr": Spread(mean=0.9, std=0.03, end=0.987)}
    rows = [*kept, renamed(grpo, "more", spread=spread), renamed(grpo, "more", "uniform")]
    pairs = {
        "conversion": {
            ("scripted", "more (net)"): lift(0.2, 0.18, 0.3).reversed(),
            ("scripted", "oracle"): lift(0.5, 0.4, 0.6).reversed().model_copy(update={"difference": -0.04}),
        },
        "reached_conversion": {("more (net)", "scripted"): lift(0.31, 0.29, 0.35)},
        "success": {("more [uniform] (net)", "more (net)"): lift(0.1, 0.0, 0.2)},
    }
    return Board(shipped.suite, rows, pairs, {})


def line(text, *words):
    (found,) = (one for one in text.splitlines() if all(word in one for word in words))
    return found


def test_claims_are_read_off_the_pairs_whichever_way_they_are_stored(board):
    text = page(board, {"transfer": "x.svg"})
    assert line(text, "− scripted | conversion").endswith("| +20.0% [+18.0%, +30.0%] | +16.53% | yes |")
    assert line(text, "− scripted | reached").endswith("+30.09% | yes, but the interval reaches below |")
    assert "| not run |" in line(text, "gopo (net) − ppo (net)")
    assert line(text, "| more (net) | 50% [25%, 75%] |")
    missed = board.pairs["conversion"]
    missed["scripted", "more (net)"] = lift(0.1, 0.0, 0.2).reversed()
    assert line(page(board, {}), "− scripted | conversion").endswith("| +16.53% | no |")


def test_what_was_not_run_is_said(board):
    text = page(board, {})
    assert "- gopo on net: not run" in text and "- sft on lm: not run" in text
    assert "- more on net" not in text and "- more-uniform on net" not in text
    assert "| more [merged] (net) | not run |" in text
    assert line(text, "| more [uniform] (net) | 0.").endswith("| +0.020 [+0.010, +0.030] |")
    board.rows[2].runs.pop()
    assert "- more on net: 9 of 10 seeds run" in page(board, {})
    assert "`dialog-gym transfer` does it" in text


def test_reasoning_has_its_end_and_its_spread(board):
    row = line(page(board, {}), "| more (net) | 10 | 0.955")
    assert row == "| more (net) | 10 | 0.955 (0.012) | 0.987 (0.030) | - | - |"


def test_page_and_plots_are_written(board, tmp_path):
    out = tmp_path / "results.md"
    assert [path.name for path in write_results(board, out)] == ["results.md", "results-reasoning.svg"]
    text = out.read_text()
    assert "![exact answers to reasoning tasks](results-reasoning.svg)" in text
    first = (tmp_path / "results-reasoning.svg").read_bytes()
    write_results(board, out)
    assert out.read_text() == text and (tmp_path / "results-reasoning.svg").read_bytes() == first
    assert "not run" in text and "nan" not in text


def test_the_command_reads_the_shipped_board(tmp_path, capsys):
    main = runpy.run_path(str(ROOT / "scripts/write_results.py"))["main"]
    out = tmp_path / "docs/results.md"
    assert main(["--out", str(out)]) == 0
    text = out.read_text()
    for row in show_board("credit-v1").rows:
        assert f"{row.result.scores['success'].value:.3f} [" in text
    assert main(["--board", str(tmp_path / "none.json")]) == 1
    assert capsys.readouterr().err.startswith("not written: ")


def test_a_comparison_turned_round_is_that_of_the_agents_turned_round():
    rng = np.random.default_rng(0)
    a, b, ones = rng.random(60) + 0.5, rng.random(60) + 0.3, np.ones(60)
    found = paired_difference(a, b, ones, ones, resamples=1_001).reversed()
    wanted = paired_difference(b, a, ones, ones, resamples=1_001)
    assert found.difference == pytest.approx(wanted.difference) and found.n == wanted.n
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.relative == pytest.approx(wanted.relative)
    assert found.relative_low == pytest.approx(wanted.relative_low, rel=0.02)
    assert found.relative_high == pytest.approx(wanted.relative_high, rel=0.02)
    assert found.p_superior == pytest.approx(wanted.p_superior)
    unknown = lift(math.nan, math.nan, math.nan).reversed()
    assert math.isnan(unknown.relative) and unknown.difference == -0.02
