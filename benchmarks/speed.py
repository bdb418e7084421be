"""Environment speed as a ratio to Gymnasium's ``Blackjack-v1`` in the same process, so that machines compare.

    python -m dialog_gym.benchmarks.speed [--rounds 7] [--seconds 0.3] [--json]

Rates are environment steps (one dialogue, one turn) per second of CPU time of one core, resets included.
Every round measures Blackjack right before each environment; the ratio is the median of the rounds' ratios.
Actions are drawn beforehand; the text environment hears a fixed list of sentences, each through the grounder.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import gymnasium as gym

import dialog_gym  # noqa: F401 - registers the environments

BLACKJACK = "Blackjack-v1"
VECTOR_SIZES = (256, 1024, 4096)
BATCHES = 16
"""Batches of random actions that a vector environment is given in turn."""
SENTENCES = (
    "Good morning, this is the shop's credit team. Am I speaking with the account holder?",
    "How much would you like to borrow, and what is it for?",
    "You are eligible for the Pay Later, up to 2,000.",
    "The annual rate of the Instalment Plan is 14.4 % and the set-up fee is 1 %.",
    "On 5,000 at 19.8 % the interest for 30 days would be 81.37.",
    "I understand your concern about privacy; your data are encrypted and stay with us.",
    "I would suggest the Revolving Line with five thousand. Shall we go ahead?",
    "Unfortunately you cannot have the Cash Loan, because of the overdue payment.",
    "In 12 months you would pay 451.20 a month.",
    "When do you need the money?",
)

Run = Callable[[], int]
"""Does a little work and returns how many steps it was."""


class Speed(NamedTuple):
    """How fast one environment is."""

    name: str
    steps_per_second: float
    """Per CPU second, median of the rounds."""
    ratio: float
    """To Blackjack measured beside it, median of the rounds."""
    bar: float | None
    """The ratio that it should reach; None for sizes that need not."""


def single(env: gym.Env[Any, Any], actions: Sequence[Any], steps: int = 100) -> Run:
    """Steps of one environment, begun anew whenever an episode ends."""
    supply = cycle(actions)
    env.reset(seed=0)

    def run() -> int:
        for _ in range(steps):
            _, _, terminated, truncated, _ = env.step(next(supply))
            if terminated or truncated:
                env.reset()
        return steps

    return run


def blackjack() -> Run:
    """The yardstick."""
    return single(gym.make(BLACKJACK), (0, 1), 500)


def acts() -> Run:
    """`EcomDialogActs-v0` with random actions."""
    env = gym.make("EcomDialogActs-v0")
    env.action_space.seed(0)
    return single(env, [env.action_space.sample() for _ in range(997)])


def text() -> Run:
    """`EcomDialog-v0` with sentences that the grounder reads and template users that answer."""
    return single(gym.make("EcomDialog-v0"), SENTENCES)


def vector(size: int) -> Run:
    """The native vector environment of ``size`` dialogues with random actions."""
    env = gym.make_vec("EcomDialogActs-v0", num_envs=size, vectorization_mode="vector_entry_point")
    env.action_space.seed(0)
    supply = cycle([env.action_space.sample() for _ in range(BATCHES)])
    env.reset(seed=0)

    def run() -> int:
        env.step(next(supply))
        return size

    return run


def rate(run: Run, seconds: float) -> float:
    """Steps per second of CPU time, measured for at least ``seconds``."""
    steps, began = 0, process_time()
    while (spent := process_time() - began) < seconds:
        steps += run()
    return steps / spent


def measure(rounds: int = 7, seconds: float = 0.3) -> list[Speed]:
    """Every environment beside Blackjack; the first entry is Blackjack itself."""
    found: dict[str, tuple[Run, float | None]] = {"act level": (acts(), 0.25), "text": (text(), 0.10)}
    found |= {f"vector, N = {size}": (vector(size), None) for size in VECTOR_SIZES}
    yardstick = blackjack()
    for run, _ in found.values():
        rate(run, 2 * seconds)  # caches fill and batches of episodes grow to their usual size
    rates: dict[str, list[float]] = {name: [] for name in (BLACKJACK, *found)}
    ratios: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, (run, _) in found.items():
            beside, own = rate(yardstick, seconds), rate(run, seconds)
            rates[BLACKJACK].append(beside)
            rates[name].append(own)
            ratios[name].append(own / beside)
    speeds = [Speed(name, median(rates[name]), median(ratios[name]), bar) for name, (_, bar) in found.items()]
    best = max(speeds[2:], key=lambda speed: speed.ratio)
    speeds = [speed._replace(bar=10.0) if speed is best else speed for speed in speeds]
    return [Speed(BLACKJACK, median(rates[BLACKJACK]), 1.0, None), *speeds]


def table(speeds: Sequence[Speed]) -> str:
    """The figures as text."""
    lines = [f"{'environment':<18}{'steps / CPU s':>14}{'ratio':>9}{'bar':>7}"]
    for name, steps, ratio, bar in speeds:
        wanted = "" if bar is None else f"{bar:g}"
        lines.append(f"{name:<18}{steps:>14,.0f}{ratio:>9.2f}{wanted:>7}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit status is 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m dialog_gym.benchmarks.speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="CPU seconds per measurement")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    speeds = measure(chosen.rounds, chosen.seconds)
    print(json.dumps([speed._asdict() for speed in speeds]) if chosen.json else table(speeds))
    return int(any(speed.bar is not None and speed.ratio < speed.bar for speed in speeds))


if __name__ == "__main__":
    sys.exit(main())
