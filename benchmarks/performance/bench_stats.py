"""Cost of statistics, language measures and trajectory files at the size of a full board.

Run with ``OPENBLAS_NUM_THREADS=1``:
``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_stats.py``.
"""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dialog_gym import stats, store
from dialog_gym.core import DialogueAct, Goal, Scalar, Task, Trajectory, Turn, UserProfile
from dialog_gym.language import LanguageContext, language_rewards

EPISODES, METRICS = 10_000, 35
WORDS = (
    "Thank you, Mr. Chen. On 10,000 at 19.8 % the interest is 5.42 a day, so thirty days would cost you "
    "162.74 in total, without any fee."
)
BEFORE = (
    "Hello, this is the credit desk, may I ask who I am speaking to?",
    "I see, and when do you need it?",
)


def _board() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return rng.random((EPISODES, METRICS)), np.ones((EPISODES, METRICS)), np.arange(EPISODES) % 2


@pytest.mark.parametrize("trials", [1, 4])
def test_scores(benchmark: Any, trials: int) -> None:
    """10,000 resamples of 35 metrics on 10,000 episodes: the budget is 2 s on one core."""
    values, weights, strata = _board()
    tasks = np.arange(EPISODES) // (2 * trials) * 2 + strata
    benchmark.pedantic(stats.scores, args=(values, weights, strata, tasks), rounds=3)


def test_paired_differences(benchmark: Any) -> None:
    """The same size for two agents."""
    values, weights, strata = _board()
    benchmark.pedantic(
        stats.paired_differences, args=(values, values + 0.1, weights, weights, strata), rounds=3
    )


@pytest.mark.parametrize("fresh", [True, False], ids=["new_text", "known_text"])
def test_language_rewards(benchmark: Any, fresh: bool) -> None:
    """All seven measures of one turn of 25 words."""
    number = count()

    def context() -> tuple[tuple[LanguageContext], dict[str, Any]]:
        text = f"{WORDS} {next(number)}." if fresh else WORDS
        act = DialogueAct(intent="offer", slots={"amount": 4000.0})
        topics = frozenset({"interest"})
        profile: dict[str, Scalar] = {"surname": "Chen", "age": 30}
        known: dict[str, Scalar] = {"amount": 5000}
        return (
            LanguageContext(
                text, BEFORE, "What is it a day?", (act,), topics, topics, 2, 0, profile, known, WORDS
            ),
        ), {}

    benchmark.pedantic(language_rewards, setup=context, rounds=3000)


def _episode(number: int) -> Trajectory:
    profile = UserProfile(id=str(number), attributes={"age": 30, "surname": "Chen", "limit": 12000.0})
    task = Task(
        id=f"credit/test/{number}",
        domain="credit",
        scenario="proactive_sale",
        split="test",
        level=3,
        profile=profile,
        goal=Goal(need="loan"),
        guidelines="Confirm identity first. " * 200,
    )
    act = DialogueAct(intent="inform_rate", slots={"product": "pay_later", "rate": 0.198})
    turns = (Turn(role="assistant", text=WORDS, acts=(act,)), Turn(role="user", text="I see.")) * 8
    rewards = (dict.fromkeys(("progress", "naturalness", "novelty", "rouge"), 0.5),) * 8
    return Trajectory(
        task=task,
        agent="scripted",
        seed=number,
        turns=turns,
        rewards=rewards,
        costs=({"mis_sale": 0.0},) * 8,
        ended_by="declined",
    )


def test_write_and_read_store(benchmark: Any, tmp_path: Path) -> None:
    """1,000 dialogues of 16 turns, written one by one and read back."""
    episodes = [_episode(number) for number in range(1000)]
    header = store.StoreHeader(suite="core", suite_version=1, agent="scripted", simulator="user")
    path = tmp_path / "x.jsonl"

    def round_trip() -> int:
        with store.TrajectoryWriter(path, header, overwrite=True) as writer:
            for episode in episodes:
                writer.write(episode)
        return len(store.read_store(path).trajectories)

    assert benchmark.pedantic(round_trip, rounds=3) == 1000
