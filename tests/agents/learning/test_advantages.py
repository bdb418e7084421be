import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.agents.learning.advantages import (
    EPSILON,
    gae,
    group_normalise,
    group_statistics,
    mix_rewards,
    normalise,
    returns_to_go,
)

STEADY = settings(max_examples=40, deadline=None, derandomize=True)
NUMBERS = st.floats(-10, 10, width=32)


def close(found, wanted):
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float32))


def test_rewards_are_mixed_by_weight():
    rewards = {"conversion": torch.tensor([[0.0, 1.0]]), "turn": torch.tensor([[-1.0, -1.0]])}
    # 3 x 0 - 0.5 and 3 x 1 - 0.5
    close(mix_rewards(rewards, {"conversion": 3.0, "turn": 0.5}), [[-0.5, 2.5]])


def test_rewards_without_a_weight_do_not_count():
    rewards = {"conversion": torch.tensor([[1.0]]), "turn": torch.tensor([[-1.0]])}
    close(mix_rewards(rewards, {"conversion": 2.0}), [[2.0]])


def test_a_reward_that_cannot_be_judged_drops_out():
    rewards = {"a": torch.tensor([[math.nan, 1.0]]), "b": torch.tensor([[2.0, math.nan]])}
    close(mix_rewards(rewards, {"a": 1.0, "b": 10.0}), [[20.0, 1.0]])


def test_returns_to_go():
    # from the end: 3; 2 + 3/2 = 3.5; 1 + 3.5/2 = 2.75
    close(returns_to_go(torch.tensor([[1.0, 2.0, 3.0]]), 0.5), [[2.75, 3.5, 3.0]])


def test_gae():
    rewards, values = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[0.5, 1.0, 0.25]])
    # delta: 1 + 0.9*1 - 0.5 = 1.4; 0 + 0.9*0.25 - 1 = -0.775; 2 + 0 - 0.25 = 1.75
    # A2 = 1.75; A1 = -0.775 + 0.72*1.75 = 0.485; A0 = 1.4 + 0.72*0.485 = 1.7492
    close(gae(rewards, values, 0.9, 0.8), [[1.7492, 0.485, 1.75]])


ROWS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6)


@STEADY
@given(ROWS, st.floats(0, 1))
def test_gae_without_lambda_is_the_temporal_difference(row, discount):
    rewards, values = (torch.tensor([column]) for column in zip(*row, strict=True))
    after = torch.cat([values[:, 1:], torch.zeros(1, 1)], 1)
    torch.testing.assert_close(gae(rewards, values, discount, 0.0), rewards + discount * after - values)


@STEADY
@given(ROWS, st.floats(0, 1))
def test_gae_with_full_lambda_is_the_return_less_the_value(row, discount):
    rewards, values = (torch.tensor([column]) for column in zip(*row, strict=True))
    wanted = returns_to_go(rewards, discount) - values
    torch.testing.assert_close(gae(rewards, values, discount, 1.0), wanted, atol=1e-4, rtol=1e-4)


def test_turns_after_the_end_change_nothing():
    rewards, values = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.25]])
    padded = gae(*(torch.nn.functional.pad(x, (0, 3)) for x in (rewards, values)), 0.9, 0.8)
    assert padded[:, :2].equal(gae(rewards, values, 0.9, 0.8))
    assert not padded[:, 2:].any()


def test_normalise_looks_at_the_mask_only():
    values, mask = torch.tensor([[1.0, 3.0], [5.0, 100.0]]), torch.tensor([[True, True], [True, False]])
    # mean (1 + 3 + 5)/3 = 3, variance (4 + 0 + 4)/3
    unit = 2 / math.sqrt(8 / 3)
    torch.testing.assert_close(
        normalise(values, mask), torch.tensor([[-unit, 0.0], [unit, 0.0]]), atol=1e-5, rtol=1e-5
    )


def test_one_value_has_nothing_to_be_compared_with():
    assert not normalise(torch.tensor([[7.0, 0.0]]), torch.tensor([[True, False]])).any()


VALUES, GROUP = torch.tensor([1.0, 10.0, 3.0, 10.0, 16.0]), torch.tensor([0, 2, 0, 2, 2])


def test_group_statistics():
    mean, deviation = group_statistics(VALUES, GROUP)
    # group 0: 1, 3: mean 2, deviation 1; group 2: 10, 10, 16: mean 12, variance (4 + 4 + 16)/3 = 8, none is 1
    close(mean, [2.0, 12.0, 2.0, 12.0, 12.0])
    close(deviation, [1.0, math.sqrt(8), 1.0, math.sqrt(8), math.sqrt(8)])


def test_group_advantage_is_in_deviations():
    root = math.sqrt(8)
    wanted = torch.tensor([-1.0, -2 / root, 1.0, -2 / root, 4 / root])
    torch.testing.assert_close(group_normalise(VALUES, GROUP), wanted, atol=1e-5, rtol=1e-5)


def test_epsilon_is_added_to_the_deviation():
    small = torch.tensor([0.0, 2 * EPSILON])  # mean and deviation are EPSILON: 1/(1 + 1)
    close(group_normalise(small, torch.zeros(2, dtype=torch.long)), [-0.5, 0.5])


def test_group_advantage_without_division_is_the_distance_from_the_mean():
    close(group_normalise(VALUES, GROUP, divide=False), [-1.0, -2.0, 1.0, -2.0, 4.0])


@pytest.mark.parametrize("size", [2, 7, 8, 16])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 2.7, 3.37])
def test_a_group_without_spread_has_no_advantage(value, size):
    """Rounding of the mean must not be blown up by a deviation of nothing but rounding."""
    values = torch.full((size,), value)
    advantage = group_normalise(values, torch.zeros(size, dtype=torch.long))
    torch.testing.assert_close(advantage, torch.zeros(size), atol=1e-3, rtol=0)


@pytest.mark.parametrize("value", [1.0, 2.7, 3.37])
def test_equal_values_are_no_signal(value):
    """As above."""
    mask = torch.ones(4, 4, dtype=torch.bool)
    torch.testing.assert_close(
        normalise(torch.full((4, 4), value), mask), torch.zeros(4, 4), atol=1e-3, rtol=0
    )


@STEADY
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 3)), min_size=2, max_size=12), st.randoms())
def test_group_advantage_does_not_depend_on_the_order(rows, random):
    shuffled = random.sample(range(len(rows)), len(rows))
    values, group = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = group_normalise(values.float(), group)
    torch.testing.assert_close(group_normalise(values[shuffled].float(), group[shuffled]), found[shuffled])


@STEADY
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=8, unique=True), st.integers(-50, 50))
def test_group_advantage_does_not_depend_on_the_level(values, shift):
    now, group = torch.tensor(values).float(), torch.zeros(len(values), dtype=torch.long)
    torch.testing.assert_close(group_normalise(now + shift, group), group_normalise(now, group))
