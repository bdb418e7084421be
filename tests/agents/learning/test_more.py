import math
from dataclasses import replace

import pytest
import torch

from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.more import MORE, MOREConfig, rank_weights, rescaled
from tests.agents.learning.hand import Spoken, by_hand
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

SMALL = {"rounds": 2, "customers": 16, "answers": 4, "imitated": 0, "measured": 10, "scaffold_minibatch": 64}
GROUP = {"divide": True, "drop_equal": True, "mix": "sum-then-normalise", "levels": "joint"}


def config(**options):
    own = {"weighting": "group", "scaffold": False, "merged": False, "scaffold_rate": 1e-3}
    return MOREConfig(**(PLAIN | GROUP | SMALL | own | options))


class Steep(Spoken):
    """A policy whose dialogues have given gradients."""

    def __init__(self, gradients):
        super().__init__(torch.zeros(len(gradients), 1, 1))
        self.gradients = torch.tensor(gradients)

    def score_gradients(self, rollout):
        return self.gradients[rollout.inputs["row"]]


# -- the formula


def test_weights_fall_with_the_rank_and_equals_share_the_better_one():
    found = rank_weights(torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0], [2.0, 5.0, 2.0]]))
    third = 1 / 3
    wanted = [[1.0, third, 2 * third], [1.0, 1.0, 1.0], [2 * third, 1.0, 2 * third]]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_rewards_are_rescaled():
    nan = math.nan
    rewards = {
        "conversion": [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
        "violation": [[-1.0, -0.5], [0.0, -9.0], [0.0, 0.0]],
        "satisfaction": [[0.5, 0.0], [0.0, -1.0], [0.0, 0.0]],
        "novelty": [[nan, 0.5], [0.25, 0.75], [nan, nan]],
        "elsewhere": [[1.0, 1.0]] * 3,
    }
    found = rescaled(by_hand(rewards, group=[0, 0, 0]), dict.fromkeys([*rewards, "absent"][:4], 1.0))
    assert set(found) == {"conversion", "violation", "satisfaction", "novelty"}
    # violations: -3 a dialogue is 0; satisfaction: from -1 to 1; nothing judged: the mean of the group
    wanted = {
        "conversion": [1.0, 0.0, 0.0], "violation": [0.5, 0.0, 1.0], "satisfaction": [0.75, 0.0, 0.5],
        "novelty": [0.5, 0.5, 0.5],
    }  # fmt: skip
    for name, values in found.items():
        torch.testing.assert_close(values.sum(1), torch.tensor(wanted[name]))
    # where a range begins, and what was cut off, come with the last turn
    torch.testing.assert_close(found["violation"][:2], torch.tensor([[-1 / 3, 5 / 6], [0.0, 0.0]]))


def test_language_after_the_end_is_not_judged():
    rollout = by_hand({"novelty": [[0.5, 0.0]]}, mask=[[[1], [0]]])
    assert rescaled(rollout, {"novelty": 1.0})["novelty"].tolist() == [[0.5, 0.0]]


def scores_of(rollout):
    return {name: values.sum(1) for name, values in rescaled(rollout, SHOP).items()}


GRADIENTS = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, 1.0]]
TWO = by_hand(
    {"conversion": [[1.0], [0.0], [1.0], [0.0]], "progress": [[0.0], [0.4], [1.0], [0.0]]}, group=[0, 0, 1, 1]
)


def test_norms_come_from_the_gram_matrix():
    algorithm = MORE(Steep(GRADIENTS), config())
    # centred rewards: a half and its negative; minus and plus a fifth
    advantage = torch.tensor([[0.5, -0.2], [-0.5, 0.2], [0.5, 0.5], [-0.5, -0.5]])
    # K = diag(1, 4): a quarter of 5, a 25th of 5; equal gradients cancel
    wanted = torch.tensor([[1.25, 0.2], [1.25, 0.2], [0.0, 0.0], [0.0, 0.0]])
    torch.testing.assert_close(algorithm._norms(TWO, advantage), wanted)
    gram = algorithm.policy.gradients @ algorithm.policy.gradients.T
    by_gram = (advantage[:2].T @ gram[:2, :2] @ advantage[:2]).diagonal()
    torch.testing.assert_close(by_gram, wanted[0])


def test_groups_are_weighted_apart():
    algorithm = MORE(Steep(GRADIENTS), config())
    found = algorithm._rank_weights(TWO, scores_of(TWO))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.5], [1.0, 0.5], [1.0, 1.0], [1.0, 1.0]]))


def test_a_reward_without_spread_has_no_gradient_however_large_it_is():
    rollout = by_hand({"conversion": [[1.0], [1.0]], "progress": [[0.1], [0.2]]})
    by_group, by_sample = (
        MORE(Steep(GRADIENTS), config(weighting=how))._rank_weights(rollout, scores_of(rollout))
        for how in ("group", "sample")
    )
    assert by_group.tolist() == [[0.5, 1.0]] * 2
    assert by_sample.tolist() == [[1.0, 0.5]] * 2


def test_on_one_reply_the_rank_of_gradients_is_that_of_rewards(shopper):
    """The gradient of reward j on one dialogue is r_j ∇log π: all share the vector."""
    rollout = calls(shopper)
    scores = scores_of(rollout)
    sizes = torch.stack(list(scores.values()), 1)
    gradients = sizes.unsqueeze(2) * shopper.score_gradients(rollout).unsqueeze(1)
    found = MORE(shopper, config(weighting="sample"))._rank_weights(rollout, scores)
    assert found.equal(rank_weights(gradients.norm(dim=2)))
    assert not found.equal(torch.ones_like(found))


