import math

import pytest
import torch

from dialog_gym.agents.learning.policy_gradient import PolicyGradient, PolicyGradientConfig
from dialog_gym.agents.learning.ppo import PPO, PPOConfig
from tests.agents.learning.hand import Spoken, advised, by_hand
from tests.agents.learning.toy import (
    LEARNS,
    PLAIN,
    SHOP,
    calls,
    gradient_of,
    learn,
    likes_asking,
    moved,
    one_update,
    paid_for_asking,
    success,
    weights_of,
)


def config(**options):
    return PPOConfig(**(PLAIN | {"gae_lambda": 0.95, "value": 0.5, "value_clip": 0.0} | options))


def test_advantages_and_targets():
    rollout = by_hand({"conversion": [[1.0, 2.0], [0.5, 0.0]]}, mask=[[[1], [1]], [[1], [0]]])
    policy = Spoken(torch.zeros(2, 2, 1), value=[[0.5, 1.0], [0.25, 77.0]])
    algorithm = PPO(policy, config(weights={"conversion": 1.0}, discount=0.5, gae_lambda=0.5))
    extra = algorithm.advise(rollout).extra
    # first: delta1 = 2 - 1 = 1; delta0 = 1 + 0.5*1 - 0.5 = 1; A0 = 1 + 0.25*1 = 1.25. second: 0.5 - 0.25
    # targets are advantages plus values: 1.75, 2 and 0.5
    torch.testing.assert_close(extra["return"], torch.tensor([[1.75, 2.0], [0.5, 0.0]]))
    torch.testing.assert_close(extra["value"], torch.tensor([[0.5, 1.0], [0.25, 0.0]]))
    # mean (1.25 + 1 + 0.25)/3 = 5/6; variance ((5/12)^2 + (1/6)^2 + (7/12)^2)/3
    mean, unit = 5 / 6, math.sqrt(((5 / 12) ** 2 + (1 / 6) ** 2 + (7 / 12) ** 2) / 3)
    wanted = torch.tensor([[(1.25 - mean) / unit, (1.0 - mean) / unit], [(0.25 - mean) / unit, 0.0]])
    torch.testing.assert_close(extra["advantage"], wanted, atol=1e-5, rtol=1e-5)


def test_value_loss():
    rollout = by_hand({"conversion": [[0.0, 0.0], [0.0, 0.0]]}, mask=[[[1], [1]], [[1], [0]]])
    policy = Spoken(torch.zeros(2, 2, 1), value=[[1.0, 2.0], [3.0, 50.0]])
    algorithm = PPO(policy, config(value=0.5))
    batch = advised(
        rollout, torch.zeros(2, 2), **{"return": [[0.0, 2.5], [1.0, 0.0]], "value": torch.zeros(2, 2)}
    )
    loss, logs = algorithm.loss(batch, batch)
    # (1 + 0.25 + 4)/3 turns, weighted by a half; no advantage, so nothing else
    assert logs["value_loss"].item() == pytest.approx(1.75)
    assert loss.item() == pytest.approx(0.875)
    gradient = gradient_of(algorithm, batch)["value"]
    # 0.5 x 2 x error / 3
    torch.testing.assert_close(gradient, torch.tensor([[1 / 3, -0.5 / 3], [2 / 3, 0.0]]))


@pytest.mark.parametrize(
    ("now", "old", "target", "error"),
    [
        (1.5, 1.0, 3.0, (1.2 - 3.0) ** 2),  # moved to 1.5 of which 0.2 count: the larger error, no gradient
        (1.5, 1.0, 1.1, (1.5 - 1.1) ** 2),  # beyond the target: the real error is the larger one
        (1.1, 1.0, 3.0, (1.1 - 3.0) ** 2),  # within
        (0.2, 1.0, -1.0, (0.8 + 1.0) ** 2),  # downwards
    ],
)
def test_value_clipping(now, old, target, error):
    rollout = by_hand({"conversion": [[0.0]]})
    algorithm = PPO(Spoken([[[0.0]]], value=[[now]]), config(value=1.0, value_clip=0.2))
    batch = advised(rollout, [[0.0]], **{"return": [[target]], "value": [[old]]})
    assert algorithm.loss(batch, batch)[1]["value_loss"].item() == pytest.approx(error, rel=1e-5)
    free = error == pytest.approx((now - target) ** 2)
    wanted = 2 * (now - target) if free else 0.0
    assert gradient_of(algorithm, batch)["value"].item() == pytest.approx(wanted, rel=1e-5)


