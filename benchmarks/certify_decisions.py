"""How users decide: buyers and those who will not buy apart, and free language models beside the domain.

Language models that choose freely are known to push those who will not buy into buying (arXiv 2606.20708).
In ``free`` mode the model chooses and in ``worded`` mode the domain's user model does, for the same
customers, so the difference between the modes is the model's own bias.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from dialog_gym.core import Trajectory
from dialog_gym.simulators.prompts import MODES, Mode
from dialog_gym.stats import paired_difference

SALE: Final = "proactive_sale"
"""The scenario whose customers buy or do not."""
GROUPS: Final = {"buyers": True, "non-buyers": False}
PUBLISHED_BIAS: Final = 0.40
"""Of language models towards buying, in customers who did not buy (arXiv 2606.20708)."""


def mode_of(users: Any) -> Mode:
    """Who chooses what a simulator's users do: themselves (``free``) or the domain (``worded``)."""
    return "free" if getattr(users, "mode", "") == "free" else "worded"


def other_mode(users: Any) -> Mode | None:
    """The mode to compare a language model with; None for simulators that have no modes."""
    if getattr(users, "mode", None) not in MODES:
        return None
    return "worded" if mode_of(users) == "free" else "free"


def sales(played: Sequence[Trajectory]) -> list[Trajectory]:
    """The sales calls among some dialogues."""
    return [one for one in played if one.task.scenario == SALE]


def decisions(played: Sequence[Trajectory]) -> dict[str, dict[str, float]]:
    """How buyers and those who will not buy decide, in the sales calls that reach them.

    By group: ``dialogues``; the shares of them in which the user ``accepts``, ``declines`` (resistance) or
    ``leaves`` by hanging up; ``turns`` of the user per dialogue (deliberation); and the share of these turns
    that the simulator gave up (``fallbacks``), in which a free user did not choose either. A group that
    nobody belongs to is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name, buyer in GROUPS.items():
        group = [one for one in played if _reached(one) and one.outcome["buyer"] is buyer]
        if group:
            turns = sum(turn.role == "user" for one in group for turn in one.turns)
            given_up = sum(int(one.outcome.get("simulator_fallbacks") or 0) for one in group)
            found[name] = {
                "dialogues": float(len(group)),
                "accepts": fmean(one.ended_by == "accepted" for one in group),
                "declines": fmean(one.ended_by == "declined" for one in group),
                "leaves": fmean(one.ended_by == "user_hung_up" for one in group),
                "turns": turns / len(group),
                "fallbacks": given_up / max(turns, 1),
            }
    return found


def buying_bias(free: Sequence[Trajectory], worded: Sequence[Trajectory]) -> dict[str, dict[str, float]]:
    """By group, the share of acceptances in ``free`` mode less that in ``worded`` mode.

    Args:
        free: Sales calls.
        worded: The same ones in the same order.

    Returns:
        ``value`` in [-1, 1] with its paired 95 % interval, ``low`` and ``high``, and ``dialogues``.
    """
    pairs = [pair for pair in zip(free, worded, strict=True) if all(map(_reached, pair))]
    found: dict[str, dict[str, float]] = {}
    for name, buyer in GROUPS.items():
        group = [pair for pair in pairs if pair[1].outcome["buyer"] is buyer]
        if group:
            chosen, decided = (
                [one.ended_by == "accepted" for one in side] for side in zip(*group, strict=True)
            )
            ones = [1.0] * len(group)
            tasks = [one.task.id for _, one in group]
            bias = paired_difference(chosen, decided, ones, ones, clusters=tasks)
            found[name] = {
                "value": bias.difference, "low": bias.low, "high": bias.high, "dialogues": float(len(group)),
            }  # fmt: skip
    return found


def _reached(one: Trajectory) -> bool:
    """Whether somebody took a sales call, and it is not void."""
    return one.ended_by != "error" and bool(one.outcome.get("reached"))
