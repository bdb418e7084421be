"""Puts customers' dialogue acts into words.

Templates and values are data (`user_wording.toml`). Everything is chosen from an integer key, so the same acts,
persona and key give the same text on every machine; another key gives another of many thousand wordings.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dialog_gym.core import DialogGymError, DialogueAct, Scalar
from dialog_gym.domains.credit.ontology import USER_ACTS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.user_slips import garble, mistype, slang
from dialog_gym.domains.quantities import find_quantities, format_amount
from dialog_gym.noise import mix

VERBOSITIES: Final = ("terse", "neutral", "chatty")
_STYLED: Final = frozenset(("object", "consider", "accept", "decline", "agree", "ask"))
_OPENED: Final = _STYLED - {"accept"} | {
    "disclose",
    "correct",
    "report",
    "challenge",
    "complain",
    "request_human",
}
_CLOSED: Final = frozenset(("disclose", "correct", "object", "report", "consider"))
_CHOICE = re.compile(r"\[([^\]]*)\]")
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


@dataclass(frozen=True)
class _Template:
    """A sentence as alternating fixed parts and choices, and the profile slots it cannot do without."""

    parts: tuple[tuple[str, ...], ...]
    needs: frozenset[str]


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
        persona: ``verbosity`` (terse, neutral, chatty), ``buyer_style``, ``typos`` (expected share of the words of
            three letters and more, numbers excepted, that are mistyped) and ``code_words`` (slang); all optional.
        key: Any integer; fixes every choice.
        profile: ``surname``, ``phone`` and ``id_number`` (masked) are used to confirm the identity where present.
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
        text = slang(text, _data().slang, key)
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
        self.data = _data()

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
        return self._coloured(act.intent, text, draw) if first and act.intent in _OPENED else text

    def _templates(self, act: DialogueAct, draw: _Draw) -> Sequence[_Template]:
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
            options = self.data.values[str(act.slots["slot"])].get(str(act.slots.get("value")))
            if options is None:
                raise DialogGymError(
                    f"no wording for {_notation(act)}: value {act.slots.get('value')!r} is not known"
                )
            return draw.pick(options)
        if name == "topic":
            options = self.data.topics.get(str(act.slots.get("topic")))
            if options is None:
                raise DialogGymError(
                    f"no wording for {_notation(act)}: topic {act.slots.get('topic')!r} is not known"
                )
            return draw.pick(options)
        return self._product(name, act, draw)

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

    def _coloured(self, intent: str, text: str, draw: _Draw) -> str:
        """With an opener of the style, the slang or the verbosity, if one is drawn."""
        data = self.data
        openers: Sequence[str] = data.openers[self.verbosity]
        if intent in _STYLED and self.style in data.style_openers and draw.below(2):
            openers = data.style_openers[self.style]
        elif self.code_words and draw.below(2):
            openers = data.openers["code"]
        opener = draw.pick(openers)
        if not opener:
            return text
        if self.verbosity == "terse":
            return f"{opener.lower()} {text}" if len(opener) < 5 else f"{opener.lower()}, {text}"
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
    return _amount_forms(value, code_words)


@lru_cache(maxsize=4096)
def _amount_forms(value: int | float, code_words: bool) -> tuple[str, ...]:
    """The ways to say an amount, checked to be read back as that amount."""
    forms = [format_amount(value), f"{value:g}" if value < 1e5 else f"{value:.0f}"]
    if value == int(value) and value < 100_000:
        forms += [_in_words(int(value)), format_amount(value)]
        if value >= 1000 and value % 100 == 0:
            forms += [f"{value / 1000:g}k"] * (3 if code_words else 1)
        if value >= 1000 and value % 1000 == 0 and code_words:
            forms += [f"{int(value) // 1000} grand", f"{_in_words(int(value) // 1000)} grand"]
    return tuple(form for form in forms if _reads_as(form, value)) or (format_amount(value),)


def _reads_as(form: str, value: float) -> bool:
    found = find_quantities(form)
    return len(found) == 1 and found[0].kind == "amount" and found[0].value == value


_SMALL: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS: Final = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()


def _in_words(value: int) -> str:
    """A whole number below 100,000 in English: 2550 is "two thousand five hundred fifty"."""
    for size, unit in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = f" {_in_words(value % size)}" if value % size else ""
            return f"{_in_words(value // size)} {unit}{rest}"
    if value < 20:
        return _SMALL[value]
    return _TENS[value // 10] + (f"-{_SMALL[value % 10]}" if value % 10 else "")


@dataclass(frozen=True)
class _Data:
    """The parsed `user_wording.toml` with compiled templates."""

    groups: Mapping[tuple[str, Scalar, str], tuple[_Template, ...]]
    styled: Mapping[tuple[str, str], tuple[_Template, ...]]
    openers: Mapping[str, Sequence[str]]
    closers: Mapping[str, Sequence[str]]
    style_openers: Mapping[str, Sequence[str]]
    hedges: Mapping[str, Sequence[str]]
    slang: Mapping[str, Sequence[str]]
    topics: Mapping[str, Sequence[str]]
    values: Mapping[str, Mapping[str, Sequence[str]]]


@lru_cache(maxsize=1)
def _data() -> _Data:
    raw: dict[str, Any] = tomllib.loads(
        (files("dialog_gym.domains.credit") / "user_wording.toml").read_text("utf-8")
    )
    groups: dict[tuple[str, Scalar, str], tuple[_Template, ...]] = {}
    for intent in USER_ACTS:
        variants = {None: raw[intent]} if "neutral" in raw[intent] else raw[intent]
        for variant, lists in variants.items():
            for verbosity in VERBOSITIES:
                groups[intent, variant, verbosity] = tuple(map(_compiled, lists[verbosity]))
    styled = {
        (style, intent): tuple(map(_compiled, lines))
        for style, intents in raw["style"].items()
        for intent, lines in intents.items()
    }
    return _Data(
        groups, styled, raw["openers"], raw["closers"], raw["style_openers"], raw["hedges"], raw["code_words"],
        raw["topics"], raw["values"],
    )  # fmt: skip


def _compiled(template: str) -> _Template:
    parts = tuple(
        tuple(part.split("|")) if i % 2 else (part,) for i, part in enumerate(_CHOICE.split(template)) if part
    )
    return _Template(parts, frozenset(_SLOT.findall(template)) & {"surname", "tail"})
