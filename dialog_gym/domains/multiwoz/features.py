"""The act-level observation and action mask, made only of what the agent may know."""

from typing import Any, Final

import numpy as np

from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.moves import MOVE, NVEC, SLOTS, MoveReader
from dialog_gym.domains.multiwoz.ontology import DOMAINS, REQUESTABLE
from dialog_gym.domains.multiwoz.state import Lane, State
from dialog_gym.ops import Ops

ASKED: Final = tuple(dict.fromkeys(slot for domain in DOMAINS for slot in REQUESTABLE[domain]))
_TOLD: Final = (*SLOTS, "name")
_LOCAL: Final = 1 << bits.WIDTH
_FEW: Final = 5
_USER_MANNERS: Final = 5


def _by_name(pairs: tuple[tuple[str, str], ...], names: tuple[str, ...]) -> np.ndarray:
    """float32[8 * 1024, names]: a domain's mask of slots as flags in an order shared by all domains."""
    table = np.zeros((bits.NOBODY + 1, _LOCAL, len(names)), np.float32)
    local = np.arange(_LOCAL)
    for d, domain in enumerate(DOMAINS):
        own = [slot for owner, slot in pairs if owner == domain]
        for i, slot in enumerate(own):
            table[d, :, names.index(slot)] = (local >> i) & 1
    return table.reshape(-1, len(names))


def _flags(width: int) -> np.ndarray:
    masks = np.arange(1 << width)
    return ((masks[:, None] >> np.arange(width)) & 1).astype(np.float32)


class View:
    """What the agent can tell of the present domain; from a state, for arrays or scalars."""

    def __init__(self, ops: Ops, agenda: Agenda, reader: MoveReader) -> None:
        """Uses the agenda's and the reader's tables."""
        self.ops, self.agenda, self.reader = ops, agenda, reader
        self.needed = ops.table(bits.NEEDED)

    def numbers(self, s: State) -> dict[str, Lane]:
        """Flags and masks by name."""
        where, take, d = self.ops.where, self.ops.take, s.domain
        bit, row = 1 << d, self.agenda.row(s, d)
        shown, booked = row >= 0, (s.booked & bit) != 0
        questions = s.asked & ~s.heard & take(self.agenda.askable, d)
        having = where(shown, self.reader.has(d, row), 0)
        searched = (bit & bits.SEARCHED) != 0
        needed, told = take(self.needed, d), s.told & take(self.agenda.info, d)
        one_of_a_kind = (bit & bits.ONE_OF_A_KIND) != 0
        enough = where(needed != 0, (needed & ~told) == 0, (told != 0) | one_of_a_kind)
        ready = self.agenda.ready_to_book(s, d, shown & s.fits) & (booked ^ True)
        return {
            "questions": questions,
            "answerable": ((questions & having) != 0) | (one_of_a_kind & (shown ^ True) & (s.count > 0)),
            "unanswerable": shown & ((questions & ~having) != 0),
            "shown": shown,
            "fits": s.fits,
            "none": searched & (s.count == 0),
            "one": searched & (s.count == 1),
            "few": searched & (s.count > 1) & (s.count <= _FEW),
            "many": searched & (s.count > _FEW),
            "enough": searched & enough,
            "bookable": ((take(self.agenda.book, d) != 0) | (d == bits.TAXI)) & (booked ^ True),
            "ready": ready,
            "booked": booked,
            "proposed": (s.proposed & bit) != 0,
            "turned_down": (s.turned_down & bit) != 0,
        }


_SHOWN: Final = (
    "answerable", "unanswerable", "shown", "fits", "none", "one", "few", "many", "enough", "bookable",
    "ready", "booked", "proposed", "turned_down",
)  # fmt: skip


class Features:
    """Fills observation rows from states. The same code serves one dialogue (1-D rows) and N (2-D)."""

    def __init__(self, agenda: Agenda, max_turns: int) -> None:
        """Prepares lookup tables; ``size`` is the length of the observation."""
        self.agenda, self.max_turns = agenda, float(max_turns)
        self._told = _by_name(bits.CONSTRAINTS, _TOLD)
        self._asked = _by_name(bits.REQUESTS, ASKED)
        self._domain = np.eye(bits.NOBODY + 1, dtype=np.float32)
        self._domains, self._manners = _flags(len(DOMAINS)), _flags(_USER_MANNERS)
        self._tables = (
            self._domain, self._told, self._told, self._told, self._asked, self._domains, self._domains,
            self._manners,
        )  # fmt: skip
        self.size = sum(table.shape[1] for table in self._tables) + len(_SHOWN) + 1

    def fill(self, out: np.ndarray, s: State, seen: dict[str, Lane]) -> None:
        """Write the observation into ``out`` (float32[..., size]); ``seen`` is `View.numbers`."""
        take, d = self.agenda.ops.take, s.domain
        start, base = take(self.agenda.first_constraint, d), d << bits.WIDTH
        low = _LOCAL - 1
        rows: tuple[Any, ...] = (
            d,
            base | ((s.told >> start) & low),
            base | ((s.dontcare >> start) & low),
            base | ((s.said >> start) & low),
            base | ((seen["questions"] >> take(self.agenda.first_request, d)) & low),
            s.offered,
            s.booked,
            s.manners,
        )
        numbers = [seen[name] for name in _SHOWN]
        numbers.append(s.turn / self.max_turns)
        if not isinstance(d, np.ndarray):
            parts = [table[row] for table, row in zip(self._tables, rows, strict=True)]
            np.concatenate([*parts, np.array(numbers, np.float32)], out=out)
            return
        at = 0
        for table, row in zip(self._tables, rows, strict=True):
            width = table.shape[1]
            out[:, at : at + width] = table.take(row, axis=0)
            at += width
        for number in numbers:
            out[:, at] = number
            at += 1


