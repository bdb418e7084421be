"""The same dialogues in every process, in any number of workers, alone and in batches."""

import os
import subprocess
import sys

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.playing import play_chunk
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import agent_seed, play

AGENTS = ("scripted", "random", "oracle")
SUITES = ("credit-v1", "multiwoz-v1")
SUITE = load_suite("credit-v1")
PLACES = [*(("credit", scenario) for scenario in CreditDomain.scenarios), ("multiwoz", "booking")]
PROGRAM = """
import sys
from pathlib import Path
from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.suite import load_suite
if __name__ == "__main__":
    for agent in ("scripted", "random", "oracle"):
        config = RunConfig(load_suite(sys.argv[2]), agent, episodes=24, seed=3)
        evaluate(config, store=Path(sys.argv[1]) / f"{agent}.jsonl", workers=1)
"""


@pytest.mark.parametrize("suite", SUITES)
def test_byte_identical_stores_in_other_processes(suite, tmp_path):
    stores = []
    for hash_seed in ("0", "1"):
        folder = tmp_path / hash_seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder), suite], check=True, env=environment, cwd=tmp_path
        )
        stores.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert stores[0].keys() == {f"{agent}.jsonl" for agent in AGENTS}
    assert stores[0] == stores[1]
    here = tmp_path / "here.jsonl"
    evaluate(RunConfig(load_suite(suite), "scripted", episodes=24, seed=3), store=here, workers=1)
    assert here.read_bytes() == stores[0]["scripted.jsonl"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_number_of_workers_changes_nothing(suite, tmp_path):
    found = []
    for workers in (1, 2):
        store = tmp_path / f"{workers}.jsonl"
        result, played = evaluate(
            RunConfig(load_suite(suite), "scripted", episodes=230), store=store, workers=workers
        )
        found.append((store.read_bytes(), played, result.scores))
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]
    # scores are NaN where nothing was judged, so compare what is written
    assert repr(found[0][2]) == repr(found[1][2])


@pytest.mark.parametrize(("domain", "scenario"), PLACES)
@pytest.mark.parametrize("agent", AGENTS)
def test_alone_in_a_batch_and_from_the_record(agent, domain, scenario):
    service = load_agent(agent)
    env = DialogueEnv(domain, scenario=scenario, split="test")
    tasks, seeds = [3, 8, 3, 900], [1, 2**63 - 1, 5, 7]
    batch = [play(episode, service) for episode in env.begin_many(tasks, seeds)]
    alone = [play(env.begin(task, seed), service) for task, seed in zip(tasks, seeds, strict=True)]
    ids = [f"{domain}/{scenario}/test/3/{task}" for task in tasks]
    named = [play(env.begin(name, seed), service) for name, seed in zip(ids, seeds, strict=True)]
    records = [env.domain.task_by_id(name).model_copy() for name in ids]
    written = [play(env.begin(task, seed), service) for task, seed in zip(records, seeds, strict=True)]
    assert batch == alone == named == written
    assert [one.task.id for one in batch] == ids


def test_reset_and_step_play_what_evaluation_plays():
    env, service = DialogueEnv(split="test"), load_agent("scripted")
    for task in range(6):
        observation, _ = env.reset(seed=9, options={"task": task})
        played = play(env.begin(task, env.episode.seed), service)
        session = service.start(agent_seed(env.episode.task.id, env.episode.seed))
        total, over = {}, False
        while not over:
            reply = session.reply(env.episode.observation)
            observation, _, terminated, truncated, info = env.step(reply.text)
            over = terminated or truncated
            total = {name: total.get(name, 0) + value for name, value in info["rewards"].items()}
        assert [turn.text for turn in observation["dialogue"]] == [turn.text for turn in played.turns]
        assert env.trajectory("scripted") == played
        assert total == {name: sum(reward[name] for reward in played.rewards) for name in total}


class Opening:
    """Says a fixed first turn, then hands over to another agent."""

    sees_hidden_state = False

    def __init__(self, name):
        self.name, self.agent = name, load_agent(name)

    def start(self, seed):
        session = self.agent.start(seed)

        class Session:
            @staticmethod
            def reply(observation):
                spoken = any(turn.role == "assistant" for turn in observation.dialogue)
                return (
                    session.reply(observation)
                    if spoken
                    else "Hello, could you confirm who I am speaking with?"
                )

        return Session


def test_agents_meet_the_same_users_until_they_differ():
    """Common random numbers: who answers, and what to the same words, is the same for all agents."""
    keys = SUITE.episodes(120, seed=1)
    chunks = [[key for key in keys if key.scenario == scenario] for scenario in SUITE.scenarios]
    played = {}
    for name in ("scripted", "stall", "random"):
        config = RunConfig(SUITE, name)
        played[name] = [one for chunk in chunks for one in play_chunk(config, Opening(name), chunk)]
    parted = 0
    for first, *others in zip(*played.values(), strict=True):
        for other in others:
            assert (first.task, first.seed, first.trial) == (other.task, other.seed, other.trial)
            assert first.outcome["reached"] == other.outcome["reached"]
            same = 0
            pairs = list(zip(first.turns, other.turns, strict=False))
            while same < len(pairs) and pairs[same][0] == pairs[same][1]:
                same += 1
            if same < len(pairs):  # they part at a turn of the agent's, never of the user's
                assert pairs[same][0].role == "assistant" and same >= 2
                parted += 1
    assert parted > 60


def test_other_seeds_are_other_users():
    first, second = (SUITE.episodes(40, seed=seed) for seed in (0, 1))
    config = RunConfig(SUITE, "stall")
    chunks = [[key for key in keys if key.scenario == "customer_service"] for keys in (first, second)]
    one, two = (play_chunk(config, "stall", chunk) for chunk in chunks)
    assert [a.task for a in one] == [b.task for b in two]
    assert [a.turns for a in one] != [b.turns for b in two]
