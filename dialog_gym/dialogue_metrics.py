"""Metrics read from one dialogue at a time: the outcome its goal tracker decided, its acts, its end.

A dialogue whose outcome lacks a fact (another domain), or to which a metric does not apply, has weight 0.
Void dialogues (``ended_by`` is ``error``: the simulator failed) have weight 0 everywhere; ``voided`` counts
them.

"Reached" dialogues are those somebody answered: all of customer service, and the sale calls that were taken.
"Sale dialogues" are all but customer service; in MultiWOZ somebody is sold what they came for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dialog_gym.core import EndReason, Trajectory

Floats: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[float, float]
Fact: TypeAlias = Callable[[Trajectory], float]
Among: TypeAlias = Callable[[Trajectory], bool]
Measure: TypeAlias = Callable[[Trajectory], Pair]

SERVICE: Final = "customer_service"
GOOD_ENDS: Final = frozenset({"accepted", "resolved", "refused"})
CAUSED_BY_USER: Final = frozenset({"unclear", "challenge", "correct"})
NOTHING: Final[Pair] = (0.0, 0.0)
LOWER: Final = False  # higher_is_better


@dataclass(slots=True)
class Ratio:
    """A metric given by each dialogue's (numerator, weight).

    Attributes:
        name: Name on the board.
        about: Definition in one line.
        measure: Numerator and weight of one dialogue; a `KeyError` (a missing fact) means weight 0.
        higher_is_better: Direction in which agents are ranked.
        counts_void: Whether void dialogues are measured too.
    """

    name: str
    about: str
    measure: Measure
    higher_is_better: bool = True
    counts_void: bool = False

    def rows(self, trajectories: Sequence[Trajectory]) -> tuple[Floats, Floats]:
        """Arrays ``(value, weight)`` of shape ``[len(trajectories)]``; see `dialog_gym.core.Metric`."""
        pairs = np.array([self._pair(t) for t in trajectories], dtype=np.float64).reshape(
            len(trajectories), 2
        )
        return pairs[:, 0], pairs[:, 1]

    def _pair(self, trajectory: Trajectory) -> Pair:
        if trajectory.ended_by == "error" and not self.counts_void:
            return NOTHING
        try:
            return self.measure(trajectory)
        except KeyError:
            return NOTHING


# Facts of one dialogue, and whom a metric is about. A fact that is missing raises KeyError.


def _number(t: Trajectory, name: str) -> float:
    value = t.outcome[name]
    if value is None or isinstance(value, str):
        raise KeyError(name)
    return float(value)


def _sale(t: Trajectory) -> bool:
    return t.outcome["scenario"] != SERVICE


def _service(t: Trajectory) -> bool:
    return t.outcome["scenario"] == SERVICE


def _reached_sale(t: Trajectory) -> bool:
    return _sale(t) and bool(t.outcome["reached"])


def _reached(t: Trajectory) -> bool:
    return _service(t) or _reached_sale(t)


def _fitting_buyer(t: Trajectory) -> bool:
    return _reached_sale(t) and bool(t.outcome["buyer"]) and bool(t.outcome["solvable"])


def _non_buyer(t: Trajectory) -> bool:
    return _reached_sale(t) and not t.outcome["buyer"]


def _unsolvable(t: Trajectory) -> bool:
    return _reached_sale(t) and not t.outcome["solvable"]


def _anybody(t: Trajectory) -> bool:
    return True


def _answered(t: Trajectory) -> bool:
    """As `_reached`, also for domains that do not say."""
    return bool(t.outcome.get("reached", True))


def _mean(of: Fact, among: Among) -> Measure:
    """The mean of a fact (a share, if it is true or false) among some dialogues."""
    return lambda t: (of(t), 1.0) if among(t) else NOTHING


def _accuracy(what: str) -> Measure:
    """The share of claims or verdicts that are right."""
    right, wrong = f"right_{what}", f"wrong_{what}"
    return lambda t: (_number(t, right), _number(t, right) + _number(t, wrong))


def _share(part: str, whole: str) -> Measure:
    """One of the outcome's counts over another."""
    return lambda t: (_number(t, part), _number(t, whole))


def _precision(t: Trajectory) -> Pair:
    """Attributes told that the goal asks for, of all that were told."""
    right = _number(t, "requests_answered")
    return right, right + _number(t, "requests_spare")


def _f1(t: Trajectory) -> Pair:
    """Twice the right ones over right, spare and missing ones: the harmonic mean of precision and recall."""
    right = _number(t, "requests_answered")
    return 2 * right, right + _number(t, "requests_spare") + _number(t, "requests_wanted")


def _of(name: str, among: Among) -> Measure:
    """The mean of one of the outcome's numbers."""
    return _mean(lambda t: _number(t, name), among)


def _violating(prefix: str) -> Measure:
    """The share of reached dialogues with a violation whose name begins so."""

    def violates(t: Trajectory) -> float:
        named = str(t.outcome["violations"]).split(",")
        return float(any(name and name.startswith(prefix) for name in named))

    return _mean(violates, _reached)


def _ended(reason: str) -> Fact:
    return lambda t: float(t.ended_by == reason)


def _assistant_turns(t: Trajectory) -> float:
    return float(sum(turn.role == "assistant" for turn in t.turns))


