"""Which venues and trains match a set of constraints.

Rules, from ``database.py`` of the published evaluator:

- Only restaurants, hotels, attractions and trains can be looked up; every other domain has no venue.
- A constraint counts if the database has a column of that name; columns that no user asks for (location,
  opening hours, room prices, introductions, signatures, whether bookings are taken) do not exist.
- "dontcare" and its spellings, "not mentioned" included, constrain nothing. An empty value matches nothing.
- A train arrives at or before "arrive" and leaves at or after "leave"; a time that cannot be read counts as
  0:00.
- Names, foods and stations match from a partial similarity of 90 per cent on; all other columns must be
  equal.
- "?" in the database matches everything.
- What matches is a set of ids. Some train numbers stand for several trains (2,828 rows, 2,462 numbers): one
  of those that matches is enough.

The partial similarity is that of fuzzywuzzy with python-Levenshtein, which the evaluator requires: the
shorter text is laid over the longer one at every matching block of their edit script, and the best
normalised indel similarity counts. (rapidfuzz' own ``partial_ratio`` tries all places and so finds higher
values now and then.)
"""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialog_gym.benchmarks.multiwoz_corpus.slots import minutes, normalized_slot, normalized_value
from dialog_gym.core import DialogGymError

if TYPE_CHECKING:
    from rapidfuzz.distance import MatchingBlock

DOMAINS = ("restaurant", "hotel", "attraction", "train")
_ID = {"restaurant": "id", "hotel": "id", "attraction": "id", "train": "trainID"}
_LEFT_OUT = {
    "restaurant": {"introduction", "location", "signature"},
    "hotel": {"location", "price", "takesbookings"},
    "attraction": {"location", "openhours"},
    "train": set[str](),
}
_SIMILAR = {
    "restaurant": {"name", "food"},
    "hotel": {"name"},
    "attraction": {"name"},
    "train": {"departure", "destination"},
}
_ANY = {"dontcare", "not mentioned", "don't care", "dont care", "do n't care", "do not care"}
_SIMILAR_FROM = 90


class Venues:
    """The databases, each column indexed by value: the rows that hold it, as bits of a whole number."""

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Index ``rows`` of every domain; their columns are those of a domain's first row."""
        self._ids = {domain: [str(row[_ID[domain]]) for row in found] for domain, found in rows.items()}
        self._columns = {domain: _indexed(found, _LEFT_OUT[domain]) for domain, found in rows.items()}
        self._column = cache(self._matching_column)
        self._named = cache(self._ids_of)

    def matching(self, domain: str, constraints: Mapping[str, str]) -> frozenset[str]:
        """Ids of the venues, or trains, that match all constraints.

        Args:
            domain: Any; one without a database has no rows.
            constraints: Normalised slots and values; slots that are no column are ignored.
        """
        if domain not in self._ids:
            return frozenset()
        rows = (1 << len(self._ids[domain])) - 1
        for column in self._columns[domain]:
            value = constraints.get(column)
            if value is not None and value not in _ANY:
                rows &= self._column(domain, column, normalized_value(column, value))
        return self._named(domain, rows)

    def _ids_of(self, domain: str, rows: int) -> frozenset[str]:
        return frozenset(name for number, name in enumerate(self._ids[domain]) if rows >> number & 1)

    def _matching_column(self, domain: str, column: str, wanted: str) -> int:
        accepts = _test(domain, column, wanted)
        found = 0
        for value, rows in self._columns[domain][column].items():
            if value == "?" or accepts(value):
                found |= rows
        return found


def _indexed(rows: Sequence[Mapping[str, Any]], left_out: set[str]) -> dict[str, dict[str, int]]:
    names = {name: normalized_slot(name) for name in rows[0] if name not in left_out}
    columns: dict[str, dict[str, int]] = {column: {} for column in names.values()}
    for number, row in enumerate(rows):
        for name in row.keys() & names:
            column = columns[names[name]]
            value = str(row[name])
            column[value] = column.get(value, 0) | 1 << number
    return columns


def _test(domain: str, column: str, wanted: str) -> Callable[[str], bool]:
    if column == "arrive":
        return lambda value: minutes(value) <= minutes(wanted)
    if column == "leave":
        return lambda value: minutes(value) >= minutes(wanted)
    if column in _SIMILAR[domain]:
        return lambda value: partial_similarity(value, wanted) >= _SIMILAR_FROM
    return lambda value: value == wanted


def partial_similarity(first: str, second: str) -> int:
    """How well the shorter text fits into the longer one, 0 to 100; 0 when just one is empty."""
    from rapidfuzz.distance import Indel, Levenshtein

    if not (first and second):
        return 100 if first == second else 0
    shorter, longer = sorted((first, second), key=len)

    def fit(block: "MatchingBlock") -> float:
        start = max(block.b - block.a, 0)
        return Indel.normalized_similarity(shorter, longer[start : start + len(shorter)])

    best = max(map(fit, Levenshtein.opcodes(shorter, longer).as_matching_blocks()))
    return 100 if best > 0.995 else round(100 * best)


def load_venues(folder: Path) -> Venues:
    """The databases in ``folder``: ``<domain>_db.json``, or the same gzipped.

    Raises:
        DialogGymError: a file is missing or is not what it should be.
    """
    return Venues({domain: _rows(folder, domain) for domain in DOMAINS})


def _rows(folder: Path, domain: str) -> list[dict[str, Any]]:
    plain = folder / f"{domain}_db.json"
    packed = plain.with_name(f"{plain.name}.gz")
    path = packed if packed.exists() else plain
    try:
        data = gzip.decompress(path.read_bytes()) if path == packed else path.read_bytes()
        rows = json.loads(data)
    except (OSError, EOFError, ValueError) as error:
        raise DialogGymError(f"{path}: no MultiWOZ database ({error})") from None
    if not (isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)):
        raise DialogGymError(f"{path}: no MultiWOZ database (a list of objects was expected)")
    return rows
