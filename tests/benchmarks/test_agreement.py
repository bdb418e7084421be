"""Rank correlation with an interval."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.benchmarks.agreement import agreement, spearman


def test_a_worked_example():
    # centred ranks -1.5, 0, 0, 1.5 and -0.5, -1.5, 0.5, 1.5
    assert spearman([1.0, 2, 2, 9], [5.0, 4, 6, 7]) == pytest.approx(3.0 / math.sqrt(4.5 * 5.0))


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=20))
def test_only_the_order_counts(values):
    other = [value**3 + 2.0 for value in values]
    found = spearman(values, other)
    assert math.isnan(found) if len(set(values)) == 1 else found == pytest.approx(1.0)
    assert math.isnan(found) or spearman(values, [-value for value in values]) == pytest.approx(-1.0)


def test_the_interval_holds_the_truth_and_is_wider_for_few_dialogues():
    rng = np.random.default_rng(0)
    first = rng.normal(size=400)
    second = first + rng.normal(size=400)
    fine = agreement(first, second, range(400))
    assert fine.low < 6 / math.pi * math.asin(math.sqrt(0.5) / 2) < fine.high  # Pearson, 1907
    assert fine.n == 400 and fine == agreement(first, second, range(400))
    shared = np.repeat(rng.normal(size=20), 20)  # what turns of a dialogue have in common
    coarse = agreement(first + 3 * shared, second + 3 * shared, np.repeat(np.arange(20), 20).tolist())
    apart = agreement(first + 3 * shared, second + 3 * shared, range(400))
    assert coarse.high - coarse.low > 1.5 * (apart.high - apart.low)


def test_what_one_side_did_not_judge_is_left_out():
    found = agreement([1.0, math.nan, 3.0, 4.0], [1.0, 2.0, math.nan, 5.0], "abcd")
    assert found.n == 2 and math.isnan(found.value)
    found = agreement([1.0, math.nan, 3.0, 4.0, 5.0], [1.0, 2.0, 4.0, 5.0, 9.0], "abcde")
    assert (found.n, found.value) == (4, pytest.approx(1.0))
