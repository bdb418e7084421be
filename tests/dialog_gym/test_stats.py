import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym import stats
from dialog_gym.core import DialogGymError, Score
from dialog_gym.paired import Paired
from dialog_gym.resampling import cluster_standard_error

NAN = math.nan


def one(values: Any, weights: Any = None, **options: Any) -> Score:
    weights = np.ones(len(values)) if weights is None else weights
    return stats.scores(values, weights, **options)[0]


class TestScores:
    def test_is_a_ratio_of_sums_that_leaves_episodes_out(self) -> None:
        # 1 + 3 right of 2 + 4 stated; weight 0 and NaN left out
        found = one([1.0, 3.0, 9.0, NAN, 5.0], [2.0, 4.0, 0.0, 1.0, NAN])
        assert found.value == pytest.approx(4 / 6)
        assert found.n == 2
        assert 0.5 <= found.low <= found.value <= found.high <= 0.75

    def test_nothing_judged(self) -> None:
        for found in (one([NAN, NAN]), one([1.0], [0.0]), one([])):
            assert found.n == 0
            assert all(math.isnan(x) for x in (found.value, found.low, found.high))

    def test_one_episode_and_equal_episodes_have_no_width(self) -> None:
        assert one([0.3]) == Score(value=0.3, low=0.3, high=0.3, n=1)
        same = one([0.3] * 7)
        assert same.value == pytest.approx(0.3)
        assert same.low == same.high == 0.3

    def test_many_metrics_equal_each_alone(self) -> None:
        rng = np.random.default_rng(1)
        values, weights = rng.random((30, 4)), rng.integers(0, 3, (30, 4)).astype(float)
        together = stats.scores(values, weights, clusters=np.arange(30) // 3, resamples=500)
        alone = [
            one(values[:, j], weights[:, j], clusters=np.arange(30) // 3, resamples=500) for j in range(4)
        ]
        assert together == alone

    def test_width_is_the_textbook_one(self) -> None:
        values = np.random.default_rng(0).normal(size=400)
        found = one(values)
        expected = 2 * 1.96 * values.std() / 20
        assert found.high - found.low == pytest.approx(expected, rel=0.05)

    def test_trials_of_a_task_move_together(self) -> None:
        values = np.repeat(np.random.default_rng(0).normal(size=100), 4)
        whole, naive = one(values, clusters=np.repeat(np.arange(100), 4)), one(values)
        assert (whole.high - whole.low) / (naive.high - naive.low) == pytest.approx(2.0, rel=0.1)

    def test_strata_keep_their_sizes(self) -> None:
        values, strata = np.repeat([0.0, 1.0], [30, 10]), np.repeat([0, 1], [30, 10])
        found = one(values, strata=strata)
        assert found.low == found.high == found.value == 0.25

    def test_same_seed_same_digits_and_another_seed_others(self) -> None:
        values = np.random.default_rng(0).random(50)
        assert one(values, seed=3) == one(values, seed=3) != one(values, seed=4)

    def test_order_of_episodes_changes_nothing(self) -> None:
        rng = np.random.default_rng(0)
        values, weights = rng.random(60), rng.random(60)
        clusters, mixed = np.arange(60) // 2, rng.permutation(60)
        here = one(values, weights, strata=clusters % 3, clusters=clusters)
        there = one(values[mixed], weights[mixed], strata=(clusters % 3)[mixed], clusters=clusters[mixed])
        assert here == there

    def test_text_labels(self) -> None:
        found = one([0.0, 1.0, 1.0], strata=["sale"] * 3, clusters=["t1", "t2", "t2"])
        assert found.value == pytest.approx(2 / 3)

    def test_coverage(self) -> None:
        rng, hits = np.random.default_rng(0), 0
        for _ in range(300):
            tasks = rng.normal(0.5, 1.0, 60)
            values = np.repeat(tasks, 3) + rng.normal(0, 1.0, 180)
            found = one(values, clusters=np.repeat(np.arange(60), 3), resamples=400)
            hits += found.low <= 0.5 <= found.high
        assert 0.90 <= hits / 300 <= 0.985

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (([1.0], [1.0, 2.0]), "must both be"),
            (([1.0], [-1.0]), "not negative"),
            (([math.inf], [1.0]), "finite"),
            (([1.0, 2.0], [1.0, 1.0], [0]), "one label per episode"),
            (([1.0, 2.0], [1.0, 1.0], [0, 1], [7, 7]), "two strata"),
        ],
    )
    def test_bad_input_is_one_clear_line(self, arguments: tuple[Any, ...], message: str) -> None:
        with pytest.raises(DialogGymError, match=message) as error:
            stats.scores(*arguments)
        assert "\n" not in str(error.value)

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_interval_stays_within_the_episodes(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(1, 12))
        floats = st.floats(-1e6, 1e6) | st.just(NAN)
        values = np.array(data.draw(st.lists(floats, min_size=n, max_size=n)))
        weights = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=n, max_size=n)))
        found = one(values, weights, resamples=50)
        kept = (weights > 0) & ~np.isnan(values)
        assert found.n == kept.sum()
        if found.n:
            each = values[kept] / weights[kept]
            slack = 1e-9 * max(1.0, np.abs(each).max())
            assert each.min() - slack <= found.low <= found.high <= each.max() + slack
            assert each.min() - slack <= found.value <= each.max() + slack


