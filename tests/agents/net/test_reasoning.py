"""Reasoning tasks, gradients of dialogues, and single replies, on the real network and the real shop."""

import numpy as np
import pytest
import torch

from dialog_gym.agents.learning.scaffold import Scaffold, ScaffoldConfig, accuracy
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.domains.act_repetition import ACT_MEASURES
from dialog_gym.noise import mix
from tests.agents.net.conftest import some_episodes

FIELDS, MAC = 11, 5


@pytest.fixture
def thinker(domain):
    return NetPolicy(domain, NetConfig(hidden=32, reasoning=True, language_rewards=True), seed=1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_answers_are_by_field_customer_and_answer(thinker):
    customers = torch.tensor([5, 9, 5])
    found = thinker.reasoning("train").answer(customers, 4, generator())
    assert len(found) == FIELDS * 3 * 4
    assert torch.bincount(found.group).tolist() == [4] * FIELDS * 3
    numerical = torch.arange(len(found)) >= MAC * 12
    assert found.rewards["mac"].isnan().squeeze(1).equal(numerical)
    assert found.rewards["pnr"].isnan().squeeze(1).equal(~numerical)
    assert (found.logprob < 0).all()


def test_what_was_answered_is_what_is_evaluated(thinker):
    found = thinker.reasoning("train").answer(torch.arange(20), 2, generator())
    again = thinker.evaluate(found)
    torch.testing.assert_close(again.logprob, found.logprob)
    assert (again.entropy > 0).all() and again.value is None
    some = found.select(torch.tensor([3, 150, 7]))
    torch.testing.assert_close(thinker.evaluate(some).logprob, some.logprob)


def test_solved_tasks_are_right_and_of_the_same_customers(thinker):
    tasks, customers = thinker.reasoning("validation"), torch.arange(30)
    solved = tasks.solved(customers)
    assert solved.rewards["mac"][: MAC * 30].eq(1).all() and solved.rewards["pnr"][MAC * 30 :].eq(1).all()
    assert not solved.logprob.any()
    answered = tasks.answer(customers, 1, None)
    for name in ("observation", "asked", "field"):
        assert solved.inputs[name].equal(answered.inputs[name])
    right = torch.cat([answered.rewards["mac"][: MAC * 30], answered.rewards["pnr"][MAC * 30 :]])
    same = solved.inputs["answered"] == answered.inputs["answered"]
    assert right.squeeze(1).bool().equal(same)


def test_profiles_stand_where_dialogues_show_them(thinker):
    """A task is about what the policy sees at the start of the same customer's call."""
    from dialog_gym.agents.learning.rollout import Episodes

    index = np.arange(12)
    played = thinker.collect(Episodes("proactive_sale", index, index.astype(np.uint64), index), generator())
    known = thinker.domain.profile_feature_count
    asked = thinker.reasoning("train").answer(torch.arange(12), 1, None).inputs["observation"][:12]
    assert asked[:, :known].equal(played.inputs["observation"][:, 0, :known])
    assert not asked[:, known:].any()


def test_the_tasks_are_learnt(thinker):
    """Not to perfection: that takes minutes."""
    before = accuracy(thinker, 100)
    config = ScaffoldConfig(learning_rate=3e-3, minibatch=256, group=4, entropy=0.0, weights={"mac": 1.0})
    learner = Scaffold(thinker, config)
    for k in range(300):
        learner.imitate(64, generator(mix(1, k) >> 1))
    after = accuracy(thinker, 100)
    assert after["mac"] > 0.5 > before["mac"] and after["pnr"] > before["pnr"]


def test_gradients_of_dialogues(policy):
    rollout = policy.collect(some_episodes(6, "customer_service"), generator(3))
    found = policy.score_gradients(rollout)
    weight = policy.module.trunk[-2].weight
    for row in range(len(rollout)):
        likely = policy.evaluate(rollout.select(torch.tensor([row]))).logprob.sum()
        (wanted,) = torch.autograd.grad(likely, weight)
        torch.testing.assert_close(found[row], wanted.flatten(), atol=1e-5, rtol=1e-4)
    assert all(p.grad is None for p in policy.module.parameters())


# -- single replies


@pytest.fixture
def logged(thinker):
    return thinker.logged(12, 3, "customer_service")


def test_logged_calls_go_as_they_went_up_to_the_reply(thinker, logged):
    calls = torch.arange(12).repeat_interleave(2)
    turns = (logged.turns - 1)[calls]
    found = logged.replies(calls, turns, np.arange(12).repeat(2), generator())
    whole = thinker.demonstrations(12, 3, "customer_service")
    seen = whole.inputs["observation"][calls, turns]
    assert found.inputs["observation"].squeeze(1).equal(seen)
    assert found.mask.shape[:2] == (24, 1) and found.env_steps == 24
    assert not found.inputs["action"][0].equal(found.inputs["action"][1])


def test_replies_are_sampled_and_judged_by_their_own_turn(thinker, logged):
    calls, turns = torch.arange(12), torch.zeros(12, dtype=torch.long)
    found = logged.replies(calls, turns, np.arange(12), generator())
    torch.testing.assert_close(thinker.evaluate(found).logprob, found.logprob)
    assert set(found.rewards) == {*ACT_MEASURES, "progress", "violation"}
    assert all(values.shape == (12, 1) for values in found.rewards.values())
    assert found.rewards["novelty"].isnan().all()  # a first turn
    again = logged.replies(calls, turns, np.arange(12), generator())
    assert again.inputs["action"].equal(found.inputs["action"])
