"""The net backbone on the booking desk: the same policy, rollouts and demonstrations as in the shop."""

import numpy as np
import pytest
import torch

from dialog_gym.agents.learning import runs
from dialog_gym.agents.learning.demonstrators import POPULATION, demonstrated_episodes
from dialog_gym.agents.learning.gopo import GOPO, GOPOConfig
from dialog_gym.agents.learning.more import MORE, MOREConfig
from dialog_gym.agents.learning.rollout import Episodes
from dialog_gym.agents.learning.run_options import RunOptions, usual_weights
from dialog_gym.agents.learning.scaffold import accuracy
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.agents.net.agent import NetAgent
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.envs.acts_env import ActsEnv
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.multiagent_seats import STRATEGY
from dialog_gym.rollout import play

DESK = MultiWOZDomain()


@pytest.fixture(scope="module")
def policy():
    return NetPolicy(DESK, NetConfig(hidden=32), seed=1)


def test_a_lane_is_the_dialogue_played_alone(policy):
    count = 20
    seeds = np.arange(count, dtype=np.uint64) + np.uint64(2**40)
    episodes = Episodes("booking", np.arange(count) * 37, seeds, np.arange(count))
    rollout = policy.collect(episodes, torch.Generator().manual_seed(3))
    assert set(rollout.rewards) == set(DESK.act_level.reward_weights)
    env = ActsEnv(DESK)
    for row in range(count):
        observation, _ = env.reset(
            options={"task": int(episodes.tasks[row]), "episode_seed": int(seeds[row])}
        )
        actions = rollout.inputs["action"][row][rollout.inputs["taken"][row]].numpy()
        for turn, action in enumerate(actions):
            assert (observation == rollout.inputs["observation"][row, turn].numpy()).all()
            observation, _, terminated, truncated, info = env.step(action)
            found = {name: values[row, turn].item() for name, values in rollout.rewards.items()}
            assert found == pytest.approx(dict(info["rewards"]))
            assert rollout.cost[row, turn].item() == info["cost"]
        assert terminated or truncated
        assert info["outcome"]["complete"] == rollout.outcome["complete"][row].item()


def test_demonstrations_teach(policy):
    """Some passes over a few demonstrations raise the likelihood of what was shown."""
    shown = policy.demonstrations(60, 2, "booking")
    assert len(shown) == 60 and shown.mask.any()
    assert shown.outcome["converted"].float().mean() > 0.7
    learner = SFT(policy, SFTConfig(minibatch=30))
    generator = torch.Generator().manual_seed(0)
    losses = [learner.update(shown, generator)["loss"] for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]


def test_all_demonstrators_work_at_the_desk():
    names = {agent.name for _, _, agent in demonstrated_episodes(60, seed=4, domain="multiwoz")}
    assert names == set(POPULATION)


def test_nobody_shows_how_to_work_elsewhere():
    class Elsewhere(MultiWOZDomain):
        name = "elsewhere"

    with pytest.raises(DialogGymError, match="no demonstrators for domain 'elsewhere'"):
        next(demonstrated_episodes(1, domain=Elsewhere()))


def test_rewards_are_weighed_as_the_domain_says_but_broken_rules_are_dear():
    from dialog_gym.agents.learning.ppo import PPOConfig

    weights = usual_weights(PPOConfig, DESK)["weights"]
    own = DESK.act_level.reward_weights
    assert weights.keys() == own.keys() and weights["violation"] > own["violation"]
    assert {name: w for name, w in weights.items() if name != "violation"} == {
        name: w for name, w in own.items() if name != "violation"
    }
    assert usual_weights(SFTConfig, DESK) == {}


def test_rewards_that_a_class_leaves_out_stay_out():
    weights = usual_weights(GOPOConfig, DESK)["weights"]
    assert {"progress", "violation", "turn"} <= weights.keys()
    assert not {"conversion", "satisfaction"} & weights.keys()


# -- strategies


@pytest.fixture
def planner():
    found = NetPolicy(DESK, NetConfig(hidden=32, strategies=True), seed=5)
    torch.manual_seed(0)
    found.module.plan.weight.data.normal_(0.0, 1.0)
    return found


