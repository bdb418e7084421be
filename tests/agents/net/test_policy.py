import numpy as np
import pytest
import torch

from dialog_gym.agents.learning.dpo import DPO, DPOConfig
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.policy_gradient import PolicyGradient, PolicyGradientConfig
from dialog_gym.agents.learning.ppo import PPO, PPOConfig
from dialog_gym.agents.learning.rollout import Episodes
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.domains.credit.dynamics import REWARDS
from dialog_gym.domains.credit.moves import MOVES, used_decisions


def same(first, second):
    for name, values in first.inputs.items():
        assert values.equal(second.inputs[name]), name
    for name, values in first.rewards.items():
        assert values.equal(second.rewards[name]), name
    assert first.mask.equal(second.mask)


def weights_of(policy):
    return {name: value.detach().clone() for name, value in policy.module.named_parameters()}


def moved(before, policy):
    return {name for name, value in policy.module.named_parameters() if not value.equal(before[name])}


def test_a_rollout_has_the_promised_shapes(policy, rollout):
    count, turns = 80, policy.domain.max_turns
    assert rollout.logprob.shape == rollout.mask.shape == (count, turns, 6)
    assert set(rollout.rewards) == set(REWARDS)
    assert all(values.shape == (count, turns) for values in (*rollout.rewards.values(), rollout.cost))
    assert all(len(values) == count for values in (*rollout.outcome.values(), *rollout.inputs.values()))
    assert rollout.turns.equal(rollout.inputs["taken"])


def test_evaluating_gives_the_probabilities_it_was_played_with(policy, rollout):
    found = policy.evaluate(rollout, value=True)
    torch.testing.assert_close(found.logprob, rollout.logprob, atol=1e-5, rtol=1e-5)
    assert (found.entropy[rollout.mask] >= -1e-6).all()
    for outside in (found.logprob[~rollout.mask], found.entropy[~rollout.mask], found.value[~rollout.turns]):
        assert not outside.any()
    assert policy.evaluate(rollout).value is None


def test_values_alone_are_the_same(policy, rollout):
    found = policy.values(rollout)
    torch.testing.assert_close(found, policy.evaluate(rollout, value=True).value)
    assert not found.requires_grad
    assert not found.is_inference()


def test_some_dialogues_are_evaluated_as_among_all(policy, rollout):
    some = torch.tensor([40, 2, 7])
    whole, part = policy.evaluate(rollout, value=True), policy.evaluate(rollout.select(some), value=True)
    for known, found in zip(whole, part, strict=True):
        torch.testing.assert_close(found, known[some], atol=1e-5, rtol=1e-5)


def test_the_same_generator_gives_the_same_rollout(policy, episodes):
    def played(seed):
        return policy.collect(episodes, torch.Generator().manual_seed(seed))

    with torch.random.fork_rng(devices=[]):
        first = played(3)
        torch.manual_seed(99)
        again = played(3)
    same(first, again)
    assert first.logprob.equal(again.logprob)
    assert not first.inputs["action"].equal(played(4).inputs["action"])


def test_without_a_generator_the_likeliest_is_done(policy, episodes):
    first, again = policy.collect(episodes, None), policy.collect(episodes, None)
    same(first, again)
    # the first decision is the best of all allowed: evaluate every other one
    taken = first.inputs["taken"].nonzero(as_tuple=True)
    seen, allowed = (first.inputs[name][taken][:50] for name in ("observation", "allowed"))
    chosen = first.logprob[taken][:50, 0]
    for move in range(len(MOVES)):
        action = torch.zeros(len(seen), 6, dtype=torch.long)
        action[:, 0] = move
        with torch.no_grad():
            assert (policy.module.decide(seen, allowed, action, None).logprob[:, 0] <= chosen + 1e-5).all()


def test_made_decisions_are_those_that_the_moves_use(rollout):
    taken = rollout.inputs["taken"]
    actions, made = rollout.inputs["action"][taken], rollout.mask[taken]
    uses = torch.from_numpy(used_decisions())
    wanted = uses[actions[:, 0]] | uses[actions[:, 1]]
    wanted[:, :2] = True
    assert made.equal(wanted)


def test_only_allowed_moves_are_made_and_the_second_is_another(rollout):
    taken = rollout.inputs["taken"]
    actions, allowed = rollout.inputs["action"][taken], rollout.inputs["allowed"][taken]
    rows = torch.arange(len(actions))
    assert allowed[rows, actions[:, 0]].all()
    assert (allowed[rows, actions[:, 1]] | (actions[:, 1] == 0)).all()
    assert (actions[:, 0] != actions[:, 1]).all()


