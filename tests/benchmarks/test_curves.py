"""Curves of logged metrics: arms, spread over the last part of training, the plot."""

import json

import numpy as np
import pytest

from dialog_gym.benchmarks.curves import Spread, mean_spread, plot, read_arms, spread
from dialog_gym.core import DialogGymError


def run(folder, values, metric="mac", first=0):
    folder.mkdir()
    lines = [
        {"iteration": i, "env_steps": 10 * i, metric: value} for i, value in enumerate(values, first)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def test_spread_is_that_of_the_last_part():
    log = [{"env_steps": i, "mac": value} for i, value in enumerate([0.0, 0.1, None, 0.8, 1.0])]
    found = spread(log, "mac")
    assert found.mean == pytest.approx(0.9) and found.std == pytest.approx(0.1) and found.end == 1.0
    everything = spread(log, "mac", last=1.0)
    assert everything.std == pytest.approx(np.std([0.0, 0.1, 0.8, 1.0]))
    assert spread(log, "mac", last=0.01).std == 0.0 and spread(log, "pnr") is None
    other = Spread(mean=0.5, std=0.3, end=0.0)
    assert mean_spread([found, other]).std == pytest.approx(0.2)
    assert mean_spread([found, None]) is None is mean_spread([])


def test_runs_that_differ_in_the_seed_are_one_arm(tmp_path):
    folders = [
        run(tmp_path / "more-net-seed0", [0.2, 0.4, 0.6, 0.8]),
        run(tmp_path / "mixed-net-seed0", [0.0, 1.0, 0.0, 1.0]),
        run(tmp_path / "more-net-seed1", [0.4, 0.6, 0.8, 1.0]),
        run(tmp_path / "other", [1.0], metric="reward"),
    ]
    more, mixed, other = read_arms(folders, ["mac"])
    assert (more.name, more.runs, mixed.name, mixed.runs) == ("more-net", 2, "mixed-net", 1)
    assert more.metrics["mac"].end == pytest.approx(0.9) and mixed.metrics["mac"].std == pytest.approx(0.5)
    assert other.metrics["mac"] is None and other.curves == ()
    (curve,) = more.curves
    assert (curve.mean[0], curve.low[0], curve.high[0]) == (pytest.approx(0.3), 0.2, 0.4)


def test_the_plot_has_every_arm_and_the_same_bytes(tmp_path):
    pytest.importorskip("matplotlib")
    arms = read_arms([run(tmp_path / name, [0.1, 0.5, 0.9]) for name in ("more", "mixed")], ["mac"])
    curves = [curve for arm in arms for curve in arm.curves]
    for name in ("a.svg", "b.svg"):
        plot(curves, tmp_path / name)
    text = (tmp_path / "a.svg").read_bytes()
    assert text == (tmp_path / "b.svg").read_bytes() and b"<svg" in text
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(DialogGymError, match="nothing to draw"):
        plot([], tmp_path / "c.svg")


def test_mistakes(tmp_path):
    first = run(tmp_path / "first", [0.1])
    for folders, metrics, last, line in (
        ([tmp_path], ["mac"], 0.5, "is no training run: it holds no metrics.jsonl"),
        ([first], ["mcc"], 0.5, "no run has logged 'mcc'; did you mean 'mac'"),
        ([first, first], ["mac"], 0.5, "a run is given twice"),
        ([first], ["mac"], 0.0, "--last must be above 0 and up to 1, not 0.0"),
    ):
        with pytest.raises(DialogGymError, match=line):
            read_arms(folders, metrics, last)
