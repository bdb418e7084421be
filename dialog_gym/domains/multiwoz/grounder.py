"""The grounder: the acts in an agent's free text, by rules, deterministic and in linear time.

The values of a sentence (`mentions`) go to their domains (`reading`); what the sentence does with them is
told by its cues (`grounder_cues`): most sentences inform, few recommend, book, refuse or ask.
"""

from collections.abc import Sequence

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.multiwoz import grounder_cues as cues
from dialog_gym.domains.multiwoz.ontology import ASSISTANT, BOOKABLE, ENTITY
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

Pairs = dict[str, list[tuple[str, Scalar]]]
"""Domain to the slots and values of a sentence, in order."""

_ORDERED = (*BOOKABLE, "taxi")


def read_assistant(text: str, dialogue: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
    """The acts in an agent's utterance, in order.

    Args:
        text: Anything; the first `mentions.MAX_CHARS` characters are read, in linear time. Never raises.
        dialogue: The turns before, with their acts; they tell whose phone number it is.

    Returns:
        Acts of `ontology.ASSISTANT`, none for a text in which nothing can be read. Naming a taxi's car is
        booking it, as in the corpus.
    """
    context = context_of(dialogue, "user")
    acts: list[DialogueAct] = []
    for sentence in sentences(text):
        own = tuple(dict.fromkeys(domain for act in reversed(acts) if (domain := act_domain(act))))
        acts += _read(sentence, context._replace(recent=(*own, *context.recent)))
    return once(acts)


def _read(sentence: Sentence, context: Context) -> list[DialogueAct]:
    social = cues.social(sentence)
    pairs = _pairs(sentence, context.recent)
    asks = cues.asks(sentence)
    booking = cues.booking_act(sentence, asks)
    requests = _requests(sentence, context, pairs, booking) if asks else []
    if requests and not pairs and booking is None:
        return [*requests, *social]
    acts = _stated(sentence, context, pairs, booking, requests)
    return [*acts, *requests, *social]


def _pairs(sentence: Sentence, recent: Sequence[str]) -> Pairs:
    pairs: Pairs = {}
    for mention in sentence.mentions:
        if not cues.counts(mention, sentence):
            continue
        domain = domain_of(mention, sentence, recent)
        if domain is None:
            continue
        slot, value = mention.slots[domain]
        if slot == "place" and cues.social(sentence):
            continue
        slot = settled(slot, dict(pairs.get(domain, ())))
        if mention.kind in ("parking", "internet"):
            value = "no" if cues.denied(mention, sentence) else value
        if f"{slot}?" in ASSISTANT.acts[f"{domain}_inform"]:
            pairs.setdefault(domain, []).append((slot, value))
    for place, slot, value in cues.counted(sentence):
        if domain := first_domain(sentence, recent):
            at = (
                0
                if place < min((m.start for m in sentence.mentions), default=0)
                else len(pairs.get(domain, ()))
            )
            pairs.setdefault(domain, []).insert(at, (slot, value))
    fee = "free" if cues.free(sentence) else "?" if cues.unknown_fee(sentence) else None
    if fee and first_domain(sentence, recent) == "attraction":
        pairs.setdefault("attraction", []).append(("entrancefee", fee))
    return pairs


def _requests(sentence: Sentence, context: Context, pairs: Pairs, booking: str | None) -> list[DialogueAct]:
    """What the sentence asks the user for; a slot whose values it offers is asked for as well."""
    about = (*pairs, *context.recent)
    requests = []
    for _, domain, slot in asked_slots(sentence, "assistant", about):
        if (booking == "offer_book" or cues.chooses(sentence)) and slot in dict(pairs.get(domain, ())):
            continue
        pairs[domain] = [(own, value) for own, value in pairs.get(domain, ()) if own != slot]
        if not pairs[domain]:
            del pairs[domain]
        requests.append(DialogueAct(intent=f"{domain}_request", slots={"slot": slot}))
    return requests


def _stated(
    sentence: Sentence, context: Context, pairs: Pairs, booking: str | None, requests: Sequence[DialogueAct]
) -> list[DialogueAct]:
    """The acts that carry the values, and those that need none."""
    acts: list[DialogueAct] = []
    for domain, slots in pairs.items():
        intent = _intent(domain, slots, sentence, booking)
        acts += grouped(f"{domain}_{intent}", slots)
    if booking and not any(act.intent.endswith(f"_{booking}") for act in acts):
        ordered = first_domain(sentence, context.recent, _ORDERED)
        if ordered and not (booking == "offer_book" and requests):
            acts.append(DialogueAct(intent=f"{ordered}_{booking}"))
    elif not acts and (act := cues.bare_act(sentence, bool(requests))):
        about = first_domain(sentence, context.recent)
        acts += [DialogueAct(intent=f"{about}_{act}")] if about else []
    return acts


def _intent(domain: str, slots: Sequence[tuple[str, Scalar]], sentence: Sentence, booking: str | None) -> str:
    named = {slot for slot, _ in slots}
    told = named & {ENTITY[domain], "choice"}  # "I have one that I can book for you" tells of it
    if booking and domain in _ORDERED and (booking != "offer_book" or sentence.asks or not told):
        return booking
    act = cues.telling_act(sentence, named, without=any(value == "no" for _, value in slots))
    if domain == "taxi" and act == "inform" and named & {"type", "phone"} and not cues.tells_only(sentence):
        return "book"
    return act
