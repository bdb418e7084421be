"""Measures of how alike two sets of users are, from texts and act labels alone.

- length: words per utterance, its distribution compared by total variation (0 alike, 1 disjoint).
- acts: shares of act labels, compared by total variation.
- distinct-1, distinct-2: different word n-grams as a share of all (Li et al., 2016, "A Diversity-Promoting
  Objective Function for Neural Conversation Models"), over the same number of words of each side.
- classifier two-sample test (Lopez-Paz and Oquab, 2017, "Revisiting Classifier Two-Sample Tests"): logistic
  regression on hashed word 1- and 2-grams; accuracy of telling the sides apart in cross-validation on unseen
  dialogues. 0.5 means that it cannot; the interval is a bootstrap over dialogues.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from dialog_gym.noise import mix, text_key

Side: TypeAlias = Sequence[Sequence[tuple[str, tuple[str, ...]]]]
"""By dialogue, texts and act labels."""

FEATURES: Final = 1 << 14
FOLDS: Final = 5
_STEPS: Final = 200
_RATE: Final = 20.0
_PENALTY: Final = 1e-4
_RESAMPLES: Final = 1000
_MAX_WORDS: Final = 60
_JOINED: Final = ((re.compile(r" (n't|'\w+)\b"), r"\1"), (re.compile(r"\s+"), " "))
_WORD: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)*(?:[:.][0-9]+)?|[?!.,;]")


def words(text: str) -> list[str]:
    """Lower-case words and marks, whether the text was tokenised before or not."""
    text = text.lower()
    for pattern, better in _JOINED:
        text = pattern.sub(better, text)
    return _WORD.findall(text)


def compare(real: Side, simulated: Side, seed: int = 0) -> dict[str, Any]:
    """All measures of two sides.

    Args:
        real: One side, at least `FOLDS` dialogues.
        simulated: The other.
        seed: Of folds and resamples.
    """
    sides = {"real": _tokens(real), "simulated": _tokens(simulated)}
    budget = min(sum(map(len, _flat(side))) for side in sides.values())
    return {
        "real": _profile(real, sides["real"], budget),
        "simulated": _profile(simulated, sides["simulated"], budget),
        "acts_total_variation": total_variation(_acts(real), _acts(simulated)),
        "length_total_variation": total_variation(*(_lengths(side) for side in sides.values())),
        "classifier": two_sample_test(sides["real"], sides["simulated"], seed),
    }


def _tokens(side: Side) -> list[list[list[str]]]:
    return [[words(text) for text, _ in dialogue] for dialogue in side]


def _flat(side: Iterable[Iterable[list[str]]]) -> list[list[str]]:
    return [text for dialogue in side for text in dialogue]


def _acts(side: Side) -> Counter[str]:
    return Counter(label for dialogue in side for _, labels in dialogue for label in labels)


def _lengths(side: Iterable[Iterable[list[str]]]) -> Counter[str]:
    return Counter(str(min(len(text), _MAX_WORDS)) for text in _flat(side))


def _profile(side: Side, tokens: Sequence[Sequence[list[str]]], budget: int) -> dict[str, float]:
    lengths = np.array([len(text) for text in _flat(tokens)])
    acts = [len(labels) for dialogue in side for _, labels in dialogue]
    return {
        "dialogues": len(side),
        "utterances": len(lengths),
        "words_mean": float(lengths.mean()),
        "words_sd": float(lengths.std()),
        "words_median": float(np.median(lengths)),
        "acts_mean": float(np.mean(acts)),
        "distinct_1": distinct(_flat(tokens), 1, budget),
        "distinct_2": distinct(_flat(tokens), 2, budget),
    }


def total_variation(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Half the summed difference of two distributions given as counts: 0 alike, 1 disjoint."""
    n, m = sum(a.values()), sum(b.values())
    return 0.5 * sum(abs(a.get(one, 0) / n - b.get(one, 0) / m) for one in {**a, **b})


