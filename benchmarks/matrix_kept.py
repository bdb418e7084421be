"""Whether an agent collapses when its users change: what it keeps of its conversion, on the same tasks."""

import math
from collections.abc import Sequence
from typing import Final

from dialog_gym.core import Record, Trajectory
from dialog_gym.metrics import rows_matrix
from dialog_gym.stats import paired_difference

HALF: Final = 0.5
"""An agent that keeps less collapses."""
KEPT: Final = "buyer_conversion"
"""What is compared, where the suite's dialogues have it; else the metric that the suite ranks by."""


class Kept(Record):
    """A metric with one simulator's users relative to that with another's, with its paired 95 % interval.

    NaN where some resample of the tasks has nothing that could be kept.
    """

    agent: str
    simulator: str
    before: str
    """The simulator that it is relative to."""
    metric: str
    ratio: float
    low: float
    high: float
    n: int
    """Dialogues judged with both."""

    @property
    def verdict(self) -> str:
        """Whether the agent collapses, as far as the interval says."""
        if math.isnan(self.ratio):
            return f"not known, too few conversions with {self.before} to compare"
        if self.high < HALF:
            return "collapses"
        return "does not collapse" if self.low >= HALF else "not known, the interval is too wide"

    def __str__(self) -> str:
        """One line for people."""
        figures = "" if math.isnan(self.ratio) else f" {self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.simulator}{figures}: {self.verdict}"


def kept(
    agent: str, simulators: tuple[str, str], metric: str, played: tuple[Sequence[Trajectory], ...]
) -> Kept:
    """What an agent keeps of a metric.

    Args:
        agent: Its name.
        simulators: Two names; the second is relative to the first.
        metric: Its name; higher is better.
        played: The dialogues with either, the same tasks and trials in the same order.
    """
    before, after = (rows_matrix(side, [metric]) for side in played)
    found = paired_difference(
        after.values[:, 0], before.values[:, 0], after.weights[:, 0], before.weights[:, 0],
        after.strata, after.clusters,
    )  # fmt: skip
    return Kept(
        agent=agent, simulator=simulators[1], before=simulators[0], metric=metric, n=found.n,
        ratio=1 + found.relative, low=1 + found.relative_low, high=1 + found.relative_high,
    )  # fmt: skip


def lines(found: Sequence[Kept]) -> list[str]:
    """A heading, and one line per agent; nothing for a single simulator."""
    if not found:
        return []
    agents = dict.fromkeys(one.agent for one in found)
    head = f"{found[0].metric} relative to {found[0].before} (an agent that keeps less than half collapses):"
    return [head, *(f"{name}: {'; '.join(str(o) for o in found if o.agent == name)}" for name in agents)]
