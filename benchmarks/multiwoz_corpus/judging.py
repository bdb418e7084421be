"""Inform and Success of one dialogue, and the domain that each turn is about.

Rules, from ``metrics.py`` and ``utils.py`` of the published evaluator:

- A turn counts for the goal's domains among its active domains. Active domains come with the predictions;
  if one turn of the whole file has none, all are estimated: a domain is active when its state changed in
  this turn. Of several, the one active before stays, else the fullest one is taken (the first in the
  state's order on a tie). Without a change the last one stays, or gives way once to another one that had
  changed at the same time.
- **Offers.** NAME in a response (restaurant, hotel, attraction) or TRAINID (train) offers all venues that
  match the predicted state of that turn. The new venues replace the earlier ones, unless those are all
  among them: a wider state takes nothing back. A domain without state offers nothing.
- **Inform** of a domain: something was offered, and each venue offered last matches the goal's constraints.
  It is given where the goal names the venue, for taxi, police and hospital, and for a train that was never
  offered if the goal does not ask for its number. The dialogue needs all domains of its goal.
- **Success**: Inform, and every requestable of the goal's domains was given in a turn of that domain:
  PHONE, ADDRESS, POST, TRAINID, and REFERENCE where the goal books. A REFERENCE counts only from the turn
  on in which the corpus has booked that domain, for whether a booking is possible is known from the corpus
  alone.
- A domain's own Success, too, needs the Inform of the whole dialogue.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dialog_gym.benchmarks.multiwoz_corpus.slots import State
from dialog_gym.benchmarks.multiwoz_corpus.venues import Venues

REQUESTABLE = ("PHONE", "ADDRESS", "POST", "REFERENCE", "TRAINID")
_NAMED = ("restaurant", "hotel", "attraction")
_WITHOUT_VENUE = ("taxi", "police", "hospital")


@dataclass(frozen=True)
class DomainGoal:
    """What the user wants of one domain: constraints (normalised) and what must be told (placeholders)."""

    constraints: Mapping[str, str]
    requestables: frozenset[str]


Goal = Mapping[str, DomainGoal]
"""A user's goal, by domain."""


@dataclass(frozen=True)
class JudgedTurn:
    """One system turn as it is judged: normalised response and state, domains active and booked so far."""

    response: str
    state: State
    active: Collection[str]
    booked: Collection[str]


@dataclass(frozen=True)
class Verdict:
    """Inform and Success of a dialogue's domains."""

    inform: Mapping[str, bool]
    success: Mapping[str, bool]

    @property
    def informed(self) -> bool:
        """Inform of the dialogue."""
        return all(self.inform.values())

    @property
    def succeeded(self) -> bool:
        """Success of the dialogue."""
        return all(self.success.values())


def judge(goal: Goal, turns: Sequence[JudgedTurn], venues: Venues) -> Verdict:
    """Inform and Success of a dialogue, by domain of its goal."""
    inform = {domain: _informs(domain, wanted, turns, venues) for domain, wanted in goal.items()}
    whole = all(inform.values())
    success = {d: whole and wanted.requestables <= _provided(d, turns) for d, wanted in goal.items()}
    return Verdict(inform, success)


def _informs(domain: str, wanted: DomainGoal, turns: Sequence[JudgedTurn], venues: Venues) -> bool:
    if domain in _WITHOUT_VENUE or "name" in wanted.constraints:
        return True
    offered = _offered(domain, turns, venues)
    if not offered:
        return domain == "train" and "TRAINID" not in wanted.requestables
    return offered <= venues.matching(domain, wanted.constraints)


def _offered(domain: str, turns: Sequence[JudgedTurn], venues: Venues) -> frozenset[str]:
    """Ids of the venues that stand as offered when the dialogue ends."""
    sign = "NAME" if domain in _NAMED else "TRAINID"
    offered = frozenset[str]()
    for turn in turns:
        if domain in turn.active and sign in turn.response:
            matching = (
                venues.matching(domain, turn.state[domain]) if domain in turn.state else frozenset[str]()
            )
            if not offered or not offered <= matching:
                offered = matching
    return offered


def _provided(domain: str, turns: Iterable[JudgedTurn]) -> set[str]:
    return {
        slot
        for turn in turns
        if domain in turn.active
        for slot in REQUESTABLE
        if slot in turn.response and (slot != "REFERENCE" or domain in turn.booked)
    }


def estimated_domains(states: Sequence[State]) -> list[list[str]]:
    """The active domains of each turn of a dialogue, from what changed in its states."""
    active: list[list[str]] = []
    current: str | None = None
    before: State = {}
    rivals: list[str] = []
    for state in states:
        changed = [d for d in state if state[d].items() - before.get(d, {}).items()]
        if changed and current not in changed:
            current = max(changed, key=lambda domain: len(state[domain]))
        elif not changed and len(rivals) > 1:
            current = next((d for d in rivals if d in state and d != current), current)
        if current is not None:
            before, rivals = state, changed
        active.append([] if current is None else [current])
    return active
