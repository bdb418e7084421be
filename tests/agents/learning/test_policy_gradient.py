import math

import pytest
import torch

from dialog_gym.agents.learning.advantages import mix_rewards, normalise, returns_to_go
from dialog_gym.agents.learning.algorithm import WEIGHTS
from dialog_gym.agents.learning.policy_gradient import PolicyGradient, PolicyGradientConfig, k3
from dialog_gym.domains.credit.dynamics import REWARDS
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
    return PolicyGradientConfig(**(PLAIN | options))


@pytest.mark.parametrize(
    ("ratio", "advantage", "low", "high", "surrogate"),
    [
        (1.1, 2.0, 0.2, 0.2, 2.2),  # within
        (1.5, 2.0, 0.2, 0.2, 2.4),  # better: no more than 1.2 x 2
        (1.5, -2.0, 0.2, 0.2, -3.0),  # worse and likelier: the full blame
        (0.5, 2.0, 0.2, 0.2, 1.0),  # better and less likely: the ratio counts
        (0.5, -2.0, 0.2, 0.2, -1.6),  # worse: no less than 0.8 x -2
        (1.5, 2.0, 0.2, 0.28, 2.56),  # DAPO's higher upper clip
        (1.25, 2.0, 0.2, 0.28, 2.5),  # within it
        (0.5, -2.0, 0.3, 0.2, -1.4),  # another lower clip
    ],
)
def test_clipped_surrogate(ratio, advantage, low, high, surrogate):
    rollout = by_hand({"conversion": [[0.0]]}, logprob=[[[math.log(0.4)]]])
    policy = Spoken([[[math.log(0.4 * ratio)]]])
    algorithm = PolicyGradient(policy, config(clip_low=low, clip_high=high))
    batch = advised(rollout, [[advantage]])
    loss, logs = algorithm.loss(batch, batch)
    assert loss.item() == pytest.approx(-surrogate, rel=1e-5)
    binds = surrogate != pytest.approx(ratio * advantage)
    assert logs["clipped"].item() == float(not 1 - low <= ratio <= 1 + high)
    assert logs["old_kl"].item() == pytest.approx(ratio - 1 - math.log(ratio), rel=1e-4)
    # d(-ratio x advantage)/d log p = -ratio x advantage, nothing where the clip binds
    gradient = gradient_of(algorithm, batch)["logprob"].item()
    assert gradient == pytest.approx(0.0 if binds else -ratio * advantage, rel=1e-5)


def test_k3():
    # reference/policy = 0.25/0.5: 0.5 - log 0.5 - 1
    found = k3(torch.tensor(0.5).log(), torch.tensor(0.25).log())
    assert found.item() == pytest.approx(0.5 + math.log(2) - 1, rel=1e-5)
    assert k3(torch.tensor(-1.3), torch.tensor(-1.3)).item() == 0.0


def test_k3_is_unbiased_for_the_divergence():
    now, reference = torch.tensor([0.2, 0.5, 0.3]).log(), torch.tensor([0.6, 0.1, 0.3]).log()
    mean = (now.exp() * k3(now, reference)).sum()
    torch.testing.assert_close(mean, (now.exp() * (now - reference)).sum())


MASK = [[[1, 1], [1, 0]], [[1, 0], [0, 0]]]
TWO = by_hand({"conversion": [[0.0, 0.0], [0.0, 0.0]]}, mask=MASK)


@pytest.mark.parametrize(
    ("length", "first", "second"),
    [
        ("token", 1 / 4, 1 / 4),  # four decisions in all
        ("dialogue", 1 / 6, 1 / 2),  # three and one, two dialogues
        ("constant", 1 / 4, 1 / 4),  # two dialogues of at most two turns
    ],
)
def test_the_weight_of_a_decision(length, first, second):
    share = PolicyGradient(Spoken(torch.zeros(2, 2, 2)), config(length=length)).share(TWO, TWO)
    wanted = torch.tensor([[[first, first], [first, 0]], [[second, 0], [0, 0]]])
    torch.testing.assert_close(share, wanted)


def test_constant_length_does_not_look_at_the_number_of_decisions():
    short = by_hand({"conversion": [[0.0] * 5]}, mask=[[[1]] + [[0]] * 4])
    full = by_hand({"conversion": [[0.0] * 5]})
    algorithm = PolicyGradient(Spoken(torch.zeros(1, 5, 1)), config(length="constant"))
    assert algorithm.share(short, short)[0, 0, 0] == algorithm.share(full, full)[0, 0, 0] == 0.2


