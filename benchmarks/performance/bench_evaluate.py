"""Dialogues per second of an evaluation: playing, storing and scoring; ``extra_info`` has the dialogues.

Run: ``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_evaluate.py``.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.playing import play_chunk
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.metrics import score_all

EPISODES = 64
SUITE = load_suite("credit-v1")


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("agent", ["scripted", "oracle", "silent"])
@pytest.mark.parametrize("scenario", list(SUITE.scenarios))
def test_playing(benchmark: Any, agent: str, scenario: str) -> None:
    """Dialogues of one scenario, played in this process."""
    config = RunConfig(SUITE, agent)
    keys = [key for key in SUITE.episodes(None, 0) if key.scenario == scenario][:EPISODES]
    benchmark.extra_info["dialogues"] = len(keys)
    benchmark.pedantic(play_chunk, args=(config, agent, keys), rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(timer=time.process_time)
def test_scoring(benchmark: Any) -> None:
    """All metrics with intervals of one agent's dialogues."""
    config = RunConfig(SUITE, "scripted")
    played = play_chunk(config, "scripted", SUITE.episodes(EPISODES, 0)[:EPISODES])
    benchmark.extra_info["dialogues"] = len(played)
    benchmark.pedantic(score_all, args=(played,), rounds=3, warmup_rounds=1)


def test_evaluate_with_its_store(benchmark: Any, tmp_path: Path) -> None:
    """Playing, storing and scoring together, wall time of one worker."""
    config = RunConfig(SUITE, "scripted", episodes=EPISODES)
    benchmark.extra_info["dialogues"] = EPISODES
    benchmark.pedantic(
        evaluate,
        args=(config,),
        kwargs={"store": tmp_path / "x.jsonl", "workers": 1},
        rounds=3,
        warmup_rounds=1,
    )
