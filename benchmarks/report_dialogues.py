"""The dialogues of the report: a sample in which every way of ending is represented, as plain data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dialog_gym.core import DialogueAct, Scalar, Trajectory, Turn

MAX_TEXT: Final = 4000
"""Characters kept of one utterance or thought: a flooding agent must not make the report unreadable."""


def sample(trajectories: Sequence[Trajectory], size: int) -> list[int]:
    """Positions of at most ``size`` dialogues, shared out evenly over the reasons why they ended.

    Rare endings are kept whole, since they are what a reader looks for; a sample this uneven says nothing
    about shares. Within a reason, dialogues are taken at even distances in order of scenario, task and trial:
    no randomness, and the order of ``trajectories`` does not matter.
    """
    strata: dict[str, list[int]] = {}
    for i in sorted(range(len(trajectories)), key=lambda i: _key(trajectories[i])):
        strata.setdefault(trajectories[i].ended_by, []).append(i)
    quota: Counter[str] = Counter()
    open_strata = sorted(strata, key=lambda reason: (len(strata[reason]), reason))
    while open_strata and quota.total() < size:
        for reason in open_strata[: size - quota.total()]:
            quota[reason] += 1
        open_strata = [reason for reason in open_strata if quota[reason] < len(strata[reason])]
    return sorted(i for reason, count in quota.items() for i in _spread(strata[reason], count))


def dialogues(trajectories: Sequence[Trajectory], size: int) -> dict[str, Any]:
    """One agent's dialogues for the page: a stratified sample and the counts it was drawn from.

    Args:
        trajectories: all of the agent's dialogues.
        size: at most this many are embedded.

    Returns:
        ``total``, ``ended_by`` (counts over all dialogues) and ``items``, one mapping per sampled dialogue.
    """
    return {
        "total": len(trajectories),
        "ended_by": dict(Counter(trajectory.ended_by for trajectory in trajectories)),
        "items": [_item(trajectories[i]) for i in sample(trajectories, size)],
    }


def violations(trajectory: Trajectory) -> list[str]:
    """Names of the rules broken in a dialogue, sorted: the costs booked per turn and those in the outcome."""
    booked = {name for costs in trajectory.costs for name, cost in costs.items() if cost > 0}
    stated = str(trajectory.outcome.get("violations") or "").split(",")
    return sorted(booked | {name for name in stated if name})


def _item(trajectory: Trajectory) -> dict[str, Any]:
    task, goal = trajectory.task, trajectory.task.goal
    return {
        "task": task.id,
        "scenario": task.scenario,
        "level": task.level,
        "trial": trajectory.trial,
        "seed": trajectory.seed,
        "ended_by": trajectory.ended_by,
        "results": _results(trajectory.outcome),
        "violations": violations(trajectory),
        "outcome": dict(trajectory.outcome),
        "profile": dict(task.profile.attributes),
        "goal": {
            "need": goal.need,
            "requests": list(goal.requests),
            "constraints": dict(goal.constraints),
            "persona": dict(goal.persona),
        },
        "turns": _turns(trajectory),
    }


def _turns(trajectory: Trajectory) -> list[dict[str, Any]]:
    """Turns in order; an assistant's turn carries its rewards, its costs and the state it led to."""
    out, k = [], 0
    for turn in trajectory.turns:
        entry = _turn(turn)
        if turn.role == "assistant":
            for name, values in (
                ("rewards", trajectory.rewards),
                ("costs", trajectory.costs),
                ("state", trajectory.states),
            ):
                if k < len(values):
                    entry[name] = dict(values[k])
            k += 1
        out.append(entry)
    return out


def _turn(turn: Turn) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": turn.role, "text": _cut(turn.text)}
    if turn.acts:
        entry["acts"] = [_cut(_notation(act)) for act in turn.acts]
    if turn.thought is not None:
        entry["thought"] = _cut(turn.thought)
    return entry


def _notation(act: DialogueAct) -> str:
    return f"{act.intent}({', '.join(f'{name}={value}' for name, value in act.slots.items())})"


def _results(outcome: Mapping[str, Scalar]) -> list[str]:
    """Under which headings of the result filter a dialogue is found."""
    found = [name for name in ("success", "converted", "resolved", "refused") if outcome.get(name)]
    found = found if outcome.get("success") else [*found, "no success"]
    return [*found, "mis-sold"] if outcome.get("mis_sold") else found


def _cut(text: str) -> str:
    extra = len(text) - MAX_TEXT
    return text if extra <= 0 else f"{text[:MAX_TEXT]} … ({extra:,} more characters not shown)"


def _key(trajectory: Trajectory) -> tuple[str, str, int, int]:
    return trajectory.task.scenario, trajectory.task.id, trajectory.trial, trajectory.seed


def _spread(items: Sequence[int], count: int) -> list[int]:
    """``count`` items at even distances, the first included."""
    return [items[k * len(items) // count] for k in range(count)]