def test_loss_with_entropy_and_divergence():
    said = [[[-0.1, -0.2], [-0.3, -9.0]], [[-0.4, -9.0], [-9.0, -9.0]]]
    rollout = by_hand({"conversion": [[0.0, 0.0]] * 2}, mask=MASK, logprob=(torch.tensor(said)).tolist())
    reference = Spoken(torch.tensor(said) - math.log(2)).clone()
    options = config(kl=0.5, entropy=0.1)
    algorithm = PolicyGradient(Spoken(said, entropy=0.7), options, reference)
    batch = advised(rollout, [[1.0, -2.0], [3.0, 50.0]], reference=reference.evaluate(rollout).logprob)
    loss, logs = algorithm.loss(batch, batch)
    # all ratios are 1: (1 + 1 - 2 + 3)/4 = 0.75; every reference probability is half: 0.5 - log 0.5 - 1
    kl = 0.5 + math.log(2) - 1
    assert logs["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert logs["entropy"].item() == pytest.approx(0.7)
    assert loss.item() == pytest.approx(-0.75 - 0.1 * 0.7 + 0.5 * kl, rel=1e-5)


def test_the_advantage_is_the_normalised_return_to_go():
    rewards = {"conversion": [[0.0, 1.0], [2.0, 0.0]]}
    rollout = by_hand(rewards, mask=[[[1], [1]], [[1], [0]]])
    algorithm = PolicyGradient(
        Spoken(torch.zeros(2, 2, 1)), config(weights={"conversion": 3.0}, discount=0.5)
    )
    # returns 1.5, 3 and 6: mean 3.5, variance (4 + 0.25 + 6.25)/3 = 3.5
    unit = math.sqrt(3.5)
    wanted = torch.tensor([[-2 / unit, -0.5 / unit], [2.5 / unit, 0.0]])
    found = algorithm.advise(rollout).extra["advantage"]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_reward_that_cannot_be_judged_drops_out():
    algorithm = PolicyGradient(Spoken(torch.zeros(2, 1, 1)), config(weights={"a": 1.0, "b": 1.0}))
    blind = by_hand({"a": [[math.nan], [1.0]], "b": [[2.0], [math.nan]]})
    plain = by_hand({"a": [[0.0], [1.0]], "b": [[2.0], [0.0]]})
    found = [algorithm.advise(rollout).extra["advantage"] for rollout in (blind, plain)]
    assert found[0].equal(found[1])
    assert found[0].isfinite().all()


def test_every_reward_of_the_shop_has_a_weight():
    assert set(WEIGHTS) == set(REWARDS)


@pytest.mark.parametrize("length", ["token", "dialogue", "constant"])
def test_parts_have_the_gradient_of_the_whole(shopper, length):
    algorithm = PolicyGradient(shopper, config(length=length, kl=0.3, entropy=0.1))
    for value in shopper.module.parameters():
        value.data.mul_(1.1)  # away from the reference
    batch = algorithm.prepare(calls(shopper))
    whole, parts = gradient_of(algorithm, batch), gradient_of(algorithm, batch, 7)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


def test_a_microbatched_reference_is_the_same(shopper):
    rollout = calls(shopper)
    found = [
        PolicyGradient(shopper, config(kl=1.0, microbatch=n)).prepare(rollout).extra["reference"]
        for n in (0, 7)
    ]
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_gradient_sign(advantage):
    policy = Spoken(torch.full((1, 2, 2), -1.0))
    rollout = by_hand(
        {"conversion": [[0.0, 0.0]]}, mask=MASK[:1], logprob=torch.full((1, 2, 2), -1.0).tolist()
    )
    batch = advised(rollout, [[advantage, 0.0]])
    gradient = gradient_of(PolicyGradient(policy, config()), batch)["logprob"]
    assert (-gradient[0, 0] * advantage > 0).all()  # down the gradient: likelier if it was good
    assert not gradient[0, 1].any()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_paid_becomes_likelier(shopper, sign):
    before = likes_asking(shopper)
    rollout = paid_for_asking(calls(shopper), sign)
    one_update(PolicyGradient(shopper, config(learning_rate=1e-3)), rollout)
    assert (likes_asking(shopper) - before) * sign > 0


def test_without_its_knobs_it_is_reinforce(shopper):
    rollout = calls(shopper)
    algorithm = PolicyGradient(shopper, config())
    found = gradient_of(algorithm, algorithm.prepare(rollout))
    advantage = normalise(returns_to_go(mix_rewards(rollout.rewards, SHOP), 1.0), rollout.turns)
    shopper.module.zero_grad()
    likely = shopper.evaluate(rollout).logprob
    (-(likely * advantage[..., None]).sum() / rollout.mask.sum()).backward()
    for name, value in shopper.module.named_parameters():
        if value.grad is not None:
            torch.testing.assert_close(found[name], value.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("kl", [0.0, 0.1])
def test_every_parameter_moves_but_the_value(shopper, kl):
    before = weights_of(shopper)
    one_update(PolicyGradient(shopper, config(kl=kl)), calls(shopper))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_divergence_holds_the_policy_back(shopper):
    free, held, rollout = shopper.clone(), shopper.clone(), calls(shopper)
    for policy, kl in ((free, 0.0), (held, 10.0)):
        policy.module.requires_grad_(True)
        one_update(PolicyGradient(policy, config(kl=kl, learning_rate=1e-2, epochs=8, minibatch=16)), rollout)
    away = [k3(p.evaluate(rollout).logprob, rollout.logprob).sum().item() for p in (free, held)]
    assert away[1] < away[0]


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    learn(PolicyGradient(shopper, config(**LEARNS)), iterations=60, groups=160, size=1)
    assert success(shopper) > 0.8
