"""Steps of the environments beside Gymnasium's ``Blackjack-v1``; `dialog_gym.benchmarks.speed` has ratios.

Run: ``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_envs.py``. Every benchmark's
``extra_info`` holds the steps of a round; times are CPU times.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import pytest

from dialog_gym.benchmarks import speed
from dialog_gym.envs.curriculum import AdaptiveLevel

pytestmark = pytest.mark.benchmark(timer=time.process_time)

MAKERS: dict[str, Callable[[], speed.Run]] = {
    "blackjack": speed.blackjack,
    "acts": speed.acts,
    "text": speed.text,
    **{f"vector_{size}": partial(speed.vector, size) for size in speed.VECTOR_SIZES},
}


def _measure(benchmark: Any, run: speed.Run) -> None:
    speed.rate(run, 0.5)
    benchmark.extra_info["steps"] = run()
    benchmark.pedantic(run, rounds=20, iterations=2)


@pytest.mark.parametrize("name", MAKERS)
def test_steps(benchmark: Any, name: str) -> None:
    _measure(benchmark, MAKERS[name]())


def test_steps_under_the_curriculum(benchmark: Any) -> None:
    """Levels 2 to 5 drawn per episode."""
    env = AdaptiveLevel(gym.make("EcomDialogActs-v0"), start=5)
    env.action_space.seed(0)
    _measure(benchmark, speed.single(env, [env.action_space.sample() for _ in range(997)]))


def test_reset_of_a_text_environment(benchmark: Any) -> None:
    """Drawing a task, writing its record and the dialogue's start."""
    env = gym.make("EcomDialog-v0")
    env.reset(seed=0)
    benchmark.pedantic(env.reset, rounds=100, warmup_rounds=300)
