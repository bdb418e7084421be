"""The databases, answered by bitmasks: one bit per row, one mask per slot and value.

A query is a handful of ``&`` on Python integers, so that it costs a microsecond whether 1 row or 2,828 match.
Rows keep the order of the release; bit i is row i.
"""

import gzip
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, TypeAlias

from dialog_gym.core import DialogGymError, Scalar
from dialog_gym.domains.multiwoz.names import Names
from dialog_gym.domains.multiwoz.ontology import DONTCARE, ENTITY, INFORMABLE
from dialog_gym.domains.multiwoz.values import clock, minutes, normal
from dialog_gym.plugins import nearest

Row: TypeAlias = Mapping[str, str]
"""One entity: slot to value, in the spelling of `values.normal`. "?" is an answer: nobody knows the fee."""

AT_LEAST: Final = "leaveat"
AT_MOST: Final = "arriveby"
_TIMES: Final = (AT_LEAST, AT_MOST)


class Table:
    """The entities of one domain.

    Constraints map slots to values in any of the corpus's spellings. ``leaveat`` asks for trains leaving
    then or later, ``arriveby`` for trains arriving then or earlier; ``dontcare`` and the empty text ask for
    nothing. A value that cannot be understood, like the time "after lunch", matches no row.
    """

    def __init__(self, domain: str, rows: Sequence[Row]) -> None:
        """``rows`` with values as `values.normal` writes them."""
        self.domain = domain
        self.rows: tuple[Row, ...] = tuple(MappingProxyType(dict(row)) for row in rows)
        self.all = (1 << len(self.rows)) - 1
        """The mask of every row."""
        slots = dict.fromkeys((*INFORMABLE[domain], ENTITY[domain]))
        self._masks = {slot: self._by_value(slot) for slot in slots}
        self._orders: dict[str, tuple[list[int], list[int]]] = {
            slot: self._by_time(slot) for slot in _TIMES if slot in slots
        }
        self.names = Names(row[ENTITY[domain]] for row in self.rows if ENTITY[domain] != "trainid")

    def _by_value(self, slot: str) -> dict[Scalar, int]:
        masks: dict[Scalar, int] = {None: self.all, DONTCARE: self.all, "": self.all}
        if slot not in _TIMES:
            for i, row in enumerate(self.rows):
                if value := row.get(slot):
                    masks[value] = masks.get(value, 0) | 1 << i
        return masks

    def _by_time(self, slot: str) -> tuple[list[int], list[int]]:
        """Sorted times, in minutes, and the mask of the rows before each place among them."""
        order = sorted(range(len(self.rows)), key=lambda i: minutes(self.rows[i][slot]))
        before = [0]
        for i in order:
            before.append(before[-1] | 1 << i)
        return [minutes(self.rows[i][slot]) for i in order], before

    def mask(self, constraints: Mapping[str, Scalar]) -> int:
        """The rows that fit, as a bitmask.

        Raises:
            DialogGymError: a slot that rows of this domain cannot be looked up by.
        """
        mask = self.all
        for slot, value in constraints.items():
            try:
                mask &= self._masks[slot][value]
            except KeyError:
                mask &= self._learn(slot, value)
        return mask

    def _learn(self, slot: str, value: Scalar) -> int:
        """The mask of a value in another spelling, or of a time."""
        if slot not in self._masks:
            known = nearest(slot, self._masks)
            raise DialogGymError(f"{self.domain} cannot be looked up by {slot!r}; {known}")
        masks, text = self._masks[slot], normal(self.domain, slot, value)
        if slot in _TIMES and text not in masks and clock(text) == text:
            masks[text] = self._timed(slot, minutes(text))  # kept: there are at most 26 * 60
        elif slot == ENTITY[self.domain]:
            text = self.names.find(text) or text
        return masks.get(text, 0)

    def _timed(self, slot: str, minute: int) -> int:
        times, before = self._orders[slot]
        if slot == AT_LEAST:
            return self.all & ~before[bisect_left(times, minute)]
        return before[bisect_right(times, minute)]

    def rows_of(self, mask: int) -> Iterator[Row]:
        """The rows of a mask, in the order of the database."""
        while mask:
            lowest = mask & -mask
            yield self.rows[lowest.bit_length() - 1]
            mask ^= lowest

    def find(self, constraints: Mapping[str, Scalar]) -> tuple[Row, ...]:
        """The rows that fit; see `mask`."""
        return tuple(self.rows_of(self.mask(constraints)))

    def first(self, constraints: Mapping[str, Scalar]) -> Row | None:
        """The first row that fits, or None."""
        return next(self.rows_of(self.mask(constraints)), None)

    def count(self, constraints: Mapping[str, Scalar]) -> int:
        """How many rows fit."""
        return self.mask(constraints).bit_count()


class Database:
    """The tables by domain. Taxis are made up on demand (`bookings.taxi`) and have none."""

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """``rows`` by domain."""
        self.tables: Mapping[str, Table] = {domain: Table(domain, table) for domain, table in rows.items()}
        domains = [domain for domain in self.tables if ENTITY[domain] == "name"]
        self.places = Names(row["name"] for domain in domains for row in self.tables[domain].rows)
        """Every named place, whatever its domain: where a taxi may go."""

    def __getitem__(self, domain: str) -> Table:
        """The table of a domain.

        Raises:
            DialogGymError: there is no such table.
        """
        try:
            return self.tables[domain]
        except KeyError:
            raise DialogGymError(f"no database of {domain!r}; {nearest(domain, self.tables)}") from None


@lru_cache(maxsize=1)
def load_database() -> Database:
    """The databases of the release, shipped in a compact form (``scripts/pack_multiwoz.py``); read once."""
    packed = files("dialog_gym.domains.multiwoz").joinpath("databases.json.gz").read_bytes()
    tables = json.loads(gzip.decompress(packed))
    return Database({domain: unpack(table) for domain, table in tables.items()})


def pack(rows: Sequence[Row]) -> dict[str, list[list[str]]]:
    """Rows as lists: ``{"slots": [[slot, ...]], "rows": [[value, ...], ...]}``, "" where a row has none."""
    slots = list(dict.fromkeys(slot for row in rows for slot in row))
    return {"slots": [slots], "rows": [[row.get(slot, "") for slot in slots] for row in rows]}


def unpack(table: Mapping[str, Sequence[Sequence[str]]]) -> list[dict[str, str]]:
    """The rows that `pack` was given."""
    (slots,) = table["slots"]
    return [{s: v for s, v in zip(slots, row, strict=True) if v} for row in table["rows"]]
