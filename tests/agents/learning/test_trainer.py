"""The loop: budget, what is logged, and how it stops."""

import math

import pytest
import torch

from dialog_gym import plugins
from dialog_gym.agents.learning.algorithm import TrainingError
from dialog_gym.agents.learning.ppo import PPO, PPOConfig
from dialog_gym.agents.learning.rollout import join
from dialog_gym.agents.learning.sampler import SALE, SERVICE, EpisodeSampler
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.agents.learning.trainer import Demonstrated, Played, describe, play, train
from dialog_gym.agents.net.policy import NetConfig, NetPolicy

DOMAIN = plugins.load("domains", "credit")()
SIZES = {name: DOMAIN.space(split="train", scenario=name, level=3).size for name in (SALE, SERVICE)}


def make(steps=1000, dialogues=60, **config):
    policy = NetPolicy(DOMAIN, NetConfig(hidden=16), seed=1)
    sampler = EpisodeSampler(SIZES, dialogues=dialogues, seed=5)
    return PPO(policy, PPOConfig(dialogues=dialogues, **config)), Played(policy, sampler, steps)


def run(algorithm, experience, **options):
    seen = []
    end = train(algorithm, experience, seed=5, on_iteration=lambda *told: seen.append(told), **options)
    return end, seen


def test_a_budget_of_environment_steps_is_used():
    end, seen = run(*make())
    assert end.env_steps >= 1000 > seen[-2][0].env_steps and end == seen[-1][0]
    assert [position.iteration for position, _ in seen] == list(range(1, end.iteration + 1))
    for position, metrics in seen:
        assert (metrics["iteration"], metrics["env_steps"]) == (position.iteration, position.env_steps)
        assert {"loss", "old_kl", "steps_per_second", "reward", "conversion", "violations"} <= metrics.keys()


def test_a_stopped_loop_goes_on_as_if_it_had_not_been_stopped():
    whole, experience = make()
    run(whole, experience)
    parts, experience = make()
    asked = iter([False, False, True])
    position, _ = run(parts, experience, stop=lambda: next(asked))
    assert position.iteration == 2
    run(parts, experience, position=position)
    for a, b in zip(whole.parameters, parts.parameters, strict=True):
        assert torch.equal(a, b)


def test_passes_over_demonstrations():
    policy = NetPolicy(DOMAIN, NetConfig(hidden=16))
    shown = Demonstrated(policy, count=20, passes=3, seed=0)
    end, seen = run(SFT(policy, SFTConfig()), shown)
    assert (end.iteration, end.env_steps) == (3, 0)
    assert seen[2][1]["loss"] < seen[0][1]["loss"]
    assert {name: len(part) for name, part in shown.parts.items()} == {SALE: 20, SERVICE: 4}


def test_a_loss_that_is_not_finite_names_the_iteration():
    algorithm, experience = make()

    def broken(position, metrics):
        if position.iteration == 2:
            next(algorithm.policy.module.parameters()).data.fill_(math.nan)

    with pytest.raises(TrainingError, match=r"^iteration 3, after [\d,]+ environment steps: the loss is nan"):
        train(algorithm, experience, seed=0, on_iteration=broken)


def test_what_is_said_of_dialogues():
    policy = NetPolicy(DOMAIN, NetConfig(hidden=16))
    sampler = EpisodeSampler(SIZES, dialogues=200, seed=2)
    parts = play(policy, sampler.episodes(0), torch.Generator().manual_seed(0))
    found = describe(parts, {"turn": 1.0})
    both = join(list(parts.values()))
    reached = both.outcome["reached"].bool()
    assert found["turns"] == pytest.approx(both.outcome["turns"][reached].float().mean().item())
    assert found["violations"] == pytest.approx(both.cost[reached].sum(1).mean().item())
    assert found["reward"] == pytest.approx(both.rewards["turn"][reached].sum(1).mean().item())
    sale = parts[SALE]
    sold = sale.outcome["converted"][sale.outcome["reached"].bool()]
    assert found["conversion"] == pytest.approx(sold.float().mean().item())
