"""One spelling per value: "moderately priced" is ``moderate``, "8pm" is ``20:00``, "downtown" is ``centre``.

The variants are those of the corpus: its goals, belief states, act annotations (which quote the text) and its
databases disagree with each other ("mutliple sports", "portugese", "guest house", "leicaster").
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from dialog_gym.core import Scalar
from dialog_gym.domains.multiwoz.ontology import DAYS, DONTCARE

TIMES: Final = frozenset(("leaveat", "arriveby", "booktime"))
"""Slots with a time of day, ``HH:MM``; the corpus counts on after midnight (24:30)."""
COUNTS: Final = frozenset(("bookpeople", "bookstay", "stars"))
"""Slots with a small whole number."""

_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS: Final = {word: str(number) for number, word in enumerate(_NUMBERS)}
_LAST_HOUR: Final = 25
_LONGEST: Final = 200  # no value is longer, and the cache must stay small whatever an agent sends
_NOON: Final = 12

_INDIFFERENT: Final = re.compile(
    r"dont ?care|(do(es)?n'?t|do(es)? not) (care|matter|mind)|no preference|not important|"
    r"(any|any ?(thing|where|one|time|day|area|type|price( ?range)?)|either|whatever)"
    r"( (is|will be) (fine|ok))?"
)
_TIME: Final = re.compile(
    r"(?:(?:at|by|after|before|around|about|from|until) )*(\d{1,2})(?:[:. ]?(\d\d))? ?(?:([ap])\.?m\.?)?"
)
_COUNT: Final = re.compile(r"\D*(\d{1,4})\D*")

_YES_NO: Final = {"yes": r"\b(yes|true|free|includes?|available)\b", "no": r"\b(not?|false)\b"}
_PATTERNS: Final[Mapping[str, Mapping[str, re.Pattern[str]]]] = MappingProxyType(
    {
        slot: {value: re.compile(pattern) for value, pattern in patterns.items()}
        for slot, patterns in {
            "area": {
                "centre": r"\bcent(re|er|ral)|downtown",
                "east": r"\beast", "north": r"\bnorth", "south": r"\bsouth", "west": r"\bwest",
            },
            "pricerange": {
                "cheap": r"\bcheap|inexpensive|\bbudget|\blow",
                "moderate": r"\bmoderat|\bmid",
                "expensive": r"(?<!in)(?<!not )(?<!less )expensive|high end|pricey|upscale",
            },
            "day": {day: rf"\b{day[:3]}" for day in DAYS},
            "parking": _YES_NO,
            "internet": _YES_NO,
            "hotel type": {
                "guesthouse": r"\bguest ?house|bed and breakfast|\bb ?(and|&) ?b\b",
                "hotel": r"^(?!.*guest ?house).*\bhotel",
            },
            "attraction type": {
                "architecture": r"architect", "boat": r"\bboat", "cinema": r"\bcinema",
                "college": r"\bcolleges?\b", "concerthall": r"concert ?hall", "entertainment": r"entertain",
                "multiple sports": r"\bm\w*ple sports|multi-? ?sport|^sports?$", "museum": r"\bmuseum",
                "nightclub": r"night ?club|^clubs?$", "park": r"\bparks?\b",
                "swimmingpool": r"swim|\bpools?\b", "theatre": r"\btheat",
            },
            "station": {
                "birmingham new street": r"birmingham", "bishops stortford": r"bishop|stor?tford|strotford",
                "broxbourne": r"\bbroxb", "cambridge": r"\bcam(br?i|bri)dge|\bcambrige", "ely": r"\bely\b",
                "kings lynn": r"king'?s? ?lyn", "leicester": r"\bl(ei|ie|e)i?ch?[ea]?ster",
                "london kings cross": r"king'?s? ?cross|london kings$", "london liverpool street": r"liverpo",
                "norwich": r"norwich", "peterborough": r"\bpeters?bor",
                "stansted airport": r"\bstanst?ed|^(the )?airport$", "stevenage": r"stevenage",
            },
        }.items()
    }
)  # fmt: skip
_FOODS: Final = {
    "portugese": "portuguese",
    "modern europe": "modern european",
    "northamerican": "north american",
}
_CLEAN: Final = (
    (re.compile(r"[\s_]+"), " "),
    (re.compile(r" n't\b"), "n't"),
    (re.compile(r" '(s?)\b"), r"'\1"),
    (re.compile(r" ?- ?"), "-"),
)


def clean(text: str) -> str:
    """Lower case, one blank between words, no punctuation around, the corpus's tokenisation undone."""
    text = text.lower().replace("\u2019", "'")
    for pattern, better in _CLEAN:
        text = pattern.sub(better, text)
    return text.strip(" .,;!?\"'")


def clock(text: str) -> str | None:
    """A time of day as ``HH:MM``, up to 25:59; None when the (cleaned) text is no time."""
    if text.removeprefix("12 ") == "noon":
        return "12:00"
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] and hour <= _NOON:
        hour = hour % _NOON + (_NOON if found[3] == "p" else 0)
    return f"{hour:02}:{minute:02}" if hour <= _LAST_HOUR and minute <= 59 else None


def minutes(time: str) -> int:
    """Minutes since midnight of a time in the form ``HH:MM``."""
    return int(time[:2]) * 60 + int(time[3:5])


def normal(domain: str, slot: str, value: Scalar) -> str:
    """The one spelling of a value.

    Args:
        domain: One of `ontology.DOMAINS`; the same word may be a station or a place.
        slot: A slot name of `ontology`.
        value: As a goal, a belief state, an act or a database writes it; numbers are as good as texts.

    Returns:
        The canonical value; ``dontcare`` for any wording of indifference; "" for None; the cleaned text when
        the value is not known (an ambiguous one like "north or centre" included).
    """
    value = "" if value is None else str(value)
    return _normal(domain, slot, value) if len(value) <= _LONGEST else clean(value)


@lru_cache(maxsize=16384)
def _normal(domain: str, slot: str, value: str) -> str:
    text = clean(value)
    if _INDIFFERENT.fullmatch(text):
        return DONTCARE
    if slot in TIMES:
        return clock(text) or text
    if slot in COUNTS:
        return _count(text)
    if slot == "trainid":
        return text.upper()
    if slot == "food":
        text = re.sub(r" (food|cuisine|restaurants?)$", "", text)
        return _FOODS.get(text, text)
    if patterns := _PATTERNS.get(_kind(domain, slot)):
        known = [name for name, pattern in patterns.items() if pattern.search(text)]
        return known[0] if len(known) == 1 else text
    return text


def _kind(domain: str, slot: str) -> str:
    if slot == "type":
        return f"{domain} type"
    if domain == "train" and slot in ("departure", "destination"):
        return "station"
    return slot.removeprefix("book")


def _count(text: str) -> str:
    found = _COUNT.fullmatch(text)
    if found:
        return str(int(found[1]))
    words = {_WORDS[word] for word in re.split(r"[ -]", text) if word in _WORDS}
    return words.pop() if len(words) == 1 else text
