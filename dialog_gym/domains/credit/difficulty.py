"""Difficulty: one integer 0-9 that moves every axis. The turn budget stays fixed.

The axes follow the published idea of a single difficulty integer with several monotone axes (EcomRLVE); the
numbers are ours. `replace(axes(0), trust=axes(9).trust)` moves one axis alone, which the tests do.
"""

from dataclasses import dataclass

from dialog_gym.core import LEVELS, DialogGymError


@dataclass(frozen=True)
class Axes:
    """Where each axis stands at a level. Shares and probabilities are in [0, 1]."""

    trust: float
    """Mean initial trust."""
    patience: float
    """Mean initial patience, in turns a user bears without progress."""
    discovery: int
    """How many of amount, purpose and timing must be asked for (1-3)."""
    ineligible: float
    """Share of shoppers for whose need no product is allowed."""
    branches: int
    """Rulebook conditions with ``from_level`` up to this are switched on."""
    price_sensitivity: float
    """Mean weight a user gives to cost."""
    typos: float
    """Probability that a user turn is too badly typed to be read; half of it is the share of slips."""
    mind_change: float
    """Probability that the wanted amount changes during the dialogue."""
    missing: float
    """Probability that the monthly income is missing from the profile."""


def axes(level: int) -> Axes:
    """The axes at a difficulty level.

    Raises:
        DialogGymError: level outside 0-9.
    """
    if level not in LEVELS:
        raise DialogGymError(f"level must be an integer from 0 to 9, not {level!r}")
    return Axes(
        trust=round(0.66 - 0.03 * level, 4),
        patience=round(8.0 - 0.25 * level, 4),
        discovery=1 + level // 3 if level < 9 else 3,
        ineligible=round(0.08 + 0.03 * level, 4),
        branches=level,
        price_sensitivity=round(0.25 + 0.05 * level, 4),
        typos=round(0.015 * level, 4),
        mind_change=round(0.05 * level, 4),
        missing=round(0.05 * level, 4),
    )
