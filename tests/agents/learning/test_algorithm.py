"""What all algorithms share, tried on SFT and the policy gradient."""

import copy
import math

import pytest
import torch

from dialog_gym.agents.learning.algorithm import TrainingError, parts
from dialog_gym.agents.learning.dpo import DPO, DPOConfig
from dialog_gym.agents.learning.policy_gradient import PolicyGradient, PolicyGradientConfig
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from dialog_gym.core import DialogGymError
from tests.agents.learning.hand import Spoken, by_hand
from tests.agents.learning.toy import SHOP, NetShopper, calls, moved, weights_of


class Watched(SFT):
    """Notes which rows every gradient step sees."""

    def _step(self, minibatch):
        self.seen = [*getattr(self, "seen", []), minibatch.inputs["row"].tolist()]
        return super()._step(minibatch)


def watched(**options):
    return Watched(Spoken(torch.full((10, 1, 1), -1.0)), SFTConfig(**options))


TEN = by_hand({"conversion": [[0.0]] * 10})


@pytest.mark.parametrize(("size", "lengths"), [(0, [10]), (10, [10]), (11, [10]), (4, [4, 4, 2])])
def test_parts_are_as_large_as_told_and_the_whole_is_not_copied(size, lengths):
    found = list(parts(TEN, size))
    assert [len(part) for part in found] == lengths
    assert torch.cat([part.inputs["row"] for part in found]).equal(TEN.inputs["row"])
    assert (found[0] is TEN) == (len(found) == 1)


def test_every_epoch_sees_every_dialogue_once_in_minibatches():
    algorithm = watched(epochs=3, minibatch=4)
    algorithm.update(TEN, torch.Generator().manual_seed(0))
    assert [len(rows) for rows in algorithm.seen] == [4, 4, 2] * 3
    for epoch in range(3):
        assert sorted(row for rows in algorithm.seen[3 * epoch : 3 * epoch + 3] for row in rows) == list(
            range(10)
        )


def test_minibatches_come_from_the_generator_alone():
    def seen(seed, noise):
        torch.manual_seed(noise)
        algorithm = watched(epochs=2, minibatch=4)
        algorithm.update(TEN, torch.Generator().manual_seed(seed))
        return algorithm.seen

    with torch.random.fork_rng(devices=[]):
        assert seen(1, 0) == seen(1, 5)
        assert seen(1, 0) != seen(2, 0)


def test_nothing_to_learn_from_is_no_step():
    algorithm = watched()
    assert algorithm.update(TEN.select(torch.zeros(0, dtype=torch.long)), torch.Generator()) == {}
    assert not hasattr(algorithm, "seen")


@pytest.mark.parametrize(
    ("anneal", "progress", "factor"),
    [(True, 0.0, 1.0), (True, 0.5, 0.55), (True, 1.0, 0.1), (True, 2.0, 0.1), (False, 0.7, 1.0)],
)
def test_the_step_size_falls_linearly_to_a_tenth(anneal, progress, factor):
    algorithm = watched(anneal=anneal, learning_rate=0.02)
    algorithm.update(TEN, torch.Generator(), progress)
    assert algorithm.optimizer.param_groups[0]["lr"] == pytest.approx(0.02 * factor)


def test_gradients_are_clipped_and_the_norm_before_is_logged():
    # the loss is -sum(logprob)/10, so that each of ten gradients is -0.1 and their norm 0.1 sqrt(10)
    algorithm = watched(max_gradient=0.01, epochs=1)
    logs = algorithm.update(TEN, torch.Generator())
    assert logs["gradient"] == pytest.approx(0.1 * math.sqrt(10))
    assert algorithm.parameters[0].grad.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_no_clipping_without_a_limit():
    algorithm = watched(max_gradient=0.0, epochs=1)
    algorithm.update(TEN, torch.Generator())
    assert algorithm.parameters[0].grad.norm().item() == pytest.approx(0.1 * math.sqrt(10))


def test_a_loss_that_is_not_finite_stops_before_the_step():
    rollout = by_hand({"conversion": [[1.0], [0.0]]}, logprob=[[[math.nan]], [[0.0]]])
    policy = Spoken(torch.full((2, 1, 1), -1.0))
    algorithm = PolicyGradient(policy, PolicyGradientConfig(weights={"conversion": 1.0}))
    before = weights_of(policy)
    with pytest.raises(TrainingError, match="not finite") as caught:
        algorithm.update(rollout, torch.Generator())
    assert isinstance(caught.value, DialogGymError)
    assert not moved(before, policy)


def test_logs_are_means_over_the_steps():
    algorithm = watched(epochs=1, minibatch=5, learning_rate=0.0)
    assert algorithm.update(TEN, torch.Generator())["loss"] == pytest.approx(1.0)


def make(name):
    if name == "dpo":
        return DPO(NetShopper(), DPOConfig(weights=SHOP, minibatch=8))
    return PolicyGradient(NetShopper(), PolicyGradientConfig(weights=SHOP, minibatch=16, kl=0.1))


@pytest.mark.parametrize("name", ["dpo", "policy-gradient"])
def test_going_on_from_a_state_is_bit_for_bit(name):
    whole, second = make(name), make(name)
    rollout = calls(whole.policy)
    whole.update(rollout, torch.Generator().manual_seed(1))
    state = copy.deepcopy(whole.state())
    for value in second.policy.module.parameters():
        value.data.add_(1.0)
    second.load_state(state)
    logs = [a.update(rollout, torch.Generator().manual_seed(2), 0.5) for a in (whole, second)]
    assert logs[0] == logs[1]
    assert not moved(weights_of(whole.policy), second.policy)
    assert not moved(weights_of(whole.reference), second.reference)


def test_the_reference_stays_as_it_was():
    algorithm = make("policy-gradient")
    before = weights_of(algorithm.reference)
    algorithm.update(calls(algorithm.policy), torch.Generator())
    assert not moved(before, algorithm.reference)
    assert moved(before, algorithm.policy)
    assert not any(value.requires_grad for value in algorithm.reference.module.parameters())


def test_a_given_reference_is_used():
    other = NetShopper(seed=5).clone()
    algorithm = PolicyGradient(NetShopper(), PolicyGradientConfig(kl=0.1, weights=SHOP), other)
    rollout = calls(algorithm.policy)
    known = algorithm.prepare(rollout).extra["reference"]
    torch.testing.assert_close(known, other.evaluate(rollout).logprob, atol=1e-6, rtol=1e-6)
