"""Words for the agent's acts: templates of `agent_wording.toml` and noun phrases, chosen by an integer key.

One act is one sentence, with all its values, so that the grounder reads back exactly the acts that were
worded: ``read_assistant(word_assistant(acts, key)) == tuple(acts)`` for distinct acts with slots that their
domain has (other than ``taxi_inform`` of a car alone, see `grounder`).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.multiwoz.ontology import ASSISTANT
from dialog_gym.domains.multiwoz.phrases import (
    Draw,
    asked_together,
    capitalised,
    check,
    label,
    listed,
    load,
    noun,
    ordered,
    phrase,
    said_plainly,
)
from dialog_gym.domains.multiwoz.reading import act_domain
from dialog_gym.domains.multiwoz.roles import LABELS

_MANY: Final = frozenset(("several", "many"))
_FACTS: Final = frozenset(
    ("address", "phone", "postcode", "price", "duration", "entrancefee", "trainid", "leaveat", "arriveby")
)
"""Slots that are told like facts when nothing else is."""
_JOIN: Final = 3
"""In one of so many cases, several requests of one domain are asked in one sentence."""


@lru_cache(maxsize=1)
def _templates() -> Mapping[str, Any]:
    return load("agent_wording.toml")


def word_assistant(acts: Sequence[DialogueAct], key: int = 0) -> str:
    """One turn of text that says all of ``acts``, in their order; "" for no acts.

    Args:
        acts: Acts of `ontology.ASSISTANT`.
        key: Any integer; other keys give other wordings of the same content.

    Raises:
        DialogGymError: an intent or a slot is unknown.
    """
    sentences = []
    at = 0
    while at < len(acts):
        check(acts[at], ASSISTANT.acts, "agent")
        draw = Draw(key, at)
        asked = asked_together(acts[at:], ASSISTANT.acts, "agent")
        if len(asked) > 1 and draw.below(_JOIN) == 0:
            sentences.append(_ask(asked, draw))
            at += len(asked)
        else:
            sentences.append(_word(acts[at], draw))
            at += 1
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _ask(acts: Sequence[DialogueAct], draw: Draw) -> str:
    domain = str(act_domain(acts[0]))
    labels = [label(domain, str(act.slots["slot"])) for act in acts]
    template = draw.pick(_templates()["request"]["any"])
    return template.format(labels=listed(labels), noun=noun(domain, draw))


def _word(act: DialogueAct, draw: Draw) -> str:
    domain, _, kind = act.intent.partition("_")
    templates = _templates()
    if act_domain(act) is None:
        return draw.pick(templates[act.intent]["any"])
    if kind == "request":
        options = templates["request"].get(domain, {}).get(act.slots["slot"])
        return draw.pick(options) if options and draw.below(4) else _ask([act], draw)
    frames = templates[kind]
    slots = dict(act.slots)
    if kind == "inform" and slots and all(_is_fact(domain, slot, value) for slot, value in slots.items()):
        return _facts(domain, slots, draw)
    count = slots.get("choice")
    if "counted" in frames and isinstance(count, str) and _is_count(count):
        del slots["choice"]
        return draw.pick(frames["counted"]).format(thing=phrase(domain, slots, draw, article=count))
    template = draw.pick(frames["any"])
    named = slots.get("name")
    if "named" in frames and isinstance(named, str) and said_plainly(domain, "name", named):
        template = draw.pick(frames["named"])
        del slots["name"]
    article = "the" if "{the}" in template else "" if "{bare}" in template else "a"
    thing = phrase(domain, slots, draw, article=article)
    return template.format(thing=thing, the=thing, bare=thing, name=capitalised(str(named)))


def _is_fact(domain: str, slot: str, value: Scalar) -> bool:
    if domain == "taxi" or value in (None, "free"):  # a taxi's phone number is read as its booking
        return False
    return slot in _FACTS and said_plainly(domain, slot, value)


def _facts(domain: str, slots: Mapping[str, Scalar], draw: Draw) -> str:
    """What was asked about, slot by slot: "The address of the hotel is ..., the postcode is ..."."""
    templates, thing = _templates()["facts"], noun(domain, draw)
    parts = [
        draw.pick(templates["next" if i else "first"]).format(
            label=LABELS[slot], noun=thing, value=slots[slot]
        )
        for i, slot in enumerate(ordered(slots))
    ]
    return f"{listed(parts)}."


def _is_count(count: str) -> bool:
    return count in _MANY or (
        count.isdecimal() and count != "0" and str(int(count)) == count and len(count) <= 4
    )
