"""Users with the words of the shipped language model, in all environments and in any process."""

import os
import subprocess
import sys
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import dialog_gym  # noqa: F401 - registers the environments
from dialog_gym.agents.base import load_agent
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play, play_many
from dialog_gym.simulators.worded import WordedSimulator
from dialog_gym.store import read_store

pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

SHORT = "lm?retries=0&max_new_tokens=12"


@pytest.fixture(scope="module")
def tiny():
    return WordedSimulator(retries=0, max_new_tokens=12)


@pytest.mark.parametrize("mode", ["worded", "free"])
@pytest.mark.parametrize(("domain", "scenario"), [("credit", "customer_service"), ("multiwoz", "booking")])
def test_check_env(tiny, domain, scenario, mode):
    users = WordedSimulator(generator=tiny.generator, style="compact", mode=mode, retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(DialogueEnv(domain, scenario=scenario, simulator=users), skip_render_check=True)
    assert tiny.generator.calls > 0


@pytest.mark.parametrize("name", ["EcomDialog-v0", "MultiWOZ-v0"])
def test_gymnasium_makes_it_by_name(name):
    made = gymnasium.make(name, simulator="lm", simulator_options={"retries": 0})
    assert made.unwrapped.simulator.retries == 0
    assert type(made.unwrapped.simulator) is WordedSimulator


@pytest.mark.parametrize(("domain", "scenario"), [("credit", "customer_service"), ("multiwoz", "booking")])
def test_the_same_seed_says_the_same_alone_and_together(tiny, domain, scenario):
    games = [DialogueEnv(domain, scenario=scenario, simulator=tiny, split="test") for _ in range(2)]
    alone = [play(games[0].begin(i, 3), load_agent("scripted")) for i in range(3)]
    together = play_many(games[1].begin_many(range(3), [3] * 3, greet=False), load_agent("scripted"))
    assert alone == together
    for one in alone:
        assert all(turn.text for turn in one.turns)


def in_another_process(hash_seed, *arguments):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "dialog_gym.cli", *arguments]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_store_is_replayed_in_another_process(tmp_path):
    """MultiWOZ users speak from lists and sets of slots: nothing of that may depend on hashes."""
    store = tmp_path / "run.jsonl"
    suite = ["--suite", "multiwoz-v1", "--episodes", "6", "--workers", "1"]
    in_another_process(
        "0", "evaluate", "--agent", "scripted", "--simulator", SHORT, *suite, "--out", str(store)
    )
    played = read_store(store).trajectories
    said = sum(turn.role == "user" for one in played for turn in one.turns)
    own = said - sum(one.outcome["simulator_fallbacks"] for one in played)
    assert len(played) == 6 and own > 3, "the model's own words are what is replayed"
    assert "all the same" in in_another_process("1", "replay", str(store))
