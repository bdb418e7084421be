"""Scores of agents trained with several seeds: arrays are ``[seeds, episodes, metrics]``."""

import math
from typing import Any

import numpy as np
import pytest

from dialog_gym import resampling, stats
from dialog_gym.core import DialogGymError

BEFORE_SEEDS = [(0.24425727, 0.364507921), (0.259558402, 0.488972953)]
"""Intervals of one seed, computed when scores had no seeds."""


@pytest.fixture
def played() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    values, weights = rng.random((3, 40, 2)), rng.integers(0, 3, (3, 40, 2)).astype(float)
    clusters = np.arange(40) // 2
    return {"values": values, "weights": weights, "strata": clusters % 2, "clusters": clusters}


def test_one_seed_is_the_bootstrap_over_tasks_bit_for_bit(played: dict[str, Any]) -> None:
    alone = played | {"values": played["values"][0], "weights": played["weights"][0]}
    stacked = played | {"values": played["values"][:1], "weights": played["weights"][:1]}
    assert stats.scores(**alone) == stats.scores(**stacked)
    # figures of the release before there were seeds
    shown = [(round(s.low, 9), round(s.high, 9)) for s in stats.scores(**alone, seed=1)]
    assert shown == BEFORE_SEEDS


def test_one_seed_in_pairs(played: dict[str, Any]) -> None:
    values, weights = played["values"], played["weights"]
    layout = {"strata": played["strata"], "clusters": played["clusters"], "resamples": 500}
    flat = stats.paired_differences(values[0], values[1], weights[0], weights[1], **layout)
    deep = stats.paired_differences(values[:1], values[1:2], weights[:1], weights[1:2], **layout)
    assert flat == deep


def test_order_of_episodes_changes_nothing(played: dict[str, Any]) -> None:
    mixed = np.random.default_rng(0).permutation(40)
    there = {name: array[:, mixed] if array.ndim == 3 else array[mixed] for name, array in played.items()}
    assert stats.scores(**played) == stats.scores(**there)


def test_value_and_n_are_over_all_seeds(played: dict[str, Any]) -> None:
    values, weights = played["values"], played["weights"]
    for j, found in enumerate(stats.scores(**played, resamples=50)):
        kept = weights[..., j] > 0
        assert found.value == pytest.approx(values[..., j][kept].sum() / weights[..., j].sum())
        assert found.n == kept.sum()


def test_equal_seeds_add_nothing(played: dict[str, Any]) -> None:
    first, weights = played["values"][:1], played["weights"][:1]
    once = stats.scores(**played | {"values": first, "weights": weights})
    thrice = stats.scores(
        **played | {"values": np.repeat(first, 3, axis=0), "weights": np.repeat(weights, 3, axis=0)}
    )
    for one, three in zip(once, thrice, strict=True):
        assert (three.value, three.low, three.high) == pytest.approx((one.value, one.low, one.high))


def test_the_width_is_that_of_seeds_where_only_they_differ() -> None:
    of_seed = np.random.default_rng(3).normal(size=8)
    means = resampling.bootstrap_means(np.repeat(of_seed, 20).reshape(8, 20, 1), np.ones((8, 20, 1)))
    assert means.std() == pytest.approx(of_seed.std(ddof=1) / math.sqrt(8), rel=0.03)


@pytest.mark.parametrize(("seeds", "least"), [(3, 0.88), (10, 0.91)])
def test_coverage(seeds: int, least: float) -> None:
    """Seeds vary as much as 100 tasks do; intervals over tasks alone would cover far less."""
    rng, hits, naive = np.random.default_rng(0), 0, 0
    for _ in range(200):
        values = 0.5 + rng.normal(0, 0.3, (seeds, 1)) + rng.normal(0, 1, 100) + rng.normal(0, 1, (seeds, 100))
        (found,) = stats.scores(values[..., None], np.ones((seeds, 100, 1)), resamples=300)
        hits += found.low <= 0.5 <= found.high
        (tasks,) = stats.scores(values.mean(axis=0), np.ones(100), resamples=300)
        naive += tasks.low <= 0.5 <= tasks.high
    assert least <= hits / 200 <= 0.99
    assert naive < hits


def test_pairs_of_seeds_that_share_their_start() -> None:
    """What a start gives to both agents cancels seed by seed, if there are equally many."""
    rng = np.random.default_rng(0)
    start = rng.normal(0, 1, (6, 1, 1))
    a, b = (start + shift + rng.normal(0, 0.1, (6, 50, 1)) for shift in (0.2, 0.0))
    weights = np.ones((6, 50, 1))
    matched = stats.paired_difference(a, b, weights, weights)
    assert 0.15 < matched.low <= matched.high < 0.25
    unequal = stats.paired_difference(a, b[:5], weights, weights[:5])
    assert unequal.high - unequal.low > 10 * (matched.high - matched.low)
    other = stats.paired_difference(b[:5], a, weights[:5], weights)
    mirrored = (-other.difference, -other.high, -other.low)
    assert mirrored == pytest.approx((unequal.difference, unequal.low, unequal.high))


def test_seeds_must_have_played_the_same_number_of_episodes() -> None:
    with pytest.raises(DialogGymError, match="equal shapes"):
        stats.paired_differences(
            np.ones((2, 5, 1)), np.ones((2, 6, 1)), np.ones((2, 5, 1)), np.ones((2, 6, 1))
        )
