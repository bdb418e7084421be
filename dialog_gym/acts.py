"""Dialogue acts in writing: act notation, JSON, and the action encodings of tau2-bench.

``offer(product=pay_later, amount=5000); close()`` is act notation: acts separated by ``;`` or new lines.
JSON is one object or a list of ``{"intent": ..., "slots": {...}}`` or tau2's ``{"name": ..., "arguments":
{...}}``. tau2's ``respond(message='...')`` carries plain text, ``done()`` and ``###STOP###`` say goodbye.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from dialog_gym.core import DialogGymError, DialogueAct, Scalar

MAX_ACTION = 100_000
"""Characters of an action beyond this are refused."""
STOP_MARKERS = ("###STOP###", "done()")
MAX_ACTS = 64
"""Acts of one turn beyond this are refused."""

_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*\(")
_NOTATION = re.compile(r"([A-Za-z_]\w*)\((\s*\)|\s*\w+\s*=)?")
# no two neighbouring parts can match the same character, so that matching takes linear time on any text
_PAIR = re.compile(
    r"""\s*([A-Za-z_]\w*)\s*=\s*("(?:[^"\\]|\\.)*"\s*|'(?:[^'\\]|\\.)*'\s*|[^\s,()"'][^,()"']*)(,|\))""",
    re.DOTALL,
)
_GAP = re.compile(r"[;,\s]*")
_EMPTY = re.compile(r"\s*\)")
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_UNOPENED = re.compile(r"\A.*</think>", re.DOTALL | re.IGNORECASE)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_LARGEST = 10**12
_SHOWN = 40


class Ontology(NamedTuple):
    """Which acts a speaker has: intent to slots ('?' marks optional ones), and the closed slot values."""

    acts: Mapping[str, tuple[str, ...]]
    choices: Mapping[str, tuple[str, ...]]


class ParsedAction(NamedTuple):
    """An agent's action: plain text to be read by the grounder, or acts (then ``text`` is None)."""

    text: str | None
    acts: tuple[DialogueAct, ...]


_STOP = ParsedAction(None, (DialogueAct(intent="goodbye"),))


def format_acts(acts: Iterable[DialogueAct]) -> str:
    """Acts in notation; `parse_acts` reads it back exactly."""
    return "; ".join(
        f"{act.intent}({', '.join(f'{k}={_value(v)}' for k, v in act.slots.items())})" for act in acts
    )


def _value(value: Scalar) -> str:
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z0-9_\-]+", value) and _literal(value) == value
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _literal(token: str) -> Scalar:
    token = token.strip()
    if token.startswith(('"', "'")):
        return _unquoted(token)
    try:
        value = json.loads(token)
    except (ValueError, RecursionError):
        return token
    return value if value is None or isinstance(value, bool | int | float) else token


def _unquoted(token: str) -> str:
    """A quoted text: language models escape as in Python or as in JSON, and write raw line breaks."""
    if token[0] == '"':
        try:
            return str(json.loads(token, strict=False))
        except ValueError:
            pass
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), token[1:-1])


def strip_thoughts(text: str) -> str:
    """The text without ``<think>...</think>`` blocks, which no user may ever see.

    An opening without an end hides the rest; an end without an opening (chat templates put the opening into
    the prompt) hides what stands before it.
    """
    return _UNOPENED.sub("", _THINK.sub("", text))


def storable(text: str) -> str:
    """The text with lone surrogates, which no file can hold, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


def parse_action(action: str, ontology: Ontology) -> ParsedAction:
    """Read an agent's action in any of the accepted encodings.

    Text that is not clearly notation or JSON is plain text.

    Raises:
        DialogGymError: longer than MAX_ACTION, or notation/JSON that names no known act, slot or value.
    """
    if len(action) > MAX_ACTION:
        raise DialogGymError(f"action has {len(action):,} characters; at most {MAX_ACTION:,} are read")
    said = strip_thoughts(storable(action)).strip()
    if said in STOP_MARKERS:
        return _STOP
    if said[:1] in "{[":
        return _parse_json(said, ontology)
    if (start := _NOTATION.match(said)) and (start[1] in ontology.acts or start[2]):
        return _parse_calls(said, ontology)
    return ParsedAction(said, ())


def parse_acts(text: str, ontology: Ontology) -> tuple[DialogueAct, ...]:
    """Read act notation or JSON.

    Raises:
        DialogGymError: it is neither, or names no known act, slot or value.
    """
    parsed = parse_action(text, ontology)
    if parsed.text:
        raise DialogGymError(
            f"not act notation: {parsed.text[:60]!r}; e.g. offer(product=pay_later, amount=5000)"
        )
    return parsed.acts


def _parse_json(said: str, ontology: Ontology) -> ParsedAction:
    try:
        data = json.loads(said)
    except (ValueError, RecursionError):
        return ParsedAction(said, ())  # an odd sentence in brackets is still something a customer can be told
    items: Sequence[Any] = data if isinstance(data, list) else [data]
    if not all(isinstance(item, Mapping) for item in items):
        return ParsedAction(said, ())
    calls = [(_key(item, "intent", "name"), _key(item, "slots", "arguments") or {}) for item in items]
    if any(name is None for name, _ in calls):
        raise DialogGymError(
            'JSON acts are written {"intent": ..., "slots": {...}}; there is no "intent" or "name"'
        )
    if len(calls) == 1 and calls[0][0] == "respond":
        return _respond(calls[0][1])
    if [name for name, _ in calls] == ["done"]:
        return _STOP
    if len(calls) > MAX_ACTS:
        raise DialogGymError(f"{len(calls):,} acts in one turn; at most {MAX_ACTS} are read")
    return ParsedAction(None, tuple(checked_act(str(name), slots, ontology) for name, slots in calls))


def _respond(slots: Any) -> ParsedAction:
    """tau2's plain text; its escapes may hold what the outer text hid: thoughts, surrogates, a stop."""
    if not isinstance(slots, Mapping):
        raise DialogGymError('respond: the text is given as message, e.g. {"message": "Hello"}')
    said = strip_thoughts(storable(str(slots.get("message", "")))).strip()
    return _STOP if said in STOP_MARKERS else ParsedAction(said, ())


