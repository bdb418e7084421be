"""The user: an agenda over the goal's domains, one set of formulas for one dialogue and for N.

After Schatzmann et al., "Agenda-based user simulation for bootstrapping a POMDP dialogue system" (2007): the
user works through the goal domain by domain, says some constraints, answers questions, gives way when nothing
fits, corrects what contradicts the goal, asks, books, thanks and leaves; and loses patience without progress.
"""

from dataclasses import dataclass
from typing import Any, Final

from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.search import Searcher
from dialog_gym.domains.multiwoz.state import (
    CORRECTS,
    LEAVES,
    REPEATS,
    ROW_SHIFT,
    ROWS,
    THANKS,
    TURNS,
    AgentTurn,
    Lane,
    State,
)
from dialog_gym.ops import Ops

NOISE: Final = ("many", "side", "change")
"""Uniform draws of each turn: how many slots are said, from which end, whether the mind changes."""
_BRIEF, _CHATTY = 0.3, 0.8


@dataclass(slots=True)
class Reaction:
    """How the user takes a turn, before they speak."""

    say: Lane
    """Constraints and details to say."""
    useful: Lane
    """Whether the turn brought the user nearer to the goal."""
    corrects: Lane
    """Whether the user has to correct the assistant or themselves."""


class Agenda:
    """Decides what users do and say. Stateless: everything about a dialogue is in its `State`."""

    def __init__(self, ops: Ops, search: Searcher) -> None:
        """Prepares lookup tables."""
        self.ops, self.search = ops, search
        self.info, self.book, self.askable = (
            ops.table(mask) for mask in (bits.INFO, bits.BOOK, bits.ASKABLE)
        )
        self.references, self.shift = ops.table(bits.REFERENCES), ops.table(ROW_SHIFT)
        self.first_constraint = ops.table(bits.FIRST_CONSTRAINT)
        self.first_request = ops.table(bits.FIRST_REQUEST)
        self.some_bits = ops.table(bits.SOME)

    # -- small questions

    def row(self, s: State, domain: Lane) -> Lane:
        """The row of the entity on the table in a domain, -1 without one."""
        return ((s.rows >> self.ops.take(self.shift, domain)) & ROWS) - 1

    def _searching_in_vain(self, s: State, bit: Lane) -> Lane:
        return (s.failing & ~s.relaxed & bit) != 0

    def ready_to_book(self, s: State, domain: Lane, entity: Lane) -> Lane:
        """Whether all that a booking needs is known; ``entity`` says whether there is an entity to book."""
        details = self.ops.take(self.book, domain)
        known = ((s.told & details) == details) & (details != 0) & entity
        ride = ((s.told & bits.ROUTE) == bits.ROUTE) & ((s.told & bits.TIMES) != 0)
        return self.ops.where(domain == bits.TAXI, ride, known)

    def booked_out(self, s: State, domain: Lane) -> Lane:
        """Whether there is no vacancy for the details that the user has told."""
        refused = (s.refusing & ~s.rebooked & ~s.booked & (1 << domain)) != 0
        return refused & ((s.told & s.differs & self.ops.take(self.book, domain)) != 0)

    # -- reaction

    def react(self, s: State, t: AgentTurn) -> Reaction:
        """Take in the assistant's turn: entity, answers, questions, search, booking."""
        where, take = self.ops.where, self.ops.take
        d = s.domain
        bit, needs = 1 << d, s.info & take(self.info, d)
        fits, corrections = self._see_offer(s, t, bit, needs)
        news = self._hear(s, t, bit)
        say, learned = self._be_asked(s, t, needs)
        relaxes, given_up = self._give_way(s, t, bit, needs)
        booked, refused = self._see_booking(s, t, bit)
        untold = s.book & take(self.book, d) & ~s.told
        invited = ((t.propose & bit) != 0) & (untold != 0) & ((s.accepted & bit) != 0)
        invited = invited | (((t.select & bit) != 0) & ((needs & ~s.told) != 0))
        changes = where(self._searching_in_vain(s, bit), 0, corrections)
        s.told = s.told | corrections
        s.differs = s.differs & ~changes
        say = say | corrections | given_up | refused
        useful = fits | news | learned | relaxes | booked | (refused != 0) | invited
        return Reaction(say, useful, (corrections != 0) | relaxes | (refused != 0))

    def _see_offer(self, s: State, t: AgentTurn, bit: Lane, needs: Lane) -> tuple[Lane, Lane]:
        """An entity is put on the table: whether it is new and wanted, and what it contradicts."""
        where, d = self.ops.where, s.domain
        offered = (t.offer == d) & (t.row >= 0) & ((s.booked & bit) == 0)
        first = where(self._searching_in_vain(s, bit), s.differs, 0)
        misses = self.search.misfit(s, d, where(offered, t.row, -1), needs, first)
        fits = offered & (misses == 0)
        new = offered & (t.row != self.row(s, d))
        about_another = ~where(new, self.ops.take(self.askable, d), 0)
        s.asked, s.heard = s.asked & about_another, s.heard & about_another
        s.answered = s.answered & about_another
        shift = self.ops.take(self.shift, d)
        s.rows = where(offered, (s.rows & ~(ROWS << shift)) | ((t.row + 1) << shift), s.rows)
        s.offered = s.offered | where(offered, bit, 0)
        s.accepted = (s.accepted & ~where(offered, bit, 0)) | where(fits, bit, 0)
        return fits & new, where(offered & (fits ^ True), misses, 0)

    def _hear(self, s: State, t: AgentTurn, bit: Lane) -> Lane:
        """Answers count when they are about the entity that the user has settled on: whether one was new."""
        where = self.ops.where
        settled = (s.accepted & bit) != 0
        askable = where(settled, self.ops.take(self.askable, s.domain), 0)
        told = (t.right | t.wrong) & askable
        news = (told & s.asks & ~s.heard) != 0
        s.heard = s.heard | told
        s.asked = s.asked | (told & s.asks)
        s.answered = (s.answered & ~(t.wrong & askable)) | (t.right & askable & s.asks)
        return news

    def _be_asked(self, s: State, t: AgentTurn, needs: Lane) -> tuple[Lane, Lane]:
        """Questions of the assistant: what to say, and whether it is new to them."""
        info, book = self.ops.take(self.info, s.domain), self.ops.take(self.book, s.domain)
        asked = t.requested & (info | book)
        indifferent = asked & info & ~needs & ~s.told
        answers = asked & (needs | (s.book & book))
        new = (answers & ~s.told) | indifferent
        say = answers | (asked & info & ~needs)
        s.told = s.told | say
        s.dontcare = s.dontcare | indifferent
        return say, new != 0

    def _give_way(self, s: State, t: AgentTurn, bit: Lane, needs: Lane) -> tuple[Lane, Lane]:
        """Nothing fits: the user takes the goal's own values. Whether they do, and which are new.

        An entity that was turned down before may be welcome now.
        """
        where, info = self.ops.where, self.ops.take(self.info, s.domain)
        denied = (t.nothing & bit) != 0
        first = s.told & s.differs & info
        relaxes = denied & (first != 0)
        s.relaxed = s.relaxed | where(relaxes, bit, 0)
        s.differs = s.differs & ~where(relaxes, info, 0)
        row = where(relaxes, self.row(s, s.domain), -1)
        welcome = (row >= 0) & (self.search.misfit(s, s.domain, row, needs, 0) == 0)
        s.accepted = s.accepted | where(welcome, bit, 0)
        return relaxes, where(relaxes, first, 0)

    def _see_booking(self, s: State, t: AgentTurn, bit: Lane) -> tuple[Lane, Lane]:
        """Whether a booking was made; the details to say anew when it was refused."""
        where, take, d = self.ops.where, self.ops.take, s.domain
        wanted = ((s.bookings & bit) != 0) & ((s.booked & bit) == 0)
        ready = wanted & self.ready_to_book(s, d, (s.accepted & bit) != 0)
        full = self.booked_out(s, d)
        claimed, honest = (t.book & bit) != 0, (t.false_book & bit) == 0
        made = claimed & honest & ready & (full ^ True)
        fails = ready & full & (((t.book | t.no_book) & bit) != 0)
        s.booked = s.booked | where(made, bit, 0)
        told = take(self.references, d) | where(d == bits.TAXI, take(self.askable, d), 0)
        told = where(made, told & s.asks, 0)
        s.heard, s.answered = s.heard | told, s.answered | (told & ~t.wrong)
        s.turned_down = s.turned_down | where(fails, bit, 0)
        s.rebooked = s.rebooked | where(fails, bit, 0)
        again = where(fails, s.differs & take(self.book, d), 0)
        s.differs = s.differs & ~again
        return made, again

    # -- speech

    def finished(self, s: State) -> Lane:
        """Whether nothing is left to do in the present domain, as far as the user knows."""
        bit = 1 << s.domain
        open_questions = s.asks & ~s.heard & self.ops.take(self.askable, s.domain)
        settled = ((s.accepted & bit) != 0) | (s.domain == bits.TAXI)
        booked = ((s.bookings & ~s.booked) & bit) == 0
        return settled & (open_questions == 0) & booked & (s.domain != bits.NOBODY)

    def move_on(self, s: State, moves: Lane) -> None:
        """Turn to the next domain of the goal, if there is one."""
        s.at = s.at + self.ops.where(moves, 1, 0)
        following = self.ops.where(s.at < s.domains, (s.order >> (3 * s.at)) & 7, bits.NOBODY)
        s.domain = self.ops.where(moves, following, s.domain)

    def speak(self, s: State, r: Reaction, moved: Lane, u: tuple[Lane, ...]) -> None:
        """Say something; ``u`` is this turn's noise in the order of `NOISE`."""
        where, take, d = self.ops.where, self.ops.take, s.domain
        many, side, change = u
        bit, needs = 1 << d, s.info & take(self.info, d)
        say = where(moved, 0, r.say)
        changes = s.told & s.differs & needs
        changes = where(
            (say == 0) & (self._searching_in_vain(s, bit) ^ True) & (change < s.change), changes, 0
        )
        s.differs = s.differs & ~changes
        say = say | changes
        count = s.verbosity + where(many > _CHATTY, 1, 0) - where(many < _BRIEF, 1, 0)
        count = self.ops.minimum(bits.MOST, self.ops.maximum(1, count))
        pick = (where(side < 0.5, bits.MOST + 1, 0) + count) << bits.WIDTH
        accepted = (s.accepted & bit) != 0
        settled = accepted | (((bit & bits.ONE_OF_A_KIND) != 0) & ((needs & ~s.told) == 0))
        free = (say == 0) & (d != bits.NOBODY)
        unheard = s.asks & ~s.heard & take(self.askable, d) & ~take(self.references, d)
        unheard = where(free & settled & (d != bits.TAXI), unheard, 0)
        questions = self._some(pick, unheard, take(self.first_request, d))
        details = s.book & take(self.book, d)
        wanted = where(accepted, where((s.booked & bit) == 0, details, 0), needs)
        untold = where(free & (questions == 0), wanted & ~s.told, 0)
        volunteered = self._some(pick, untold, take(self.first_constraint, d))
        stuck = free & (questions == 0) & (volunteered == 0)
        again = where(stuck, wanted, 0)
        s.said = say | volunteered | again
        s.told = s.told | volunteered
        s.questions = questions
        repeats = (stuck & (moved ^ True)) | ((questions & s.asked) != 0)
        s.asked = s.asked | questions
        over = (d == bits.NOBODY) & moved
        s.manners = (
            where(over, THANKS | LEAVES, 0)
            | where(repeats, REPEATS, 0)
            | where((r.corrects & (moved ^ True)) | (changes != 0), CORRECTS, 0)
            | where(moved & (d != bits.NOBODY), TURNS, 0)
        )

    def _some(self, pick: Lane, mask: Lane, start: Lane) -> Lane:
        local: Any = (mask >> start) & ((1 << bits.WIDTH) - 1)
        return self.ops.take(self.some_bits, pick | local) << start
