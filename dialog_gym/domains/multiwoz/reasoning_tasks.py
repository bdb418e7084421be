"""MORE's two verifiable reasoning tasks at the booking desk; their definition is *ours*.

MORE (arXiv 2606.09293) defines them for a credit shop: MAC, masked attribute completion, and PNR,
programmatic numerical reasoning. Here a task is a moment of a dialogue: the user has told all that they look
for in one domain, with the values said first or, half of the time, corrected to those of the goal. The
act-level observation shows the moment without its search results, so which domain it is and what was told;
values stand beside it for all domains of the goal at once, those said first and the corrections.

- MAC: the domain, and the values that hold now of its area, price range, food, type and stars.
- PNR: how many entities of the live database fit, in classes; and of one train, the total price for a number
  of people, an exact entry of a finite table, and the arrival (departure + duration) digit by digit.

An answer is right when all of its fields are. The harder split: a fifth of all combinations of departure and
duration is kept out of training; prices and counts are looked up, an arrival can be put together.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dialog_gym.domains.closed_tasks import Answers, kept_out
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.database import Database
from dialog_gym.domains.multiwoz.ontology import DOMAINS, INFORMABLE
from dialog_gym.domains.multiwoz.search import ANYTHING, Lexicon
from dialog_gym.domains.multiwoz.state import State, start_arrays
from dialog_gym.domains.multiwoz.values import minutes
from dialog_gym.noise import mix_array, text_key

SEARCHES: Final = ("restaurant", "hotel", "attraction")
"""Domains whose entities are counted: their constraints have few values."""
COMPLETED: Final = ("area", "pricerange", "food", "type", "stars")
"""Slots that MAC asks for, beside the domain."""
COUNTS: Final = (1, 2, 4, 11)
"""Where classes of counts begin: none, 1, 2 or 3, 4 to 10, more."""
PEOPLE: Final = 8
"""Train tickets are for 1 to this many people."""
UNTOLD, INDIFFERENT, ELSE = range(3)
"""Classes of a slot before those of its values: not told, any will do, none that the database has."""
_KNOWN: Final = ELSE + 1
_DRAW, _UNSEEN = text_key("multiwoz reasoning tasks"), text_key("unseen departures and durations")
_CLOCK: Final = (3, 10, 6, 10)
"""Classes of the digits of a time; the corpus lets hours run on past 24."""
_DURATION: Final = (3, 6, 10)
_PAIRS: Final = tuple((domain, slot) for domain in SEARCHES for slot in INFORMABLE[domain] if slot != "name")
_AT: Final = tuple(bits.CONSTRAINTS.index(pair) for pair in _PAIRS)
_NAMES: Final = sum(bit for (_, slot), bit in bits.CONSTRAINT.items() if slot == "name")


class ClosedTasks:
    """The tasks for a network that chooses between classes, one decision per field."""

    def __init__(self, lexicon: Lexicon) -> None:
        """Prepares the values of slots and the trains of the lexicon's databases."""
        self.lexicon, database = lexicon, lexicon.database
        self.values = _values(database)
        trains = database["train"].rows
        self.leaves = np.asarray([minutes(row["leaveat"]) for row in trains])
        self.lasts = np.asarray([int(row["duration"].split()[0]) for row in trains])
        pence = [round(100 * float(row["price"].split()[0])) for row in trains]
        self.fares, self.fare = np.unique(pence, return_inverse=True)
        self.totals = np.unique(self.fares[:, None] * np.arange(1, PEOPLE + 1))
        completed = [_KNOWN + len(self.values[slot]) for slot in COMPLETED]
        self.sizes = {
            "mac": (len(DOMAINS), *completed),
            "pnr": (len(COUNTS) + 2, len(self.totals), *_CLOCK),
        }
        said = sum(_KNOWN + len(self.values[slot]) for _, slot in _PAIRS)
        self.asked = 2 * said + sum(_CLOCK) + sum(_DURATION) + len(self.fares) + PEOPLE
        self._drawn: dict[Any, np.ndarray] = {}

    def of(self, shop: Any, space: Any, customers: np.ndarray) -> Answers:
        """Tasks on the users with some task indices, int64[N]; a split's goals are drawn once."""
        if space not in self._drawn:
            self._drawn[space] = shop.draw(space, np.arange(space.size))
        keys = mix_array(space.keys(customers), np.uint64(_DRAW))
        s = _moment(self._drawn[space][customers], corrected=keys % np.uint64(2) == 0)
        first, now = self._classes(s, s.first), self._classes(s, _now(s))
        count = self._count(shop, s)
        train, people = (keys >> np.uint64(1)) % np.uint64(len(self.fare)), (keys >> np.uint64(33)) % PEOPLE
        leaves, lasts, fare = self.leaves[train], self.lasts[train], self.fare[train]
        total = np.searchsorted(self.totals, self.fares[fare] * (people + 1).astype(np.int64))
        mac = [s.domain, *(self._held(s, slot, now) for slot in COMPLETED)]
        pnr = [count, total, *_digits(leaves + lasts)]
        shown = [*self._said(first), *self._said(np.where(now == first, UNTOLD, now))]
        shown += [_hot(*pair) for pair in zip(_digits(leaves), _CLOCK, strict=True)]
        shown += [_hot(*pair) for pair in zip(_digits(lasts)[1:], _DURATION, strict=True)]
        shown += [_hot(fare, len(self.fares)), _hot(people, PEOPLE)]
        asked = np.concatenate(shown, axis=1, dtype=np.float32)
        unseen = kept_out(_UNSEEN, leaves * 1000 + lasts)
        return Answers(_observation(shop, s), asked, np.stack(mac, 1), np.stack(pnr, 1), unseen)

    def _classes(self, s: State, pointers: np.ndarray) -> np.ndarray:
        """int64[N, pairs], classes of the values that pointers, int64[N, constraints], point at.

        Of all domains of the goal, whatever the conversation is about.
        """
        found = np.full((len(pointers), len(_PAIRS)), UNTOLD)
        for i, (at, (_, slot)) in enumerate(zip(_AT, _PAIRS, strict=True)):
            kinds, inverse = np.unique(pointers[:, at], return_inverse=True)
            classes = np.asarray([self._class(slot, int(pointer)) for pointer in kinds])
            found[:, i] = np.where((s.info >> at) & 1, classes[inverse], UNTOLD)
        return found

    def _class(self, slot: str, pointer: int) -> int:
        if pointer == ANYTHING:
            return INDIFFERENT
        value, known = self.lexicon.values[pointer], self.values[slot]
        return _KNOWN + known.index(value) if value in known else ELSE

    def _said(self, classes: np.ndarray) -> list[np.ndarray]:
        """One-hots of classes, by pair."""
        sizes = [_KNOWN + len(self.values[slot]) for _, slot in _PAIRS]
        return [_hot(column, size) for column, size in zip(classes.T, sizes, strict=True)]

    def _held(self, s: State, slot: str, now: np.ndarray) -> np.ndarray:
        """int64[N], the class of a slot in the domain that the conversation is about."""
        held = np.full(len(now), UNTOLD)
        for i, (domain, name) in enumerate(_PAIRS):
            if name == slot:
                held = np.where(s.domain == bits.DOMAIN[domain], now[:, i], held)
        return held

    def _count(self, shop: Any, s: State) -> np.ndarray:
        """int64[N], the class of the number of entities that fit; 0 where none are counted."""
        nowhere = np.full(len(s.domain), -1)
        found = shop.array_dynamics.search.find(s, s.domain, s.told, s.differs, s.domain & 0, nowhere)
        counted = np.isin(s.domain, [bits.DOMAIN[domain] for domain in SEARCHES])
        return np.where(counted, 1 + np.searchsorted(COUNTS, found.count, side="right"), 0)


