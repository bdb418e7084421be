"""Language metrics: the measures of `dialog_gym.language` on the assistant turns of stored dialogues.

A dialogue's value is the mean over its assistant turns, turns that cannot be judged (NaN) left out; the
metric is the mean over dialogues in which somebody was reached. ``gre`` ("generation reward", a metric named
by GOPO, arXiv 2602.15854) is the mean of a turn's judged measures; the definition is *ours*.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dialog_gym.core import DialogueAct, Scalar, Trajectory, Turn
from dialog_gym.language import LANGUAGE_REWARDS, NOVELTY_TURNS, LanguageContext, language_rewards

Floats: TypeAlias = NDArray[np.float64]
Reference: TypeAlias = Callable[[Sequence[DialogueAct]], str | None]
"""The shop's own words for the acts of an assistant turn, or None where it has none."""

LANGUAGE_METRICS: Final = (*LANGUAGE_REWARDS, "gre")
_INFORM: Final = "inform_"
_WRONG: Final = "wrong_"


class _Told:
    """What the user has told the agent, and asked, up to some turn."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.known: dict[str, Scalar] = {}

    def hear(self, turn: Turn) -> None:
        for act in turn.acts:
            if act.intent == "ask" and "topic" in act.slots:
                self.open.add(str(act.slots["topic"]))
            elif act.intent in ("disclose", "correct") and "value" in act.slots:
                self.known[str(act.slots.get("slot"))] = act.slots["value"]
            elif act.intent == "confirm_identity":
                self.known["identity"] = True


def contexts(trajectory: Trajectory, reference: Reference | None = None) -> Iterator[LanguageContext]:
    """What the language measures may look at, for each assistant turn of a stored dialogue.

    Open questions, disclosures and confirmed identity come from the acts that the user meant, answers from
    the turn's ``inform_TOPIC`` acts, wrong claims from the costs named ``wrong_TOPIC``.

    Args:
        trajectory: A dialogue of any domain; acts that it does not have are simply not found.
        reference: Gives the reference reply to the turn's acts; without it ROUGE is unknown.
    """
    told, before, heard, number = _Told(), tuple[str, ...](), "", 0
    for turn in trajectory.turns:
        if turn.role == "user":
            told.hear(turn)
            heard = turn.text
            continue
        informed = [act.intent.removeprefix(_INFORM) for act in turn.acts if act.intent.startswith(_INFORM)]
        costs = trajectory.costs[number] if number < len(trajectory.costs) else {}
        wrong = sum(1 for name, cost in costs.items() if cost > 0 and name.startswith(_WRONG))
        yield LanguageContext(
            text=turn.text,
            previous_agent_texts=before,
            user_text=heard,
            acts=turn.acts,
            asked_topics=frozenset(told.open),
            answered_topics=frozenset(informed),
            right_claims=max(0, len(informed) - wrong),
            wrong_claims=wrong,
            profile=trajectory.task.profile.attributes,
            known=dict(told.known),
            reference=reference(turn.acts) if reference else None,
        )
        told.open.difference_update(informed)
        before, heard, number = (*before, turn.text)[-NOVELTY_TURNS:], "", number + 1


def language_rows(
    trajectories: Sequence[Trajectory], reference: Reference | None = None
) -> Mapping[str, tuple[Floats, Floats]]:
    """All language metrics at once: ``name -> (value, weight)``, each of shape ``[len(trajectories)]``.

    Dialogues that nobody answered (``reached`` is false in the outcome), void ones and those without a turn
    that can be judged have weight 0.
    """
    judged: list[list[float]] = []
    owner: list[int] = []
    for row, trajectory in enumerate(trajectories):
        if trajectory.ended_by == "error" or not trajectory.outcome.get("reached", True):
            continue
        for context in contexts(trajectory, reference):
            judged.append(list(language_rewards(context).values()))
            owner.append(row)
    turns = np.array(judged, dtype=np.float64).reshape(len(judged), len(LANGUAGE_REWARDS))
    known = ~np.isnan(turns)
    together = _quotient(np.where(known, turns, 0.0).sum(axis=1), known.sum(axis=1))
    columns = np.column_stack([turns, np.where(known.any(axis=1), together, np.nan)])
    return {
        name: _by_dialogue(columns[:, i], owner, len(trajectories)) for i, name in enumerate(LANGUAGE_METRICS)
    }


def _by_dialogue(column: Floats, owner: Sequence[int], n: int) -> tuple[Floats, Floats]:
    """Mean per dialogue of the turns that are not NaN, and weight 1 where there is one."""
    known = ~np.isnan(column)
    rows = np.asarray(owner, dtype=np.int64)[known]
    counts = np.bincount(rows, minlength=n).astype(np.float64)
    return _quotient(np.bincount(rows, weights=column[known], minlength=n), counts), np.minimum(counts, 1.0)


def _quotient(top: NDArray[Any], count: NDArray[Any]) -> Floats:
    """The mean out of a sum; 0 of nothing."""
    return np.asarray(top / np.maximum(count, 1), dtype=np.float64)


@dataclass(slots=True)
class LanguageMetric:
    """One of `LANGUAGE_METRICS`, in [0, 1]. For several of them at once call `language_rows`."""

    name: str
    about: str
    reference: Reference | None = None
    higher_is_better: bool = True

    def rows(self, trajectories: Sequence[Trajectory]) -> tuple[Floats, Floats]:
        """Arrays ``(value, weight)`` of shape ``[len(trajectories)]``; see `dialog_gym.core.Metric`."""
        return language_rows(trajectories, self.reference)[self.name]
