"""The network as an agent plays the very dialogues that it plays on the arrays."""

import numpy as np
import pytest
import torch

from dialog_gym import plugins
from dialog_gym.acts import format_acts
from dialog_gym.agents.learning.rollout import Episodes
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.agents.net.agent import NetAgent
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.core import DialogGymError, Observation
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MOVES
from dialog_gym.envs import ActsEnv, DialogueEnv
from dialog_gym.rollout import observe, play

DOMAIN = plugins.load("domains", "credit")()
FACTS = ("reached", "converted", "mis_sold", "resolved", "violation_count", "turns", "buyer", "solvable")


@pytest.fixture(scope="module")
def policy():
    """A network that has seen some demonstrations, so that its dialogues take turns of all kinds."""
    policy = NetPolicy(DOMAIN, NetConfig(hidden=64, split="test"), seed=1)
    learner = SFT(policy, SFTConfig(minibatch=8, learning_rate=3e-3, anneal=False, epochs=8))
    learner.update(policy.demonstrations(60, 0), torch.Generator().manual_seed(0))
    return policy


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_text_episodes_and_arrays_are_the_same_dialogues(policy, scenario):
    tasks = np.arange(120)
    seeds = np.random.default_rng(0).integers(2**62, size=len(tasks), dtype=np.uint64)
    arrays = policy.collect(Episodes(scenario, tasks, seeds, tasks), None)
    agent, env = NetAgent(policy.module, "net"), DialogueEnv(DOMAIN, scenario=scenario, split="test", level=3)
    for row, episode in enumerate(env.begin_many(tasks.tolist(), seeds.tolist())):
        played, taken = play(episode, agent), int(arrays.turns[row].sum())
        assert played.outcome["turns"] == len(played.rewards) == taken
        for name in FACTS:
            assert float(arrays.outcome[name][row]) == float(played.outcome[name]), (row, name)
        for name, values in arrays.rewards.items():
            heard = [rewards[name] for rewards in played.rewards]
            np.testing.assert_allclose(values[row, :taken], heard, rtol=1e-5, atol=1e-6, err_msg=name)
        costs = [sum(cost.values()) for cost in played.costs]
        assert arrays.cost[row, :taken].tolist() == costs


def test_actions_are_the_same_turn_by_turn(policy):
    """The acts said are those of the array's actions, put into words by the templates."""
    tasks, seeds = np.arange(40), np.arange(40).astype(np.uint64)
    arrays = policy.collect(Episodes("proactive_sale", tasks, seeds, tasks), None)
    agent = NetAgent(policy.module, "net")
    env = DialogueEnv(DOMAIN, scenario="proactive_sale", split="test", level=3)
    for row, episode in enumerate(env.begin_many(tasks.tolist(), seeds.tolist())):
        session, turn = agent.start(0), 0
        while episode.ended_by is None:
            seen = observe(episode, agent)
            wanted = episode.dialogue.acts_of(arrays.inputs["action"][row, turn].tolist())
            reply = session.reply(seen)
            assert reply.acts == wanted and reply.text == format_acts(wanted)
            assert np.array_equal(seen.act_view.vector, arrays.inputs["observation"][row, turn].numpy())
            episode.assistant(episode.understand(reply.text))
            said = [one for one in episode.record if one.role == "assistant"][-1]
            assert said.acts == wanted and (not wanted or "(" not in said.text)
            turn += 1


def test_the_view_is_the_act_level_environments():
    """Nothing hidden: what the agent sees is what `EcomDialogActs-v0` shows, observation and mask."""
    env = ActsEnv(DOMAIN, split="test", level=3)
    for task in range(20):
        vector, info = env.reset(seed=0, options={"task": task, "episode_seed": 5})
        episode = DialogueEnv(DOMAIN, split="test", level=3).begin(task, 5)
        rng, over = np.random.default_rng(task), False
        while not over:
            view = episode.dialogue.act_view()
            assert np.array_equal(view.vector, vector) and view.vector.dtype == np.float32
            assert np.array_equal(view.mask, info["action_mask"]) and view.mask.dtype == np.int8
            action = rng.integers(env.action_space.nvec)
            assert view.acts(action.tolist()) == env.acts(action)
            said = view.acts(action.tolist())
            vector, _, terminated, truncated, info = env.step(action)
            episode.assistant(episode.understand(format_acts(said)))
            over = terminated or truncated


def test_a_view_is_only_given_to_those_who_declare_it(policy):
    episode = DialogueEnv(DOMAIN).begin(0, 0)
    assert observe(episode, plugins.load("agents", "scripted")()).act_view is None
    seen = observe(episode, NetAgent(policy.module, "net"))
    assert seen.act_view is not None and seen.hidden is None


def test_sampling_depends_on_the_seed_only(policy):
    agent = NetAgent(policy.module, "net", temperature=1.0)
    env = DialogueEnv(DOMAIN, split="test")
    first, again = (play(env.begin(7, 3), agent) for _ in range(2))
    assert first == again
    view = env.begin(7, 3).dialogue.act_view()
    seen = Observation((), {}, "", act_view=view)
    assert len({agent.start(seed).reply(seen).text for seed in range(30)}) > 1
    allowed = {MOVES[i].intent for i in np.flatnonzero(view.mask[: len(MOVES)])}
    for seed in range(30):
        acts = agent.start(seed).reply(seen).acts
        assert not acts or acts[0].intent in allowed


def test_what_a_network_cannot_do(policy):
    with pytest.raises(DialogGymError, match=r"the temperature of a network is 0 or 1, not 0\.5"):
        NetAgent(policy.module, "net", temperature=0.5)
    agent = NetAgent(policy.module, "net")
    with pytest.raises(DialogGymError, match="needs the act-level view"):
        agent.start(0).reply(Observation((), {}, ""))
    view = DialogueEnv(DOMAIN).begin(0, 0).dialogue.act_view()
    other = view._replace(vector=view.vector[:-1])
    with pytest.raises(DialogGymError, match="trained in a shop with other products"):
        agent.start(0).reply(Observation((), {}, "", act_view=other))


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda path: path.unlink(), r"net\.safetensors: No such file or directory"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), r"net\.safetensors cannot be read"),
        (lambda path: NetPolicy(CreditDomain(), NetConfig(hidden=8)).save(path.parent), "of another network"),
    ],
)
def test_broken_weights(policy, damage, line, tmp_path):
    policy.save(tmp_path)
    damage(tmp_path / "net.safetensors")
    with pytest.raises(DialogGymError, match=line) as caught:
        NetPolicy.load(tmp_path, DOMAIN, policy.config)
    assert "\n" not in str(caught.value)


def test_weights_survive_a_folder(policy, tmp_path):
    policy.save(tmp_path)
    again = NetPolicy.load(tmp_path, DOMAIN, policy.config)
    for a, b in zip(policy.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(a, b)