def _request_moves(masks: tuple[int, ...]) -> list[int]:
    """Moves that ask for slots of a mask that are not told, ``table[domain << 10 | told]``."""
    table = [0] * ((bits.NOBODY + 1) * _LOCAL)
    for d in range(len(DOMAINS)):
        start = bits.FIRST_CONSTRAINT[d]
        moves = [
            (1 << (i - start), 1 << MOVE[f"request:{slot}"])
            for i, (domain, slot) in enumerate(bits.CONSTRAINTS)
            if domain == DOMAINS[d] and masks[d] >> i & 1 and slot in SLOTS
        ]
        for told in range(_LOCAL):
            table[d << bits.WIDTH | told] = sum(move for bit, move in moves if not told & bit)
    return table


_ALWAYS: Final = sum(1 << MOVE[name] for name in ("welcome", "reqmore"))


class ActionMask:
    """Which moves make sense now: bitmasks over MOVES."""

    def __init__(self, ops: Ops, agenda: Agenda) -> None:
        """Prepares lookup tables."""
        self.ops, self.agenda = ops, agenda
        self.info_moves = ops.table(_request_moves(bits.INFO))
        self.book_moves = ops.table(_request_moves(bits.BOOK))

    def moves(self, s: State, seen: dict[str, Lane]) -> Lane:
        """Bitmask over MOVES of what is sensible now; ``seen`` is `View.numbers`."""
        where, take, d = self.ops.where, self.ops.take, s.domain
        local = (s.told >> take(self.agenda.first_constraint, d)) & (_LOCAL - 1)
        index = d << bits.WIDTH | local
        settled = seen["shown"] & seen["fits"]
        open_booking = seen["bookable"] & settled
        some = seen["one"] | seen["few"] | seen["many"]
        unsettled = (settled ^ True) | seen["unanswerable"]
        asks_info = where(settled, 0, take(self.info_moves, index))
        idle = (seen["questions"] == 0) & ((s.offered | s.booked) != 0)
        return (
            asks_info
            | where(open_booking, take(self.book_moves, index), 0)
            | where(some & seen["enough"] & unsettled & (seen["booked"] ^ True), 1 << MOVE["offer"], 0)
            | where((seen["few"] | seen["many"]) & (seen["shown"] ^ True), 1 << MOVE["select"], 0)
            | where(seen["answerable"], 1 << MOVE["answer"], 0)
            | where(seen["none"], 1 << MOVE["no_offer"], 0)
            | where(open_booking & (seen["ready"] ^ True), 1 << MOVE["offer_book"], 0)
            | where(seen["ready"], 1 << MOVE["book"], 0)
            | where(s.turn == 0, 1 << MOVE["greet"], 0)
            | where(idle, 1 << MOVE["goodbye"], 0)
            | _ALWAYS
        )

    def flags(self, moves: Lane) -> np.ndarray:
        """Bitmasks over MOVES as uint8[N, len(MOVES)], or uint8[len(MOVES)] of one."""
        if isinstance(moves, int):
            row = np.frombuffer(moves.to_bytes(8, "little"), np.uint8)
            return np.unpackbits(row, count=NVEC[0], bitorder="little")
        rows = moves.astype(np.uint64).view(np.uint8).reshape(-1, 8)
        return np.unpackbits(rows, axis=1, count=NVEC[0], bitorder="little")

    def fill(self, out: np.ndarray, moves: Lane) -> None:
        """Write the mask, int8[..., sum(NVEC)]: first move, second move, then the entity (all open)."""
        flags = self.flags(moves)
        out[...] = 1
        out[..., : NVEC[0]] = flags
        out[..., NVEC[0] : 2 * NVEC[0]] = flags
        out[..., NVEC[0]] = 1  # no second move
