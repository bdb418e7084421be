"""Resampling of ratio metrics: the cluster bootstrap and the linearised standard error behind `stats`.

The unit that is resampled is the task (cluster), inside its scenario (stratum), and where an agent was
trained several times, the training seed as well: see `dialog_gym.stats`.

Sums are carried out on a grid of binary fractions fine enough (about 1e-11 relative for 10,000 episodes) for
float64 to hold them exactly. They therefore do not depend on the order of episodes, on chunking, on the BLAS
or on the number of threads: whoever recomputes a board gets the same digits.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dialog_gym.core import DialogGymError

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_CHUNK_CELLS = 1 << 20  # random draws held at once: bounds memory, never changes a result
_MANTISSA_BITS = 52


def bootstrap_means(
    values: ArrayLike,
    weights: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Resampled values of many metrics at once.

    Args:
        values: ``float[n]`` or ``float[n, m]``, numerators of m metrics on n episodes; ``float[s, n, m]`` of
            an agent trained with s seeds that played the same episodes.
        weights: like ``values``, the non-negative denominators.
        strata: ``[n]`` labels (scenario); None puts all episodes in one stratum.
        clusters: ``[n]`` labels (task); None makes every episode its own cluster.
        resamples: number of bootstrap resamples.
        seed: seed of the one random generator used.

    Returns:
        ``float[resamples, m]``; NaN where a resample holds no episode on which the metric is judged.

    Raises:
        DialogGymError: on shapes that disagree, infinite values, negative weights or a cluster in two strata.
    """
    top, bottom = clean(values, weights)
    ((sums, steps),) = resample([np.dstack([top, bottom])], strata, clusters, resamples, seed)
    return ratios(sums, steps, top, bottom)


def cluster_standard_error(
    values: ArrayLike,
    weights: ArrayLike,
    strata: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    pair: tuple[ArrayLike, ArrayLike] | None = None,
) -> float:
    """Cluster-robust standard error of one metric, or of A minus B on the same episodes.

    With R = sum(v)/sum(w), a cluster c contributes e_c = sum over its episodes of (v - R w)/sum(w), and se^2
    = sum over strata of K/(K-1) * sum_c (e_c - mean e)^2 (linearised ratio: Cochran, "Sampling Techniques",
    1977, chapter 6; clustered errors for evaluations: Miller, 2024, arXiv 2411.00640). A pair uses the
    difference of the two e_c. NaN when nothing is judged or no stratum has two clusters.
    """
    residual = _influence(values, weights)
    if pair is not None:
        other = _influence(*pair)
        if other.shape != residual.shape:
            raise DialogGymError(f"a pair needs equal lengths, got {len(residual)} and {len(other)}")
        residual = residual - other
    cluster_of, groups = layout(len(residual), strata, clusters)
    totals = np.bincount(cluster_of, weights=residual) if len(residual) else np.zeros(0)
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return math.nan
    return math.sqrt(sum(len(group) * float(np.var(totals[group], ddof=1)) for group in groups))


