"""The race between learners: turns, the clock, and when a return counts as reached."""

import json
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")

from dialog_gym.agents.learning.rollout import Episodes  # noqa: E402
from dialog_gym.agents.net.arrays import ArrayDialogues  # noqa: E402
from dialog_gym.agents.net.policy import NetConfig, NetPolicy  # noqa: E402
from dialog_gym.benchmarks import ppo_speed  # noqa: E402
from dialog_gym.benchmarks.ppo_speed import (  # noqa: E402
    LEVEL,
    SCENARIO,
    Learner,
    Point,
    compare,
    describe,
    held_out,
    ours,
    race,
)
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.domains.credit.dynamics import DEFAULT_REWARD_WEIGHTS  # noqa: E402

pytestmark = pytest.mark.usefixtures("as_before")
CURVES = {
    "SB3, its own": [Point(4, 100, 0.1), Point(8, 200, 0.3), Point(12, 300, 0.2)],
    "ours, from scratch": [Point(2, 500, 0.2), Point(4, 1500, 0.31), Point(6, 2500, 0.2)],
    "ours, from SFT": [Point(5, 0, 0.25), Point(7, 800, 0.28)],
}


@pytest.fixture
def as_before():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


def test_the_best_return_is_compared_and_each_reaches_it_once():
    theirs, scratch, tuned = compare(CURVES)
    assert {row["held_out_return"] for row in (theirs, scratch, tuned)} == {0.3}
    assert (theirs["seconds"], theirs["steps"], theirs["times_faster"]) == (8, 200, 1.0)
    assert (scratch["seconds"], scratch["steps"], scratch["times_faster"]) == (4, 1500, 2.0)
    assert tuned["seconds"] is tuned["steps"] is tuned["times_faster"] is None


def test_speed_is_that_after_the_first_turn():
    found = {row["learner"]: row for row in describe(CURVES)}
    assert found["SB3, its own"]["steps_per_second"] == 25
    assert found["ours, from SFT"]["steps_per_second"] == 400
    assert found["ours, from scratch"]["best_return"] == 0.31
    assert found["ours, from scratch"]["last_return"] == 0.2


def test_learners_take_turns_and_measuring_is_off_the_clock(monkeypatch):
    time, order = [0.0], []

    def updates(name, seconds):
        for steps in range(1, 1000):
            time[0] += seconds
            order.append(name)
            yield steps

    def measure(act, dialogues):
        time[0] += 50.0
        return act

    monkeypatch.setattr(ppo_speed, "held_out", measure)
    learners = [Learner("slow", updates("slow", 4.0), 0.1), Learner("fast", updates("fast", 1.0), 0.2)]
    curves = race(learners, 5.0, None, lambda: time[0])
    assert curves["slow"] == [Point(4.0, 1, 0.1), Point(8.0, 2, 0.1)]
    assert curves["fast"] == [Point(3.0, 3, 0.2), Point(6.0, 6, 0.2)]
    assert order == ["slow", *["fast"] * 3] * 2


def test_the_held_out_return_is_that_of_the_played_dialogues(monkeypatch):
    monkeypatch.setattr(ppo_speed, "EPISODES", 100)
    domain, every = CreditDomain(), np.arange(100)
    dialogues = ArrayDialogues(domain, scenario=SCENARIO, split="validation", level=LEVEL)
    learner = ours(domain, demonstrated=False, seed=3)
    policy = NetPolicy(domain, NetConfig(split="validation", level=LEVEL), seed=3)
    played = policy.collect(Episodes(SCENARIO, every, every.astype(np.uint64), every), None)
    wanted = sum(weight * played.rewards[name].sum() for name, weight in DEFAULT_REWARD_WEIGHTS.items())
    assert held_out(learner.act, dialogues) == pytest.approx(float(wanted) / 100, abs=1e-4)


@pytest.mark.parametrize("as_json", [False, True])
def test_all_four_learners_race(monkeypatch, capsys, as_json):
    pytest.importorskip("stable_baselines3", reason="an optional dependency is missing")
    monkeypatch.setattr(ppo_speed, "EPISODES", 50)
    monkeypatch.setattr(ppo_speed, "SLICE", 1e-3)
    monkeypatch.setattr(ppo_speed, "BETWEEN", 64)
    monkeypatch.setattr(ppo_speed, "LANES", {False: 2, True: 4})
    monkeypatch.setattr(ppo_speed, "SCRATCH", {"dialogues": 64})
    monkeypatch.setattr(ppo_speed, "fine_tune", lambda policy, generator, seed: None)
    monkeypatch.setattr(sys, "argv", ["ppo_speed", "--seconds", "0.5", *["--json"] * as_json])
    ppo_speed.main()
    printed = capsys.readouterr().out
    names = ["SB3, its own", "SB3, native vector env", "ours, from scratch", "ours, from SFT"]
    if not as_json:
        assert all(name in printed for name in names)
        assert "CPU s" in printed
        return
    found = json.loads(printed)
    assert list(found["curves"]) == names
    assert all(row["steps_per_second"] > 0 for row in found["learners"])
    assert [row["learner"] for row in found["comparison"]] == [names[0], *names[2:], names[1], *names[2:]]
    assert [row["times_faster"] for row in found["comparison"][::3]] == [1.0, 1.0]
