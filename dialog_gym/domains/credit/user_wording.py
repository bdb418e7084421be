"""Puts customers' dialogue acts into words.

Templates and values are data (`user_wording.toml`). Everything is chosen from an integer key, so the same
acts, persona and key give the same text on every machine; another key gives another of thousands of wordings.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dialog_gym.core import DialogGymError, DialogueAct, Scalar
from dialog_gym.domains.credit.ontology import USER_ACTS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.user_amounts import amount_forms
from dialog_gym.domains.credit.user_slips import garble, slang
from dialog_gym.domains.credit.user_templates import VERBOSITIES, Template, templates
from dialog_gym.domains.typos import mistype
from dialog_gym.noise import mix

_STYLED: Final = frozenset(("object", "consider", "accept", "decline", "agree", "ask"))
_OPENED: Final = frozenset((
    "object", "consider", "decline", "agree", "ask", "disclose", "correct", "report", "challenge", "complain",
    "request_human",
))  # fmt: skip
_CLOSED: Final = frozenset(("disclose", "correct", "object", "report", "consider"))
_SLOT = re.compile(r"\{(\w+)\}")
_TAIL = re.compile(r"[0-9]{4}$")
_ENDS: Final = ".!?"
_TERSE_JOINS: Final = (". ", ". ", "; ", " - ")
_VARIANT: Final = {
    "ask": "topic",
    "report": "problem",
    "object": "objection",
    "disclose": "slot",
    "correct": "slot",
}


class _Draw:
    """Small choices out of one 64-bit key."""

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def below(self, size: int) -> int:
        self.bits, chosen = divmod(self.bits, size)
        return chosen

    def pick(self, options: Sequence[str]) -> str:
        self.bits, chosen = divmod(self.bits, len(options))
        return options[chosen]


def word_user(
    acts: Sequence[DialogueAct],
    persona: Mapping[str, Scalar],
    key: int,
    *,
    profile: Mapping[str, Scalar],
    rulebook: Rulebook,
    garbled: bool = False,
) -> str:
    """One customer utterance that expresses the acts, in their order.

    Args:
        acts: User acts of the ontology; slot values outside the ontology are refused. No acts give "".
        persona: ``verbosity`` (terse, neutral, chatty), ``buyer_style``, ``typos`` (expected share of the
            words of three letters and more, numbers excepted, that are mistyped) and ``code_words`` (slang);
            all optional.
        key: Any integer; fixes every choice.
        profile: ``surname``, ``phone`` and ``id_number`` (masked) confirm the identity, where present.
        rulebook: Gives the products' names.
        garbled: Corrupt the text until `read_user` finds only ``unclear()`` in it.

    Raises:
        DialogGymError: an act, a slot value or the verbosity is not known.
    """
    sayer = _Sayer(persona, profile, rulebook)
    sentences = [sayer.sentence(act, _Draw(mix(key, i)), i == 0) for i, act in enumerate(acts)]
    if not sentences:
        return ""
    text = sayer.joined(sentences, acts, _Draw(mix(key, 99)))
    if sayer.code_words:
        text = slang(text, templates().slang, key)
    if garbled:
        return garble(text, rulebook, key)
    return mistype(text, float(persona.get("typos") or 0.0), key)


class _Sayer:
    """One speaker: persona, profile and shop."""

    def __init__(
        self, persona: Mapping[str, Scalar], profile: Mapping[str, Scalar], rulebook: Rulebook
    ) -> None:
        self.verbosity = str(persona.get("verbosity") or "neutral")
        if self.verbosity not in VERBOSITIES:
            raise DialogGymError(
                f"persona: verbosity {self.verbosity!r} is not one of {', '.join(VERBOSITIES)}"
            )
        self.style = str(persona.get("buyer_style") or "default")
        self.code_words = bool(persona.get("code_words"))
        self.profile, self.rulebook = profile, rulebook
        self.data = templates()

    def sentence(self, act: DialogueAct, draw: _Draw, first: bool) -> str:
        """One act as one sentence, with its end mark unless terse."""
        templates = self._templates(act, draw)
        slots = self._identity() if act.intent == "confirm_identity" else {}
        if slots.keys() != {"surname", "tail"}:
            templates = [t for t in templates if t.needs <= slots.keys()]
        template = templates[draw.below(len(templates))]
        text = "".join(part[0] if len(part) == 1 else draw.pick(part) for part in template.parts)
        if "{" in text:
            text = _SLOT.sub(lambda match: self._value(match.group(1), act, draw, slots), text)
        return self._coloured(act.intent, text, draw, first) if act.intent in _OPENED else text

    def _templates(self, act: DialogueAct, draw: _Draw) -> Sequence[Template]:
        styled = self.data.styled.get((self.style, act.intent))
        if styled is not None and draw.below(2):
            return styled
        variant: Scalar = None
        if act.intent in _VARIANT:
            variant = act.slots.get(_VARIANT[act.intent])
        elif act.intent == "challenge":
            variant = "none" if act.slots.get("topic") is None else "topic"
        templates = self.data.groups.get((act.intent, variant, self.verbosity))
        if templates is None:
            known = ", ".join(USER_ACTS)
            raise DialogGymError(f"no wording for the user act {_notation(act)}; user acts are {known}")
        return templates

    def _identity(self) -> dict[str, str]:
        slots = {}
        if self.profile.get("surname"):
            slots["surname"] = str(self.profile["surname"])
        for attribute in ("phone", "id_number"):
            tail = _TAIL.search(str(self.profile.get(attribute) or ""))
            if tail is not None:
                slots["tail"] = tail.group()
                break
        return slots

    def _value(self, name: str, act: DialogueAct, draw: _Draw, slots: Mapping[str, str]) -> str:
        if name in slots:
            return slots[name]
        if name == "amount":
            hedge = draw.pick(self.data.hedges[self.verbosity])
            return hedge.replace("{}", draw.pick(_amounts(act, self.code_words)))
        if name == "value":
            return draw.pick(self._known(self.data.values[str(act.slots["slot"])], act, "value"))
        if name == "topic":
            return draw.pick(self._known(self.data.topics, act, "topic"))
        return self._product(name, act, draw)

    @staticmethod
    def _known(options: Mapping[str, Sequence[str]], act: DialogueAct, slot: str) -> Sequence[str]:
        found = options.get(str(act.slots.get(slot)))
        if found is None:
            raise DialogGymError(
                f"no wording for {_notation(act)}: {slot} must be one of {', '.join(options)}"
            )
        return found

    def _product(self, name: str, act: DialogueAct, draw: _Draw) -> str:
        product = act.slots.get("product")
        if product is None:
            return draw.pick(("it", "it", "that")) if name == "it" else ""
        if product not in self.rulebook.products:
            known = ", ".join(self.rulebook.products)
            raise DialogGymError(f"no wording for {_notation(act)}: products are {known}")
        chosen = self.rulebook.products[str(product)]
        names = [n for n in (*chosen.names, chosen.label) if self.code_words or len(n) > 4] or [chosen.label]
        named = f"the {draw.pick(names)}"
        return (
            named
            if name == "it"
            else f" {draw.pick(('on', 'with', 'for')) if name == 'on' else 'for'} {named}"
        )

    def _coloured(self, intent: str, text: str, draw: _Draw, first: bool) -> str:
        """With an opener of the style, the slang or the verbosity, if one is drawn."""
        data = self.data
        openers: Sequence[str] = data.openers[self.verbosity] if first else ("",)
        if intent in _STYLED and self.style in data.style_openers and draw.below(2):
            openers = data.style_openers[self.style]
        elif first and self.code_words and draw.below(2):
            openers = data.openers["code"]
        opener = draw.pick(openers)
        if not opener:
            return text
        if self.verbosity == "terse":
            return f"{opener.lower()}{' ' if len(opener) < 5 else ', '}{self._lowered(text)}"
        return f"{opener}, {self._lowered(text)}"

    def _lowered(self, text: str) -> str:
        """The sentence as it reads after a comma: names, "I" and "APR" keep their capitals."""
        surname = str(self.profile.get("surname") or "\0")
        if text.startswith(("I ", "I'", "APR", surname)) or not text[0].isalpha():
            return text
        return text[0].lower() + text[1:]

    def joined(self, sentences: Sequence[str], acts: Sequence[DialogueAct], draw: _Draw) -> str:
        """The utterance: sentences joined, closed and capitalised as the persona does."""
        if self.verbosity == "terse":
            return self._terse(sentences, draw)
        out = ""
        for i, sentence in enumerate(sentences):
            if i and _fusable(acts[i - 1], acts[i]) and out[-1] not in "!?" and draw.below(2):
                out = f"{out.removesuffix('.')}{draw.pick((', and ', ', '))}{self._lowered(sentence)}"
                continue
            sentence = sentence[0].upper() + sentence[1:]
            out = f"{out} {sentence}" if out else sentence
        if self.verbosity == "chatty":
            kind = "ask" if acts[-1].intent == "ask" else "tell" if acts[-1].intent in _CLOSED else ""
            closer = draw.pick(self.data.closers[kind]) if kind else ""
            out = f"{out[:-1]}{closer}{out[-1]}" if closer else out
        return out

    @staticmethod
    def _terse(sentences: Sequence[str], draw: _Draw) -> str:
        join, capital = draw.pick(_TERSE_JOINS), draw.below(2)
        out = ""
        for sentence in sentences:
            sentence = sentence[0].upper() + sentence[1:] if capital else sentence
            out += (" " if out[-1:] in _ENDS else join) + sentence if out else sentence
        return out if out[-1] in _ENDS or draw.below(3) else out + "."


def _fusable(before: DialogueAct, act: DialogueAct) -> bool:
    """Purpose and timing may follow an amount in its sentence; numbers keep a sentence of their own."""
    both = before.intent == "disclose" == act.intent
    return both and act.slots.get("slot") in ("purpose", "timing") and before.slots.get("slot") != "income"


def _notation(act: DialogueAct) -> str:
    return f"{act.intent}({', '.join(f'{name}={value}' for name, value in act.slots.items())})"


def _amounts(act: DialogueAct, code_words: bool) -> tuple[str, ...]:
    value = act.slots.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise DialogGymError(f"no wording for {_notation(act)}: value must be a number above 0 and below 1e9")
    return amount_forms(value, code_words)
