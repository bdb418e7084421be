"""The goal tracker: it alone decides violations, stages, success and the end of a dialogue.

TSE (Task-focused Sequential Engagement) is defined as in the credit domain: assistant turn t gains the weight
g_t of the stages correctly completed in it, counted only if the user stayed on the task (e_t) and discounted
by log2(1 + t); the sum is divided by that of the best possible sequence of the task, so it lies in [0, 1].
Here every domain of the goal has the same weight, divided among those of `STAGE_WEIGHTS` that it has.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from dialog_gym.core import END, RUNNING
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda, Reaction
from dialog_gym.domains.multiwoz.search import Searcher
from dialog_gym.domains.multiwoz.state import GOODBYE, AgentTurn, Lane, State
from dialog_gym.ops import Ops

STAGE_WEIGHTS: Final[Mapping[str, float]] = {
    "need": 0.2, "entity": 0.25, "requests": 0.2, "booking": 0.25, "decision": 0.1,
}  # fmt: skip
"""Ours: need understood, wanted entity offered, questions answered, booking made, left with all right."""

VIOLATIONS: Final = (
    "invented",  # an entity or a value that the database does not have
    "unfit_offer",  # an entity that does not fit what the user has told
    "early_offer",  # an entity before it is known what is wanted
    "false_no_offer",  # "nothing fits" although something does
    "repeated_question",  # asked for what the user has told
    "early_booking",  # booked before the entity or the details are known
    "false_booking",  # a booking with wrong details or while there is none to be had, or refused without need
)
VIOLATION: Final = {name: 1 << i for i, name in enumerate(VIOLATIONS)}
_INTRUSIVE: Final = sum(bit for name, bit in VIOLATION.items() if name != "invented")
"""Violations that users notice at once and that cost patience."""


def stage_shares(entity: bool, requests: bool, booking: bool) -> float:
    """One over the weight of the stages that a domain has."""
    w = STAGE_WEIGHTS
    total = w["need"] + w["decision"] + entity * w["entity"] + requests * w["requests"]
    return round(1 / (total + booking * w["booking"]), 9)


_SHARES: Final = tuple(stage_shares(bool(i & 1), bool(i & 2), bool(i & 4)) for i in range(8))
_DISCOUNT: Final = (0.0, *(round(1 / math.log2(1 + t), 9) for t in range(1, 121)))


class Tracker:
    """Decides what counts. Stateless: everything about a dialogue is in its `State`."""

    def __init__(self, ops: Ops, search: Searcher, agenda: Agenda, max_turns: int) -> None:
        """Prepares lookup tables for dialogues of at most ``max_turns`` assistant turns."""
        self.ops, self.search, self.agenda, self.max_turns = ops, search, agenda, max_turns
        self.discount, self.shares = ops.table(_DISCOUNT), ops.table(_SHARES)
        self.inverse = ops.table([0.0, *(round(1 / n, 9) for n in range(1, bits.WIDTH + 1))])
        self.needed = ops.table(bits.NEEDED)
        self.info, self.askable = agenda.info, agenda.askable

    # -- violations

    def judge(self, s: State, t: AgentTurn) -> None:
        """Violations of the assistant's turn that can be told before the user reacts; claims are counted."""
        where, take = self.ops.where, self.ops.take
        told = s.told & ~s.dontcare
        offers = (t.offer != bits.NOBODY) & (t.row >= 0)
        misses = self.search.misfit(s, t.offer, where(offers, t.row, -1), told, s.differs)
        needed, info = take(self.needed, t.offer), take(self.info, t.offer)
        open_info = where(needed != 0, needed & ~s.told, where((s.told & info) != 0, 0, 1))
        early = offers & (open_info != 0) & (((1 << t.offer) & bits.ONE_OF_A_KIND) == 0)
        s.violations = (
            where(t.invented | (t.wrong != 0), VIOLATION["invented"], 0)
            | where(offers & (misses != 0), VIOLATION["unfit_offer"], 0)
            | where(early, VIOLATION["early_offer"], 0)
            | where((t.denied & ~t.nothing) != 0, VIOLATION["false_no_offer"], 0)
            | where((t.requested & s.told) != 0, VIOLATION["repeated_question"], 0)
        )
        s.right_claims = s.right_claims + bits.size(t.right)
        s.wrong_claims = s.wrong_claims + bits.size(t.wrong)
        s.spare = s.spare + t.spare

    def judge_booking(self, s: State, t: AgentTurn, before: Lane) -> None:
        """Violations of bookings, after the user's reaction; ``before`` is `State.booked` before it."""
        where, bit = self.ops.where, 1 << s.domain
        claimed = t.book & ~before
        made = s.booked & ~before
        ready = self.agenda.ready_to_book(s, s.domain, (s.accepted & bit) != 0)
        here = where(ready, claimed & bit, 0)
        early = claimed & ~here
        false = (here & ~made) | (t.no_book & ~s.turned_down)
        s.violations = (
            s.violations
            | where(early != 0, VIOLATION["early_booking"], 0)
            | where(false != 0, VIOLATION["false_booking"], 0)
        )

    # -- stages and TSE

    def completed(self, s: State, d: Lane) -> Lane:
        """Weighted share of the completed stages of a domain, in [0, 1]."""
        where, take, w = self.ops.where, self.ops.take, STAGE_WEIGHTS
        bit, taxi = 1 << d, d == bits.TAXI
        needs, asks = s.info & take(self.info, d), s.asks & take(self.askable, d)
        accepted, booked = (s.accepted & bit) != 0, (s.booked & bit) != 0
        settled = accepted | (taxi & booked)
        told = bits.size(s.told & needs) * take(self.inverse, bits.size(needs))
        total = w["need"] * where(settled, 1.0, told)
        total = total + where(accepted, w["entity"], 0.0)
        answered = bits.size(s.answered & asks) * take(self.inverse, bits.size(asks))
        total = total + w["requests"] * answered
        total = total + where(booked, w["booking"], 0.0)
        total = total + where((s.done & bit) != 0, w["decision"], 0.0)
        return total * take(self.shares, self._stages(s, d))

    def _stages(self, s: State, d: Lane) -> Lane:
        where, bit = self.ops.where, 1 << d
        return (
            where(d == bits.TAXI, 0, 1)
            + where((s.asks & self.ops.take(self.askable, d)) != 0, 2, 0)
            + where((s.bookings & bit) != 0, 4, 0)
        )

    def leave(self, s: State, leaves: Lane) -> None:
        """The user has finished a domain (where ``leaves``): whether everything in it is right."""
        bit = 1 << s.domain
        right = (s.asks & ~s.answered & self.ops.take(self.askable, s.domain)) == 0
        s.done = s.done | self.ops.where(leaves & right, bit, 0)

    def advance(self, s: State, t: AgentTurn, r: Reaction, domain: Lane, moved: Lane) -> None:
        """Book stages, patience and the end; ``domain`` is what the turn was about."""
        where = self.ops.where
        share = self.completed(s, domain)
        engaged = r.useful | moved
        gained = self.ops.maximum(0.0, share - s.share) * self.ops.take(self.inverse, s.domains)
        counts = engaged & (domain != bits.NOBODY) & (moved | (((s.done >> domain) & 1) == 0))
        s.gain = where(counts, gained, 0.0)
        s.share = where(moved, 0.0, where(engaged, self.ops.maximum(share, s.share), s.share))
        s.dcg = s.dcg + s.gain * self.ops.take(self.discount, self.ops.minimum(s.turn, self.max_turns))
        intruded = (s.violations & _INTRUSIVE) != 0
        s.patience = s.patience - where(engaged, 0.0, 1.0) - where(intruded, 1.0, 0.0)
        s.all_violations = s.all_violations | s.violations
        s.violation_count = s.violation_count + bits.size(s.violations)
        self._end(s, t)

    def _end(self, s: State, t: AgentTurn) -> None:
        """The end of the dialogue; later lines override earlier ones."""
        where = self.ops.where
        s.complete = (s.at >= s.domains) & ((s.asks & ~s.heard) == 0)
        s.converted = s.complete & ((s.asks & ~s.answered) == 0)
        ended = where(s.turn >= self.max_turns, END["max_turns"], RUNNING)
        ended = where((t.manners & GOODBYE) != 0, END["agent_ended"], ended)
        ended = where(s.patience <= 0.0, END["user_hung_up"], ended)
        ended = where(s.complete, END["accepted"], ended)
        s.ended = where(s.converted, END["resolved"], ended)

    def tse(self, s: State) -> Lane:
        """TSE in [0, 1] so far."""
        return self.ops.minimum(1.0, s.dcg / s.ideal)  # the last bit of a sum may be above

    def satisfaction(self, s: State) -> Lane:
        """1-5, from the patience left and whether the goal was met."""
        calm = self.ops.maximum(0.0, s.patience) / s.temper
        return 1.0 + 4.0 * (0.5 * calm + self.ops.where(s.converted, 0.5, 0.0))