def _values(database: Database) -> Mapping[str, tuple[str, ...]]:
    """The values that each slot has in any of the databases."""
    found: dict[str, set[str]] = {}
    for domain, slot in _PAIRS:
        found.setdefault(slot, set()).update(row[slot] for row in database[domain].rows if slot in row)
    return {slot: tuple(sorted(values)) for slot, values in found.items()}


def _moment(drawn: np.ndarray, corrected: np.ndarray) -> State:
    """States in which a user has told what they look for, in the goal's last domain that can be counted.

    Args:
        drawn: `state.DRAWN_TYPE`.
        corrected: bool[N], whether the values said first have been corrected.
    """
    s = start_arrays(drawn)
    counted = sum(1 << bits.DOMAIN[domain] for domain in SEARCHES)
    for i in range(len(DOMAINS)):
        domain = np.where(s.domains > i, (s.order >> (3 * i)) & 7, s.domain)
        s.domain = np.where((counted >> domain) & 1, domain, s.domain)
    s.told = s.said = s.info & np.asarray(bits.INFO)[s.domain] & ~_NAMES
    s.differs = np.where(corrected, 0, s.differs)
    indifferent = _now(s) == ANYTHING
    s.dontcare = s.told & (indifferent << np.arange(len(bits.CONSTRAINTS))).sum(axis=1)
    s.count = np.full(len(drawn), -1)  # neither none, one, few nor many: the answer is not shown
    return s


def _now(s: State) -> np.ndarray:
    """int64[N, constraints], pointers of the values that hold."""
    stale = (s.differs[:, None] >> np.arange(len(bits.CONSTRAINTS))) & 1
    pointers: np.ndarray = np.where(stale, s.first, s.value)  # type: ignore[assignment]
    return pointers


def _observation(shop: Any, s: State) -> np.ndarray:
    acts = shop.act_level
    out = np.empty((len(s.domain), acts.size), np.float32)
    acts.features.fill(out, s, acts.view.numbers(s))
    return out


def _digits(minute: np.ndarray) -> list[np.ndarray]:
    """The four digits of minutes as a time, hh:mm."""
    hour, rest = np.divmod(minute, 60)
    return [hour // 10, hour % 10, rest // 10, rest % 10]


def _hot(classes: np.ndarray, size: int) -> np.ndarray:
    hot: np.ndarray = np.eye(size, dtype=np.float32)[classes]
    return hot
