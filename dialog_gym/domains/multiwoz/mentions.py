"""Values in a text: "moderately priced", "11 am", "cb21ab", each with the slots it may fill, by domain.

What a value is for is left open here ("friday" is a train's day or a booking's); `reading` settles it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from dialog_gym.domains.multiwoz.cues import NUMBERS, patterns
from dialog_gym.domains.multiwoz.gazetteer import gazetteer
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DAYS, DOMAINS, REQUESTABLE
from dialog_gym.domains.multiwoz.roles import Mention, Slots, Text, places, quoted, timed
from dialog_gym.domains.multiwoz.values import clock, normal

MAX_CHARS: Final = 20_000
"""Only this many characters of a turn are read."""
MAX_MENTIONS: Final = 300
"""Only this many values of a turn are read, so that comparing them with each other stays cheap."""

_TIDY: Final = (
    (re.compile(r"[\u2018\u2019`]"), "'"),
    (re.compile(r"[\u201c\u201d]"), '"'),
    (re.compile(r"\s+"), " "),
    (re.compile(r" (n't|'(?:s|re|m|ll|d|ve)\b)"), r"\1"),
    (re.compile(r" ([,.?!;])"), r"\1"),
    (re.compile(r"(\d) ?- ?(\d)"), r"\1-\2"),
    (re.compile(r"(\d) ?: ?(\d\d)"), r"\1:\2"),
)
_BOOKED: Final = {domain: slot for domain in BOOKABLE for slot in BOOKABLE[domain] if slot == "bookday"}


def _text_slots(slot: str, *domains: str) -> Callable[[str], Slots]:
    """A value that fills the same slot in some domains, in the spelling of `values.normal`."""
    return lambda said: {domain: (slot, normal(domain, slot, said)) for domain in domains}


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def number(text: str) -> str | None:
    """The number a text starts with or names in words, in digits."""
    for word in re.split(r"[ -]", text):
        if word.isdecimal():
            return str(int(word))
        if word in NUMBERS:
            return str(NUMBERS.index(word))
    return None


def _day(said: str) -> Slots:
    day = next(day for day in DAYS if said.startswith(day[:3]))
    return {"train": ("day", day), **{domain: ("bookday", day) for domain in _BOOKED}}


def _people(said: str) -> Slots:
    count = number(said) or "1"
    return {domain: ("bookpeople", count) for domain in BOOKABLE}


def _money(said: str) -> Slots:
    amount = re.sub(r"[^\d.]", "", said).strip(".")
    value = f"{amount} pound" + ("" if amount == "1" else "s")
    return {"train": ("price", value), "attraction": ("entrancefee", value)}


def _anywhere(slot: str, tidy: Callable[[str], str]) -> Callable[[str], Slots]:
    having = [domain for domain in DOMAINS if slot in REQUESTABLE[domain]]
    return lambda said: {domain: (slot, tidy(said)) for domain in having}


def _postcode(said: str) -> str:
    return re.sub(r"[^a-z0-9]", "", said)


def _choice(said: str) -> Slots:
    count = number(said) or said.split(" ")[0]
    return {domain: ("choice", count) for domain in DOMAINS}


def _minutes(said: str) -> Slots:
    hours = re.match(r"(\d+|an|one|two) hours?", said)
    left = re.search(r"(\d+) ?min", said)
    count = 60 * int(number(hours[1]) or 1) if hours else 0
    return {"train": ("duration", f"{count + (int(left[1]) if left else 0)} minutes")}


_PLACES: Final = ("restaurant", "hotel", "attraction")
_READ: Final[Mapping[str, Callable[[str], Slots]]] = MappingProxyType(
    {
        "trainid": lambda said: {"train": ("trainid", f"TR{_digits(said)}")},
        "phone": _anywhere("phone", _digits),
        "postcode": _anywhere("postcode", _postcode),
        "taxi": lambda said: {"taxi": ("type", said)},
        "time": lambda said: {"restaurant": ("booktime", clock(said.replace("o'clock", "")) or said)},
        "duration": _minutes,
        "price": _money,
        "fee": lambda said: {"attraction": ("entrancefee", "free")},
        "stars": _text_slots("stars", "hotel"),
        "stay": lambda said: {"hotel": ("bookstay", number(said) or "1")},
        "people": _people,
        "day": _day,
        "guesthouse": lambda said: {"hotel": ("type", "guesthouse")},
        "hotel": lambda said: {"hotel": ("type", "hotel")},
        "parking": lambda said: {"hotel": ("parking", "yes")},
        "internet": lambda said: {"hotel": ("internet", "yes")},
        "atype": _text_slots("type", "attraction"),
        "area": _text_slots("area", *_PLACES),
        "pricerange": _text_slots("pricerange", "restaurant", "hotel"),
    }
)
"""Kind of a value to what it may fill."""
_PATTERNS: Final = tuple((kind, pattern, _READ[kind]) for kind, pattern in patterns("mentions").items())
_REFERENCE: Final = re.compile(r"\b(?=\d*[A-Z])[A-Z0-9]{8}\b")
_CITED: Final = re.compile(
    r"\b(?:reference|confirmation|ref)\b(?: number| no| code| #)?[^.?!]{0,12}?[ :]((?=[a-z]*\d)[a-z0-9]{8})\b"
)
_REF: Final = _anywhere("ref", str.upper)


def prepare(text: str) -> Text:
    """A text with its mentions found. Reads the first `MAX_CHARS` characters; linear time, never raises."""
    raw = tidy(text[:MAX_CHARS])
    low = raw.lower()
    if len(low) != len(raw):
        raw = low
    mentions = quoted(low)
    words = _blanked(low, mentions)
    named = [mention for found in gazetteer().find(words, raw) for mention in places(found, words)]
    for pattern, source in ((_REFERENCE, raw), (_CITED, low)):
        named += [_reference(match, low) for match in pattern.finditer(_blanked(source, mentions + named))]
    words = _blanked(words, [one for one in named if one.kind in ("name", "address", "ref", "department")])
    mentions += named
    bare = _blanked(words, named)
    for kind, pattern, read in _PATTERNS:
        found_ = [Mention(*m.span(), kind, read(m[0])) for m in pattern.finditer(bare)]
        mentions += [timed(one, bare) if kind == "time" else one for one in found_]
        bare = _blanked(bare, found_)
    return Text(words, bare, tuple(sorted(mentions, key=_place)[:MAX_MENTIONS]))


def _place(mention: Mention) -> int:
    return mention.start


def tidy(text: str) -> str:
    """One blank between words, plain quotation marks, the corpus's tokenisation undone."""
    for pattern, better in _TIDY:
        text = pattern.sub(better, text)
    return text.strip()


def _reference(match: re.Match[str], low: str) -> Mention:
    start, end = match.span(match.lastindex or 0)
    return Mention(start, end, "ref", _REF(low[start:end]))


def _blanked(text: str, mentions: Sequence[Mention]) -> str:
    letters = list(text)
    for mention in mentions:
        letters[mention.start : mention.end] = "@" * (mention.end - mention.start)
    return "".join(letters)