def test_the_advantage_of_weighted_rewards():
    found = MORE(Steep(GRADIENTS), config(divide=False)).advise(TWO)
    # 1 and half of 0.2 · 0.4; then 1.2 and 0
    wanted = [[0.48], [-0.48], [0.6], [-0.6]]
    torch.testing.assert_close(found.extra["advantage"], torch.tensor(wanted))


def test_normalise_then_sum_has_the_same_ends():
    found = MORE(Steep(GRADIENTS), config(mix="normalise-then-sum")).advise(TWO).extra["advantage"]
    grpo = GRPO(Steep(GRADIENTS), GRPOConfig(**(PLAIN | GROUP | {"mix": "normalise-then-sum"})))
    torch.testing.assert_close(found, grpo.advise(TWO).extra["advantage"])


# -- learning


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_paid_becomes_likelier(shopper, sign):
    rollout = paid_for_asking(calls(shopper), 1.0)
    if sign < 0:  # rewards lie in [0, 1]: who does not ask is paid instead
        paid = torch.zeros_like(rollout.cost)
        paid[:, 0] = 1.0 - rollout.rewards["conversion"].sum(1)
        rollout = replace(rollout, rewards={**rollout.rewards, "conversion": paid})
    before = likes_asking(shopper)
    one_update(MORE(shopper, config(weights={"conversion": 1.0})), rollout)
    assert (likes_asking(shopper) - before) * sign > 0


@pytest.mark.parametrize(
    "options", [{}, {"kl": 0.1, "epochs": 3}, {"mix": "normalise-then-sum"}, {"levels": "turn"}]
)
def test_without_weighting_and_reasoning_it_is_grpo_bit_for_bit(shopper, options):
    rollout, twin = calls(shopper, 24, 4), shopper.clone()
    twin.module.requires_grad_(True)
    start = weights_of(shopper)
    logs = [
        one_update(MORE(shopper, config(weighting="uniform", **options)), rollout),
        one_update(GRPO(twin, GRPOConfig(**(PLAIN | GROUP | options))), rollout),
    ]
    assert not moved(weights_of(shopper), twin)
    assert moved(start, twin)
    assert logs[0] == logs[1]


@pytest.mark.parametrize("merged", [False, True])
def test_every_parameter_moves_but_the_value(shopper, merged):
    before = weights_of(shopper)
    logs = one_update(MORE(shopper, config(scaffold=True, merged=merged)), calls(shopper, 24, 4))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}
    assert {"mac", "pnr", "mac_unseen", "pnr_unseen", "loss"} <= set(logs)


def test_the_reference_is_the_policy_after_reasoning(shopper):
    before = weights_of(shopper)
    algorithm = MORE(shopper, config(scaffold=True, kl=0.1, learning_rate=0.0, anneal=False))
    one_update(algorithm, calls(shopper, 24, 4))
    assert moved(before, shopper)
    assert not moved(weights_of(shopper), algorithm.reference)


def test_in_one_stage_the_reference_is_that_of_the_start(shopper):
    before = weights_of(shopper)
    algorithm = MORE(shopper, config(scaffold=True, merged=True, kl=0.1))
    one_update(algorithm, calls(shopper, 24, 4))
    assert moved(before, shopper)
    assert not moved(before, algorithm.reference)


def test_in_one_stage_reasoning_is_part_of_the_loss(shopper):
    rollout = calls(shopper, 24, 4)
    alone, merged = MORE(shopper, config()), MORE(shopper, config(scaffold=True, merged=True))
    merged._reason(torch.Generator().manual_seed(0), 0.0)
    batch = alone.prepare(rollout)
    dialogues, both = gradient_of(alone, batch), gradient_of(merged, batch)
    tasks = gradient_of(merged.scaffold, merged._asked)
    for name, values in dialogues.items():
        if not name.startswith("value"):
            torch.testing.assert_close(both[name], values + tasks[name], atol=1e-6, rtol=1e-4)


def test_solved_tasks_are_imitated_before_all_else_and_once(shopper):
    algorithm, seen = MORE(shopper, config(scaffold=True, imitated=3, rounds=0)), []
    algorithm.scaffold.imitate = lambda customers, generator: seen.append(customers)
    for _ in range(2):
        one_update(algorithm, calls(shopper))
    assert seen == [16] * 3


def test_state_goes_on_exactly(shopper):
    algorithm = MORE(shopper, config(scaffold=True, kl=0.1, imitated=2))
    one_update(algorithm, calls(shopper, 24, 4))
    rollout, twin = calls(shopper, 24, 4, seed=1), shopper.clone()
    twin.module.requires_grad_(True)
    again = MORE(twin, algorithm.config)
    again.load_state(_copied(algorithm.state()))
    assert again.iteration == 1
    logs = [one_update(one, rollout, seed=2) for one in (algorithm, again)]
    assert logs[0] == logs[1]
    assert not moved(weights_of(shopper), twin)


def _copied(state):
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {name: _copied(value) for name, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list) else state


@pytest.mark.parametrize("weighting", ["group", "sample"])
def test_it_learns_the_shop(shopper, weighting):
    assert success(shopper) < 0.3
    algorithm = MORE(shopper, config(**LEARNS, weighting=weighting, scaffold=True, rounds=1))
    learn(algorithm, iterations=30, groups=12, size=8)
    assert success(shopper) > 0.8
