"""User goals: what somebody wants to find, be told and book, and what they try first.

In the corpus ``fail_info`` holds constraints of a first search. The user's instructions mention them ("if
there is no such hotel, how about ...") exactly when the database has no row for them (455 of the 455
mentioned ones in validation and test); where rows exist, ``fail_info`` is a left-over of the goal
generator, and is dropped here. ``fail_book`` holds the values of a first booking that is refused (as in 159
of the 169 real dialogues with one). Instructions also mention fallbacks for bookings without it; those
succeed at once, so the fallback is dropped.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from dialog_gym.core import Record
from dialog_gym.domains.multiwoz.bookings import problem
from dialog_gym.domains.multiwoz.database import Database
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS
from dialog_gym.domains.multiwoz.slots import slot_name
from dialog_gym.domains.multiwoz.values import normal

_CUES: Final = {
    "hotel": r"place to stay|particular hotel",
    "restaurant": r"place to dine|(a|particular) restaurant\b|local restaurants",
    "attraction": r"places to go|particular attraction|tourist attractions",
    "train": r"\btrain\b",
    "taxi": r"\btaxi\b",
    "hospital": r"hospital|injured",
    "police": r"police|robbed",
}
_LOOKING: Final = re.compile(r"looking for|want to book")
_MARKUP: Final = re.compile(r"<[^>]*>")
_FLAGS: Final = ("invalid", "pre_invalid")
"""Left-overs of the goal generator in ``book``; no dialogue depends on them (``fail_book`` says it all)."""


class DomainGoal(Record):
    """What is wanted in one domain, with slots and values in the spelling of `ontology` and `values`.

    ``fail_info`` replaces ``info`` in the first search and has no match; ``fail_book`` replaces some values
    of ``book`` in the first booking, which is refused. Both are empty when the first attempt is meant to
    work.
    """

    info: Mapping[str, str] = Field(default_factory=dict)
    fail_info: Mapping[str, str] = Field(default_factory=dict)
    book: Mapping[str, str] = Field(default_factory=dict)
    fail_book: Mapping[str, str] = Field(default_factory=dict)
    requests: tuple[str, ...] = ()

    @property
    def first_info(self) -> Mapping[str, str]:
        """The constraints of the first search."""
        return self.fail_info or self.info

    @property
    def first_book(self) -> Mapping[str, str]:
        """The details of the first booking."""
        return {**self.book, **self.fail_book}


class MultiWozGoal(Record):
    """A user's whole goal; ``domains`` in the order in which the user turns to them.

    ``message`` is the instruction the corpus's users were given, one text per line; sampled goals have none.
    """

    id: str = ""
    domains: Mapping[str, DomainGoal]
    message: tuple[str, ...] = ()


def read_goal(identity: str, raw: Mapping[str, Any], database: Database) -> MultiWozGoal:
    """A goal as ``data.json`` of MultiWOZ 2.0 and 2.1 writes it.

    Args:
        identity: The dialogue's id, without ``.json``.
        raw: The dialogue's ``goal``.
        database: Tells whether constraints that fail first really have no match.
    """
    message = raw.get("message", ())
    lines = (message,) if isinstance(message, str) else tuple(message)
    parts = {domain: _domain_goal(domain, raw[domain], database) for domain in DOMAINS if raw.get(domain)}
    order = sorted(parts, key=lambda domain: _first_mention(domain, lines))
    text = tuple(_MARKUP.sub("", line) for line in lines)
    return MultiWozGoal(id=identity, domains={domain: parts[domain] for domain in order}, message=text)


def _domain_goal(domain: str, raw: Mapping[str, Any], database: Database) -> DomainGoal:
    fail_info = _values(domain, raw.get("fail_info", {}))
    if fail_info and (domain not in database.tables or database[domain].mask(fail_info)):
        fail_info = {}
    return DomainGoal(
        info=_values(domain, raw.get("info", {})),
        fail_info=fail_info,
        book=_values(domain, raw.get("book", {}), booking=True),
        fail_book=_values(domain, raw.get("fail_book", {}), booking=True),
        requests=tuple(slot_name(domain, slot) for slot in raw.get("reqt", ())),
    )


def _values(domain: str, raw: Mapping[str, Any], *, booking: bool = False) -> dict[str, str]:
    named = {slot_name(domain, s, booking=booking): v for s, v in raw.items() if s not in _FLAGS and v != ""}
    return {slot: normal(domain, slot, str(value)) for slot, value in named.items()}


def _first_mention(domain: str, lines: tuple[str, ...]) -> tuple[int, int]:
    """Where the instructions turn to a domain; those they do not name stand last, in a fixed order."""
    for place, line in enumerate(lines):
        text = _MARKUP.sub("", line)
        if _LOOKING.search(text) and re.search(_CUES[domain], text):
            return place, 0
    return len(lines), DOMAINS.index(domain)


def problems(goal: MultiWozGoal, database: Database) -> tuple[str, ...]:
    """Why a goal cannot be met, one line per reason; empty for a goal that can."""
    found: list[str] = []
    for domain, part in goal.domains.items():
        found += [f"{domain}: {reason}" for reason in _domain_problems(domain, part, database)]
    return tuple(found)


def _domain_problems(domain: str, part: DomainGoal, database: Database) -> list[str]:
    found = []
    if domain in database.tables:
        table = database[domain]
        rows = table.find(part.info)
        if not rows:
            found.append(f"nothing fits {dict(part.info)}")
        elif not any(row.keys() >= set(part.requests) - {"ref"} for row in rows):
            found.append(f"nothing that fits has all of {', '.join(part.requests)}")
        if part.fail_info and table.mask(part.fail_info):
            found.append(f"{dict(part.fail_info)} should fail first, but something fits it")
    if "ref" in part.requests and not part.book:
        found.append("ref is asked for, but nothing is booked")
    if part.book and domain not in BOOKABLE:
        found.append("takes no bookings")
    elif part.book and (reason := problem(domain, part.book, part.fail_book)):
        found.append(f"booking: {reason}")
    return found
