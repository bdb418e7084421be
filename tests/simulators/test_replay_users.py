"""Logged users."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError, DialogueAct, UserSimulator
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play
from dialog_gym.simulators.replay import ReplaySimulator
from dialog_gym.store import read_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("logs") / "scripted.jsonl"
    evaluate(RunConfig(load_suite("credit-v1"), "scripted", 60), store=path, workers=1)
    return path


def replayed(store, trajectory, agent="scripted"):
    task = trajectory.task
    env = DialogueEnv(scenario=task.scenario, split=task.split, level=task.level, simulator=f"replay:{store}")
    return play(env.begin(task.id, trajectory.seed), load_agent(agent))


def test_the_same_dialogue_has_the_logged_words(store):
    users = ReplaySimulator(store)
    assert isinstance(users, UserSimulator)
    for logged in read_store(store).trajectories:
        again = replayed(store, logged)
        assert again.turns == logged.turns and again.outcome["simulator_fallbacks"] == 0


def test_other_agents_meet_users_with_logged_or_template_words(store):
    logged = [one for one in read_store(store).trajectories if len(one.turns) > 4]
    words = {turn.text for one in read_store(store).trajectories for turn in one.turns if turn.role == "user"}
    found = [replayed(store, one, "oracle") for one in logged[:10]]
    said = [turn.text for one in found for turn in one.turns if turn.role == "user"]
    assert 0 < sum(text in words for text in said) <= len(said)
    assert sum(one.outcome["simulator_errors"] for one in found) == 0


def test_nobody_borrows_another_ones_name(store):
    users, task = ReplaySimulator(store), DialogueEnv(split="train").domain.task(5, split="train")
    text = users.start(task, 1).say((DialogueAct(intent="confirm_identity"),), (), garbled=False)
    names = {str(one.task.profile.attributes["surname"]) for one in read_store(store).trajectories}
    names.discard(str(task.profile.attributes["surname"]))
    assert not any(name in text for name in names)


def test_a_store_without_users_is_refused(tmp_path):
    path = tmp_path / "silent.jsonl"
    evaluate(RunConfig(load_suite("credit-v1"), "scripted", 1), store=path, workers=1)
    if all(turn.role != "user" for one in read_store(path).trajectories for turn in one.turns):
        with pytest.raises(DialogGymError, match="no user"):
            ReplaySimulator(path)
    with pytest.raises(DialogGymError):
        ReplaySimulator(tmp_path / "nothing.jsonl")