def ideal(drawn: np.ndarray, max_turns: int) -> np.ndarray:
    """float64[N], the discounted gain of the best possible sequence of tasks (`state.DRAWN_TYPE`).

    Earliest turns in a domain that begins in turn T: the need in T; the entity in T, or T + 1 when the first
    search is in vain; its questions with it, but the reference and a taxi's with the booking; the booking in
    T + 1, because its details must be told, and one later when it is refused first; a taxi in T. The next
    domain begins the turn after.
    """
    total, turn = np.zeros(len(drawn)), np.ones(len(drawn), np.int64)
    discount, shares = np.asarray(_DISCOUNT), np.asarray(_SHARES)
    askable, references, w = np.asarray(bits.ASKABLE), np.asarray(bits.REFERENCES), STAGE_WEIGHTS
    for i in range(len(bits.DOMAIN)):
        here = drawn["domains"] > i
        d = np.where(here, (drawn["order"] >> (3 * i)) & 7, bits.NOBODY)
        bit = 1 << d
        booking, taxi = (drawn["bookings"] & bit) != 0, d == bits.TAXI
        asks = bits.size(drawn["asks"] & askable[d])
        late = np.where(taxi, asks, bits.size(drawn["asks"] & references[d])) / np.maximum(asks, 1)
        entity = turn + np.where((drawn["failing"] & bit) != 0, 1, 0)
        booked = np.where(taxi, turn, np.maximum(turn + 1, entity))
        booked = booked + np.where((drawn["refusing"] & bit) != 0, 1, 0)
        last = np.where(booking, booked, entity)
        at = [discount[np.minimum(t, max_turns)] for t in (turn, entity, booked, last)]
        gain = w["need"] * at[0] + np.where(taxi, 0.0, w["entity"]) * at[1]
        gain = gain + np.where(asks > 0, w["requests"], 0.0) * (late * at[2] + (1 - late) * at[1])
        gain = gain + np.where(booking, w["booking"], 0.0) * at[2] + w["decision"] * at[3]
        stages = np.where(taxi, 0, 1) + np.where(asks > 0, 2, 0) + np.where(booking, 4, 0)
        total = total + np.where(here, gain * shares[stages] / np.maximum(drawn["domains"], 1), 0.0)
        turn = last + 1
    return total
