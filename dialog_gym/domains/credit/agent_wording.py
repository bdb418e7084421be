"""Words for the agent's acts: templates of `agent_wording.toml`, chosen by an integer key.

Nothing is left out and nothing is added, so the grounder reads back exactly the acts that were worded:
``read_assistant(word_assistant(acts, rulebook, key), rulebook) == tuple(acts)`` for distinct, valid acts.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from dialog_gym.core import DialogGymError, DialogueAct, Scalar
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.quantities import format_amount, format_date, format_percent
from dialog_gym.noise import mix

# the slots whose value or presence selects the wording; every other slot is filled in
_BY_VALUE = {
    "ask_need": "slot",
    "inform_eligibility": "verdict",
    "address_objection": "objection",
    "advise": "step",
    "solve": "action",
}
_BY_PRESENCE = {
    "inform_coupon": ("amount", "days", "expires"),
    "offer": ("amount", "months"),
    "close": ("product", "amount"),
    "inform_interest": ("product",),
    "inform_instalment": ("amount", "product"),
}


class _Wordings(NamedTuple):
    words: Mapping[str, Sequence[str]]
    reasons: Mapping[str, Sequence[str]]


@lru_cache(maxsize=1)
def _wordings() -> _Wordings:
    raw = tomllib.loads((files("dialog_gym.domains.credit") / "agent_wording.toml").read_text("utf-8"))
    return _Wordings(raw["words"], raw["reasons"])


def pick(options: Sequence[str], key: int, i: int) -> str:
    """The option that an integer key and a position in the turn select; the same on every machine."""
    return options[mix(key, i) % len(options)]


def word_assistant(acts: Sequence[DialogueAct], rulebook: Rulebook, key: int = 0) -> str:
    """One turn of text that says all of ``acts``, in their order; "" for no acts.

    Args:
        acts: assistant acts with the slots of the ontology.
        rulebook: gives the products their names.
        key: any integer; other keys give other wordings of the same content.

    Raises:
        DialogGymError: an intent, slot or product is unknown, or an obligatory slot is missing.
    """
    return " ".join(_word(act, rulebook, key, i) for i, act in enumerate(acts))


def _word(act: DialogueAct, rulebook: Rulebook, key: int, i: int) -> str:
    _check(act)
    wordings = _wordings()
    name = _entry(act)
    options = wordings.words.get(name)
    if options is None:
        raise DialogGymError(
            f"act {act.intent}: no wording for {name!r}; see agent_wording.toml for the known ones"
        )
    values = {slot: _said(slot, value, rulebook) for slot, value in act.slots.items() if slot in _SAY}
    sentence = pick(options, key, i).format_map(values)
    reason = act.slots.get("reason")
    if reason is not None and name == "inform_eligibility/ineligible":
        because = wordings.reasons.get(str(reason))
        if because is None:
            raise DialogGymError(
                f"act inform_eligibility: unknown reason {reason!r}; known: {', '.join(wordings.reasons)}"
            )
        sentence = f"{sentence[:-1]} because {pick(because, key, i + 1000)}."
    return sentence[0].upper() + sentence[1:]


def _check(act: DialogueAct) -> None:
    slots = ASSISTANT_ACTS.get(act.intent)
    if slots is None:
        raise DialogGymError(f"{act.intent!r} is not an assistant act; known: {', '.join(ASSISTANT_ACTS)}")
    if missing := [slot for slot in slots if not slot.endswith("?") and act.slots.get(slot) is None]:
        raise DialogGymError(f"act {act.intent}: slot {missing[0]!r} is missing; slots: {', '.join(slots)}")
    if unknown := set(act.slots) - {slot.rstrip("?") for slot in slots}:
        raise DialogGymError(
            f"act {act.intent}: unknown slot {min(unknown)!r}; slots: {', '.join(slots) or 'none'}"
        )


def _entry(act: DialogueAct) -> str:
    if (slot := _BY_VALUE.get(act.intent)) is not None:
        return f"{act.intent}/{act.slots[slot]}"
    if (slots := _BY_PRESENCE.get(act.intent)) is not None:
        return f"{act.intent}/{'+'.join(slot for slot in slots if act.slots.get(slot) is not None)}"
    if act.intent == "inform_fees" and act.slots["fee"] == 0:
        return "inform_fees/none"
    return act.intent


def _amount(value: Scalar) -> str:
    return format_amount(_number(value))


def _count(unit: str) -> Callable[[Scalar], str]:
    def say(value: Scalar) -> str:
        number = _number(value)
        return f"{number:g} {unit}" + ("" if number == 1 else "s")

    return say


def _number(value: Scalar) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise DialogGymError(f"{value!r} is not a number; give amounts, rates, fees and durations as numbers")


def _date(value: Scalar) -> str:
    try:
        return format_date(str(value))
    except ValueError:
        raise DialogGymError(f"{value!r} is not a date; give dates as YYYY-MM-DD") from None


_SAY: Mapping[str, Callable[[Scalar], str]] = {
    "amount": _amount, "interest": _amount, "monthly": _amount,
    "rate": lambda value: format_percent(_number(value)), "fee": lambda value: format_percent(_number(value)),
    "days": _count("day"), "months": _count("month"), "date": _date, "expires": _date, "product": str,
}  # fmt: skip


def _said(slot: str, value: Scalar, rulebook: Rulebook) -> str:
    if slot != "product" or value is None:
        return "" if value is None else _SAY[slot](value)
    if str(value) not in rulebook.products:
        raise DialogGymError(f"unknown product {value!r}; known: {', '.join(rulebook.products)}")
    label = rulebook.products[str(value)].label
    return f"the {label}" if _KIND.search(label) else label


_KIND = re.compile(r"(?:account|card|credit|facility|line|loan|overdraft|plan|purchase)$", re.IGNORECASE)
"""A label that ends with the kind of thing takes an article; a brand name ("Pay Later") does not."""
