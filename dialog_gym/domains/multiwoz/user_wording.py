"""Words for the user's acts: templates of `user_wording.toml` and noun phrases, chosen by an integer key.

One act is one sentence (requests of one domain share one), so that the reader reads back exactly the acts
that were worded: ``read_user(word_user(acts, key)) == tuple(acts)`` for distinct acts with slots that their
domain has, without typos. Once the dialogue is about a domain, its sentences need no noun ("In the east,
please."); the reader must then be given that dialogue.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from dialog_gym.core import DialogGymError, DialogueAct, Scalar
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DONTCARE, USER
from dialog_gym.domains.multiwoz.phrases import (
    Draw,
    after_noun,
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
from dialog_gym.domains.typos import mistype

VERBOSITIES: Final = ("terse", "neutral", "chatty")
_BOOKING: Final = frozenset(slot for slots in BOOKABLE.values() for slot in slots)


@lru_cache(maxsize=1)
def _templates() -> Mapping[str, Any]:
    return load("user_wording.toml")


def word_user(
    acts: Sequence[DialogueAct],
    key: int = 0,
    *,
    verbosity: str = "neutral",
    typos: float = 0.0,
    about: str | None = None,
) -> str:
    """One utterance that says all of ``acts``, in their order; "" for no acts.

    Args:
        acts: Acts of `ontology.USER`.
        key: Any integer; other keys give other wordings of the same content.
        verbosity: terse, neutral or chatty.
        typos: Expected share of the words of three letters and more, numbers excepted, that are mistyped.
        about: The domain that the dialogue is about, if any.

    Raises:
        DialogGymError: an intent, a slot or the verbosity is unknown.
    """
    if verbosity not in VERBOSITIES:
        raise DialogGymError(f"verbosity {verbosity!r} is not one of {', '.join(VERBOSITIES)}")
    sentences: list[str] = []
    at = 0
    while at < len(acts):
        check(acts[at], USER.acts, "user")
        together = asked_together(acts[at:], USER.acts, "user")
        draw = Draw(key, at)
        domain = act_domain(acts[at])
        if together:
            sentences.append(_request(together, draw, verbosity, domain == about))
        else:
            sentences.append(_word(acts[at], draw, verbosity, domain == about))
        about = domain or about
        at += max(1, len(together))
    text = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    return mistype(text, typos, key)


def _request(acts: Sequence[DialogueAct], draw: Draw, verbosity: str, known: bool) -> str:
    domain = str(act_domain(acts[0]))
    labels = listed([label(domain, str(act.slots["slot"])) for act in acts])
    frames = _templates()["ask" if known and draw.below(4) else "request"][verbosity]
    return draw.pick(frames).format(labels=labels, noun=noun(domain, draw))


def _word(act: DialogueAct, draw: Draw, verbosity: str, known: bool) -> str:
    domain = act_domain(act)
    templates = _templates()
    if domain is None:
        return draw.pick(templates[act.intent][verbosity])
    slots: dict[str, Scalar] = dict(act.slots)
    if known and list(slots.values()) == [DONTCARE]:
        frame = draw.pick(templates["indifferent"][verbosity])
        return frame.format(label=LABELS[next(iter(slots))])
    if known and slots and "name" not in slots and draw.below(4):
        bits = " ".join(after_noun(domain, slot, slots[slot], draw) for slot in ordered(slots))
        return draw.pick(templates["more"][verbosity]).format(bits=bits)
    if slots.keys() & _BOOKING:
        return draw.pick(templates["book"][verbosity]).format(the=phrase(domain, slots, draw, article="the"))
    name = slots.get("name")
    if isinstance(name, str) and said_plainly(domain, "name", name):
        del slots["name"]
        thing = phrase(domain, slots, draw)
        return draw.pick(templates["name"][verbosity]).format(name=capitalised(name), thing=thing)
    return draw.pick(templates["inform"][verbosity]).format(thing=phrase(domain, slots, draw))
