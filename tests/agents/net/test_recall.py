import pytest
import torch

from dialog_gym.agents.learning import runs
from dialog_gym.agents.learning.memento import succeeded
from dialog_gym.agents.learning.memory import Reading
from dialog_gym.agents.learning.run_options import RunOptions
from dialog_gym.agents.net import recall
from dialog_gym.agents.net.agent import NetAgent
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.moves import MOVES
from dialog_gym.envs import DialogueEnv
from dialog_gym.rollout import play
from tests.agents.learning.test_checkpoint import SMALL, Watch
from tests.agents.net.conftest import some_episodes


@pytest.fixture
def policy(domain):
    return NetPolicy(domain, NetConfig(hidden=16), seed=0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_turn_is_a_case(policy):
    memory = policy.remember(Reading())
    rollout = policy.collect(some_episodes(12), generator())
    found = policy.cases(rollout, succeeded(rollout))
    assert len(found) == rollout.env_steps
    row, turn = (part[-1] for part in rollout.inputs["taken"].nonzero(as_tuple=True))
    move = int(rollout.inputs["action"][row, turn, 0])
    assert found.actions[-1].nonzero().tolist() == [[move]] and found.texts[-1] == MOVES[move].name
    assert found.outcomes[-1] == succeeded(rollout)[row]
    seen = rollout.inputs["observation"][row, turn]
    torch.testing.assert_close(found.states[-1:], recall.states(policy.module, seen[None]))
    assert memory.cases.states.shape[1] == found.states.shape[1]


def test_an_empty_memory_changes_nothing(policy):
    plain = policy.collect(some_episodes(12), generator(1))
    policy.remember(Reading(tau=5.0))
    found = policy.collect(some_episodes(12), generator(1))
    assert found.logprob.equal(plain.logprob) and found.inputs["action"].equal(plain.inputs["action"])


@pytest.mark.parametrize("good", [True, False])
def test_cases_move_the_first_decision(policy, good):
    rollout = policy.collect(some_episodes(12), generator())
    memory = policy.remember(Reading(tau=4.0, neighbours=1))
    memory.write(policy.cases(rollout, torch.full((len(rollout),), good)))
    taken = rollout.inputs["taken"].nonzero(as_tuple=True)
    seen, moves = rollout.inputs["observation"][taken], rollout.inputs["action"][taken][:, 0]
    liked = recall.preference(policy.module, memory, seen)
    own = liked.gather(1, moves[:, None])
    # its own case is the nearest: baseline (1 + 1/2) / 2, or 1/4
    exact = (own.squeeze(1) - (1.0 if good else -1.0)).abs() < 1e-6
    assert exact.float().mean() > 0.9


def test_the_agent_of_a_folder_remembers(policy, tmp_path):
    sft = tmp_path / "sft"
    runs.run(RunOptions("sft", sft, config={"demonstrations": 20, "passes": 2}, **SMALL), Watch())
    chosen = {"tau": 30.0, "dialogues": 64, "neighbours": 4}
    out = tmp_path / "memento"
    runs.run(RunOptions("memento", out, init=sft, steps=600, config=chosen, **SMALL), Watch())
    assert (out / "net.safetensors").read_bytes() == (sft / "net.safetensors").read_bytes()
    env = DialogueEnv(split="test")

    def said(agent):
        return [
            turn.text for episode in env.begin_many(range(6), range(6)) for turn in play(episode, agent).turns
        ]

    agent, frozen = (NetAgent.load(folder, runs.read_card(folder)) for folder in (out, sft))
    assert agent.memory is not None and len(agent.memory) and agent.env_steps >= 600
    assert said(agent) != said(frozen)
    agent.memory = None
    assert said(agent) == said(frozen)
    (out / "cases.jsonl").write_text("")
    with pytest.raises(DialogGymError, match="it is damaged"):
        NetAgent.load(out, runs.read_card(out))


def test_memories_are_no_part_of_other_algorithms(tmp_path):
    """An agent that starts from one with a memory starts from its weights."""
    first = {"config": {"demonstrations": 20, "passes": 1}, **SMALL}
    runs.run(RunOptions("sft", tmp_path / "sft", **first), Watch())
    played = {"config": {"dialogues": 16}, "steps": 100, **SMALL}
    runs.run(RunOptions("memento", tmp_path / "m", init=tmp_path / "sft", **played), Watch())
    runs.run(RunOptions("ppo", tmp_path / "p", init=tmp_path / "m", **played), Watch())
    assert not (tmp_path / "p" / "cases.jsonl").exists()
