import math
from dataclasses import replace

import pytest
import torch

from dialog_gym.agents.learning.algorithm import WEIGHTS
from dialog_gym.agents.learning.grpo import GRPO, SESSION, GRPOConfig
from dialog_gym.agents.learning.policy_gradient import PolicyGradient, PolicyGradientConfig
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


def config(**options):
    switches = {"divide": True, "drop_equal": True, "mix": "sum-then-normalise", "levels": "joint"}
    return GRPOConfig(**(PLAIN | switches | options))


def advantage(rollout, **options):
    algorithm = GRPO(Spoken(torch.zeros(rollout.mask.shape)), config(**options))
    return algorithm.advise(rollout).extra["advantage"]


def close(found, wanted):
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-5, rtol=1e-5)


# two groups; totals 3, 1 and 0, 4; the last dialogue has one turn
FOUR = by_hand(
    {
        "conversion": [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [4.0, 0.0]],
        "progress": [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
    },
    mask=[[[1], [1]], [[1], [1]], [[1], [1]], [[1], [0]]], group=[0, 0, 1, 1],
)  # fmt: skip
EVEN = {"conversion": 1.0, "progress": 1.0}


def test_one_advantage_for_all_turns_of_a_dialogue():
    # each group has two members, one deviation above and below its mean
    close(advantage(FOUR, weights=EVEN), [[1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0], [1.0, 0.0]])


def test_without_division():
    close(advantage(FOUR, weights=EVEN, divide=False), [[1.0, 1.0], [-1.0, -1.0], [-2.0, -2.0], [2.0, 0.0]])


def test_weights_and_discount_count():
    # 3x1 + 1 + 0.5 = 4.5 and 0.5: mean 2.5; 0 and 12: mean 6
    found = advantage(FOUR, weights={"conversion": 3.0, "progress": 1.0}, discount=0.5, divide=False)
    close(found, [[2.0, 2.0], [-2.0, -2.0], [-6.0, -6.0], [6.0, 0.0]])


EQUAL = by_hand({"conversion": [[1.0], [0.0], [2.0], [2.0]]}, group=[0, 0, 3, 3])


def test_groups_that_earned_the_same_are_left_out():
    algorithm = GRPO(Spoken(torch.zeros(4, 1, 1)), config(weights={"conversion": 1.0}))
    batch = algorithm.advise(EQUAL)
    assert batch.rollout.inputs["row"].tolist() == [0, 1]
    close(batch.extra["advantage"], [[1.0], [-1.0]])


def test_groups_that_earned_the_same_may_stay():
    found = advantage(EQUAL, weights={"conversion": 1.0}, drop_equal=False)
    close(found, [[1.0], [-1.0], [0.0], [0.0]])


def test_no_group_with_spread_is_nothing_to_learn_from(shopper):
    rollout = calls(shopper)
    same = replace(rollout, rewards={name: torch.ones_like(rollout.cost) for name in SHOP})
    before = weights_of(shopper)
    assert one_update(GRPO(shopper, config(kl=0.1)), same) == {}
    assert not moved(before, shopper)


@pytest.mark.parametrize(
    "options",
    [
        {"mix": "sum-then-normalise"}, {"mix": "normalise-then-sum"}, {"levels": "separate"},
        {"levels": "turn"},
        {"mix": "normalise-then-sum", "levels": "turn"},
    ],
)  # fmt: skip
def test_a_reward_that_cannot_be_judged_drops_out(options):
    blind = by_hand({"conversion": [[1.0], [0.0]], "progress": [[math.nan], [3.0]]})
    plain = by_hand({"conversion": [[1.0], [0.0]], "progress": [[0.0], [3.0]]})
    weights = {"conversion": 1.0, "progress": 2.0}
    found = advantage(blind, weights=weights, **options)
    assert found.equal(advantage(plain, weights=weights, **options))
    assert found.isfinite().all()


def test_normalise_then_sum():
    rewards = {"conversion": [[10.0], [0.0], [0.0], [0.0]], "progress": [[0.0], [0.0], [1.0], [1.0]]}
    # conversion: mean 2.5, deviation sqrt(18.75): sqrt 3 and -1/sqrt 3; progress: -1, -1, 1, 1
    first, rest = math.sqrt(3), -1 / math.sqrt(3)
    total = torch.tensor([first - 2, rest - 2, rest + 2, rest + 2])  # progress counts double
    wanted = (total - total.mean()) / total.std(correction=0)
    weights = {"conversion": 1.0, "progress": 2.0}
    found = advantage(by_hand(rewards), weights=weights, mix="normalise-then-sum")
    torch.testing.assert_close(found[:, 0], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("levels", ["joint", "turn"])
def test_normalise_then_sum_forgets_the_size_of_rewards(levels):
    small = by_hand({"conversion": [[1.0], [0.0], [0.0]], "progress": [[0.0], [0.0], [1.0]]})
    large = by_hand({"conversion": [[50.0], [0.0], [0.0]], "progress": [[0.0], [0.0], [1.0]]})
    chosen = {"weights": EVEN, "mix": "normalise-then-sum", "levels": levels}
    found = [advantage(rollout, **chosen) for rollout in (small, large)]
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_separate_levels():
    rewards = {"conversion": [[0.0, 1.0], [0.0, 0.0]], "progress": [[1.0, 0.0], [2.0, 3.0]]}
    found = advantage(by_hand(rewards), weights={"conversion": 5.0, "progress": 1.0}, levels="separate")
    # session: 5 and 0 are one deviation above and below their mean; turns: what is still to come
    togo = [1.0, 0.0, 5.0, 3.0]
    mean = sum(togo) / 4
    unit = math.sqrt(sum((x - mean) ** 2 for x in togo) / 4)
    turn = [(x - mean) / unit for x in togo]
    close(found, [[1 + turn[0], 1 + turn[1]], [-1 + turn[2], -1 + turn[3]]])


def test_separate_levels_are_0_after_the_end():
    assert not advantage(FOUR, weights=EVEN, levels="separate")[3, 1]


def test_turn_level_compares_with_the_group_at_the_same_turn():
    # to go: 3, 1; 1, 1; 0, 0; 4. Means at the turns: 2 and 1 in the first group, 2 and 0 in the second
    centred = [[1.0, 0.0], [-1.0, 0.0], [-2.0, 0.0], [2.0, 0.0]]
    unit = math.sqrt((1 + 1 + 4 + 4) / 7)
    close(advantage(FOUR, weights=EVEN, levels="turn"), [[x / unit for x in row] for row in centred])


def test_turn_level_normalises_each_reward_and_then_sums():
    rewards = {"conversion": [[0.0, 8.0], [0.0, 0.0]], "progress": [[0.0, 0.0], [0.5, 0.5]]}
    # conversion to go: 8 and 0 at either turn; progress: 0 and 1, then 0 and a half
    unit = math.sqrt((0.5**2 + 0.25**2) / 2)
    parts = [[1 - 0.5 / unit, 1 - 0.25 / unit], [0.5 / unit - 1, 0.25 / unit - 1]]
    size = math.sqrt((parts[0][0] ** 2 + parts[0][1] ** 2) / 2)
    found = advantage(by_hand(rewards), weights=EVEN, mix="normalise-then-sum", levels="turn")
    torch.testing.assert_close(found, torch.tensor(parts) / size, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["conversion", "progress"])
def test_separate_levels_with_rewards_of_one_level_only(name):
    """A level without rewards adds nothing; leaving rewards out by their weights is a user's choice."""
    rewards = {name: [[0.0, 1.0], [0.0, 0.0]]}
    found = advantage(by_hand(rewards), weights={name: 1.0}, levels="separate")
    # to go: 1, 1, 0, 0, normalised the same at either level
    close(found, [[1.0, 1.0], [-1.0, -1.0]])


def test_session_rewards_are_rewards_of_the_shop():
    assert set(SESSION) < set(WEIGHTS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"divide": False, "length": "constant"},
        {"mix": "normalise-then-sum", "clip_high": 0.28},
        {"levels": "separate", "drop_equal": False, "length": "dialogue"},
    ],
)
def test_parts_have_the_gradient_of_the_whole(shopper, options):
    algorithm = GRPO(shopper, config(**options))
    batch = algorithm.prepare(calls(shopper, 24, 4))
    assert len(batch) > 7
    whole, parts = gradient_of(algorithm, batch), gradient_of(algorithm, batch, 7)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_paid_becomes_likelier(shopper, sign):
    before = likes_asking(shopper)
    one_update(GRPO(shopper, config(learning_rate=1e-3)), paid_for_asking(calls(shopper), sign))
    assert (likes_asking(shopper) - before) * sign > 0


