"""Measures of language at act level that all domains share: repetition and novelty (*ours*).

They follow `dialog_gym.language`, with what a turn says as sets of bits in place of words.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

ACT_MEASURES: Final = ("consistency", "repetition", "fidelity", "coverage", "novelty")
"""The five of the seven measures that exist without words; naturalness and ROUGE are about wording."""
_TURNS: Final = 5
"""Turns that novelty looks back, as in `dialog_gym.language`."""


class Said:
    """What was said in the last turns of N running dialogues, as ``words`` sets of 64 bits."""

    def __init__(self, count: int, words: int = 1) -> None:
        """``count`` dialogues of which nothing has been said."""
        self._said = np.zeros((count, _TURNS, words), np.uint64)
        self.turns = np.zeros(count, np.int64)

    def begin(self, rows: np.ndarray) -> None:
        """Some rows begin anew."""
        self._said[rows], self.turns[rows] = 0, 0

    def keep(self, running: np.ndarray) -> None:
        """Drop the rows where ``running``, bool[N], is false."""
        self._said, self.turns = self._said[running], self.turns[running]

    def judge(self, said: np.ndarray) -> Mapping[str, np.ndarray]:
        """Repetition of the last turn and novelty against all that are remembered, float64[N] each.

        1 is best; NaN in first turns and where nothing is said.

        Args:
            said: uint64[N, words], what the turn says.
        """
        before, first = np.bitwise_or.reduce(self._said, axis=1), self.turns == 0
        size = _size(said)
        judged = {
            "repetition": 1.0 - ratio(_size(said & self._said[:, 0]), size),
            "novelty": ratio(_size(said & ~before), size),
        }
        self._said = np.concatenate([said[:, None], self._said[:, :-1]], axis=1)
        self.turns = self.turns + 1
        return {name: np.where(first, np.nan, values) for name, values in judged.items()}


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """float64[N], NaN where the whole is 0."""
    return np.where(whole == 0, np.nan, part / np.maximum(whole, 1))


def _size(sets: np.ndarray) -> np.ndarray:
    size: np.ndarray = np.bitwise_count(sets).sum(axis=1, dtype=np.int64)
    return size