class TestPaired:
    def test_shared_luck_cancels(self) -> None:
        rng = np.random.default_rng(0)
        luck = rng.normal(0, 10, 200)
        a, b = luck + 21 + rng.normal(0, 0.1, 200), luck + 20 + rng.normal(0, 0.1, 200)
        found = stats.paired_difference(a, b, np.ones(200), np.ones(200))
        assert found.difference == pytest.approx(1.0, abs=0.05)
        assert 0.9 < found.low < found.difference < found.high < 1.1
        assert found.p_superior == 1.0
        assert found.relative == pytest.approx(found.difference / b.mean())
        assert found.relative_low < found.relative < found.relative_high

    def test_equal_agents(self) -> None:
        values, ones = np.random.default_rng(0).random(20), np.ones(20)
        found = stats.paired_difference(values, values, ones, ones)
        assert (found.difference, found.low, found.high, found.p_superior, found.n) == (
            0.0,
            0.0,
            0.0,
            0.5,
            20,
        )

    def test_swapping_agents_mirrors_everything(self) -> None:
        rng = np.random.default_rng(0)
        a, b, wa, wb = rng.random((4, 30))
        here, there = stats.paired_difference(a, b, wa, wb), stats.paired_difference(b, a, wb, wa)
        assert here.difference == pytest.approx(-there.difference)
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
        assert here.p_superior == pytest.approx(1 - there.p_superior)

    def test_lift_over_nothing_is_unknown(self) -> None:
        found = stats.paired_difference([1.0, 0.0], [0.0, 0.0], np.ones(2), np.ones(2))
        assert found.difference == 0.5
        assert math.isnan(found.relative) and math.isnan(found.relative_low)

    def test_nothing_judged(self) -> None:
        found = stats.paired_difference([NAN], [1.0], [1.0], [1.0])
        assert found.n == 0
        assert math.isnan(found.difference) and math.isnan(found.low) and math.isnan(found.p_superior)

    def test_many_metrics(self) -> None:
        rng = np.random.default_rng(0)
        a, b, ones = rng.random((25, 3)), rng.random((25, 3)), np.ones((25, 3))
        together = stats.paired_differences(a, b, ones, ones, resamples=200)
        alone = stats.paired_difference(a[:, 1], b[:, 1], ones[:, 1], ones[:, 1], resamples=200)
        assert together[1] == alone
        with pytest.raises(DialogGymError, match="paired_differences"):
            stats.paired_difference(a, b, ones, ones)
        with pytest.raises(DialogGymError, match="equal shapes"):
            stats.paired_difference(a, b[:-1], ones, ones[:-1])

    def test_align(self) -> None:
        keys = [("t2", 0), ("t1", 1), ("t1", 0)]
        rows_a, rows_b = stats.align(keys, keys[::-1])
        assert [keys[i] for i in rows_a] == sorted(keys) == [keys[::-1][i] for i in rows_b]
        with pytest.raises(DialogGymError, match=r"second agent lacks 1.*'t2', 0"):
            stats.align(keys, keys[1:])
        with pytest.raises(DialogGymError, match="first agent lacks"):
            stats.align(keys[1:], keys)
        with pytest.raises(DialogGymError, match="two episodes"):
            stats.align([("t", 0), ("t", 0)], [("t", 0)])