def _key(item: Mapping[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if name in item), None)


def _parse_calls(said: str, ontology: Ontology) -> ParsedAction:
    acts: list[DialogueAct] = []
    at = 0
    while at < len(said):
        call = _CALL.match(said, at)
        if not call:
            raise DialogGymError(
                f"act notation breaks off at {said[at : at + 40]!r}; e.g. offer(product=pay_later)"
            )
        slots, at = _parse_slots(said, call.end())
        if call[1] == "respond" and not acts:
            return _respond(slots)
        acts.append(checked_act(call[1], slots, ontology))
        if len(acts) > MAX_ACTS:
            raise DialogGymError(f"more than {MAX_ACTS} acts in one turn; at most {MAX_ACTS} are read")
        at = _GAP.match(said, at).end()  # type: ignore[union-attr]  # matches the empty string too
    return ParsedAction(None, tuple(acts))


def _parse_slots(said: str, at: int) -> tuple[dict[str, Scalar], int]:
    slots: dict[str, Scalar] = {}
    if empty := _EMPTY.match(said, at):
        return slots, empty.end()
    while pair := _PAIR.match(said, at):
        slots[pair[1]] = _literal(pair[2])
        at = pair.end()
        if pair[3] == ")":
            return slots, at
    raise DialogGymError(
        f"act notation breaks off at {said[at : at + 40]!r}; slots are written name=value, name=value"
    )


def _nearest(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"


def checked_act(intent: str, slots: Any, ontology: Ontology) -> DialogueAct:
    """An act whose intent, slots and closed values exist.

    Raises:
        DialogGymError: naming what is unknown and the nearest known word.
    """
    if intent not in ontology.acts:
        raise DialogGymError(f"unknown act {_short(intent)}{_nearest(intent, ontology.acts)}")
    if not isinstance(slots, Mapping):
        raise DialogGymError(f"act {intent}: slots must be a mapping of names to values")
    known = {slot.rstrip("?"): slot.endswith("?") for slot in ontology.acts[intent]}
    for name, value in slots.items():
        if name not in known:
            raise DialogGymError(
                f"act {intent}: unknown slot {_short(name)}{_nearest(str(name), known) if known else ''}"
            )
        if name in ontology.choices and value not in ontology.choices[name]:
            raise DialogGymError(
                f"act {intent}: {name}={_short(value)}{_nearest(str(value), ontology.choices[name])}"
            )
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise DialogGymError(f"act {intent}: {name} must be a number or a word")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:  # NaN included
            raise DialogGymError(f"act {intent}: {name} must be a number within +-1e12, not {_short(value)}")
    if missing := [name for name, optional in known.items() if not optional and name not in slots]:
        raise DialogGymError(f"act {intent}: slot {missing[0]!r} is missing")
    return DialogueAct(
        intent=intent,
        slots={name: storable(value) if isinstance(value, str) else value for name, value in slots.items()},
    )


def tool_schemas(ontology: Ontology) -> list[dict[str, Any]]:
    """The acts as OpenAI-style tool schemas (what tau2-bench puts into ``info["tools"]``)."""
    return [
        {
            "type": "function",
            "function": {
                "name": intent,
                "parameters": {
                    "type": "object",
                    "properties": {slot.rstrip("?"): _property(slot.rstrip("?"), ontology) for slot in slots},
                    "required": [slot for slot in slots if not slot.endswith("?")],
                },
            },
        }
        for intent, slots in ontology.acts.items()
    ]


def _property(slot: str, ontology: Ontology) -> dict[str, Any]:
    return (
        {"enum": list(ontology.choices[slot])} if slot in ontology.choices else {"type": ["number", "string"]}
    )
