"""How predicted responses read: BLEU against the references, and how rich their language is.

Rules, from ``metrics.py`` of the published evaluator:

- **BLEU** is sacrebleu's corpus BLEU with its defaults (13a tokenisation, exponential smoothing, order 4)
  of all normalised responses against one reference each.
- **Richness** counts tokens as the package lexical-diversity does: punctuation is deleted (not replaced by
  a space), then the text is split at spaces, so that an empty response is one empty token. Bigrams and
  trigrams stay within a response. Entropies are in bits; MSTTR-50 is the mean type-token ratio of
  consecutive windows of 50 tokens of all responses one after another, in the order of the predictions file,
  without the rest at the end.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dialog_gym.resampling import Floats

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

_PUNCTUATION = ("``", "''", *"'.,?!)(%/-_", "SYM", *":;")
_WINDOW = 50
_ORDER = 4


def bleu_counts(responses: Sequence[str], references: Sequence[str]) -> Floats:
    """What BLEU needs of one dialogue: ``float[10]``, matches and n-grams by order, then both lengths."""
    found = _bleu().corpus_score(responses, [references])
    return np.array([*found.counts, *found.totals, found.sys_len, found.ref_len], dtype=np.float64)


def bleu(counts: Floats) -> float:
    """BLEU, 0 to 100, of summed counts."""
    whole = [round(count) for count in counts.tolist()]
    matches, ngrams = whole[:_ORDER], whole[_ORDER : 2 * _ORDER]
    return float(_bleu().compute_bleu(matches, ngrams, whole[-2], whole[-1], smooth_method="exp").score)


def _bleu() -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU

    return BLEU()


def words(response: str) -> list[str]:
    """The tokens of a normalised response as richness counts them; at least one, and some may be empty."""
    for mark in _PUNCTUATION:
        response = response.replace(mark, "")
    return re.sub(r"\s+", " ", response).lower().split(" ")


def richness(responses: Iterable[str]) -> dict[str, float]:
    """Lexical richness of all responses together, under the names of the published evaluator."""
    tokens = [words(response) for response in responses]
    grams = [
        Counter(gram for turn in tokens for gram in zip(*_shifted(turn, n), strict=False)) for n in (1, 2, 3)
    ]
    ones, twos, _ = grams
    total = ones.total()
    shares = [count / total for count in ones.values()]
    given = [(count / total, count / ones[gram[:1]]) for gram, count in twos.items()]
    return {
        "entropy": -math.fsum(share * math.log2(share) for share in shares),
        "cond_entropy": -math.fsum(joint * math.log2(conditional) for joint, conditional in given),
        "avg_lengths": total / len(tokens),
        "msttr": msttr([word for turn in tokens for word in turn]),
        "num_unigrams": len(ones),
        "num_bigrams": len(twos),
        "num_trigrams": len(grams[2]),
    }


def _shifted(turn: Sequence[str], n: int) -> list[Sequence[str]]:
    return [turn[start:] for start in range(n)]


def msttr(tokens: Sequence[str]) -> float:
    """Mean segmental type-token ratio, 0 to 1."""
    if len(tokens) <= _WINDOW:
        return len(set(tokens)) / len(tokens)
    starts = range(0, len(tokens) - _WINDOW + 1, _WINDOW)
    return math.fsum(len(set(tokens[start : start + _WINDOW])) / _WINDOW for start in starts) / len(starts)
