"""Steps of the MultiWOZ environments at act level, databases live, beside ``Blackjack-v1``.

Run: ``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_multiwoz.py``. Every
benchmark's ``extra_info`` holds the steps of a round; times are CPU times, resets and new tasks included.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dialog_gym.benchmarks import speed
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain

pytestmark = pytest.mark.benchmark(timer=time.process_time)
NAME = "MultiWOZActs-v0"


def acts() -> speed.Run:
    """One dialogue with random actions."""
    env = gym.make(NAME)
    env.action_space.seed(0)
    return speed.single(env, [env.action_space.sample() for _ in range(997)])


def vector(size: int) -> speed.Run:
    """``size`` dialogues in arrays with random actions."""
    env = gym.make_vec(NAME, num_envs=size, vectorization_mode="vector_entry_point")
    env.action_space.seed(0)
    supply = cycle([env.action_space.sample() for _ in range(speed.BATCHES)])
    env.reset(seed=0)

    def run() -> int:
        env.step(next(supply))
        return size

    return run


MAKERS: dict[str, Callable[[], speed.Run]] = {
    "blackjack": speed.blackjack,
    "acts": acts,
    **{f"vector_{size}": partial(vector, size) for size in speed.VECTOR_SIZES},
}


@pytest.mark.parametrize("name", MAKERS)
def test_steps(benchmark: Any, name: str) -> None:
    run = MAKERS[name]()
    speed.rate(run, 0.5)
    benchmark.extra_info["steps"] = run()
    benchmark.pedantic(run, rounds=20, iterations=2)


def test_drawing_tasks(benchmark: Any) -> None:
    """256 goals and users, made into start states."""
    desk = MultiWOZDomain()
    space = desk.space(split="train", scenario="booking", level=3)
    supply = cycle(range(0, desk.size("train"), 256))
    benchmark.pedantic(lambda: desk.draw(space, np.arange(256) + next(supply)), rounds=10)
