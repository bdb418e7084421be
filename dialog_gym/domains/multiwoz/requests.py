"""Which slots are asked about: "how much is it", "which part of town", "the phone number"."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from dialog_gym.domains.multiwoz.cues import patterns
from dialog_gym.domains.multiwoz.ontology import DOMAINS, slots_of
from dialog_gym.domains.multiwoz.reading import Sentence, domain_of
from dialog_gym.domains.multiwoz.roles import LABELS, Mention

_PLAIN: Final = {
    slot: re.compile(rf"\b{label}s?\b") for slot, label in LABELS.items() if slot not in ("type", "area")
}
_ASKS: Final = {"user": patterns("user_asks"), "assistant": patterns("assistant_asks"), "plain": _PLAIN}
_TIME_OF: Final = {"restaurant": "booktime", "train": "leaveat", "taxi": "leaveat"}
_DAY_OF: Final = {"restaurant": "bookday", "hotel": "bookday", "train": "day"}
_PRICE_OF: Final = {"restaurant": "pricerange", "hotel": "pricerange", "attraction": "entrancefee"}
_OWN: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {"time": _TIME_OF, "day": _DAY_OF, "price": _PRICE_OF}
)


def asked_slots(sentence: Sentence, role: str, recent: Sequence[str]) -> list[tuple[int, str, str]]:
    """What a sentence asks about: (place, domain, slot), in order, each pair once.

    Args:
        sentence: One that asks; whether it does is the caller's to judge.
        role: Of the speaker, user or assistant.
        recent: Domains the dialogue is about, the latest first.
    """
    found: dict[tuple[str, str], int] = {}
    for start, end, slot in _labels(sentence, role):
        slots = {domain: (own, None) for domain in DOMAINS if (own := _own(slot, domain, role))}
        mention = Mention(sentence.start + start, sentence.start + end, "asked", slots)
        if domain := domain_of(mention, sentence, recent):
            found.setdefault((domain, slots[domain][0]), mention.start)
    return sorted((place, domain, slot) for (domain, slot), place in found.items())


def _labels(sentence: Sentence, role: str) -> Iterator[tuple[int, int, str]]:
    """Labels, first by their plain names, whose words then mean nothing else."""
    words, timed = sentence.words, False
    for asks in (_ASKS["plain"], _ASKS[role]):
        for slot, pattern in asks.items():
            if (match := pattern.search(words)) and not (slot == "time" and timed):
                timed = timed or slot in ("leaveat", "arriveby")
                yield match.start(), match.end(), slot
                if asks is _ASKS["plain"] or slot == "food":  # "food type" is no other type
                    words = f"{words[: match.start()]}{'@' * len(match[0])}{words[match.end() :]}"


def _own(slot: str, domain: str, role: str) -> str | None:
    """The slot of a domain that a label means there."""
    slot = _OWN.get(slot, {}).get(domain, slot)
    return slot if slot in slots_of(domain) else None
