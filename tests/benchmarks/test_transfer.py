"""The transfer study on small plans: same customers for all, seeds pooled, resumed where it was stopped."""

import json

import numpy as np
import pytest

from dialog_gym import cli
from dialog_gym.benchmarks.transfer import (
    METRICS,
    Plan,
    agent_folders,
    play_cells,
    read_cells,
    run_transfer,
)
from dialog_gym.benchmarks.transfer_report import cell, markdown, plot, write_transfer
from dialog_gym.cli_transfer import parse_levels
from dialog_gym.core import DialogGymError, Score

PLAN = Plan(styles=("default", "analytical"), levels=(0, 9), episodes=12)


class Quiet:
    """Nobody asks a job to stop."""

    def progress(self, done, total):
        pass

    def stop(self):
        return False


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transfer")
    return folder, run_transfer(["scripted", "oracle"], PLAN, folder, workers=1)


def test_every_cell_is_scored(study):
    _, found = study
    assert [row.agent for row in found.rows] == ["scripted", "oracle"] and found.held_out == ("analytical",)
    for row in found.rows:
        assert row.styles == () and row.level is None and row.seeds == 1
        for style in PLAN.styles:
            for level in PLAN.levels:
                scores = row.scores[style][str(level)]
                assert set(scores) == set(METRICS)
                score = scores["reached_conversion"]
                assert 0 < score.n <= 12 and score.low <= score.value <= score.high


def test_styles_share_customers_and_levels_do_not_share_scores(tmp_path):
    path = tmp_path / "cells.npz"
    play_cells("scripted", PLAN, path, Quiet())
    cells = read_cells(path)
    assert cells.values.shape == (4, 12, len(METRICS)) and cells.tasks.shape == (4, 12)
    reached = cells.weights[:, :, METRICS.index("reached_conversion")]
    assert (reached[0] == reached[2]).all()  # who is reached does not depend on the style
    assert not np.array_equal(cells.values[0], cells.values[1])


def test_finished_agents_are_kept(study, monkeypatch):
    folder, found = study
    monkeypatch.setattr("dialog_gym.benchmarks.transfer.run_jobs", lambda jobs, **_: assert_none(jobs))
    assert run_transfer(["scripted", "oracle"], PLAN, folder, resume=True) == found


def assert_none(jobs):
    assert jobs == []


def test_what_is_written(study, tmp_path):
    pytest.importorskip("matplotlib", reason="the report extra is missing")
    found = study[1]
    names = [path.name for path in write_transfer(found, tmp_path)]
    assert names == ["transfer.json", "transfer.md", "transfer.svg"]
    assert json.loads((tmp_path / "transfer.json").read_text())["levels"] == [0, 9]
    first = (tmp_path / "transfer.svg").read_bytes()
    plot(found, tmp_path / "transfer.svg")
    assert first == (tmp_path / "transfer.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_the_table(study):
    lines = markdown(study[1]).splitlines()
    assert "- scripted: not trained" in lines
    assert sum("analytical (held out)" in line for line in lines) == 2 * len(METRICS)
    assert cell(Score(value=0.5, low=0.25, high=0.75, n=3)) == "0.500 [0.250, 0.750]"
    assert cell(Score(value=float("nan"), low=float("nan"), high=float("nan"), n=0)) == "-"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Plan(styles=("angry",)), "unknown buyer style 'angry'; there are default, sceptical"),
        (lambda: Plan(levels=(10,)), "a level is from 0 to 9, not 10"),
        (lambda: Plan(episodes=9999), "episodes must be from 1 to 2000"),
        (lambda: parse_levels("0-x"), "--levels: '0-x' is no level; write 0-9 or 0,3,9"),
        (lambda: parse_levels(""), "names no level"),
        (lambda: agent_folders("runs/none-*"), r"no trained agent's folder matches 'runs/none-\*'"),
    ],
)
def test_mistakes(make, line):
    with pytest.raises(DialogGymError, match=line):
        make()


def test_levels_and_folders(tmp_path, monkeypatch):
    assert parse_levels("0-2,9") == (0, 1, 2, 9)
    for name in ("a0", "a1", "b0"):
        (tmp_path / name).mkdir()
    (tmp_path / "a0" / "agent.json").write_text("{}")
    (tmp_path / "b0" / "agent.json").write_text("{}")
    assert agent_folders(f"{tmp_path}/a*") == [str(tmp_path / "a0")]
    monkeypatch.chdir(tmp_path)
    assert agent_folders("*0") == ["a0", "b0"] and agent_folders("scripted") == ["scripted"]


def test_damaged_figures(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK")
    with pytest.raises(DialogGymError, match="holds no figures of a transfer study"):
        read_cells(tmp_path / "x.npz")


def test_seeds_of_one_learner_are_one_row(tmp_path):
    pytest.importorskip("torch", reason="an optional dependency is missing")
    from dialog_gym.agents.learning import runs
    from dialog_gym.agents.learning.run_options import RunOptions
    from tests.agents.learning.test_checkpoint import SMALL, Watch

    folders = []
    for seed in range(2):
        folders.append(str(tmp_path / f"sft-seed{seed}"))
        options = {"config": {"demonstrations": 20, "passes": 1}, **SMALL, "seed": seed}
        runs.run(RunOptions("sft", tmp_path / f"sft-seed{seed}", **options), Watch())
    plan = Plan(styles=("default",), levels=(3,), episodes=12)
    (row,) = run_transfer(folders, plan, tmp_path / "out", workers=1).rows
    assert (row.agent, row.seeds, row.backbone, row.level) == ("sft", 2, "net", 3)
    assert row.styles == ("default", "sceptical", "impulsive")
    with pytest.raises(DialogGymError, match="an agent is named twice"):
        run_transfer([folders[0], folders[0]], plan, tmp_path / "out")


def test_the_command(tmp_path, capsys):
    arguments = ["transfer", "scripted", "--styles", "default", "--levels", "3", "--episodes", "4"]
    assert cli.run([*arguments, "--workers", "1", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["agent"] for row in found["rows"]] == ["scripted", "oracle"]
