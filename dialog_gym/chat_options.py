"""What a served model is asked with."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from dialog_gym.core import DialogGymError
from dialog_gym.plugins import nearest

TOGETHER: Final = 4
"""Dialogues played together for each request that may be under way: few requests wait for the last ones."""
_ABOVE: Final = {
    "max_tokens": True, "concurrency": True, "timeout": True, "attempts": True, "temperature": False,
    "top_p": True, "backoff": False, "requests_per_minute": True,
}  # fmt: skip
"""Options that are numbers, and whether they must be above 0 or may be 0."""
_OPEN: Final = ("temperature", "top_p", "requests_per_minute")
"""Those that may be None: left to the server, or without a limit."""
OPENAI: Final = "https://api.openai.com/v1"


@dataclass(frozen=True)
class ChatOptions:
    """Which model to ask, and how."""

    model: str
    base_url: str | None = None
    """Of the API, e.g. ``http://localhost:8000/v1``; default $OPENAI_BASE_URL, else OpenAI's."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; servers of one's own need none."""
    temperature: float | None = 0.0
    """0 takes the likeliest token; None leaves it to the server."""
    top_p: float | None = None
    max_tokens: int = 400
    """Of a reply, its reasoning included."""
    concurrency: int = 32
    """Requests under way at once."""
    requests_per_minute: float | None = None
    timeout: float = 120.0
    """Seconds for an answer, from sending to its last byte; for each piece of one that is streamed."""
    stream: bool = False
    """Have answers sent piece by piece: a slow one is waited for, one that stalls is asked for again."""
    attempts: int = 7
    """Before a fault that may pass is taken for an outage."""
    backoff: float = 1.0
    """Seconds before the second attempt; see `chat_faults.pause`."""
    prices: tuple[float, float] | None = None
    """For a million tokens of input and of output, where the server does not tell what it charges."""

    def __post_init__(self) -> None:
        """Refuses what cannot be meant.

        Raises:
            DialogGymError: an option is out of range.
        """
        if not self.model:
            raise DialogGymError("no model is named: write openai:MODEL, e.g. openai:gpt-4.1-mini")
        for name, above in _ABOVE.items():
            if (value := getattr(self, name)) is None and name in _OPEN:
                continue
            if not _is_number(value):
                raise DialogGymError(f"{name} is {value!r}; give a number")
            if value < 0 or (above and value == 0):
                raise DialogGymError(f"{name} is {value}; it must be {'above 0' if above else '0 or more'}")
        if not isinstance(self.stream, bool):
            raise DialogGymError(f"stream is {self.stream!r}; write true or false")
        if self.prices is not None and (len(self.prices) != 2 or not all(map(_is_number, self.prices))):
            raise DialogGymError(f"prices is {self.prices!r}; give two numbers: of input and of output")
        parts = urlsplit(self.url)
        if "@" in self.url or parts.query:
            raise DialogGymError(f"a base URL holds no secrets: put the API key into ${self.api_key_env}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise DialogGymError(f"{self.url!r} is no base URL: write http://HOST:PORT/v1")

    @classmethod
    def names(cls) -> list[str]:
        """Of the options beside the model."""
        return [one.name for one in fields(cls) if one.name != "model"]

    @classmethod
    def of(cls, model: str, options: Mapping[str, Any]) -> "ChatOptions":
        """From options that somebody named.

        Raises:
            DialogGymError: one is unknown or out of range.
        """
        if unknown := sorted(options.keys() - set(cls.names())):
            raise DialogGymError(
                f"unknown option {unknown[0]!r} of openai; {nearest(unknown[0], cls.names())}"
            )
        return cls(model, **options)

    @property
    def url(self) -> str:
        """The address that requests go to."""
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")

    @property
    def together(self) -> int:
        """How many dialogues to play together."""
        return TOGETHER * self.concurrency

    def settings(self) -> dict[str, Any]:
        """What shapes the replies, for records of runs; where the server is does not."""
        shaping = ("model", "temperature", "top_p", "max_tokens")
        return {name: value for name, value in asdict(self).items() if name in shaping}


class ChatRequest(NamedTuple):
    """One question to a model."""

    messages: Sequence[Mapping[str, Any]]
    seed: int
    """Of the sampling, passed on to the server; below 2**31, which all servers take."""
    tools: Sequence[Mapping[str, Any]] = ()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