def _level(t: Trajectory) -> float:
    return float(t.task.level)


def _net(t: Trajectory) -> float:
    return _number(t, "converted") - _number(t, "mis_sold")


def _taken(t: Trajectory) -> float:
    return max(_number(t, "converted"), _number(t, "mis_sold"))


def _false_closes(t: Trajectory) -> Pair:
    """Closes whose answer, the user turn right after, does not accept; and all closes."""
    turns = [(turn.role, {act.intent for act in turn.acts}) for turn in t.turns]
    answers = [
        said if role == "user" else set()
        for (speaker, asked), (role, said) in pairwise([*turns, ("nobody", set[str]())])
        if speaker == "assistant" and "close" in asked
    ]
    return float(sum("accept" not in said for said in answers)), float(len(answers))


def _user_caused(t: Trajectory) -> Pair:
    turns = [turn for turn in t.turns if turn.role == "user"]
    caused = sum(any(act.intent in CAUSED_BY_USER for act in turn.acts) for turn in turns)
    return float(caused), float(len(turns))


def _simulator_errors(t: Trajectory) -> Pair:
    return _number(t, "simulator_errors"), _number(t, "simulator_audited")


_RATIOS: Final = (
    Ratio("conversion", "converted, of all sale dialogues", _of("converted", _sale)),
    Ratio("reached_conversion", "converted, of reached sale dialogues", _of("converted", _reached_sale)),
    Ratio("net_conversion", "converted less mis-sold, of all sale dialogues", _mean(_net, _sale)),
    Ratio("resolution", "resolved, of service dialogues", _of("resolved", _service)),
    Ratio("success", "right outcome, of reached dialogues", _of("success", _reached)),
    Ratio("tse", "task-focused sequential engagement, 0 to 1, of reached dialogues", _of("tse", _reached)),
    Ratio("esndcg", "nDCG of the strategies chosen, 0 to 1, of reached dialogues", _of("esndcg", _reached)),
    Ratio("violation_rate", "any violation, of reached dialogues", _violating(""), LOWER),
    Ratio("violations_per_dialogue", "in reached dialogues", _of("violation_count", _reached), LOWER),
    Ratio("mis_sale_rate", "mis-sold, of reached sale dialogues", _of("mis_sold", _reached_sale), LOWER),
    Ratio("wrong_claim_rate", "a wrong claim, of reached dialogues", _violating("wrong_"), LOWER),
    Ratio("undisclosed_terms_rate", "a close before the terms, likewise", _violating("undisclosed"), LOWER),
    Ratio("pressure_rate", "pressure after a refusal, likewise", _violating("pressure"), LOWER),
    Ratio("early_data_rate", "account data before identity, likewise", _violating("early_data"), LOWER),
    Ratio("false_promise_rate", "a solution that is none, likewise", _violating("false_promise"), LOWER),
    Ratio("eligibility_accuracy", "right, of eligibility verdicts", _accuracy("verdicts")),
    Ratio("numeric_accuracy", "right, of numeric claims", _accuracy("claims")),
    Ratio("satisfaction", "of the user, 1 to 5, in reached dialogues", _of("satisfaction", _reached)),
    Ratio("handover_rate", "reached dialogues handed to a human", _of("handed_over", _reached), LOWER),
    Ratio("turns", "assistant turns in reached dialogues", _mean(_assistant_turns, _answered), LOWER),
    Ratio("honest_refusal", "refused, of reached users whom no product fits", _of("refused", _unsolvable)),
    Ratio("buyer_conversion", "converted, of reached buyers whom one fits", _of("converted", _fitting_buyer)),
    Ratio("non_buyer_acceptance", "took a product, of reached non-buyers", _mean(_taken, _non_buyer), LOWER),
    Ratio("false_close", "closes that the user did not accept, of all closes", _false_closes, LOWER),
    Ratio("user_caused_turns", "user turns that misunderstand, challenge or correct", _user_caused, LOWER),
    *(
        Ratio(f"ended_{reason}", "of all dialogues", _mean(_ended(reason), _anybody), reason in GOOD_ENDS)
        for reason in get_args(EndReason)
        if reason != "error"  # those are void
    ),
    Ratio("voided", "simulator failures, of all dialogues", _mean(_ended("error"), _anybody), LOWER, True),
    Ratio("simulator_error_rate", "audited user turns that contradict their acts", _simulator_errors, LOWER),
    Ratio("concession", "products offered in reached sale dialogues", _of("offered", _reached_sale), LOWER),
    Ratio("complete", "all that was wanted told and booked, of reached dialogues", _of("complete", _reached)),
    Ratio("book_rate", "made, of the goals' bookings", _share("bookings_made", "bookings_wanted")),
    Ratio("inform_precision", "asked for by the goal, of attributes told", _precision),
    Ratio("inform_recall", "told rightly, of requests", _share("requests_answered", "requests_wanted")),
    Ratio("inform_f1", "harmonic mean of the two, over all dialogues", _f1),
    Ratio("level", "difficulty level of the tasks", _mean(_level, _anybody)),
)  # fmt: skip

DIALOGUE_METRICS: Final = {ratio.name: ratio for ratio in _RATIOS}
"""The metrics by name, in the order of a board."""
