"""The outcome of a paired comparison of two agents on common random numbers."""

import math

from dialog_gym.core import Record


class Paired(Record):
    """Agent A minus agent B on the same tasks and trials.

    ``low``/``high`` bound ``difference`` with 95 % confidence. ``n`` counts the episodes on which both agents
    were judged. ``relative`` is the lift ``difference / B``; it and its bounds are NaN unless B is positive
    in every resample. ``p_superior`` is the share of resamples in which A is higher (ties count half): for a
    metric where lower is better, read ``1 - p_superior``.
    """

    difference: float
    low: float
    high: float
    n: int
    relative: float
    relative_low: float
    relative_high: float
    p_superior: float

    def reversed(self) -> "Paired":
        """Agent B minus agent A; the lift is then relative to A."""
        lifts = (self.relative, self.relative_high, self.relative_low)
        known = all(lift > -1 for lift in lifts)
        relative, low, high = (1 / (1 + lift) - 1 if known else math.nan for lift in lifts)
        return Paired(
            difference=-self.difference, low=-self.high, high=-self.low, n=self.n, relative=relative,
            relative_low=low, relative_high=high, p_superior=1 - self.p_superior,
        )  # fmt: skip
