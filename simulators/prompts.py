"""What a language model that plays the customer is told: who it is, what was said, and what to say next.

The roles are the model's: ``assistant`` is the customer, ``user`` the shop. Two styles: ``full`` is for
general instruction-tuned models, ``compact`` is what `dialog_gym.simulators.training` teaches a tiny model.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogueAct, Scalar, Task, Turn
from dialog_gym.simulators.generation import ChatMessage, ChatPrompt

Style: TypeAlias = Literal["compact", "full"]
STYLES: Final[tuple[Style, ...]] = ("compact", "full")
Mode: TypeAlias = Literal["worded", "free"]
MODES: Final[tuple[Mode, ...]] = ("worded", "free")
SILENCE: Final = "..."
"""What the shop "says" before a customer who begins."""
RECENT: Final[dict[Mode, int]] = {"worded": 0, "free": 3}
"""Turns that the compact style shows: acts say by themselves what is to be worded."""
LONGEST: Final = 400
"""Characters of an utterance; what goes on is not an utterance any more."""
_MANNER: Final = ("verbosity", "buyer_style")
_SPEAKER: Final = re.compile(r"\A(?:customer|user|client|assistant|me)\s*:\s*", re.IGNORECASE)
_TAIL: Final = re.compile(r"[0-9]{4}\Z")
_HIDDEN: Final = frozenset((
    "reached", "strength", "required", "branches", "garbled", "typos", "knowledge", "change_turn",
    "new_amount", "trust", "patience", "price_sensitivity", *_MANNER, "code_words", "change", "goal_id",
))  # fmt: skip
"""Parts of a persona that the domain's user model plays; no customer would know them as figures."""


def manner(persona: Mapping[str, Scalar]) -> str:
    """How a customer speaks, in a few words."""
    words = [word for name in _MANNER if isinstance(word := persona.get(name), str) and word]
    return ", ".join([*words, *(["slang"] if persona.get("code_words") else [])]) or "neutral"


def identity(profile: Mapping[str, Scalar]) -> str:
    """What a customer confirms about themselves: the surname and the last four digits of a phone."""
    name, phone = str(profile.get("surname") or ""), str(profile.get("phone") or "")
    tail = _TAIL.search(phone)
    return ", ".join(part for part in (name, tail and f"phone ends in {tail.group()}") if part)


def wishes(task: Task) -> str:
    """The goal as ``name: value`` pairs: what a customer who decides must know."""
    goal = task.goal
    known = {
        "need": goal.need,
        **goal.constraints,
        "questions": ", ".join(goal.requests),
        **{name: value for name, value in goal.persona.items() if name not in _HIDDEN},
    }
    return "; ".join(f"{name}: {_word(value)}" for name, value in known.items() if value not in ("", None))


def system_message(task: Task, persona: Mapping[str, Scalar], mode: Mode, style: Style) -> str:
    """The system message of a dialogue.

    Args:
        task: Its profile and goal; the goal is only told to a customer who decides (``free``).
        persona: How the customer speaks.
        mode: Whether the model words what the domain chose, or chooses too.
        style: For a tiny or a general model.
    """
    who, how = identity(task.profile.attributes), manner(persona)
    if style == "compact":
        goal = f" Goal: {wishes(task)}." if mode == "free" else ""
        return f"Customer{f' {who}' if who else ''}. {how[0].upper()}{how[1:]}.{goal}"
    lines = [
        f"You play a customer{f' ({who})' if who else ''} who talks with a shop's assistant.",
        f"You speak like this: {how}. One or two short sentences, in plain text.",
    ]
    if mode == "free":
        lines += [
            f"What you want, which only you know: {wishes(task)}.",
            "Tell a detail only when it is asked for; never make one up; ask your questions one at a time.",
            "Accept only what suits you. You may hesitate, decline, or say goodbye at any time.",
        ]
    return "\n".join([*lines, "Reply with the customer's words only."])


def chat(
    system: str, dialogue: Sequence[Turn], acts: Sequence[DialogueAct], style: Style, plain: str = ""
) -> ChatPrompt:
    """The prompt for the customer's next turn.

    Args:
        system: See `system_message`.
        dialogue: All turns so far, without the assistant's thoughts.
        acts: What the turn must express; none for a customer who chooses.
        style: For a tiny or a general model.
        plain: One way to say the acts, as an example for a general model.
    """
    recent = RECENT["worded" if acts else "free"]
    turns = _in_turn(dialogue[max(0, len(dialogue) - recent) :] if style == "compact" else dialogue)
    if acts and style == "compact":
        turns[-1]["content"] += f"\n{format_acts(acts)}"
    elif acts:
        turns[-1]["content"] += (
            f"\n\n(In your next turn say exactly this, and nothing beyond it: {format_acts(acts)}"
            f"{f'. In plain words: {plain}' if plain else ''})"
        )
    return [{"role": "system", "content": system}, *turns]


def _in_turn(dialogue: Sequence[Turn]) -> list[ChatMessage]:
    """Messages in which shop and customer alternate, the shop first and last."""
    turns: list[ChatMessage] = []
    for turn in dialogue:
        role = "user" if turn.role == "assistant" else "assistant"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f" {turn.text}"
        else:
            turns.append({"role": role, "content": turn.text})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": SILENCE})
    if turns[-1]["role"] == "assistant":
        turns.append({"role": "user", "content": SILENCE})
    return turns


def utterance(text: str) -> str:
    """What a model wrote as one line of a customer's words: no speaker's name, no quotes around it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = _SPEAKER.sub("", line)
    if len(line) > 1 and line[0] in '"“' and line[-1] in '"”':
        line = line[1:-1].strip()
    return line[:LONGEST].rstrip()


def _word(value: Scalar) -> str:
    return str(value).replace("_", " ")
