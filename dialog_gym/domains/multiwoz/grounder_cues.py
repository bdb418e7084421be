"""The cues of an agent's sentence: what it does with the values in it."""

import re
from collections.abc import Set
from typing import Final

from dialog_gym.core import DialogueAct
from dialog_gym.domains.multiwoz.cues import patterns
from dialog_gym.domains.multiwoz.mentions import number
from dialog_gym.domains.multiwoz.reading import Sentence
from dialog_gym.domains.multiwoz.roles import Mention

_SOCIAL: Final = patterns("social")
_CUES: Final = patterns("agent")
_PLAIN: Final = patterns("agent_plain")
"""Openings that leave nothing open, whatever the sentence holds."""
_ITS_OWN: Final = frozenset(("name", "trainid", "phone", "postcode"))
"""Slots of one thing: a sentence with one of them does not say that there is nothing."""
_COUNTS: Final = tuple(patterns("counts").values())


def social(sentence: Sentence) -> list[DialogueAct]:
    """Greetings, thanks answered, offers of more help and goodbyes."""
    words = sentence.words.strip()
    return [DialogueAct(intent=intent) for intent, cue in _SOCIAL.items() if cue.search(words)]


def asks(sentence: Sentence) -> bool:
    """Whether the user is asked for something."""
    return sentence.asks or bool(_CUES["asking"].search(sentence.words))


def booking_act(sentence: Sentence, asking: bool) -> str | None:
    """book, no_book or offer_book, if the sentence does one of them."""
    words = sentence.words
    if tells_only(sentence) or any(cue.search(words) for cue in _PLAIN.values()):
        return None
    if not sentence.asks and _CUES["not_booked"].search(words):
        return "no_book"
    if _cites(sentence) and not _CUES["proposed"].search(words):
        return "book"
    if not sentence.asks and _CUES["booked"].search(words):
        return "book"
    if _CUES["offering"].search(words) and (asking or _CUES["willing"].search(words)):
        return "offer_book"
    return None


def _cites(sentence: Sentence) -> bool:
    """Whether a reference number is given, or said to be known."""
    return any(slot == "ref" for mention in sentence.mentions for slot, _ in mention.slots.values())


def telling_act(sentence: Sentence, named: Set[str], *, without: bool = False) -> str:
    """inform, recommend, select or no_offer; ``without``: what is denied is a thing's parking or internet."""
    words = sentence.words
    for act, cue in _PLAIN.items():
        if cue.search(words):
            return act
    lacking = not sentence.asks and not without and _CUES["lacks"].search(words)
    if lacking and not named & _ITS_OWN:
        return "no_offer"
    if sentence.asks and _CUES["choosing"].search(words) and "choice" not in named:
        return "select"
    if "name" in named and _CUES["recommended"].search(words):
        return "recommend"
    return "inform"


def chooses(sentence: Sentence) -> bool:
    """Whether the user is asked to choose among the values of the sentence."""
    return bool(re.search(r"\bor\b|\bprefer\b", sentence.words)) and not re.search(
        r"\b(?:what|which|particular|specific)\b", sentence.words
    )


def bare_act(sentence: Sentence, requests: bool) -> str | None:
    """An act that the sentence does without any value."""
    if (act := telling_act(sentence, frozenset())) in ("no_offer", "recommend"):
        return act if act == "no_offer" or _PLAIN[act].search(sentence.words) else None
    if sentence.asks and not requests and re.search(r"\bwhich\b|\bprefer\b", sentence.words):
        return "select"
    return "inform" if tells_only(sentence) and sentence.anchors else None


def unknown_fee(sentence: Sentence) -> bool:
    """Whether nobody knows what it costs."""
    return bool(_CUES["unknown_fee"].search(sentence.words))


def tells_only(sentence: Sentence) -> bool:
    """Whether the sentence just says what there is: "there is", "I found"."""
    return bool(_CUES["tells_only"].search(sentence.words))


def counts(mention: Mention, sentence: Sentence) -> bool:
    """Whether a mention is a value: "the hotel" is none, nor is the table that "is held for 15 minutes"."""
    left = sentence.words[: mention.start - sentence.start]
    if mention.kind == "hotel":
        return not re.search(r"\b(?:the|this|that|your|their|which|any|what) $", left)
    if mention.kind == "day" or mention.kind == "people":
        return True
    return not (mention.kind == "duration" and _CUES["held"].search(left))


def denied(mention: Mention, sentence: Sentence) -> bool:
    """Whether parking or internet is said not to be there."""
    left = sentence.words[max(0, mention.start - sentence.start - 30) : mention.start - sentence.start]
    return bool(_CUES["denied"].search(left))


def counted(sentence: Sentence) -> list[tuple[int, str, str]]:
    """How many there are: (place, "choice", count)."""
    for pattern in _COUNTS:
        if match := pattern.search(sentence.words):
            count = match[1].replace(",", "")
            return [(sentence.start + match.start(1), "choice", number(count) or count)]
    return []


def free(sentence: Sentence) -> bool:
    """Whether something costs nothing."""
    return bool(_CUES["free"].search(sentence.words))
