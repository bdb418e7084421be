"""Goals drawn with the corpus's statistics, each of them satisfiable.

`goal_model.json` (``scripts/pack_multiwoz.py``) has the statistics: which domains in which order, which
slots together, which values, what is requested or booked, how often a search or a booking fails first, and
how often domains share a value (the same day, the same group of people). Values that leave no match are
drawn again, so combinations follow the databases and the shares of values differ a little from the
corpus's.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import Any, Final, NamedTuple

from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.database import Database, load_database
from dialog_gym.domains.multiwoz.goals import DomainGoal, MultiWozGoal
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, ENTITY
from dialog_gym.noise import mix, text_key

_TRIES: Final = 1000
_FAIL_TRIES: Final = 20
_STREAM: Final = text_key("multiwoz goal")


class Draws:
    """Uniform draws of one key, one after the other."""

    def __init__(self, key: int) -> None:
        self._key, self._count = mix(key, _STREAM, 0), 0

    def next(self) -> float:
        """A number in (0, 1)."""
        self._count += 1
        return ((mix(self._key, self._count) >> 12) + 0.5) * 2.0**-52  # `noise.uniform`, half of it done once

    def happens(self, share: float) -> bool:
        """True with a probability."""
        return self.next() < share

    def pick(self, weights: Iterable[tuple[Any, float]]) -> Any:
        """An item in proportion to its weight."""
        return self.choose(weighted(weights))

    def choose(self, choice: "Choice") -> Any:
        """An item of a prepared choice."""
        place = bisect_right(choice.cumulative, self.next() * choice.cumulative[-1])
        return choice.items[min(place, len(choice.items) - 1)]


class Choice(NamedTuple):
    """Items to draw from."""

    items: tuple[Any, ...]
    cumulative: list[float]
    """Sums of their weights up to and with each."""


def weighted(weights: Iterable[tuple[Any, float]]) -> Choice:
    """Items with their weights, made ready to draw from."""
    pairs = list(weights)
    return Choice(tuple([item for item, _ in pairs]), list(accumulate([weight for _, weight in pairs])))


@lru_cache(maxsize=1)
def load_goal_model() -> Mapping[str, Any]:
    """The shipped statistics, read once."""
    path = files("dialog_gym.domains.multiwoz").joinpath("goal_model.json")
    model: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return model


class GoalSampler:
    """Draws goals: the same key, the same goal, on every machine."""

    def __init__(self, database: Database | None = None, model: Mapping[str, Any] | None = None) -> None:
        """``database`` and ``model`` default to the shipped ones."""
        self.database = database or load_database()
        self.model = model or load_goal_model()
        domains: Mapping[str, Any] = self.model["domain"]
        self._orders = weighted((tuple(order), share) for order, share in self.model["domains"])
        self._slots = {
            name: weighted((tuple(slots), share) for slots, share in statistics["info_slots"])
            for name, statistics in domains.items()
        }
        self._values = {
            (name, slot): weighted(values.items())
            for name, statistics in domains.items()
            for slot, values in statistics["values"].items()
        }
        self._questions, self._failing = cache(self._possible_requests), cache(self._failing_slots)
        self._first_tries, self._refused = cache(self._failing_values), cache(self._other_values)

    def sample(self, key: int, domains: Sequence[str] | None = None) -> MultiWozGoal:
        """A goal.

        Args:
            key: Fixes it; any integer.
            domains: The domains in their order, instead of drawing them.

        Raises:
            DialogGymError: unknown domains, or no satisfiable goal was found (only with one's own database).
        """
        draws = Draws(key)
        order: tuple[str, ...] = tuple(domains or draws.choose(self._orders))
        if unknown := [domain for domain in order if domain not in self.model["domain"]]:
            raise DialogGymError(f"unknown domain {unknown[0]!r}; known: {', '.join(self.model['domain'])}")
        found: dict[str, DomainGoal] = {}
        # the taxi goes between the other places, so it is settled when they are
        for domain in sorted(order, key=lambda name: name == "taxi"):
            found[domain] = self._taxi(draws, found) if domain == "taxi" else self._part(domain, draws, found)
        return MultiWozGoal(id=f"sampled-{key}", domains={domain: found[domain] for domain in order})

    def _part(self, domain: str, draws: Draws, others: Mapping[str, DomainGoal]) -> DomainGoal:
        statistics, table = self.model["domain"][domain], self.database[domain]
        booking = domain in BOOKABLE and draws.happens(statistics["book"])
        slots = draws.choose(self._slots[domain])
        for tried in range(_TRIES):
            shared = others if tried < _TRIES // 2 else {}
            info = {slot: self._value(domain, slot, draws, shared) for slot in slots}
            questions = None if booking else self._questions(domain, slots)
            requests = () if questions is None else draws.choose(questions)
            asked = set(requests)
            if any(row.keys() >= asked for row in table.rows_of(table.mask(info))):
                break
        else:
            raise DialogGymError(f"the database has no {domain} for goals with {', '.join(slots)}")
        fail_info = self._fail_info(domain, info, draws)
        book = self._book(domain, draws, others) if booking else {}
        fail_book = self._fail_book(domain, book, draws) if booking else {}
        return DomainGoal(info=info, fail_info=fail_info, book=book, fail_book=fail_book, requests=requests)

    def _value(self, domain: str, slot: str, draws: Draws, others: Mapping[str, DomainGoal]) -> str:
        """A value, or the one that another domain of the goal has."""
        same = [known for part in others.values() if (known := _like(part, slot))]
        share = self.model["shared"].get("day" if slot == "bookday" else slot, 0.0)
        if same and draws.happens(share):
            return same[0]
        value: str = draws.choose(self._values[domain, slot])
        return value

    def _possible_requests(self, domain: str, slots: tuple[str, ...]) -> Choice | None:
        """Slots to ask about: nobody asks about what they have asked for."""
        pairs = self.model["domain"][domain]["request_slots"]
        possible = [(tuple(asked), share) for asked, share in pairs if set(slots).isdisjoint(asked)]
        return weighted(possible) if possible else None

    def _fail_info(self, domain: str, info: Mapping[str, str], draws: Draws) -> dict[str, str]:
        """Constraints to try first, without a match: one value of ``info`` replaced."""
        slots = self._failing(domain, tuple(info))
        if slots is None or not draws.happens(self.model["domain"][domain]["fail"]):
            return {}
        for _ in range(_FAIL_TRIES):
            slot = draws.choose(slots)
            first = {**info, slot: draws.choose(self._first_tries(domain, slot))}
            if not self.database[domain].mask(first):
                return first
        return {}

    def _failing_slots(self, domain: str, slots: tuple[str, ...]) -> Choice | None:
        """Which of the slots may fail first; none where the entity is named."""
        weights = self.model["domain"][domain]["fail_slots"].items()
        possible = [(slot, share) for slot, share in weights if slot in slots]
        return weighted(possible) if possible and ENTITY[domain] not in slots else None

    def _failing_values(self, domain: str, slot: str) -> Choice:
        return weighted(self.model["domain"][domain]["fail_values"][slot].items())

    def _book(self, domain: str, draws: Draws, others: Mapping[str, DomainGoal]) -> dict[str, str]:
        return {slot: self._value(domain, slot, draws, others) for slot in BOOKABLE[domain]}

    def _fail_book(self, domain: str, book: Mapping[str, str], draws: Draws) -> dict[str, str]:
        statistics = self.model["domain"][domain]
        if not statistics["fail_book_slots"] or not draws.happens(statistics["fail_book"]):
            return {}
        slot = draws.pick(statistics["fail_book_slots"].items())
        return {slot: draws.choose(self._refused(domain, slot, book[slot]))}

    def _other_values(self, domain: str, slot: str, value: str) -> Choice:
        values = self.model["domain"][domain]["values"][slot]
        return weighted(pair for pair in values.items() if pair[0] != value)

    def _taxi(self, draws: Draws, others: Mapping[str, DomainGoal]) -> DomainGoal:
        """Alone: from a place to a place. With others: between them, in time for a booked table."""
        table = others["restaurant"].book.get("booktime") if "restaurant" in others else None
        if table:
            info = {"arriveby": table}
        elif others:
            info = {"leaveat": self._value("taxi", "leaveat", draws, {})}
        else:
            kinds = self.model["domain"]["taxi"]["info_slots"]
            slots = draws.pick(pair for pair in kinds if {"departure", "destination"} <= set(pair[0]))
            info = {slot: self._value("taxi", slot, draws, {}) for slot in slots}
            while info["departure"] == info["destination"]:
                info["destination"] = self._value("taxi", "destination", draws, {})
        return DomainGoal(info=info, requests=("type", "phone"))


def _like(part: DomainGoal, slot: str) -> str | None:
    """What another domain has for a slot; the day of a train and of a booking are alike."""
    if slot in ("day", "bookday"):
        return part.info.get("day") or part.book.get("bookday")
    return part.info.get(slot) or part.book.get(slot)
