"""Statistics of scores: bootstrap, paired comparison, pass^k, detectable differences, ranks with ties.

Every metric is a **ratio of sums over episodes**, ``sum(value) / sum(weight)``: ``value`` is the episode's
numerator and ``weight`` its share of the denominator (1 for a plain mean over episodes). An episode whose
weight is 0, or whose value or weight is NaN, is left out of both sums.

Trials of one task are not independent, so the unit that is resampled is the task (cluster), inside its
scenario (stratum): the stratified cluster bootstrap of Davison & Hinkley, "Bootstrap Methods and their
Application", 1997, sections 3.2 and 3.8. Intervals are 95 % percentile intervals (Efron & Tibshirani, 1993,
chapter 13).

An agent trained with s seeds plays the same episodes s times. Tasks and seeds are then resampled at once and
independently of each other: the pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", 2007, Annals of
Applied Statistics 1), drawing s - 1 of the s seeds. With one seed it is the bootstrap over tasks, digit for
digit. It errs on the wide side where seeds hardly differ; where little but the seed matters, an interval from
a few seeds is too narrow, as it cannot reach beyond the best and the worst of them.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dialog_gym.core import DialogGymError, Score
from dialog_gym.paired import Paired
from dialog_gym.resampling import (
    Floats,
    Ints,
    bootstrap_means,
    clean,
    cluster_standard_error,
    interval,
    ratio,
    ratios,
    resample,
)


def scores(
    values: ArrayLike,
    weights: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Score]:
    """Each metric's value with its 95 % percentile interval; arguments as in `bootstrap_means`.

    ``n`` is the number of episodes with a positive weight; a metric judged nowhere has NaN and ``n=0``.
    """
    top, bottom = clean(values, weights)
    low, high = interval(bootstrap_means(top, bottom, strata, clusters, resamples, seed))
    judged = (bottom > 0).sum(axis=(0, 1))
    return [
        Score(value=value, low=float(low[j]), high=float(high[j]), n=int(judged[j]))
        for j, value in enumerate(_values(top, bottom))
    ]


def paired_differences(
    values_a: ArrayLike,
    values_b: ArrayLike,
    weights_a: ArrayLike,
    weights_b: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Paired]:
    """Compare two agents on the same episodes; row i of A and of B is the same (task, trial): see `align`.

    Both agents get the same resample counts, so whatever the shared tasks and user randomness contribute to
    both cancels (common random numbers). Arguments as in `bootstrap_means`; one `Paired` per metric. Agents
    with equally many training seeds are compared seed by seed, as seed i of both has the same start; else
    seeds are drawn independently.
    """
    top_a, bottom_a = clean(values_a, weights_a)
    top_b, bottom_b = clean(values_b, weights_b)
    if top_a.shape[1:] != top_b.shape[1:]:
        raise DialogGymError(
            f"paired agents need equal shapes, got {np.shape(values_a)} and {np.shape(values_b)}"
        )
    sums_a, sums_b = resample(
        [np.dstack([top_a, bottom_a]), np.dstack([top_b, bottom_b])], strata, clusters, resamples, seed
    )
    a, b = ratios(*sums_a, top_a, bottom_a), ratios(*sums_b, top_b, bottom_b)
    n = ((bottom_a > 0).any(axis=0) & (bottom_b > 0).any(axis=0)).sum(axis=0)
    values = zip(_values(top_a, bottom_a), _values(top_b, bottom_b), strict=True)
    return [_paired(of_a, of_b, a[:, j], b[:, j], int(n[j])) for j, (of_a, of_b) in enumerate(values)]


def paired_difference(
    values_a: ArrayLike,
    values_b: ArrayLike,
    weights_a: ArrayLike,
    weights_b: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Paired:
    """`paired_differences` of one metric given as ``float[n]`` arrays."""
    found = paired_differences(values_a, values_b, weights_a, weights_b, strata, clusters, resamples, seed)
    if len(found) != 1:
        raise DialogGymError(f"paired_difference takes one metric, got {len(found)}: use paired_differences")
    return found[0]


def align(keys_a: Sequence[Hashable], keys_b: Sequence[Hashable]) -> tuple[Ints, Ints]:
    """Row numbers that bring two agents' episodes into the same order.

    Args:
        keys_a: A's ``(task_id, trial)`` per row, in any order.
        keys_b: B's.

    Returns:
        ``(rows_a, rows_b)`` with ``keys_a[rows_a[i]] == keys_b[rows_b[i]]``, sorted by key.

    Raises:
        DialogGymError: if a key occurs twice or the two sets differ.
    """
    where_a, where_b = _positions(keys_a, "first"), _positions(keys_b, "second")
    for here, there, name in ((where_a, where_b, "second"), (where_b, where_a, "first")):
        if missing := [key for key in here if key not in there]:
            raise DialogGymError(
                f"paired agents need the same (task, trial) keys: the {name} agent lacks {len(missing)}, "
                f"for example {missing[0]!r}; evaluate both on the same suite, seed and trials"
            )
    keys: list[Any] = sorted(where_a)
    return (
        np.array([where_a[key] for key in keys], dtype=np.int64),
        np.array([where_b[key] for key in keys], dtype=np.int64),
    )


def pass_hat_k(successes: ArrayLike, trials: ArrayLike, k: int) -> Floats:
    """Probability that k fresh trials of a task all succeed: C(s, k) / C(n, k), unbiased.

    Yao et al., "tau-bench", 2024 (arXiv 2406.12045).

    Args:
        successes: ``int[tasks]``, s.
        trials: ``int[tasks]``, n.
        k: number of trials that must all succeed, at least 1.

    Returns:
        ``float[tasks]`` to be averaged or bootstrapped; NaN where a task has fewer than k trials.
    """
    s, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if k < 1:
        raise DialogGymError(f"pass^k needs k >= 1, got {k}")
    if s.shape != n.shape or np.any(s < 0) or np.any(s > n):
        raise DialogGymError("pass^k needs 0 <= successes <= trials for every task")
    estimate = np.ones(s.shape)
    for i in range(k):
        estimate *= np.maximum(s - i, 0.0) / np.maximum(n - i, 1.0)
    return np.where(n >= k, estimate, np.nan)


def smallest_detectable_difference(
    values: ArrayLike,
    weights: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    pair: tuple[ArrayLike, ArrayLike] | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> float:
    """The true difference between two agents that a test of this size finds with probability ``power``.

    (z_{1-alpha/2} + z_power) * se of the difference, normal approximation (Cohen, 1988; Miller, 2024, arXiv
    2411.00640, section 5). Without ``pair`` the se is sqrt(2) times that of one agent: two independent runs
    of the same budget. With ``pair = (values_b, weights_b)`` it is the paired se, usually much smaller.
    """
    if not (0 < power < 1 and 0 < alpha < 1):
        raise DialogGymError(f"power and alpha must lie between 0 and 1, got {power} and {alpha}")
    error = cluster_standard_error(values, weights, strata, clusters, pair)
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return quantiles * error * (1.0 if pair is not None else math.sqrt(2))


def wilson_interval(successes: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a proportion (Wilson, 1927, JASA 22); (0, 1) when n is 0."""
    if n < 0 or not 0 <= successes <= n:
        raise DialogGymError(f"a proportion needs 0 <= successes <= n, got {successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, z * z
    centre, scale = p + z2 / (2 * n), 1 + z2 / n
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def iqm(values: ArrayLike) -> float:
    """Interquartile mean over seeds: mean after dropping floor(n/4) values at each end; NaN values left out.

    Agarwal et al., "Deep RL at the Edge of the Statistical Precipice", 2021 (arXiv 2108.13264).
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    kept = np.sort(found[~np.isnan(found)])
    cut = len(kept) // 4
    return float(np.mean(kept[cut : len(kept) - cut])) if len(kept) else math.nan


def ranks_with_ties(
    results: Sequence[Score],
    paired: Mapping[tuple[int, int], Paired] | None = None,
    higher_is_better: bool = True,
) -> list[int]:
    """Competition ranks (1, 1, 3, ...) in which agents that cannot be told apart share a rank.

    Agents are taken best first; each joins the current group if it cannot be told from the group's leader,
    else it leads the next one. Told apart means: the paired interval excludes 0 or, lacking a pair, the
    intervals are disjoint.

    Args:
        results: one score per agent.
        paired: ``(i, j) -> Paired`` of agent i minus agent j; either order of a pair will do.
        higher_is_better: False ranks the lowest value first.

    Returns:
        ``ranks[i]`` of agent i. Agents without a value (NaN) share the last rank.
    """
    sign = -1.0 if higher_is_better else 1.0
    keys = [math.inf if math.isnan(result.value) else sign * result.value for result in results]
    order = sorted(range(len(results)), key=keys.__getitem__)
    ranks, leader, rank = [0] * len(results), 0, 1
    for place, agent in enumerate(order):
        if place == 0 or not _tied(leader, agent, results, paired or {}):
            leader, rank = agent, place + 1
        ranks[agent] = rank
    return ranks


def _tied(i: int, j: int, results: Sequence[Score], paired: Mapping[tuple[int, int], Paired]) -> bool:
    a, b = results[i], results[j]
    if math.isnan(a.value) or math.isnan(b.value):
        return math.isnan(a.value) and math.isnan(b.value)
    pair = paired.get((i, j)) or paired.get((j, i))
    if pair is not None and not math.isnan(pair.low):
        return pair.low <= 0.0 <= pair.high
    return a.low <= b.high and b.low <= a.high


def _values(top: Floats, bottom: Floats) -> list[float]:
    return [ratio(top[..., j], bottom[..., j]) for j in range(top.shape[-1])]


def _paired(value_a: float, value_b: float, a: Floats, b: Floats, n: int) -> Paired:
    difference = a - b
    defined = ~np.isnan(difference)
    difference, base = difference[defined], b[defined]
    nothing = math.isnan(value_a) or math.isnan(value_b) or not len(difference)
    low, high = (float(x[0]) for x in interval(difference[:, None]))
    relative = relative_low = relative_high = superior = math.nan
    if not nothing:
        superior = float(np.mean(difference > 0) + np.mean(difference == 0) / 2)
    if not nothing and value_b > 0 and base.min() > 0:
        relative = (value_a - value_b) / value_b
        relative_low, relative_high = (float(x[0]) for x in interval((difference / base)[:, None]))
    return Paired(
        difference=float(value_a - value_b),
        low=low,
        high=high,
        n=n,
        relative=relative,
        relative_low=relative_low,
        relative_high=relative_high,
        p_superior=superior,
    )


def _positions(keys: Sequence[Hashable], name: str) -> dict[Hashable, int]:
    where: dict[Hashable, int] = {}
    for row, key in enumerate(keys):
        if where.setdefault(key, row) != row:
            raise DialogGymError(f"the {name} agent has two episodes with the key {key!r}")
    return where
