"""The audit of a language model's user turns: what was read in the words against what may be said.

Of the literature's complaints about language-model users, four can be judged without another model, given the
acts that a turn had to express, the customer's goal, and a reader from words to acts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from dialog_gym.core import DialogueAct, Scalar, Task, Turn

Kind: TypeAlias = Literal["contradicted", "leaked", "invented", "premature_stop", "omitted"]
KINDS: Final[tuple[Kind, ...]] = ("contradicted", "leaked", "invented", "premature_stop", "omitted")
STOPS: Final = frozenset(("accept", "decline", "confirm_solved", "goodbye"))
"""User acts that end a dialogue, or say that its matter is settled."""
COURTESIES: Final = frozenset(("greet", "thank", "smalltalk"))
"""May stand beside anything, or be left out: they change nothing."""
_OPPOSITE: Final = {"accept": "decline", "agree": "decline", "decline": "accept"}
_PROPOSALS: Final = ("offer", "close", "solve", "book")
"""Ends of the assistant's intents after which there is something to accept or to be content with."""
COUNTS: Final = 50
"""Smaller numbers are counts, days or shares of something."""
_NUMBER: Final = re.compile(r"(?<![\w.,])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?!\w)")


class Facts:
    """What is true of a customer: the need, and what is private until somebody asks."""

    def __init__(self, task: Task) -> None:
        """Collects the facts of a task's goal and profile."""
        goal = task.goal
        self.needed: dict[str, frozenset[str]] = {name: _values(v) for name, v in goal.constraints.items()}
        self.needed["need"] = _values(goal.need)
        self.requests = frozenset(map(_plain, goal.requests))
        self.private: dict[str, frozenset[str]] = {name: _values(v) for name, v in goal.persona.items()}
        self.known = frozenset().union(
            self.requests,
            *self.needed.values(),
            *self.private.values(),
            *(_values(value) for value in task.profile.attributes.values()),
        )

        self.numbers = frozenset().union(*map(_numbers, self.known))

    def contradicts(self, slot: str, value: str) -> bool:
        """Whether the need names another value for a slot, and nothing else of the customer has this one."""
        wanted = [values for name, values in self.needed.items() if name == slot or name.endswith(f"_{slot}")]
        return bool(wanted) and value not in self.known

    def is_private(self, slot: str, value: str) -> bool:
        """Whether a value is one that only an asked customer gives away."""
        return value in self.private.get(slot, ()) and value not in self.needed.get(slot, ())


def stated(act: DialogueAct) -> list[tuple[str, str]]:
    """The slots and values that an act states; ``disclose(slot=amount, value=5)`` states the amount."""
    slots = act.slots
    if "slot" in slots and "value" in slots:
        return [(str(slots["slot"]), _plain(slots["value"]))]
    return [(name, _plain(value)) for name, value in slots.items() if name != "slot" and value is not None]


def judge(
    text: str,
    read: Sequence[DialogueAct],
    meant: Sequence[DialogueAct],
    facts: Facts,
    dialogue: Sequence[Turn],
) -> Kind | None:
    """What is wrong with a turn; None for nothing.

    Args:
        text: Its words.
        read: The acts read in them.
        meant: The acts that it had to express; none for a turn that the model chose itself.
        facts: Of the customer.
        dialogue: All turns so far, the assistant's with their acts.
    """
    kind = judge_worded(read, meant, facts) if meant else judge_free(read, facts, dialogue)
    if kind is None and not _numbers(text) <= facts.numbers.union(*(_numbers(t.text) for t in dialogue)):
        return "invented"  # no reader knows what every number is, but nobody has heard of this one
    return kind


def judge_worded(read: Sequence[DialogueAct], meant: Sequence[DialogueAct], facts: Facts) -> Kind | None:
    """What is wrong with a turn that had to express some acts; None for nothing.

    Args:
        read: The acts read in its words.
        meant: The acts that it had to express.
        facts: Of the customer.
    """
    extra = [act for act in read if act not in meant and act.intent not in COURTESIES]
    found = {_surplus(act, meant, facts) for act in extra}
    if found:  # the gravest, whatever was read first
        return min(found, key=KINDS.index)
    said = all(act in read or (act.intent in COURTESIES and len(meant) > 1) for act in meant)
    return None if said else "omitted"


def _surplus(act: DialogueAct, meant: Sequence[DialogueAct], facts: Facts) -> Kind:
    """The kind of an act that was read but not meant."""
    if act.intent == "unclear":
        return "omitted"
    if any(_differs(act, other) or _OPPOSITE.get(act.intent) == other.intent for other in meant):
        return "contradicted"
    if act.intent in STOPS:
        return "premature_stop"
    values = [value for _, value in stated(act)]
    return "leaked" if values and all(value in facts.known for value in values) else "invented"


def judge_free(read: Sequence[DialogueAct], facts: Facts, dialogue: Sequence[Turn]) -> Kind | None:
    """What is wrong with a turn that the model chose itself; None for nothing.

    Args:
        read: The acts read in its words.
        facts: Of the customer.
        dialogue: All turns so far, the assistant's with their acts.
    """
    if all(act.intent == "unclear" for act in read):
        return "omitted"
    said = [act for turn in dialogue if turn.role == "assistant" for act in turn.acts]
    proposed = any(act.intent.endswith(_PROPOSALS) for act in said)
    asked = {str(act.slots.get("slot")) for act in said}
    for act in read:
        if act.intent in ("accept", "confirm_solved") and not proposed:
            return "premature_stop"
        states = act.intent in ("disclose", "correct", "report") or act.intent.endswith("_inform")
        if states and (kind := _untrue(act, facts, asked)):
            return kind
    return None


def _untrue(act: DialogueAct, facts: Facts, asked: Iterable[str]) -> Kind | None:
    for slot, value in stated(act):
        if facts.contradicts(slot, value):
            return "contradicted"
        if value not in facts.known:
            return "invented"
        if facts.is_private(slot, value) and slot not in asked and act.intent == "disclose":
            return "leaked"
    return None


def _differs(act: DialogueAct, other: DialogueAct) -> bool:
    """Whether two acts state different values of one slot."""
    if act.intent != other.intent and {act.intent, other.intent} != {"disclose", "correct"}:
        return False
    values = dict(stated(other))
    return any(values.get(slot, value) != value for slot, value in stated(act))


def _values(value: Scalar) -> frozenset[str]:
    """A value of a task as the set of what it names: lists are written with commas."""
    parts = value.split(",") if isinstance(value, str) else [value]
    return frozenset(_plain(part) for part in parts if part not in ("", None))


def _numbers(text: str) -> frozenset[float]:
    """The numbers in digits that are no small counts."""
    found = (float(token.replace(",", "")) for token in _NUMBER.findall(text))
    return frozenset(number for number in found if number >= COUNTS)


def _plain(value: Scalar) -> str:
    """Numbers alike whether they are written 5000 or 5000.0, words in lower case."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).strip().lower()
    return f"{value:g}" if value != int(value) else str(int(value))


def shares(counts: Mapping[Kind, int], audited: int) -> dict[str, float]:
    """Counts by kind as shares of the audited turns; 0 where nothing was audited."""
    return {kind: counts.get(kind, 0) / audited if audited else 0.0 for kind in KINDS}