@pytest.mark.parametrize("turns", [1, 2])
def test_one_group_of_equally_long_calls_is_the_policy_gradient_bit_for_bit(shopper, turns):
    """Paid at the end, every turn's return to go is the dialogue's return, and the group is the batch."""
    rollout = calls(shopper, 128, 1)
    rollout = rollout.select((rollout.turns.sum(1) == turns).nonzero().squeeze(1))
    rollout = rollout.select(torch.arange(len(rollout) // 2 * 2))
    assert len(rollout) >= 16
    paid = torch.zeros_like(rollout.cost)
    paid[::2, turns - 1] = 1.0  # mean and deviation a half: no rounding
    one = replace(rollout, rewards={"conversion": paid}, group=torch.zeros_like(rollout.group))
    twin = shopper.clone()
    twin.module.requires_grad_(True)
    shared = PLAIN | {
        "weights": {"conversion": 1.0},
        "minibatch": 16,
        "epochs": 3,
        "entropy": 0.01,
        "kl": 0.01,
    }
    start = weights_of(twin)
    logs = [
        one_update(GRPO(shopper, config(drop_equal=False, **shared)), one),
        one_update(PolicyGradient(twin, PolicyGradientConfig(**shared)), one),
    ]
    assert not moved(weights_of(shopper), twin)
    assert moved(start, twin)
    assert logs[0] == logs[1]


def test_dropping_is_selecting_bit_for_bit(shopper):
    rollout, twin = calls(shopper, 24, 4), shopper.clone()
    twin.module.requires_grad_(True)
    dropping = GRPO(shopper, config())
    kept = rollout.select(torch.tensor(kept_rows(rollout)))
    one_update(dropping, rollout)
    one_update(GRPO(twin, config(drop_equal=False)), kept)
    assert len(kept) < len(rollout)
    assert not moved(weights_of(shopper), twin)


def kept_rows(rollout):
    """Rows of groups in which not all earned the same."""
    total = sum(w * rollout.rewards[name].sum(1) for name, w in SHOP.items()).tolist()
    groups = rollout.group.tolist()
    earned = {g: {t for t, h in zip(total, groups, strict=True) if h == g} for g in set(groups)}
    return [row for row, g in enumerate(groups) if len(earned[g]) > 1]


def test_every_parameter_moves_but_the_value(shopper):
    before = weights_of(shopper)
    one_update(GRPO(shopper, config()), calls(shopper, 24, 4))
    assert moved(before, shopper) == {name for name in before if not name.startswith("value")}


def test_it_learns_the_shop(shopper):
    assert success(shopper) < 0.3
    learn(GRPO(shopper, config(**LEARNS)), iterations=30, groups=12, size=8)
    assert success(shopper) > 0.8
