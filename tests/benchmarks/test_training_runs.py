"""Learning curves over seeds, what runs cost, and names of rows."""

import json

import pytest

from dialog_gym.benchmarks.training_runs import learning_curves, read_log, training_of


def run(folder, *lines):
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def line(steps, conversion=None, seconds=1.0, **more):
    found = {"iteration": steps // 10, "env_steps": steps, "seconds": seconds, **more}
    return found if conversion is None else found | {"validation_conversion": conversion}


def test_curves_are_read_off_at_common_steps(tmp_path):
    first = run(tmp_path / "a", line(0, 0.1), line(50), line(100, 0.3), line(120))
    second = run(tmp_path / "b", line(0, 0.3), line(80, 0.5), line(110, 0.5))
    (curve,) = learning_curves("ppo (net)", [first, second])
    assert (curve.agent, curve.metric) == ("ppo (net)", "conversion")
    assert (curve.env_steps[0], curve.env_steps[-1]) == (0, 110)  # as far as the shorter run goes
    assert (curve.mean[0], curve.low[0], curve.high[0]) == (0.2, 0.1, 0.3)
    assert (curve.mean[-1], curve.low[-1], curve.high[-1]) == (0.4, 0.3, 0.5)
    at = curve.env_steps.index(44.0)
    assert curve.mean[at] == pytest.approx(((0.1 + 0.2 * 0.44) + (0.3 + 0.2 * 0.55)) / 2, abs=1e-6)
    reverse = learning_curves("ppo (net)", [second, first])
    assert reverse == [curve]


def test_measures_that_a_run_lacks_have_no_curve(tmp_path):
    told = run(tmp_path / "a", line(0, 0.1), line(100, 0.3))
    never_reached = run(tmp_path / "b", line(0) | {"validation_conversion": None}, line(100))
    assert learning_curves("x", [told, never_reached]) == []
    demonstrations = run(tmp_path / "sft", line(0, 0.1), line(0, 0.2))
    assert learning_curves("sft", [demonstrations]) == [] == learning_curves("none", [tmp_path / "no"])


def test_what_a_run_cost(tmp_path):
    folder = run(
        tmp_path / "a", line(0, 0.1, seconds=0.0), line(50, seconds=1.0, memory_mib=500.0),
        line(100, seconds=4.0, memory_mib=450.0),
    )  # fmt: skip
    log = read_log(folder)
    assert (log.seconds, log.memory_mib, log.steps_per_second) == (4.0, 500.0, 25.0)
    assert read_log(tmp_path / "no") is None


def test_only_folders_of_trained_agents_have_a_training(tmp_path):
    assert training_of("scripted") is None and training_of(str(tmp_path)) is None
    assert training_of(lambda text: text) is None
