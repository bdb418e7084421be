"""PettingZoo environments with a language model in a seat: the assistant's, the user's, or both."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from dialog_gym.envs import aec_env, parallel_env

pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.lm.agent import LMAgent
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.simulators.worded import WordedSimulator

CYCLES = 6
Options = dict[str, Any]


@pytest.fixture(scope="module")
def assistant() -> LMAgent:
    """The shipped model as an assistant of few words, which draws them."""
    config = LMConfig(precision="fp32", max_new_tokens=8)
    return LMAgent(LMPolicy(CreditDomain(), config), temperature=1.0)


@pytest.fixture(scope="module")
def users() -> dict[str, WordedSimulator]:
    """The shipped model as a user, by mode."""
    worded = WordedSimulator(retries=0, max_new_tokens=8)
    free = WordedSimulator(generator=worded.generator, style="compact", mode="free", retries=0)
    return {"worded": worded, "free": free}


SEATS: dict[str, Callable[[Any, Any], Options]] = {
    "assistant": lambda assistant, users: {"players": {"assistant_0": assistant}},
    "user": lambda assistant, users: {"players": {"user_0": users["worded"]}},
    "free user": lambda assistant, users: {"players": {"user_0": users["free"]}},
    "both": lambda assistant, users: {
        "hierarchical": True, "players": {"assistant_0": assistant, "user_0": users["worded"]},
    },
}  # fmt: skip


@pytest.fixture(params=SEATS.values(), ids=SEATS)
def setup(request: pytest.FixtureRequest, assistant: LMAgent, users: dict[str, WordedSimulator]) -> Options:
    """Who sits where in a customer's service call, which needs no luck to be taken."""
    return {"scenario": "customer_service", **request.param(assistant, users)}


@pytest.fixture(autouse=True)
def no_warnings() -> Any:
    """The checkers expect arrays: see `test_multiagent.py`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_aec_passes_the_api_test(setup: Options) -> None:
    api_test(aec_env(**setup), num_cycles=CYCLES)


def test_aec_is_reproducible(setup: Options) -> None:
    seed_test(lambda: aec_env(**setup), CYCLES)


def test_parallel_passes_the_api_test(setup: Options) -> None:
    parallel_api_test(parallel_env(**setup), num_cycles=CYCLES)


def test_parallel_is_reproducible(setup: Options) -> None:
    parallel_seed_test(lambda: parallel_env(**setup), CYCLES)


def test_the_words_are_the_models(assistant: LMAgent, users: dict[str, WordedSimulator]) -> None:
    """Both seats speak, the user in words of the model's own, and another seed has other words."""
    said = []
    for seed in (1, 1, 2):
        game = aec_env(
            scenario="customer_service", hierarchical=True,
            players={"assistant_0": assistant, "user_0": users["worded"]},
        )  # fmt: skip
        game.reset(seed=seed)
        for _ in range(3):
            if game.agents:
                game.step(0)
        turns = game.unwrapped.table.episode.turns
        said.append([turn.text for turn in turns])
        assert {turn.role for turn in turns} == {"assistant", "user"}
    assert said[0] == said[1] != said[2]
    assert users["worded"].generator.calls > 0  # type: ignore[attr-defined]


def test_a_claimed_user_seat_speaks_in_acts_that_templates_word() -> None:
    game = aec_env(players={"assistant_0": "scripted"}, scenario="customer_service")
    game.reset(seed=1)
    assert game.agent_selection == "user_0"
    game.step("ask(topic=rate)")
    heard = [turn for turn in game.unwrapped.table.episode.record if turn.role == "user"][-1]
    assert [act.intent for act in heard.acts] == ["ask"]
    assert "rate" in heard.text or "interest" in heard.text
