"""Cost of the parts of a language-model rollout; `dialog_gym.benchmarks.lm_speed` compares whole dialogues.

Run: ``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_lm_engine.py``. Times are CPU
times on one thread; 32 dialogues with the model of `lm_speed`.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch

from dialog_gym.benchmarks import lm_speed
from dialog_gym.lm.engine import Engine, Sampling, Session
from dialog_gym.lm.engine_session import draw

pytestmark = pytest.mark.benchmark(timer=time.process_time)

SHAPE = lm_speed.Shape(batch=32, turns=3)
ROWS = range(SHAPE.batch)
NAMES = (lm_speed.OTHER, lm_speed.FAST, lm_speed.FAST_BF16)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def engines() -> dict[str, Engine]:
    return lm_speed.engines(lm_speed.build(SHAPE))


@pytest.fixture(params=NAMES)
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    if request.param not in engines:
        pytest.skip("this processor does not compute in bfloat16")
    return engines[request.param]


def prompted(engine: Engine, length: int) -> Session:
    session = engine.open(SHAPE.batch, Sampling(stop=(), max_new_tokens=length))
    session.append(ROWS, lm_speed.said(SHAPE, lm_speed.PROMPT, 0).tolist())
    return session


def test_dialogues(benchmark: Any, engine: Engine) -> None:
    """Three turns."""
    benchmark.pedantic(partial(lm_speed.by_engine, engine, SHAPE), rounds=3)


def test_prompts(benchmark: Any, engine: Engine) -> None:
    """Encoding prompts of 120 tokens, and one token drawn."""

    def setup() -> tuple[tuple[Session], dict[str, Any]]:
        return (prompted(engine, 1),), {}

    benchmark.pedantic(lambda session: session.sample(ROWS, ROWS), setup=setup, rounds=5)


@pytest.mark.parametrize("speaking", [32, 20, 4])
def test_a_turn(benchmark: Any, engine: Engine, speaking: int) -> None:
    """Twenty tokens of some of the dialogues; the prompts are encoded beforehand."""

    def setup() -> tuple[tuple[Session], dict[str, Any]]:
        session = prompted(engine, 20)
        session.sample(ROWS, ROWS)
        return (session,), {}

    rows = list(ROWS)[:: SHAPE.batch // speaking][:speaking]
    benchmark.pedantic(lambda session: session.sample(rows, rows), setup=setup, rounds=3)


def test_dropping_every_other_dialogue(benchmark: Any, engine: Engine) -> None:
    def setup() -> tuple[tuple[Session], dict[str, Any]]:
        session = prompted(engine, 1)
        session.sample(ROWS, ROWS)
        return (session,), {}

    benchmark.pedantic(lambda session: session.drop(list(ROWS)[::2]), setup=setup, rounds=5)


def test_refresh(benchmark: Any, engine: Engine) -> None:
    """Reading the weights again after an update."""
    benchmark.pedantic(engine.refresh, rounds=5)


@pytest.mark.parametrize("temperature", [0, 1])
def test_draw(benchmark: Any, temperature: float) -> None:
    """One token for each of 64 rows from 4,096."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, lm_speed.VOCABULARY, generator=generator)
    uniforms = torch.rand(64, generator=generator)
    benchmark(draw, logits, uniforms, temperature)
