"""Difficulty: one integer 0-9 that moves the user's patience, brevity and fickleness. Goals stay the same."""

from dataclasses import dataclass

from dialog_gym.core import LEVELS, DialogGymError


@dataclass(frozen=True)
class Axes:
    """Where each axis stands at a level."""

    patience: float
    """Mean number of turns without progress that a user bears; users differ by up to 2 from it."""
    verbosity: float
    """Mean number of slots that a user says in a usual turn; users differ by up to 1 from it."""
    mind_change: float
    """Probability that the user changes one constraint of a domain during the dialogue."""


def axes(level: int) -> Axes:
    """The axes at a difficulty level.

    Raises:
        DialogGymError: level outside 0-9.
    """
    if level not in LEVELS:
        raise DialogGymError(f"level must be an integer from 0 to 9, not {level!r}")
    return Axes(
        patience=round(8.0 - 0.5 * level, 4),
        verbosity=round(4.0 - 0.35 * level, 4),
        mind_change=round(0.05 * level, 4),
    )
