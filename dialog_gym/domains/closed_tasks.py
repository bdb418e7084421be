"""MORE's reasoning tasks for networks, whatever the domain: answers as choices between classes."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dialog_gym.noise import mix_array

HELD_OUT: Final = 5
"""One in this many combinations is kept out of training."""


@dataclass(frozen=True)
class Answers:
    """Both tasks on N customers as choices between classes."""

    profile: np.ndarray
    """float32[N, F], what the task shows of an act-level observation: its first F columns."""
    asked: np.ndarray
    """float32[N, A], what it says beside that."""
    mac: np.ndarray
    """int64[N, len(MAC sizes)], the right classes."""
    pnr: np.ndarray
    """int64[N, len(PNR sizes)], the right classes."""
    unseen: np.ndarray
    """bool[N], whether the combination is kept out of training."""


def kept_out(key: int, combination: np.ndarray) -> np.ndarray:
    """bool[N], a fifth of all combinations, the same ones for the same key.

    Args:
        key: Of the kind of combination.
        combination: int64[N], the number of each combination.
    """
    kept: np.ndarray = mix_array(np.asarray([key], np.uint64), combination) % np.uint64(HELD_OUT) == 0
    return kept
