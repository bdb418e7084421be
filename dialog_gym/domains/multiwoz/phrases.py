"""Noun phrases for things and their slots, used by both speakers: data is `phrases.toml`.

Whatever is said here is read back by `mentions` and `roles`: a value that their patterns would not find, or
that is not its slot's, is said in quotation marks after its slot's plain name.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dialog_gym.core import DialogGymError, DialogueAct, Scalar
from dialog_gym.domains.multiwoz.mentions import prepare
from dialog_gym.domains.multiwoz.ontology import DONTCARE
from dialog_gym.domains.multiwoz.roles import LABELS
from dialog_gym.noise import mix

_SMALL: Final = frozenset(("and", "of", "at", "in", "on", "by", "b"))
_CAPITAL: Final = re.compile(r"(?:^|(?<=[ -]))[a-z]")
_ORDER: Final = (
    "choice", "pricerange", "stars", "food", "type", "name", "area", "internet", "parking", "department",
    "trainid", "departure", "destination", "day", "leaveat", "arriveby", "bookpeople", "bookstay",
    "bookday", "booktime", "duration", "price", "entrancefee", "openhours", "address", "postcode", "phone",
    "ref",
)  # fmt: skip
"""The order in which the slots of one thing are said."""


class Draw:
    """Small choices out of one 64-bit key."""

    __slots__ = ("bits",)

    def __init__(self, *keys: int) -> None:
        self.bits = mix(*keys)

    def below(self, size: int) -> int:
        """A whole number below ``size``."""
        self.bits, chosen = divmod(self.bits, size)
        return chosen

    def pick(self, options: Sequence[str]) -> str:
        """One of the options."""
        return options[self.below(len(options))]


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    return load("phrases.toml")


def load(name: str) -> dict[str, Any]:
    """A file of templates of this package."""
    return tomllib.loads((files("dialog_gym.domains.multiwoz") / name).read_text("utf-8"))


def noun(domain: str, draw: Draw) -> str:
    """What a thing of a domain is called."""
    return draw.pick(_data()["nouns"][domain])


def plural(noun_: str) -> str:
    """More than one of them; "museums", "churches"."""
    return str(_data()["plurals"].get(noun_, f"{noun_}s"))


def said(slot: str, value: Scalar) -> str:
    """A value as it is written: names and days with capitals."""
    text = str(value)
    if slot in ("name", "departure", "destination", "day", "bookday", "type", "food"):
        small = slot in ("type", "food")
        return text if small else capitalised(text)
    return text


def capitalised(text: str) -> str:
    """``the cambridge belfry`` as The Cambridge Belfry."""
    words = text.split(" ")
    return " ".join(
        w if w in _SMALL and i else _CAPITAL.sub(lambda m: m[0].upper(), w) for i, w in enumerate(words)
    )


def phrase(domain: str, slots: Mapping[str, Scalar], draw: Draw, *, article: str = "a") -> str:
    """One thing with its slots: "a cheap 4 star guesthouse in the east with free wifi".

    Args:
        domain: One of `ontology.DOMAINS`.
        slots: Slots and values; None is worded as known on request, ``dontcare`` as any.
        draw: Chooses among the wordings.
        article: a, the, "no" or a count ("12"); "" for none. A count makes a plural.
    """
    before: list[str] = []
    after: list[str] = []
    head = ""
    for slot in ordered(slots):
        value = slots[slot]
        if (
            slot == "type"
            and (kinds := _data()["types"].get(value))
            and domain in ("hotel", "attraction")
            and not head
        ):
            head = draw.pick(kinds)
        elif (adjective := _adjective(domain, slot, value, draw)) and draw.below(3):
            before.append(adjective)
        else:
            after.append(after_noun(domain, slot, value, draw))
    head = head or noun(domain, draw)
    if (article.isdecimal() and article != "1") or article in ("several", "many"):
        head = plural(head)
    words = " ".join([*before, head])
    if article == "a" and words[0] in "aeiou8" and not words.startswith(("eu", "un")):
        article = "an"
    return " ".join(part for part in (article, words, _joined(after)) if part)


def ordered(slots: Iterable[str]) -> list[str]:
    """Slots in the order in which they are said."""
    return sorted(slots, key=_ORDER.index)


def _joined(parts: Sequence[str]) -> str:
    """Phrases one after the other; a long row gets an "and" so that it reads as one sentence."""
    if len(parts) < 4:
        return " ".join(parts)
    return f"{' '.join(parts[:-1])} and {parts[-1]}"


def _adjective(domain: str, slot: str, value: Scalar, draw: Draw) -> str:
    if slot == "food" and said_plainly(domain, slot, value):
        return str(value)
    if slot == "stars" and said_plainly(domain, slot, value):
        return f"{value} star"
    options = _data()["adjectives"].get(slot, {}).get(value)
    return draw.pick(options) if options else ""


def after_noun(domain: str, slot: str, value: Scalar, draw: Draw) -> str:
    """One slot behind a noun: "in the east", "with any price range"."""
    if value is None:
        return f"with {LABELS[slot]} on request"
    if value == DONTCARE:
        return f"with any {LABELS[slot]}"
    if not said_plainly(domain, slot, value):
        return f'with {LABELS[slot]} "{str(value).replace(chr(34), chr(39))}"'
    return draw.pick(_options(domain, slot, value)).replace("{v}", said(slot, value))


def _options(domain: str, slot: str, value: Scalar) -> Sequence[str]:
    data = _data()
    by_value = data["by_value"]
    return (
        by_value.get(f"{domain}.{slot}={value}")
        or by_value.get(f"{slot}={value}")
        or data["by_domain"].get(domain, {}).get(slot)
        or data["after"].get(slot)
        or ()
    )


@lru_cache(maxsize=16384)
def said_plainly(domain: str, slot: str, value: Scalar) -> bool:
    """Whether the reader finds the value as it is; if not, it is quoted."""
    if not isinstance(value, str) or not _options(domain, slot, value):
        return False
    for option in _options(domain, slot, value):
        read = prepare(f"{noun(domain, Draw(0))} {option.replace('{v}', said(slot, value))} ,").mentions
        if [one.slots.get(domain) for one in read if domain in one.slots] != [(slot, value)]:
            return False
    return True


def asked_together(
    acts: Sequence[DialogueAct], known: Mapping[str, tuple[str, ...]], speaker: str
) -> list[DialogueAct]:
    """The requests of one domain that a turn starts with.

    Raises:
        DialogGymError: one of them is unknown; see `check`.
    """
    asked: list[DialogueAct] = []
    for act in acts:
        if not act.intent.endswith("_request") or (asked and act.intent != asked[0].intent):
            break
        check(act, known, speaker)
        asked.append(act)
    return asked


def check(act: DialogueAct, known: Mapping[str, tuple[str, ...]], speaker: str) -> None:
    """Refuse an act that the speaker does not have.

    Raises:
        DialogGymError: the intent or a slot is unknown.
    """
    slots = known.get(act.intent)
    if slots is None:
        raise DialogGymError(
            f"{act.intent!r} is not an act of the {speaker}; e.g. {', '.join(list(known)[:4])}"
        )
    names = [slot.rstrip("?") for slot in slots]
    if wrong := [slot for slot in act.slots if slot not in names]:
        raise DialogGymError(
            f"act {act.intent}: unknown slot {wrong[0]!r}; slots: {', '.join(names) or 'none'}"
        )
    if "slot" in names and act.slots.get("slot") not in LABELS:
        raise DialogGymError(f"act {act.intent}: slot must be one of {', '.join(LABELS)}")


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def label(domain: str, slot: str) -> str:
    """A slot's plain name; a bare "type" says whose."""
    kinds = {"hotel": "hotel type", "attraction": "attraction type", "taxi": "car type"}
    return kinds.get(domain, LABELS[slot]) if slot == "type" else LABELS[slot]