def test_a_reward_that_cannot_be_judged_drops_out():
    policy = Spoken(torch.zeros(1, 2, 1), value=[[0.5, 0.5]])
    algorithm = PPO(policy, config(weights={"a": 1.0, "b": 1.0}))
    extra = algorithm.advise(by_hand({"a": [[math.nan, 1.0]], "b": [[2.0, math.nan]]})).extra
    known = algorithm.advise(by_hand({"a": [[0.0, 1.0]], "b": [[2.0, 0.0]]})).extra
    assert all(extra[name].equal(known[name]) for name in known)


def test_targets_are_fixed_before_the_update(shopper):
    shopper.module.value.requires_grad_(True)
    extra = PPO(shopper, config()).prepare(calls(shopper)).extra
    assert not any(values.requires_grad for values in extra.values())


def test_parts_have_the_gradient_of_the_whole(shopper):
    last = [value for name, value in shopper.module.named_parameters() if name.startswith("value")]
    for value in last:
        value.data.add_(0.1)
    algorithm = PPO(shopper, config(value_clip=0.05, entropy=0.1))
    batch = algorithm.prepare(calls(shopper))
    whole, parts = gradient_of(algorithm, batch), gradient_of(algorithm, batch, 7)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
    assert any(name.startswith("value") for name in whole)


def test_microbatched_values_are_the_same(shopper):
    for name, value in shopper.module.named_parameters():
        if name.startswith("value"):
            value.data.add_(0.1)
    rollout = calls(shopper)
    found = [PPO(shopper, config(microbatch=n)).advise(rollout).extra for n in (0, 7)]
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_paid_becomes_likelier(shopper, sign):
    before = likes_asking(shopper)
    one_update(PPO(shopper, config(learning_rate=1e-3)), paid_for_asking(calls(shopper), sign))
    assert (likes_asking(shopper) - before) * sign > 0


def test_the_value_moves_towards_the_return(shopper):
    rollout = paid_for_asking(calls(shopper), 1.0)
    algorithm = PPO(shopper, config(learning_rate=1e-2, epochs=20))
    target = algorithm.prepare(rollout).extra["return"]

    def error():
        found = shopper.evaluate(rollout, value=True).value
        return ((found - target).square() * rollout.turns).sum().item()

    before = error()
    one_update(algorithm, rollout)
    assert error() < 0.8 * before


@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_with_an_empty_value_it_is_the_policy_gradient_bit_for_bit(shopper, discount):
    """λ = 1 and a value that is 0 and stays 0: the return to go is all that is left."""
    twin, rollout = shopper.clone(), calls(shopper)
    twin.module.requires_grad_(True)
    shared = {
        "weights": SHOP,
        "discount": discount,
        "minibatch": 16,
        "epochs": 3,
        "entropy": 0.01,
        "kl": 0.01,
    }
    ppo = PPO(shopper, PPOConfig(gae_lambda=1.0, value=0.0, value_clip=0.0, **shared))
    parent = PolicyGradient(twin, PolicyGradientConfig(**shared))
    start = weights_of(twin)
    logs = [one_update(ppo, rollout), one_update(parent, rollout)]
    assert not moved(weights_of(shopper), twin)
    assert moved(start, twin)
    assert logs[0]["loss"] == logs[1]["loss"]


def test_every_parameter_moves(shopper):
    before = weights_of(shopper)
    one_update(PPO(shopper, config(epochs=3)), calls(shopper))
    assert moved(before, shopper) == set(before)


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    learn(PPO(shopper, config(**LEARNS)), iterations=30, groups=96, size=1)
    assert success(shopper) > 0.8
