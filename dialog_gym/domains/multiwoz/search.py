"""The databases asked with bitmasks of slots: by one dialogue, or by N dialogues in arrays.

A value is a *pointer* into the lexicon, which has the mask of the rows that fit it. Both searchers give the
same numbers; the scalar one works on Python integers of any length, the other on words of 64 bits.
"""

from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from dialog_gym.domains.multiwoz.bits import (
    CONSTRAINTS,
    DOMAIN,
    FIRST_CONSTRAINT,
    INFO,
    NOBODY,
    REQUEST,
    REQUESTS,
)
from dialog_gym.domains.multiwoz.database import Database
from dialog_gym.domains.multiwoz.ontology import DOMAINS, DONTCARE, ENTITY, INFORMABLE

ANYTHING: Final = 0
"""The pointer that fits every row of every domain."""
LINKED: Final = 1
"""The pointer of a taxi's end that is a place of the same dialogue; fits no row."""
_WORD: Final = 64
_SLOTS: Final = max(map(len, INFORMABLE.values()))


class Found(NamedTuple):
    """What a search gives: arrays of length N, or Python integers."""

    count: Any
    """How many rows fit."""
    first: Any
    """The first of them, -1 without one."""
    after: Any
    """The first after a given row, from the top again at the end; -1 without one."""


