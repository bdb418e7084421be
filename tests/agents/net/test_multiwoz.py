"""The net backbone on the booking desk: the same policy, rollouts and demonstrations as in the shop."""

import numpy as np
import pytest
import torch

from dialog_gym.agents.learning.demonstrators import POPULATION, demonstrated_episodes
from dialog_gym.agents.learning.rollout import Episodes
from dialog_gym.agents.learning.run_options import usual_weights
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.envs.acts_env import ActsEnv

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