def clean(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    """Both as ``float[s, n, m]``, zero where an episode is left out."""
    top, bottom = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if top.shape != bottom.shape or top.ndim not in (1, 2, 3):
        raise DialogGymError(
            f"values and weights must both be [n], [n, m] or [s, n, m], got {top.shape} and {bottom.shape}"
        )
    if np.isinf(top).any() or np.isinf(bottom).any() or (bottom < 0).any():
        raise DialogGymError("metric values must be finite or NaN, and weights not negative")
    if top.ndim == 1:
        top, bottom = top[:, None], bottom[:, None]
    if top.ndim == 2:
        top, bottom = top[None], bottom[None]
    kept = (bottom > 0) & ~np.isnan(top)
    return np.where(kept, top, 0.0), np.where(kept, bottom, 0.0)


def layout(n: int, strata: ArrayLike | None, clusters: ArrayLike | None) -> tuple[Ints, list[Ints]]:
    """Cluster number of every episode, and the cluster numbers of every stratum; both in label order."""
    stratum = np.zeros(n, dtype=np.int64) if strata is None else np.asarray(strata)
    cluster = np.arange(n) if clusters is None else np.asarray(clusters)
    if stratum.shape != (n,) or cluster.shape != (n,):
        raise DialogGymError(
            f"strata and clusters need one label per episode ({n}), got {stratum.shape} and {cluster.shape}"
        )
    _, first, cluster_of = np.unique(cluster, return_index=True, return_inverse=True)
    _, stratum_of = np.unique(stratum, return_inverse=True)
    home = stratum_of[first]
    if np.any(home[cluster_of] != stratum_of):
        raise DialogGymError("a cluster (task) lies in two strata (scenarios); give it one label in each")
    by_stratum = np.argsort(home, kind="stable")
    cuts = np.flatnonzero(np.diff(home[by_stratum])) + 1
    return cluster_of, list(np.split(by_stratum, cuts)) if n else []


def resampled_sums(
    columns: Floats, strata: ArrayLike | None, clusters: ArrayLike | None, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Sums of ``columns`` [n, c] in every resample, as whole numbers [resamples, c] of ``steps`` [c]."""
    return resample([columns[None]], strata, clusters, resamples, seed)[0]


def resample(
    agents: Sequence[Floats],
    strata: ArrayLike | None,
    clusters: ArrayLike | None,
    resamples: int,
    seed: int,
) -> list[tuple[Floats, Floats]]:
    """Resampled sums of several agents on the same episodes.

    All agents get the same draws of tasks. Training seeds are drawn from a stream of their own that depends
    on their number only: agents with equally many seeds are compared seed by seed, others independently.

    Args:
        agents: ``float[s, n, c]`` each; s may differ.
        strata: As in `bootstrap_means`.
        clusters: As in `bootstrap_means`.
        resamples: As in `bootstrap_means`.
        seed: As in `bootstrap_means`.

    Returns:
        Per agent the sums as whole numbers ``[resamples, c]`` of ``steps`` ``[c]``.
    """
    n = agents[0].shape[1]
    cluster_of, groups = layout(n, strata, clusters)
    out = [np.zeros((resamples, agent.shape[2])) for agent in agents]
    if not n:
        return [(sums, np.ones(sums.shape[1])) for sums in out]
    sizes = np.bincount(cluster_of)
    most = len(sizes) * int(sizes.max())
    grids, steps = zip(*(_on_grid(agent, most * max(1, len(agent) - 1)) for agent in agents), strict=True)
    by_cluster = np.argsort(cluster_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    flat = np.hstack([column for grid in grids for column in grid])  # [n, all s * c]
    totals = np.add.reduceat(flat[by_cluster], starts, axis=0)
    seeds = [_seed_counts(len(agent), resamples, seed) for agent in agents]
    cuts = np.cumsum([agent.shape[0] * agent.shape[2] for agent in agents])[:-1]
    rng = np.random.default_rng(seed)
    for group in groups:
        rows = max(1, _CHUNK_CELLS // len(group))
        for start in range(0, resamples, rows):
            chunk = slice(start, min(start + rows, resamples))
            drawn = _draws(rng, len(group), chunk.stop - start) @ totals[group]
            for sums, counts, part in zip(out, seeds, np.split(drawn, cuts, axis=1), strict=True):
                of_seeds = part.reshape(len(part), counts.shape[1], -1)
                sums[chunk] += np.einsum("rs,rsc->rc", counts[chunk], of_seeds)
    return list(zip(out, steps, strict=True))


def _draws(rng: np.random.Generator, k: int, rows: int) -> Floats:
    """How often each of k clusters is drawn, ``[rows, k]``; a single one costs no random number."""
    return _histogram(rng, k, k, rows) if k > 1 else np.ones((rows, 1))


def _seed_counts(s: int, resamples: int, seed: int) -> Floats:
    """How often each of s training seeds is drawn, ``[resamples, s]``.

    One fewer is drawn than there are, for which the bootstrap's variance is unbiased (Rao & Wu, 1988, JASA
    83); with as many draws as seeds it would be a third too small for three seeds.
    """
    if s == 1:
        return np.ones((resamples, 1))
    return _histogram(np.random.default_rng([seed, s]), s, s - 1, resamples)


def _histogram(rng: np.random.Generator, k: int, draws: int, rows: int) -> Floats:
    """Counts ``[rows, k]`` of ``draws`` numbers below k per row."""
    drawn = rng.integers(0, k, size=(rows, draws))
    drawn += np.arange(0, rows * k, k)[:, None]  # one histogram for all rows
    return np.bincount(drawn.ravel(), minlength=rows * k).reshape(rows, k).astype(np.float64)


def _on_grid(columns: Floats, most: int) -> tuple[Floats, Floats]:
    """Round columns [s, n, c] to multiples of powers of two so fine that ``most`` of them add exactly."""
    _, exponent = np.frexp(np.abs(columns).max(axis=(0, 1), initial=0.0))
    bits = _MANTISSA_BITS - math.ceil(math.log2(max(most, 2)))
    steps = np.ldexp(1.0, np.maximum(exponent, -900) - bits)
    return np.rint(columns / steps), steps


def ratios(sums: Floats, steps: Floats, top: Floats, bottom: Floats) -> Floats:
    """Resampled ratios, held within the range of the episodes' own ratios, where any ratio of sums lies."""
    m = top.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        out = sums[:, :m] / sums[:, m:] * (steps[:m] / steps[m:])
        each = top / bottom
    judged = bottom > 0
    episodes = tuple(range(top.ndim - 1))
    least = np.where(judged, each, np.inf).min(axis=episodes, initial=np.inf)
    most = np.where(judged, each, -np.inf).max(axis=episodes, initial=-np.inf)
    found = judged.any(axis=episodes)
    out[:, found] = np.clip(out[:, found], least[found], most[found])
    return np.where(sums[:, m:] > 0, out, np.nan)


def ratio(top: Floats, bottom: Floats) -> float:
    """One metric itself; fsum makes it independent of the episodes' order."""
    total = math.fsum(bottom.ravel())
    return math.fsum(top.ravel()) / total if total > 0 else math.nan


def interval(resampled: Floats) -> tuple[Floats, Floats]:
    """2.5 and 97.5 % quantiles of every column, over the resamples in which it is defined."""
    out = np.full((2, resampled.shape[1]), np.nan)
    defined = ~np.isnan(resampled)
    for j in range(resampled.shape[1]):
        column = resampled[defined[:, j], j]
        if len(column):
            out[:, j] = np.quantile(column, (0.025, 0.975))
    return out[0], out[1]


def _influence(values: ArrayLike, weights: ArrayLike) -> Floats:
    """(v - R w) / sum(w) per episode of one metric: what the episode moves the ratio R by."""
    top, bottom = clean(values, weights)
    if top.shape[0] != 1 or top.shape[2] != 1:
        raise DialogGymError(f"this takes one metric as [n] arrays, got {np.shape(values)}")
    top, bottom = top.ravel(), bottom.ravel()
    total = math.fsum(bottom)
    if total <= 0:
        return np.full(len(top), np.nan)
    return (top - math.fsum(top) / total * bottom) / total