class Lexicon:
    """Every value that a task names, numbered, with the rows it fits; grows as tasks are read."""

    def __init__(self, database: Database) -> None:
        """Takes the databases; there are no values yet."""
        self.database = database
        self.values: list[str] = [DONTCARE, ""]
        self.masks: list[int] = [-1, 0]
        self._pointers: dict[tuple[str, str, str], int] = {}
        self.all = (*(database.tables[d].all if d in database.tables else 0 for d in DOMAINS), 0)
        """By domain, the mask of all rows."""
        self.words_each = max(1, -(-max(mask.bit_length() for mask in self.all) // _WORD))
        self._words = np.zeros((0, self.words_each), np.uint64)
        rows = [database.tables[d].rows if d in database.tables else () for d in DOMAINS]
        self.offset = (*(sum(map(len, rows[:i])) for i in range(len(DOMAINS))), 0)
        """By domain, where its rows begin in `attributes`."""
        self.attributes = tuple(
            sum(REQUEST[d, slot] for domain, slot in REQUESTS if domain == d and slot in row)
            for d, table in zip(DOMAINS, rows, strict=True)
            for row in table
        )
        """By row of all databases, the REQUESTS that it answers."""
        self.scarce = self._scarce()

    def _scarce(self) -> tuple[tuple[int, int, int], ...]:
        """Attributes that some rows lack: request bit, domain, mask of the rows that have it."""
        found = []
        for (domain, slot), bit in REQUEST.items():
            if slot == "ref" or domain not in self.database.tables:
                continue
            rows = self.database.tables[domain].rows
            mask = sum(1 << i for i, row in enumerate(rows) if slot in row)
            if mask != self.all[DOMAIN[domain]]:
                found.append((bit, DOMAIN[domain], mask))
        return tuple(found)

    def pointer(self, domain: str, slot: str, value: str) -> int:
        """The pointer of a value in the spelling of `values.normal`; a new value gets a new one."""
        key = domain, slot, value
        if key not in self._pointers:
            table = self.database.tables.get(domain)
            searched = table is not None and slot in (*INFORMABLE[domain], ENTITY[domain])
            self._pointers[key] = len(self.values)
            self.values.append(value)
            self.masks.append(table.mask({slot: value}) if table is not None and searched else 0)
        return self._pointers[key]

    @property
    def words(self) -> np.ndarray:
        """uint64[values, W], the masks in words."""
        if len(self._words) < len(self.masks):
            width = self.words_each * _WORD // 8
            ones = (1 << (width * 8)) - 1
            fresh_masks = self.masks[len(self._words) :]
            raw = b"".join((mask & ones).to_bytes(width, "little") for mask in fresh_masks)
            fresh = np.frombuffer(raw, np.uint64).reshape(-1, self.words_each)
            self._words = np.concatenate([self._words, fresh])
        return self._words


class Searcher(Protocol):
    """Searches for one dialogue or for N; ``s`` is a `state.State` with ``value`` and ``first``."""

    def find(self, s: Any, domain: Any, told: Any, stale: Any, wanted: Any, row: Any) -> Found:
        """The rows that fit the constraints ``told`` and have the attributes ``wanted``.

        Args:
            s: Has the pointers of every constraint: ``value``, and ``first`` for those in ``stale``.
            domain: Index of the domain.
            told: Mask of the constraints to search by.
            stale: Mask of those to be taken at their first value.
            wanted: Mask of REQUESTS.
            row: Where ``Found.after`` starts.
        """
        ...

    def misfit(self, s: Any, domain: Any, row: Any, told: Any, stale: Any) -> Any:
        """The constraints ``told`` that a row does not fit; meaningless where the row is -1."""
        ...


class OneSearcher:
    """Of one dialogue."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Searches with the values of a lexicon."""
        self.lexicon = lexicon

    def find(self, s: Any, domain: int, told: int, stale: int, wanted: int, row: int) -> Found:
        """See `Searcher.find`."""
        masks, value, first = self.lexicon.masks, s.value, s.first
        mask, bits = self.lexicon.all[domain], told & INFO[domain]
        while bits:
            low = bits & -bits
            at = low.bit_length() - 1
            mask &= masks[first[at] if stale & low else value[at]]
            bits ^= low
        if wanted:
            for bit, where, having in self.lexicon.scarce:
                if wanted & bit and where == domain:
                    mask &= having
        if not mask:
            return Found(0, -1, -1)
        lowest = (mask & -mask).bit_length() - 1
        rest = mask >> (row + 1)
        after = row + (rest & -rest).bit_length() if rest else lowest
        return Found(mask.bit_count(), lowest, after)

    def misfit(self, s: Any, domain: int, row: int, told: int, stale: int) -> int:
        """See `Searcher.misfit`."""
        if row < 0:
            return 0
        masks, value, first = self.lexicon.masks, s.value, s.first
        bits, wrong = told & INFO[domain], 0
        while bits:
            low = bits & -bits
            at = low.bit_length() - 1
            if not masks[first[at] if stale & low else value[at]] >> row & 1:
                wrong |= low
            bits ^= low
        return wrong


class ManySearcher:
    """Of N dialogues in arrays."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Searches with the values of a lexicon."""
        self.lexicon = lexicon
        self._slot = np.zeros((NOBODY + 1, _SLOTS), np.int64)  # positions in CONSTRAINTS
        self._bit = np.zeros((NOBODY + 1, _SLOTS), np.int64)
        for d, domain in enumerate(DOMAINS):
            for i in range(len(INFORMABLE[domain])):
                self._slot[d, i] = FIRST_CONSTRAINT[d] + i
                self._bit[d, i] = 1 << (FIRST_CONSTRAINT[d] + i)
        assert len(CONSTRAINTS) < _WORD
        self._all = _in_words(lexicon.all, lexicon.words_each)
        self._width = np.asarray([-(-mask.bit_length() // _WORD) for mask in lexicon.all])
        self._scarce = [
            (bit, domain, _in_words((mask,), lexicon.words_each)[0]) for bit, domain, mask in lexicon.scarce
        ]

    def _pointers(
        self, s: Any, domain: np.ndarray, told: np.ndarray, stale: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pointers, int64[N, slots], ANYTHING for what is not told; and the bits of what is told."""
        at, bit = self._slot[domain], self._bit[domain]
        rows = np.arange(len(domain))[:, None]
        bit = bit & told[:, None]
        old = (bit & np.asarray(stale).reshape(-1, 1)) != 0
        pointer = np.where(old, s.first[rows, at], s.value[rows, at])
        return np.where(bit != 0, pointer, ANYTHING), bit

    def find(self, s: Any, domain: Any, told: Any, stale: Any, wanted: Any, row: Any) -> Found:
        """See `Searcher.find`."""
        pointers, _ = self._pointers(s, domain, told, stale)
        found = Found(*(np.full(len(domain), start) for start in (0, -1, -1)))
        width = self._width[domain]
        for size in np.unique(self._width):  # trains need many words, all others few
            lanes = np.flatnonzero(width == size)
            if not len(lanes) or not size:
                continue
            masks = self._masks(domain[lanes], pointers[lanes], np.asarray(wanted)[lanes], int(size))
            after = np.maximum(row[lanes], -1)
            for name, values in zip(Found._fields, _look(masks, after), strict=True):
                getattr(found, name)[lanes] = values
        return found

    def _masks(self, domain: np.ndarray, pointers: np.ndarray, wanted: np.ndarray, size: int) -> np.ndarray:
        words = self.lexicon.words[:, :size]
        masks: np.ndarray = self._all[domain, :size]
        for i in range(_SLOTS):
            column = pointers[:, i]
            if column.any():
                masks &= words[column]
        for bit, where, having in self._scarce:
            lanes = np.flatnonzero(((wanted & bit) != 0) & (domain == where))
            if len(lanes):
                masks[lanes] &= having[:size]
        return masks

    def misfit(self, s: Any, domain: Any, row: Any, told: Any, stale: Any) -> Any:
        """See `Searcher.misfit`."""
        pointers, bit = self._pointers(s, domain, told, stale)
        place = np.maximum(row, 0)
        words = self.lexicon.words[pointers, (place >> 6)[:, None]]
        fits = (words >> (place & 63).astype(np.uint64)[:, None]) & np.uint64(1)
        wrong = np.where(fits == 0, bit, 0).sum(axis=1)
        return np.where(row < 0, 0, wrong)


def _in_words(masks: Any, width: int) -> np.ndarray:
    raw = b"".join(mask.to_bytes(width * _WORD // 8, "little") for mask in masks)
    return np.frombuffer(raw, np.uint64).reshape(-1, width).copy()


def _look(masks: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number of bits, position of the lowest, and of the lowest above ``row``, of masks uint64[n, W]."""
    count = np.bitwise_count(masks).sum(axis=1, dtype=np.int64)
    first = _lowest(masks)
    start, word = row + 1, np.arange(masks.shape[1])
    shift = (start & 63).astype(np.uint64)[:, None]
    partial = ~np.uint64(0) << shift
    keep = np.where(word > (start >> 6)[:, None], ~np.uint64(0), np.uint64(0))
    keep = np.where(word == (start >> 6)[:, None], partial, keep)
    after = _lowest(masks & keep)
    return count, first, np.where(after < 0, first, after)


def _lowest(masks: np.ndarray) -> np.ndarray:
    """Position of the lowest bit of each row of words, -1 without one."""
    filled = masks != 0
    word = filled.argmax(axis=1)
    own = masks[np.arange(len(masks)), word]
    below = (own & (~own + np.uint64(1))) - np.uint64(1)
    position = word * _WORD + np.bitwise_count(below).astype(np.int64)
    return np.where(filled.any(axis=1), position, -1)
