"""`dialog-gym curves`: figures for people and machines, the plot, mistakes in one line."""

import json
import sys
import warnings

import pytest

from dialog_gym import cli


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, values in (("more-seed0", (0.5, 0.8, 1.0)), ("mixed-seed0", (0.5, 0.9, 0.1))):
        (tmp_path / name).mkdir()
        lines = [{"iteration": i, "env_steps": 9 * i, "mac": v} for i, v in enumerate(values)]
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return [str(tmp_path / "more-seed0"), str(tmp_path / "mixed-seed0")]


def test_figures_and_plot(runs, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "curves.svg"
    assert cli.run(["curves", *runs, "--metric", "mac", "--out", str(plot), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["last"] == 0.5 and [arm["arm"] for arm in found["arms"]] == ["more", "mixed"]
    stable, unstable = (arm["metrics"]["mac"] for arm in found["arms"])
    assert stable["std"] == pytest.approx(0.1) and unstable["std"] == pytest.approx(0.4)
    assert plot.stat().st_size > 0
    assert cli.run(["curves", *runs, "--metric", "mac", "--last", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["arm", "runs", "metric", "mean", "std", "end"]
    assert lines[1].split()[:4] == ["more", "1", "mac", "0.767"]


def test_mistakes_are_one_line(runs, capsys):
    assert cli.run(["curves", *runs, "--metric", "mcc"]) == 2
    assert capsys.readouterr().err.startswith("dialog-gym: no run has logged 'mcc'; did you mean 'mac'")
    assert cli.run(["curves", *runs]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