class TestPassHatK:
    def test_by_hand(self) -> None:
        # C(3, 2) / C(4, 2) = 3/6; C(4, 2)/C(4, 2) = 1; C(1, 2) = 0
        assert stats.pass_hat_k([3, 4, 1], [4, 4, 4], 2) == pytest.approx([0.5, 1.0, 0.0])
        assert stats.pass_hat_k([3], [4], 1) == pytest.approx([0.75])

    @given(st.integers(1, 7), st.integers(0, 7), st.integers(1, 7))
    def test_equals_enumeration(self, n: int, s: int, k: int) -> None:
        s = min(s, n)
        found = stats.pass_hat_k([s], [n], k)[0]
        if k > n:
            assert math.isnan(found)
        else:
            subsets = list(itertools.combinations([True] * s + [False] * (n - s), k))
            assert found == pytest.approx(sum(map(all, subsets)) / len(subsets))

    def test_bad_input(self) -> None:
        with pytest.raises(DialogGymError, match="k >= 1"):
            stats.pass_hat_k([1], [1], 0)
        with pytest.raises(DialogGymError, match="successes <= trials"):
            stats.pass_hat_k([2], [1], 1)


class TestDetectableDifference:
    def test_plain_mean_has_the_textbook_error(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        error = cluster_standard_error(values, np.ones(50))
        assert error == pytest.approx(values.std(ddof=1) / math.sqrt(50))
        found = stats.smallest_detectable_difference(values, np.ones(50))
        assert found == pytest.approx((1.959964 + 0.841621) * math.sqrt(2) * error)

    def test_pairing_finds_smaller_differences(self) -> None:
        rng = np.random.default_rng(0)
        luck, ones = rng.normal(size=100), np.ones(100)
        a, b = luck + rng.normal(0, 0.1, 100), luck + rng.normal(0, 0.1, 100)
        alone = stats.smallest_detectable_difference(a, ones)
        paired = stats.smallest_detectable_difference(a, ones, pair=(b, ones))
        assert paired < alone / 5

    def test_too_little_to_tell(self) -> None:
        for values in ([], [1.0], [NAN, NAN]):
            assert math.isnan(stats.smallest_detectable_difference(values, np.ones(len(values))))

    def test_bad_input(self) -> None:
        with pytest.raises(DialogGymError, match="between 0 and 1"):
            stats.smallest_detectable_difference([1.0], [1.0], power=1.0)
        with pytest.raises(DialogGymError, match="equal lengths"):
            stats.smallest_detectable_difference([1.0], [1.0], pair=([1.0, 2.0], [1.0, 1.0]))


def test_wilson() -> None:
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    assert stats.wilson_interval(81, 263, 1.959964) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert stats.wilson_interval(0, 20, 1.959964) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert stats.wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(DialogGymError, match="successes <= n"):
        stats.wilson_interval(3, 2)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_proportion(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = stats.wilson_interval(successes, n)
    assert 0.0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1.0


def test_iqm() -> None:
    assert stats.iqm([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -50.0]) == 3.5  # two dropped at each end
    assert stats.iqm([1.0, 2.0, 6.0]) == 3.0  # floor(3/4) = 0
    assert stats.iqm([NAN, 2.0]) == 2.0
    assert math.isnan(stats.iqm([]))


class TestRanks:
    @staticmethod
    def score(value: float, half: float) -> Score:
        return Score(value=value, low=value - half, high=value + half, n=9)

    @staticmethod
    def pair(low: float, high: float) -> Paired:
        return Paired(
            difference=(low + high) / 2, low=low, high=high, n=9,
            relative=NAN, relative_low=NAN, relative_high=NAN, p_superior=0.5,
        )  # fmt: skip

    def test_overlap_with_the_leader_shares_the_rank(self) -> None:
        results = [self.score(0.1, 0.05), self.score(0.9, 0.1), self.score(0.75, 0.1), self.score(0.6, 0.1)]
        # 0.75 overlaps 0.9; 0.6 overlaps 0.75 but not the leader 0.9
        assert stats.ranks_with_ties(results) == [4, 1, 1, 3]
        assert stats.ranks_with_ties(results, higher_is_better=False) == [1, 4, 2, 2]

    def test_pairs_decide_over_intervals(self) -> None:
        results = [self.score(0.9, 0.1), self.score(0.8, 0.1), self.score(0.3, 0.1)]
        paired = {(0, 1): self.pair(0.05, 0.15), (2, 1): self.pair(-0.9, 0.1)}
        assert stats.ranks_with_ties(results, paired) == [1, 2, 2]

    def test_unjudged_come_last(self) -> None:
        nothing = Score(value=NAN, low=NAN, high=NAN, n=0)
        assert stats.ranks_with_ties([nothing, self.score(0.5, 0.1), nothing]) == [2, 1, 2]
        assert stats.ranks_with_ties([nothing]) == [1]
        assert stats.ranks_with_ties([]) == []