def distinct(texts: Iterable[Sequence[str]], n: int, budget: int) -> float:
    """Different n-grams as a share of all n-grams, in the first ``budget`` words."""
    seen: set[tuple[str, ...]] = set()
    grams = used = 0
    for text in texts:
        if used + len(text) > budget:
            break
        used += len(text)
        for i in range(len(text) - n + 1):
            seen.add(tuple(text[i : i + n]))
            grams += 1
    return len(seen) / max(1, grams)


def two_sample_test(
    real: Sequence[Sequence[list[str]]], simulated: Sequence[Sequence[list[str]]], seed: int
) -> dict[str, float]:
    """Cross-validated accuracy of telling two sides apart, both sides weighing the same.

    Folds are of whole dialogues; the same place on both sides (which may share its acts) is in the same fold.

    Returns:
        accuracy, low and high (95 % bootstrap over dialogues), and utterances per side.
    """
    hits: list[list[np.ndarray]] = [[], []]
    for fold in range(FOLDS):
        unseen = [_part(side, fold, seed, held_out=True) for side in (real, simulated)]
        seen = [_part(side, fold, seed, held_out=False) for side in (real, simulated)]
        weights = _fit(*(_flat(part) for part in seen))
        for label, part in enumerate(unseen):
            for dialogue in part:
                scores = np.array([_score(text, weights) for text in dialogue])
                hits[label].append((scores > 0) == bool(label))
    rng = np.random.Generator(np.random.PCG64(seed))
    shares = [_resampled(side, rng) for side in hits]
    low, high = np.quantile((shares[0] + shares[1]) / 2, (0.025, 0.975))
    accuracy = float(np.mean([np.concatenate(side).mean() for side in hits]))
    return {
        "accuracy": accuracy,
        "low": float(low),
        "high": float(high),
        "utterances": min(sum(map(len, side)) for side in hits),
    }


def _part(
    side: Sequence[Sequence[list[str]]], fold: int, seed: int, *, held_out: bool
) -> list[Sequence[list[str]]]:
    return [one for i, one in enumerate(side) if one and (mix(seed, i) % FOLDS == fold) == held_out]


def _resampled(hits: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Shares of hits in resamples of whole dialogues."""
    counts = np.array([[one.sum(), len(one)] for one in hits])
    picks = rng.integers(0, len(counts), (_RESAMPLES, len(counts)))
    sums = counts[picks].sum(axis=1)
    share: np.ndarray = sums[:, 0] / sums[:, 1]
    return share


def _features(text: Sequence[str]) -> np.ndarray:
    """Hashed 1- and 2-grams of an utterance, each once, and the utterance's length in five steps."""
    grams = {*text, *(f"{a} {b}" for a, b in pairwise(text)), f"#{min(len(text) // 5, 5)}"}
    return np.array(sorted({text_key(gram) % FEATURES for gram in grams}), np.int64)


def _score(text: Sequence[str], weights: np.ndarray) -> float:
    places = _features(text)
    return float(weights[places].sum() / np.sqrt(len(places)) + weights[-1])


def _fit(real: Sequence[Sequence[str]], simulated: Sequence[Sequence[str]]) -> np.ndarray:
    """Weights of a logistic regression, float64[FEATURES + 1] with the bias last; gradient descent."""
    places = [_features(text) for text in (*real, *simulated)]
    rows = np.repeat(np.arange(len(places)), [len(one) for one in places])
    columns = np.concatenate(places)
    values = 1 / np.sqrt(np.array([len(places[row]) for row in rows]))
    labels = np.repeat([0.0, 1.0], [len(real), len(simulated)])
    share = np.where(labels == 1, 0.5 / len(simulated), 0.5 / len(real))
    weights = np.zeros(FEATURES + 1)
    for _ in range(_STEPS):
        logits = np.bincount(rows, weights[columns] * values, len(places)) + weights[-1]
        error = share * (1 / (1 + np.exp(-logits)) - labels)
        gradient = np.bincount(columns, error[rows] * values, FEATURES)
        weights[:-1] -= _RATE * (gradient + _PENALTY * weights[:-1])
        weights[-1] -= error.sum()
    return weights
