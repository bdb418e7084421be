import math
from dataclasses import replace

import pytest
import torch

from dialog_gym.agents.learning.sft import SFT, SFTConfig
from tests.agents.learning.hand import Spoken, by_hand
from tests.agents.learning.toy import gradient_of, likes_asking, moved, one_update, success, weights_of

CONFIG = SFTConfig(learning_rate=1e-2, epochs=5, minibatch=32)


def test_the_loss_is_the_mean_negative_log_likelihood_of_a_decision():
    mask = [[[1, 1], [1, 0]], [[1, 0], [0, 0]]]
    said = [[[-1.0, -2.0], [-4.0, -99.0]], [[-3.0, -99.0], [-99.0, -99.0]]]
    rollout = by_hand({"conversion": [[0.0, 0.0]] * 2}, mask=mask)
    algorithm = SFT(Spoken(said, entropy=0.5), SFTConfig())
    loss, logs = algorithm.loss(rollout, rollout)
    assert loss.item() == pytest.approx((1 + 2 + 4 + 3) / 4)
    assert logs["entropy"].item() == pytest.approx(0.5)


def test_the_loss_is_cross_entropy(shopper):
    rollout = shopper.demonstrations(20, seed=0)
    wanted = rollout.inputs["action"].masked_fill(~rollout.mask, -100)
    logits, _ = shopper.scores(rollout.inputs["words"])
    known = torch.nn.functional.cross_entropy(logits.reshape(-1, 3), wanted.reshape(-1))
    torch.testing.assert_close(SFT(shopper, CONFIG).loss(rollout, rollout)[0], known)


def test_rewards_and_old_probabilities_do_not_matter(shopper):
    rollout = shopper.demonstrations(20, seed=0)
    other = replace(
        rollout,
        logprob=rollout.logprob - 5.0,
        rewards={name: values * math.nan for name, values in rollout.rewards.items()},
    )
    algorithm = SFT(shopper, CONFIG)
    assert algorithm.loss(rollout, rollout)[0].equal(algorithm.loss(other, other)[0])


@pytest.mark.parametrize("microbatch", [1, 3, 7])
def test_parts_have_the_gradient_of_the_whole(shopper, microbatch):
    rollout = shopper.demonstrations(10, seed=0)
    algorithm = SFT(shopper, CONFIG)
    whole, parts = gradient_of(algorithm, rollout), gradient_of(algorithm, rollout, microbatch)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


def test_what_was_demonstrated_becomes_likelier(shopper):
    rollout, before = shopper.demonstrations(30, seed=0), likes_asking(shopper)
    one_update(SFT(shopper, SFTConfig(learning_rate=1e-3)), rollout)
    assert likes_asking(shopper) > before
    now = shopper.evaluate(rollout).logprob.sum((1, 2))
    assert (now > rollout.logprob.sum((1, 2))).all()


def test_every_parameter_moves_but_the_value(shopper):
    before = weights_of(shopper)
    one_update(SFT(shopper, CONFIG), shopper.demonstrations(60, seed=0))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    algorithm = SFT(shopper, SFTConfig(learning_rate=1e-2, epochs=10, minibatch=32))
    one_update(algorithm, shopper.demonstrations(120, seed=3))
    assert success(shopper) > 0.8
