import math

import pytest
import torch

from dialog_gym.agents.learning.dpo import DPO, DPOConfig, Pairs, ranked_pairs
from dialog_gym.agents.learning.sft import SFT, SFTConfig
from tests.agents.learning.hand import Spoken, by_hand
from tests.agents.learning.toy import (
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
    return DPOConfig(**({"weights": SHOP, "learning_rate": 1e-3, "epochs": 2, "minibatch": 512} | options))


def pairs_of(total, group, pairs):
    chosen, rejected = ranked_pairs(torch.tensor(total), torch.tensor(group), pairs)
    return list(zip(chosen.tolist(), rejected.tolist(), strict=True))


def test_best_against_worst_first():
    assert pairs_of([1.0, 5.0, 3.0, 2.0], [0, 0, 0, 0], 1) == [(1, 0)]
    assert pairs_of([1.0, 5.0, 3.0, 2.0], [0, 0, 0, 0], 2) == [(1, 0), (2, 3)]


def test_nobody_is_paired_twice():
    assert pairs_of([1.0, 5.0, 3.0], [0, 0, 0], 9) == [(1, 0)]


def test_pairs_stay_within_their_group():
    assert pairs_of([1.0, 9.0, 2.0, 8.0], [4, 1, 4, 1], 3) == [(1, 3), (2, 0)]


def test_pairs_without_a_difference_are_dropped():
    assert pairs_of([1.0, 1.0, 1.0, 2.0], [0, 0, 0, 0], 2) == [(3, 2)]
    assert pairs_of([1.0, 1.0], [0, 0], 1) == []
    assert pairs_of([1.0], [0], 1) == []


TWO = by_hand({"conversion": [[0.0, 1.0], [0.0, 0.0]]}, mask=[[[1, 1], [1, 0]], [[1, 0], [0, 0]]])
SAID = torch.tensor([[[-1.0, -2.0], [-0.5, -9.0]], [[-3.0, -9.0], [-9.0, -9.0]]])
REFERENCE = torch.tensor([[[-2.0, -2.0], [-1.5, -9.0]], [[-1.0, -9.0], [-9.0, -9.0]]])


def by_the_book(**options):
    algorithm = DPO(Spoken(SAID), config(weights={"conversion": 1.0}, **options), Spoken(REFERENCE).clone())
    return algorithm, algorithm.prepare(TWO)


def test_the_loss():
    algorithm, pairs = by_the_book(beta=0.1, sft=0.2, preference=0.5)
    assert pairs.chosen.inputs["row"].tolist() == [0]
    assert pairs.rejected.inputs["row"].tolist() == [1]
    # reference: -5.5 and -1, margin -4.5; policy: -3.5 and -3, margin -0.5; difference 4
    assert pairs.margin.tolist() == [-4.5]
    loss, logs = algorithm.loss(pairs, pairs)
    preference = math.log(1 + math.exp(-0.1 * 4.0))  # -log sigmoid(0.4)
    assert logs["preference"].item() == pytest.approx(preference, rel=1e-5)
    assert logs["accuracy"].item() == 1.0
    assert loss.item() == pytest.approx(0.5 * preference + 0.2 * 3.5 / 3, rel=1e-5)


def test_the_gradient():
    algorithm, pairs = by_the_book(beta=0.1, sft=0.0)
    gradient = gradient_of(algorithm, pairs)["logprob"]
    # -beta sigmoid(-0.4) for every decision of the chosen dialogue, the opposite for the rejected one
    slope = -0.1 / (1 + math.exp(0.4))
    wanted = torch.tensor([[[1.0, 1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 0.0]]]) * slope
    torch.testing.assert_close(gradient, wanted)


def test_a_policy_that_is_the_reference_is_undecided(shopper):
    algorithm = DPO(shopper, config(sft=0.0))
    pairs = algorithm.prepare(calls(shopper, 24, 4))
    assert algorithm.loss(pairs, pairs)[0].item() == pytest.approx(math.log(2), abs=1e-5)


def test_a_reward_that_cannot_be_judged_drops_out():
    algorithm = DPO(Spoken(torch.zeros(2, 1, 1)), config(weights={"a": 1.0, "b": 1.0}))
    pairs = algorithm.prepare(by_hand({"a": [[math.nan], [1.0]], "b": [[2.0], [math.nan]]}))
    assert pairs.chosen.inputs["row"].tolist() == [0]


def test_selected_pairs_stay_together():
    _, pairs = by_the_book()
    both = Pairs(TWO, TWO.select(torch.tensor([1, 0])), torch.tensor([5.0, 7.0]))
    chosen = both.select(torch.tensor([1]))
    assert (len(pairs), len(both), len(chosen)) == (1, 2, 1)
    assert (chosen.chosen.inputs["row"].item(), chosen.rejected.inputs["row"].item()) == (1, 0)
    assert chosen.margin.tolist() == [7.0]


@pytest.mark.parametrize("microbatch", [1, 3])
def test_parts_have_the_gradient_of_the_whole(shopper, microbatch):
    algorithm = DPO(shopper, config(sft=0.3, microbatch=microbatch))
    pairs = algorithm.prepare(calls(shopper, 24, 4))
    torch.testing.assert_close(
        pairs.margin, DPO(shopper, config()).prepare(calls(shopper, 24, 4)).margin, atol=1e-5, rtol=1e-5
    )
    whole, parts = gradient_of(algorithm, pairs), gradient_of(algorithm, pairs, microbatch)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("microbatch", [0, 4])
def test_no_pair_is_nothing_to_learn_from(shopper, microbatch):
    """The reference is not asked about no dialogues at all: language models cannot answer that."""
    rollout = calls(shopper, 12, 1)  # groups of one
    before = weights_of(shopper)
    assert one_update(DPO(shopper, config(microbatch=microbatch)), rollout) == {}
    assert not moved(before, shopper)


@pytest.mark.parametrize("sft", [0.0, 0.1])
def test_the_chosen_becomes_likelier_than_the_rejected(shopper, sft):
    algorithm = DPO(shopper, config(learning_rate=1e-3, sft=sft))
    pairs = algorithm.prepare(calls(shopper, 24, 4))
    one_update(algorithm, calls(shopper, 24, 4))
    chosen, rejected = (shopper.evaluate(part).logprob.sum((1, 2)) for part in (pairs.chosen, pairs.rejected))
    assert (chosen - rejected).mean() > pairs.margin.mean()
    assert algorithm.loss(pairs, pairs)[1]["preference"].item() < math.log(2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_paid_becomes_likelier(shopper, sign):
    before = likes_asking(shopper)
    one_update(DPO(shopper, config(learning_rate=1e-3, sft=0.0)), paid_for_asking(calls(shopper), sign))
    assert (likes_asking(shopper) - before) * sign > 0


def test_without_preference_it_is_sft_on_the_chosen_bit_for_bit(shopper):
    twin, rollout = shopper.clone(), calls(shopper, 24, 4)
    twin.module.requires_grad_(True)
    start, shared = weights_of(shopper), {"epochs": 3, "minibatch": 8, "learning_rate": 1e-2}
    dpo = DPO(shopper, config(preference=0.0, sft=1.0, **shared))
    chosen = dpo.prepare(rollout).chosen
    logs = [one_update(dpo, rollout), one_update(SFT(twin, SFTConfig(**shared)), chosen)]
    assert not moved(weights_of(shopper), twin)
    assert moved(start, twin)
    assert logs[0]["loss"] == logs[1]["loss"]


def test_every_parameter_moves_but_the_value(shopper):
    before = weights_of(shopper)
    one_update(DPO(shopper, config(sft=0.0)), calls(shopper, 24, 4))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    rate, beta = (1e-2, 0.5) if shopper.backbone == "net" else (3e-3, 1.0)
    options = {"learning_rate": rate, "minibatch": 16, "pairs": 3, "beta": beta, "sft": 0.0, "anneal": False}
    learn(DPO(shopper, config(**options)), iterations=25, groups=16, size=8)
    assert success(shopper) > 0.8
