"""How far two judges of the same things agree: Spearman's rank correlation with a bootstrap interval."""

from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dialog_gym.core import Score
from dialog_gym.resampling import interval

RESAMPLES: Final = 1_000
FEWEST: Final = 3
"""Fewer pairs have no rank correlation worth the name."""


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation of mid-ranks (Spearman, 1904); NaN where one side never varies."""
    a, b = _ranks(np.asarray(first, float)), _ranks(np.asarray(second, float))
    spread = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / spread) if spread > 0 else float("nan")


def agreement(first: ArrayLike, second: ArrayLike, clusters: Sequence[Hashable], *, seed: int = 0) -> Score:
    """Spearman's correlation with its 95 % interval; ``n`` counts pairs in which both sides judged.

    Args:
        first: ``float[n]``, NaN where it did not judge.
        second: The same.
        clusters: ``[n]``, what is resampled together: turns of one dialogue are not independent.
        seed: Of the resampling.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < FEWEST:
        return Score(value=float("nan"), low=float("nan"), high=float("nan"), n=len(a))
    known = [cluster for cluster, kept in zip(clusters, both, strict=True) if kept]
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(known))}
    of = np.array([places[cluster] for cluster in known])
    rows = [np.flatnonzero(of == place) for place in range(len(places))]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(rows), size=(RESAMPLES, len(rows)))
    found = []
    for draw in drawn:
        chosen = np.concatenate([rows[place] for place in draw])
        found.append(spearman(a[chosen], b[chosen]))
    low, high = interval(np.array(found)[:, None])
    return Score(value=spearman(a, b), low=float(low[0]), high=float(high[0]), n=len(a))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the mid-ranks, centred."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((2 * np.cumsum(count) - count - len(values))[place], np.float64)
