"""Roles: where a place or a time stands in a sentence tells whether it is a departure or a destination.

Also the three things one may say of a slot besides its value, always in the same words: that it can be told
("phone number on request"), that it is open ("any price range"), and a value in quotation marks.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from dialog_gym.core import Scalar
from dialog_gym.domains.multiwoz.gazetteer import Found
from dialog_gym.domains.multiwoz.ontology import DOMAINS, DONTCARE, slots_of

Slots: TypeAlias = Mapping[str, tuple[str, Scalar]]
"""Domain to the slot and value that a mention has there."""


class Mention(NamedTuple):
    """A value in a text: characters ``start:end``, its kind, and what it may fill."""

    start: int
    end: int
    kind: str
    slots: Slots


class Text(NamedTuple):
    """A prepared text of one turn, in lower case and without tokenisation; both versions are as long."""

    words: str
    """With names, addresses and quotations blanked: the words that cues may be looked for in."""
    bare: str
    """With every mention blanked: punctuation here ends sentences."""
    mentions: tuple[Mention, ...]
    """In order; without overlap."""


LABELS: Final[Mapping[str, str]] = {
    "area": "area", "food": "food type", "pricerange": "price range", "name": "name", "stars": "star rating",
    "type": "type", "parking": "parking details", "internet": "internet details", "bookday": "booking day",
    "booktime": "booking time", "bookpeople": "number of people", "bookstay": "number of nights",
    "departure": "departure point", "destination": "destination", "day": "travel day",
    "leaveat": "departure time", "arriveby": "arrival time", "department": "department", "address": "address",
    "phone": "phone number", "postcode": "postcode", "ref": "reference number",
    "entrancefee": "entrance fee", "openhours": "opening hours", "trainid": "train id",
    "price": "ticket price", "duration": "travel time", "choice": "number of options",
}  # fmt: skip
"""The plain name of every slot, different for each."""

_LABEL: Final = "|".join(sorted(LABELS.values(), key=len, reverse=True))
_SLOT_OF: Final = {label: slot for slot, label in LABELS.items()}
_MARKED: Final = re.compile(rf'\bany ({_LABEL})\b|\b({_LABEL}) on request\b|\b({_LABEL}) "([^"]*)"|"([^"]*)"')
_FAR: Final = 40
"""Characters before a value in which the word that tells its role is looked for."""
_ARRIVING: Final = re.compile(r"\b(arriv\w*|get (?:there|in|to|me)|reach\w*|be (?:there|in)|getting)\b")
_LEAVING: Final = re.compile(r"\b(leav\w*|depart\w*|pick\w*|go at|goes at|going at)\b")
_BEFORE: Final = re.compile(r"\b(before|by|later than|earlier than)\b")
_AFTER: Final = re.compile(r"\b(after|at|from|around|about|past|the)\b")
_FROM: Final = re.compile(
    r"\b(from|leav\w+|depart\w*|out of|start\w* (?:in|at)|pickup at|"
    r"pick\w* (?:me |us |you )?up (?:at|from|in))\b"
)
_TO: Final = re.compile(
    r"\b(to|into|towards?|arriv\w*|destination|heading|reach\w*|for|going|drop\w* (?:me |us )?off|get in|"
    r"visit\w*)\b"
)


def quoted(low: str) -> list[Mention]:
    """What is said of a slot in the fixed words; a quotation without a label is nobody's value."""
    found = []
    for match in _MARKED.finditer(low):
        if match[1]:
            slot, value = _SLOT_OF[match[1]], DONTCARE
        elif match[2]:
            slot, value = _SLOT_OF[match[2]], None
        else:
            slot, value = _SLOT_OF.get(match[3], ""), match[4]
        slots = {
            domain: (slot, value) for domain in DOMAINS if slot in (*slots_of(domain), "choice") and slot
        }
        found.append(Mention(*match.span(), "marked", slots))
    return found


def places(found: Found, words: str) -> list[Mention]:
    """A gazetteer phrase as a mention: a place is also where a taxi, and a station where a train, may go."""
    slots: dict[str, tuple[str, Scalar]] = {}
    kind = found.entries[0].kind
    if words.startswith(" towninfo", found.end):
        return []
    for entry in found.entries:
        if entry.kind == "station":
            slots |= {domain: (_direction(found, words), entry.value) for domain in ("train", "taxi")}
        else:
            slots.setdefault(entry.domain, (entry.kind, entry.value))
    if kind == "name":
        slots["taxi"] = (_direction(found, words), found.entries[0].value)
    return [Mention(found.start, found.end, kind, slots)]


def _direction(found: Found, words: str) -> str:
    """Departure or destination, or "place" where nothing tells."""
    left = _left(words, found.start)
    if last := _last({"departure": _FROM, "destination": _TO}, left):
        return last
    return "departure" if words[found.end : found.end + 4] == " to " else "place"


def timed(time: Mention, bare: str) -> Mention:
    """A time with its role for trains and taxis: leaveat, arriveby, or "time" where nothing tells."""
    left = _left(bare, time.start)
    role = _last({"leaveat": _LEAVING, "arriveby": _ARRIVING}, left)
    role = role or _last({"leaveat": _AFTER, "arriveby": _BEFORE}, left) or "time"
    _, value = time.slots["restaurant"]
    return time._replace(slots={**time.slots, "train": (role, value), "taxi": (role, value)})


def _left(text: str, place: int) -> str:
    """What stands before a place in its sentence, as far as it is looked at."""
    left = text[max(0, place - _FAR) : place]
    return left[max(left.rfind(mark) for mark in (". ", "? ", "! ")) + 1 :]


def _last(cues: Mapping[str, re.Pattern[str]], left: str) -> str | None:
    ends = {role: max((m.end() for m in cue.finditer(left)), default=-1) for role, cue in cues.items()}
    best = max(ends, key=lambda role: ends[role])
    return best if ends[best] >= 0 else None
