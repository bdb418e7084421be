"""What a served model answered: its words, its private thoughts, its tool calls, and what they cost."""

import re
from collections.abc import Iterable
from typing import Any, Final

from dialog_gym.acts import storable, strip_thoughts
from dialog_gym.core import Record

_THOUGHT: Final = re.compile(r"<think>(.*?)(?:</think>|\Z)|\A(.*?)</think>", re.DOTALL | re.IGNORECASE)
_FIELDS: Final = ("reasoning_content", "reasoning")
"""Where servers that part a model's reasoning from its words put it."""


class UnusableAnswer(Exception):
    """The server said that all is well, and sent something else than a chat completion."""


class ToolCall(Record):
    """A tool that the model calls; ``arguments`` is JSON text as the model wrote it, right or wrong."""

    name: str
    arguments: str


class ChatReply(Record):
    """An answer.

    ``text`` is free of thoughts; ``cost`` is what the server says that it charges, in its currency.
    """

    text: str
    thought: str | None = None
    calls: tuple[ToolCall, ...] = ()
    finish: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing was said and no tool called."""
        return not self.text and not self.calls


def read_reply(answer: Any) -> ChatReply:
    """The reply in a chat completion, as the client library parsed it.

    Raises:
        UnusableAnswer: it holds none.
    """
    choices = getattr(answer, "choices", None)
    if not isinstance(choices, list) or not choices or choices[0] is None:
        raise UnusableAnswer(f"no choice in {_short(answer)}")
    if (message := getattr(choices[0], "message", None)) is None:
        raise UnusableAnswer(f"no message in {_short(answer)}")
    content = getattr(message, "content", None)
    if not (content is None or isinstance(content, str)):
        raise UnusableAnswer(f"content of type {type(content).__name__}")
    said = storable(content or "")
    usage = getattr(answer, "usage", None)
    return ChatReply(
        text=strip_thoughts(said).strip(),
        thought="\n".join(_thoughts(message, said)) or None,
        calls=tuple(_call(call) for call in getattr(message, "tool_calls", None) or ()),
        finish=str(getattr(choices[0], "finish_reason", "") or ""),
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cost=_cost(usage),
    )


def _thoughts(message: Any, said: str) -> Iterable[str]:
    """The model's reasoning, from a field of its own and from the text."""
    fields = (getattr(message, name, None) for name in _FIELDS)
    found = [field for field in fields if isinstance(field, str)][:1]
    found += [inside or before for inside, before in _THOUGHT.findall(said)]
    return (thought for one in found if (thought := storable(one).strip()))


def _call(call: Any) -> ToolCall:
    function = getattr(call, "function", None)
    name, arguments = getattr(function, "name", None), getattr(function, "arguments", None)
    if not isinstance(name, str):
        raise UnusableAnswer("a tool call without a name")
    return ToolCall(name=storable(name), arguments=storable(arguments) if isinstance(arguments, str) else "")


def _count(usage: Any, name: str) -> int:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) else 0


def _cost(usage: Any) -> float | None:
    value = getattr(usage, "cost", None)
    return float(value) if isinstance(value, int | float) else None


def _short(answer: Any) -> str:
    return repr(answer)[:80] if isinstance(answer, str) else type(answer).__name__