def some_bookings(count):
    tasks = np.arange(count) // 2 * 11
    return Episodes("booking", tasks, np.arange(count, dtype=np.uint64), np.arange(count) // 2)


def test_planned_dialogues_keep_the_rules_and_their_esndcg_is_that_of_the_same_dialogue_in_acts(planner):
    episodes = some_bookings(16)
    found = planner.collect(episodes, torch.Generator().manual_seed(3))
    taken = found.inputs["taken"]
    action, allowed = found.inputs["action"][taken], found.inputs["allowed"][taken]
    rows, count = torch.arange(len(action)), len(DESK.act_level.moves)
    assert allowed[rows, count + action[:, 0]].all() and allowed[rows, action[:, 1]].all()
    assert torch.from_numpy(DESK.act_level.carried)[action[:, 0], action[:, 1]].all()
    games = DialogueEnv(DESK).begin_many(episodes.tasks.tolist(), [int(seed) for seed in episodes.seeds])
    for row, game in enumerate(games):
        for turn in range(int(found.turns[row].sum())):
            game.dialogue.step_action(found.inputs["action"][row, turn, 1:].tolist())
        assert float(found.outcome["esndcg"][row]) == pytest.approx(
            game.dialogue.outcome()["esndcg"], abs=1e-6
        )


def test_a_planner_thinks_its_strategy(planner):
    agent = NetAgent(planner.module, "planner")
    trajectory = play(DialogueEnv(DESK).begin(0, 1), agent)
    thoughts = [turn.thought for turn in trajectory.turns if turn.role == "assistant"]
    assert thoughts and all(one.removeprefix(STRATEGY) in DESK.strategies for one in thoughts)


def test_gopo_learns_on_both_levels(planner):
    learner = GOPO(planner, GOPOConfig(dialogues=16, group=2, minibatch=8, epochs=1))
    before = planner.module.plan.bias.detach().clone()
    rollout = planner.collect(some_bookings(16), torch.Generator().manual_seed(3))
    logs = learner.update(rollout, torch.Generator().manual_seed(0))
    assert np.isfinite(logs["loss"]) and np.isfinite(logs["goal"])
    assert not planner.module.plan.bias.equal(before)


# -- reasoning


def test_more_learns_reasoning_tasks_and_dialogues():
    policy = NetPolicy(DESK, NetConfig(hidden=32, reasoning=True, language_rewards=True), seed=1)
    small = {"customers": 16, "answers": 2, "rounds": 1, "imitated": 60, "measured": 64}
    learner = MORE(policy, MOREConfig(dialogues=16, group=2, minibatch=8, epochs=1, **small))
    rollout = policy.collect(some_bookings(16), torch.Generator().manual_seed(3))
    assert set(DESK.act_level.language_rewards) <= rollout.rewards.keys()
    before = accuracy(policy, 64)
    trunk = policy.module.trunk[0].weight.detach().clone()
    logs = learner.update(rollout, torch.Generator().manual_seed(0))
    assert logs["mac"] > before["mac"] and np.isfinite(logs["loss"])
    assert not policy.module.trunk[0].weight.equal(trunk)


# -- what a domain lacks


@pytest.mark.parametrize(
    ("algorithm", "backbone", "domain", "wrong"),
    [
        ("more", "net", "bare", "--reasoning: domain bare has no closed tasks"),
        ("gopo", "net", "bare", "--strategies: domain bare has no strategies"),
        ("sft", "lm", "multiwoz", "--prompt compact does not show what domain multiwoz looks up"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_trained(
    tmp_path, monkeypatch, algorithm, backbone, domain, wrong
):
    class Bare(MultiWOZDomain):
        name, strategies, closed_tasks = "bare", (), None

    bare = Bare()
    monkeypatch.setattr(runs, "make_domain", lambda options: bare if options.domain == "bare" else DESK)
    with pytest.raises(DialogGymError, match=wrong):
        model = {"prompt": "compact"} if backbone == "lm" else {}
        runs.run(
            RunOptions(algorithm, tmp_path / "run", backbone=backbone, domain=domain, steps=10, model=model),
            None,
        )
    assert not (tmp_path / "run").exists()
