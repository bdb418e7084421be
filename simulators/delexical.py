"""Values as marks: a tiny model words ``I need [amount].``, and code puts the customer's amount in.

Small language models copy numbers and names badly. So they are neither shown nor asked for any:
delexicalisation (Wen et al. 2015, arXiv 1508.01745). What cannot be worded without being known (a purpose,
yes and no) stays.
"""

import re
from collections.abc import Callable, Mapping
from string import capwords
from typing import Final, NamedTuple, TypeAlias

from dialog_gym.domains.credit.user_amounts import amount_forms
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.generation import ChatPrompt

Values: TypeAlias = Mapping[str, tuple[str, ...]]
"""By mark, such as ``[amount]``: the ways to say its value."""

WORDED: Final = frozenset((
    "purpose", "timing", "slot", "topic", "product", "problem", "objection",
    "type", "pricerange", "parking", "internet",
))  # fmt: skip
"""Slots whose few values are worded in many ways: the model is shown them."""
_UNSAID: Final = frozenset(("yes", "no", "none", "null", "free", "dontcare"))
_NAMES: Final = frozenset(("departure", "destination", "food", "day", "bookday"))
"""Slots whose values are written with capitals."""
_CALL: Final = re.compile(r"\A\w+\(.*\)\Z")
_ACT: Final = re.compile(r'(\w+)\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)')
_SLOT: Final = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^\s,;()]+)')
_WHO: Final = re.compile(
    r"\ACustomer (?P<name>(?!phone ends)[^.]+?)?(?:(?:, |(?<= ))phone ends in (?P<phone>[0-9]{4}))?\. "
)
_GOAL: Final = re.compile(r"\b(amount|income): ([0-9]+(?:\.[0-9]+)?)")
_MARK: Final = re.compile(r"\[[a-z][a-z0-9 ]*\]")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")


class Shown(NamedTuple):
    """A prompt without its values, and these."""

    prompt: ChatPrompt
    values: Values
    needed: frozenset[str]
    """Marks of the acts: what the turn must say."""


def shown(prompt: ChatPrompt) -> Shown:
    """What the model sees of a prompt in the compact style: marks, and acts in plain words."""
    system, *turns = (message["content"] for message in prompt)
    slang = "slang" in system
    values: dict[str, tuple[str, ...]] = {}

    def mark(name: str, value: str) -> str:
        forms = _forms(name, value, slang)
        number, found = 1, f"[{name}]"
        while values.setdefault(found, forms) != forms:
            number += 1
            found = f"[{name} {number}]"
        return found

    if who := _WHO.match(system):
        said = [mark(name, value) for name, value in who.groupdict().items() if value]
        system = f"Customer {' '.join(said)}. {system[who.end() :]}"
    system = _GOAL.sub(lambda goal: f"{goal[1]}: {mark(goal[1], goal[2])}", system)
    known = frozenset(values)
    head, _, last = turns[-1].rpartition("\n")
    if _CALL.match(last):
        acts = "; ".join(_plain(act, mark) for act in _ACT.finditer(last))
        turns = [*(marked(turn, values) for turn in turns[:-1]), f"{marked(head, values)}\n{acts}"]
    else:
        turns = [marked(turn, values) for turn in turns]
    contents = (system, *turns)
    masked = [{**message, "content": text} for message, text in zip(prompt, contents, strict=True)]
    return Shown(masked, values, frozenset(values) - known)


def _plain(act: re.Match[str], mark: Callable[[str, str], str]) -> str:
    """``disclose(slot=amount, value=5000)`` as ``disclose [amount]``."""
    words, slot = [act[1].replace("_", " ")], ""
    for name, value in _SLOT.findall(act[2]):
        value = value.strip('"')
        if name == "slot":
            slot = value
            continue
        name = slot if name == "value" else name
        slot = ""
        told = name in WORDED or value.lower() in _UNSAID
        words.append(f"{name} {value.replace('_', ' ')}" if told else mark(name, value))
    return " ".join([*words, slot]).strip()


def marked(text: str, values: Values) -> str:
    """A text with marks where it says one of the values."""
    marks = {form.lower(): found for found, forms in values.items() for form in forms}
    if not marks:
        return text
    either = "|".join(re.escape(form) for form in sorted(marks, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.,])(?:{either})(?!\w|[.,][0-9])", re.IGNORECASE)
    return pattern.sub(lambda said: marks[said[0].lower()], text)


def filled(text: str, values: Values, seed: int) -> str:
    """A text with values for its marks; "" if there is none for one of them.

    Args:
        text: What the model wrote.
        values: By mark.
        seed: Chooses among the ways to say a value.
    """
    if any(found not in values for found in _MARK.findall(text)):
        return ""

    def said(found: re.Match[str]) -> str:
        forms = values[found[0]]
        form = forms[mix(seed, text_key(found[0])) % len(forms)]
        begins = not text[: found.start()].rstrip() or text[: found.start()].rstrip()[-1] in ".!?"
        return form[0].upper() + form[1:] if begins else form

    return _MARK.sub(said, text)


def sayable(prompt: ChatPrompt, target: str) -> bool:
    """Whether a text says every value of its acts in so many words, and each mark is one value only."""
    _, values, needed = shown(prompt)
    forms = [form for mine in values.values() for form in {form.lower() for form in mine}]
    text = marked(target, values)
    return len(set(forms)) == len(forms) and all(found in text for found in needed)


def _forms(name: str, value: str, slang: bool) -> tuple[str, ...]:
    """The ways to say a value: amounts in figures and words, names with capitals."""
    if name in ("amount", "income") and _NUMBER.match(value) and float(value) > 0:
        return amount_forms(float(value), slang)
    return (capwords(value) if name in _NAMES or (value.islower() and name == "name") else value,)