def test_replaying_the_actions_is_the_same_rollout(policy, rollout, episodes):
    again = policy.replay(episodes, rollout.inputs["action"].numpy())
    same(rollout, again)
    torch.testing.assert_close(again.logprob, rollout.logprob, atol=1e-5, rtol=1e-5)


def test_moves_against_the_rules_are_played_but_no_example(policy):
    episodes = Episodes("proactive_sale", np.arange(20), np.arange(20).astype(np.uint64), np.arange(20))
    played = policy.collect(episodes, torch.Generator().manual_seed(0))
    actions = played.inputs["action"].numpy().copy()
    closed = ~played.inputs["allowed"][:, 0].numpy()
    forbidden = closed[:, 1:].argmax(1) + 1
    actions[:, 0] = 0
    actions[:, 0, 0] = forbidden
    found = policy.replay(episodes, actions)
    assert found.inputs["action"][:, 0, 0].tolist() == forbidden.tolist()
    assert found.inputs["taken"][:, 0].all()
    assert not found.mask[:, 0].any()
    assert not found.logprob[:, 0].any()
    assert found.mask[:, 1].any()
    loss = -policy.evaluate(found).logprob.sum()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in policy.module.parameters())
    assert loss.item() < 1e6


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_demonstrations_are_mostly_decisions(policy, scenario):
    rollout = policy.demonstrations(40, 1, scenario)
    assert len(rollout) == 40
    assert rollout.group.tolist() == list(range(40))
    made = rollout.mask[rollout.inputs["taken"]]
    assert made.any(1).float().mean() > 0.7
    assert (rollout.logprob > -1e3).all()
    assert rollout.outcome["reached"].all()


def test_a_clone_is_frozen_and_apart(policy, rollout):
    twin = policy.clone()
    assert not any(value.requires_grad for value in twin.module.parameters())
    before = twin.evaluate(rollout).logprob
    for value in policy.module.parameters():
        value.data.add_(0.05)
    assert twin.evaluate(rollout).logprob.equal(before)
    assert not policy.evaluate(rollout).logprob.equal(before)


def test_weights_come_from_the_seed_alone(domain):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        state = torch.get_rng_state()
        first = NetPolicy(domain, NetConfig(hidden=16), seed=4)
        assert torch.get_rng_state().equal(state)
        torch.manual_seed(2)
        again, other = (NetPolicy(domain, NetConfig(hidden=16), seed=seed) for seed in (4, 5))
    assert not moved(weights_of(first), again)
    assert moved(weights_of(first), other)


def grouped(groups, size):
    tasks = np.repeat(np.arange(groups), size)
    return Episodes("proactive_sale", tasks, tasks.astype(np.uint64), tasks)


ALGORITHMS = {
    "sft": lambda policy: SFT(policy, SFTConfig()),
    "policy-gradient": lambda policy: PolicyGradient(policy, PolicyGradientConfig()),
    "ppo": lambda policy: PPO(policy, PPOConfig()),
    "grpo": lambda policy: GRPO(policy, GRPOConfig()),
    "dpo": lambda policy: DPO(policy, DPOConfig()),
}


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_parameter_moves_that_should(policy, name):
    before = weights_of(policy)
    rollout = policy.collect(grouped(40, 8), torch.Generator().manual_seed(0))
    logs = ALGORITHMS[name](policy).update(rollout, torch.Generator().manual_seed(0))
    assert all(np.isfinite(value) for value in logs.values())
    wanted = {parameter for parameter in before if name == "ppo" or not parameter.startswith("value_net")}
    assert moved(before, policy) == wanted


def test_dialogues_of_a_group_differ_by_the_agent_only(policy):
    rollout = policy.collect(grouped(6, 8), torch.Generator().manual_seed(0))
    for group in range(6):
        rows = (rollout.group == group).nonzero().squeeze(1)
        first = rollout.inputs["observation"][rows, 0]
        assert (first == first[0]).all()
        assert len(rollout.inputs["action"][rows, 0].unique(dim=0)) > 1


def test_demonstrated_decisions_become_likelier(policy):
    rollout = policy.demonstrations(40, 1)
    before = policy.evaluate(rollout).logprob.sum().item()
    SFT(policy, SFTConfig(epochs=5, minibatch=16)).update(rollout, torch.Generator().manual_seed(0))
    assert policy.evaluate(rollout).logprob.sum().item() > before
