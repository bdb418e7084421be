import json
import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest

from dialog_gym.agents.learning.demonstrators import (
    POPULATION,
    SLIP,
    NearOracle,
    NoisyScripted,
    demonstrate,
    demonstrated_episodes,
    demonstrator,
)
from dialog_gym.agents.oracle import Oracle
from dialog_gym.agents.scripted import Scripted
from dialog_gym.rollout import play

CALLS = 200
PRINT_SOME = """
import json
from dialog_gym.agents.learning.demonstrators import demonstrate
print(json.dumps([call.model_dump_json() for call in demonstrate(12, seed=5)]))
"""


def test_proportions():
    names = [demonstrator(seed).name for seed in range(3000)]
    assert sum(POPULATION.values()) == pytest.approx(1.0)
    for name, share in POPULATION.items():
        # five standard errors
        assert names.count(name) / 3000 == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 3000))


def test_the_same_seed_is_the_same_person():
    assert [demonstrator(s).name for s in range(50)] == [demonstrator(s).name for s in range(50)]


def test_the_same_seed_gives_the_same_calls():
    first, again, other = (list(demonstrate(8, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert [call.task.id for call in first] != [call.task.id for call in other]


def test_fewer_calls_are_the_first_ones():
    assert list(demonstrate(3, seed=5)) == list(islice(demonstrate(8, seed=5), 3))


def test_another_hash_seed_gives_the_same_calls():
    known = [call.model_dump_json() for call in demonstrate(12, seed=5)]
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    found = subprocess.run(
        [sys.executable, "-c", PRINT_SOME], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == known


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_calls_are_answered_and_come_from_the_place_asked_for(scenario):
    chosen = {"seed": 1, "scenario": scenario, "split": "train", "level": 5}
    for call in demonstrate(10, **chosen):
        assert call.outcome["reached"]
        assert (call.task.scenario, call.task.split, call.task.level) == (scenario, "train", 5)
        assert call.agent in POPULATION


def test_options_of_the_domain_are_passed_on():
    assert all(len(call.rewards) <= 3 for call in demonstrate(10, max_turns=3))


@pytest.fixture(scope="module")
def played():
    """The same calls by each of them, and by those without slips."""
    makers = {maker.name: maker for maker in (NearOracle, Scripted, NoisyScripted, Oracle)}
    return {
        name: [play(episode, maker()) for episode, _, _ in demonstrated_episodes(CALLS, seed=2)]
        for name, maker in makers.items()
    }


def test_quality(played):
    conversion = {
        name: np.mean([call.outcome["converted"] for call in calls]) for name, calls in played.items()
    }
    assert conversion["near-oracle"] > conversion["scripted"] + 0.05
    assert conversion["scripted"] > conversion["noisy-scripted"] + 0.02


def said(call):
    return [turn.acts for turn in call.turns if turn.role == "assistant"]


def test_slips_are_as_frequent_as_said(played):
    """Until the first slip both do the same; so the first turns differ as often as slips happen and show."""
    pairs = list(zip(played["noisy-scripted"], played["scripted"], strict=True))
    differ = np.mean([said(noisy)[0] != said(plain)[0] for noisy, plain in pairs])
    assert differ == pytest.approx(SLIP, abs=5 * np.sqrt(SLIP * (1 - SLIP) / CALLS))
    assert any(said(noisy) == said(plain) for noisy, plain in pairs)


def test_a_near_oracle_does_what_the_oracle_or_the_script_would(played):
    near, oracle, script = (
        [said(call)[0] for call in played[name]] for name in ("near-oracle", "oracle", "scripted")
    )
    assert all(a in (b, c) for a, b, c in zip(near, oracle, script, strict=True))
    assert sum(a == b for a, b in zip(near, oracle, strict=True)) > 0.7 * CALLS
