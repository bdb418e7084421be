"""The act-level action space: a turn is two moves and a choice of entity, ``MultiDiscrete``.

``action = [move, second move, entity]``, about the domain that the user speaks of. The desk's systems fill
in what needs no decision: the values told, the rows that fit, the answers, references, and that a booking is
refused. What needs judgement is the agent's: what to ask, when to offer which entity, when to say that
nothing fits, when to book.
"""

from typing import Any, Final

import numpy as np

from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, INFORMABLE
from dialog_gym.domains.multiwoz.search import Lexicon
from dialog_gym.domains.multiwoz.state import GOODBYE, GREET, REQMORE, WELCOME, AgentTurn, Lane, State
from dialog_gym.ops import Ops

SLOTS: Final = tuple(
    dict.fromkeys(
        slot
        for part in (INFORMABLE, BOOKABLE)
        for domain in DOMAINS
        for slot in part.get(domain, ())
        if slot != "name"
    )
)
"""Slots that can be asked for."""
DEEDS: Final = (
    "offer", "select", "answer", "no_offer", "offer_book", "book", "greet", "welcome", "reqmore", "goodbye",
)  # fmt: skip
MOVES: Final = ("none", *(f"request:{slot}" for slot in SLOTS), *DEEDS)
MOVE: Final = {name: i for i, name in enumerate(MOVES)}
DEED: Final = {name: 1 << i for i, name in enumerate(DEEDS)}
ENTITY_CHOICES: Final = ("first", "next")
"""Which of the entities that fit is offered: the first, or the one after the last that was offered."""
NVEC: Final = (len(MOVES), len(MOVES), len(ENTITY_CHOICES))
_MANNERS: Final = {"greet": GREET, "welcome": WELCOME, "reqmore": REQMORE, "goodbye": GOODBYE}
_DOMAINS: Final = 8


def used_decisions() -> np.ndarray:
    """bool[moves, 3], which further decisions a move makes."""
    uses = np.zeros((len(MOVES), len(NVEC)), bool)
    uses[MOVE["offer"], 2] = True
    return uses


def _requested() -> list[int]:
    """Constraint bits by move and domain, ``table[move * 8 + domain]``."""
    table = [0] * (len(MOVES) * _DOMAINS)
    for slot in SLOTS:
        for d, domain in enumerate(DOMAINS):
            table[MOVE[f"request:{slot}"] * _DOMAINS + d] = bits.CONSTRAINT.get((domain, slot), 0)
    return table


class MoveReader:
    """Turns actions into what the turn says; arrays or scalars."""

    def __init__(self, ops: Ops, lexicon: Lexicon, agenda: Agenda) -> None:
        """Prepares lookup tables."""
        self.ops, self.agenda = ops, agenda
        self.requested = ops.table(_requested())
        self.deeds = ops.table([DEED.get(name, 0) for name in MOVES])
        self.manners = ops.table([_MANNERS.get(name, 0) for name in MOVES])
        self.names_itself = ops.table(bits.SELF)
        self.attributes, self.offset = ops.table(lexicon.attributes), ops.table(lexicon.offset)

    def has(self, d: Lane, row: Lane) -> Lane:
        """REQUESTS that a row answers; meaningless where the row is -1."""
        return self.ops.take(self.attributes, self.ops.take(self.offset, d) + self.ops.maximum(row, 0))

    def read(self, action: Any, s: State) -> AgentTurn:
        """What an action says.

        Args:
            action: Three index lanes in the order of the action space (a sequence of ints, or int64[3, N]).
            s: The state before the turn.
        """
        where, take = self.ops.where, self.ops.take
        first, second, entity = action
        d = s.domain
        bit = 1 << d
        deeds = take(self.deeds, first) | take(self.deeds, second)
        current = self.agenda.row(s, d)
        answers = (deeds & DEED["answer"]) != 0
        introduces = answers & (current < 0) & ((bit & bits.ONE_OF_A_KIND) != 0)
        offers = ((deeds & DEED["offer"]) != 0) | introduces
        row = where((entity == 1) & (current >= 0), s.next, s.best)
        offers = offers & (row >= 0)
        shown = where(offers, row, current)
        questions = s.asks & s.asked & ~s.heard & take(self.agenda.askable, d)
        right = where(answers & (shown >= 0), questions & self.has(d, shown), 0)
        right = right | where(offers, take(self.names_itself, d), 0)
        books = ((deeds & DEED["book"]) != 0) & ((bit & bits.TAKES_BOOKINGS) != 0)
        ready = self.agenda.ready_to_book(s, d, ((s.accepted & bit) != 0) | offers)
        refused = books & ready & self.agenda.booked_out(s, d)
        denied = where((deeds & DEED["no_offer"]) != 0, bit & bits.SEARCHED, 0)
        return AgentTurn(
            requested=take(self.requested, first * _DOMAINS + d)
            | take(self.requested, second * _DOMAINS + d),
            offer=where(offers, d, bits.NOBODY),
            row=where(offers, row, -1),
            right=right,
            wrong=right & 0,
            denied=denied,
            nothing=where(s.count == 0, denied, 0),
            select=where((deeds & DEED["select"]) != 0, bit & bits.SEARCHED, 0),
            propose=where((deeds & DEED["offer_book"]) != 0, bit & bits.TAKES_BOOKINGS, 0),
            book=where(books & (refused ^ True), bit, 0),
            false_book=bit & 0,
            no_book=where(refused, bit, 0),
            invented=refused & (refused ^ True),
            spare=bit & 0,
            manners=take(self.manners, first) | take(self.manners, second),
        )


def action_array(actions: np.ndarray) -> np.ndarray:
    """int64[N, 3] actions as contiguous lanes, int64[3, N]."""
    return np.ascontiguousarray(np.asarray(actions, dtype=np.int64).T)
