"""Reads the user's acts from free text: what is wanted, what is asked, greetings and thanks."""

from collections.abc import Sequence
from typing import Final

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.multiwoz.cues import patterns
from dialog_gym.domains.multiwoz.ontology import DONTCARE, INFORMABLE, USER
from dialog_gym.domains.multiwoz.reading import (
    Context,
    Sentence,
    act_domain,
    context_of,
    domain_of,
    first_domain,
    grouped,
    once,
    sentences,
    settled,
)
from dialog_gym.domains.multiwoz.requests import asked_slots
from dialog_gym.domains.multiwoz.roles import Mention

_CUES: Final = patterns("user")
_SOCIAL: Final = {"greet": "greet", "thank": "thank", "goodbye": "bye"}


def read_user(text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
    """The acts in a user's utterance, in order.

    Args:
        text: Anything; the first `mentions.MAX_CHARS` characters are read, in linear time. Never raises.
        dialogue: The turns before, with their acts; they tell what "in the east" or a bare "two" is about.

    Returns:
        Acts of `ontology.USER`, none for a text in which nothing can be read.
    """
    context = context_of(dialogue, "assistant")
    acts: list[DialogueAct] = []
    for sentence in sentences(text):
        own = tuple(dict.fromkeys(d for act in reversed(acts) if (d := act_domain(act))))
        acts += _read(sentence, context, (*own, *context.recent))
    return once(acts)


def _read(sentence: Sentence, context: Context, recent: Sequence[str]) -> list[DialogueAct]:
    found = _social(sentence)
    informs = _informs(sentence, context, recent)
    if _CUES["asking"].search(sentence.words):
        found += _requests(sentence, recent, informs)
    by_domain: dict[str, list[tuple[int, str, Scalar]]] = {}
    for place, domain, slot, value in informs:
        by_domain.setdefault(domain, []).append((place, slot, value))
    for domain, slots in by_domain.items():
        acts = grouped(f"{domain}_inform", [(slot, value) for _, slot, value in slots])
        found += [(slots[0][0], act) for act in acts]
    if not found and sentence.anchors and _CUES["turns_to"].search(sentence.words):
        about = first_domain(sentence, ())
        found.append((sentence.start, DialogueAct(intent=f"{about}_inform")))
    return [act for _, act in sorted(found, key=lambda item: item[0])]


def _requests(
    sentence: Sentence, recent: Sequence[str], informs: Sequence[tuple[int, str, str, Scalar]]
) -> list[tuple[int, DialogueAct]]:
    """What is asked about; a slot that is given a value in the same sentence is not, unless it is checked."""
    about = (*(domain for _, domain, _, _ in informs), *recent)
    given = {(domain, slot) for _, domain, slot, _ in informs}
    found = []
    for place, domain, slot in asked_slots(sentence, "user", about):
        checkable = slot in ("parking", "internet")
        if checkable and not _CUES["checking"].search(sentence.words):
            continue
        if checkable or (domain, slot) not in given:
            found.append((place, DialogueAct(intent=f"{domain}_request", slots={"slot": slot})))
    return found


def _social(sentence: Sentence) -> list[tuple[int, DialogueAct]]:
    words = sentence.words.strip()
    return [
        (sentence.start + match.start(), DialogueAct(intent=intent))
        for intent, cue in _SOCIAL.items()
        if (match := _CUES[cue].search(words))
    ]


def _informs(
    sentence: Sentence, context: Context, recent: Sequence[str]
) -> list[tuple[int, str, str, Scalar]]:
    """(place, domain, slot, value) of all values that users may give."""
    found: list[tuple[int, str, str, Scalar]] = []
    given: dict[str, dict[str, Scalar]] = {}
    for mention in sentence.mentions:
        if (domain := _home(mention, sentence, context, recent)) is None:
            continue
        slot, value = mention.slots[domain]
        slot = _answered(slot, domain, context) or settled(slot, given.get(domain, {}))
        if f"{slot}?" not in USER.acts[f"{domain}_inform"]:
            continue
        if mention.kind in ("parking", "internet"):
            left = sentence.words[
                max(0, mention.start - sentence.start - 30) : mention.start - sentence.start
            ]
            value = "no" if _CUES["unlike"].search(left) else value
        given.setdefault(domain, {})[slot] = value
        found.append((mention.start, domain, slot, value))
    if not found or _CUES["indifferent"].search(sentence.words):
        found += _indifferent(sentence, context, recent, found)
    return found


def _home(mention: Mention, sentence: Sentence, context: Context, recent: Sequence[str]) -> str | None:
    """The domain of a value; a bare answer goes to the domain that asked."""
    if mention.kind == "hotel" and not _is_type(mention, sentence, context):
        return None
    if mention.kind == "atype" and _CUES["known"].search(sentence.words[: mention.start - sentence.start]):
        return None
    if not sentence.anchors:
        for domain, slot in context.asked:
            if domain in mention.slots and mention.slots[domain][0] in (slot, "place", "time"):
                return domain
    return domain_of(mention, sentence, recent)


def _is_type(mention: Mention, sentence: Sentence, context: Context) -> bool:
    """Whether "hotel" is the type wanted and not just any place to stay."""
    if ("hotel", "type") in context.asked:
        return True
    left = sentence.bare[: mention.start - sentence.start]
    return left.endswith("@ ") or bool(_CUES["typed"].search(sentence.words))


def _answered(slot: str, domain: str, context: Context) -> str | None:
    """For a place or time without a role: the one that was asked for."""
    options = {"place": ("departure", "destination"), "time": ("leaveat", "arriveby")}.get(slot, ())
    return next((asked for own, asked in context.asked if own == domain and asked in options), None)


def _indifferent(
    sentence: Sentence, context: Context, recent: Sequence[str], found: Sequence[tuple[int, str, str, Scalar]]
) -> list[tuple[int, str, str, Scalar]]:
    """Slots that do not matter: those named in the sentence, else those that were asked for."""
    match = _CUES["indifferent"].search(sentence.words)
    if not match:
        return []
    taken = {(domain, slot) for _, domain, slot, _ in found}
    named = [(domain, slot) for _, domain, slot in asked_slots(sentence, "assistant", recent)]
    settled_already = any(value == DONTCARE for _, _, _, value in found)
    slots = named or ([] if settled_already else list(context.asked))
    return [
        (sentence.start + match.start(), domain, slot, DONTCARE)
        for domain, slot in slots
        if slot in INFORMABLE[domain] and (domain, slot) not in taken
    ]
