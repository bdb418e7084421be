"""What goes wrong with served models: what passes by itself, what does not, and how long to wait."""

import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import Any, Final, NamedTuple

from dialog_gym.chat_reply import UnusableAnswer
from dialog_gym.core import DialogGymError
from dialog_gym.noise import mix

LONGEST_WAIT: Final = 60.0
"""Seconds between two attempts, at most; whoever asks for more patience is taken to be down."""
_PASSING: Final = frozenset({408, 409, 425, 429})
_UNPAID: Final = "insufficient_quota"
_STREAM: Final = 0x6A177E12


class ChatOutage(DialogGymError):
    """A served model cannot be had now.

    Whatever needs it pauses and is taken up again later; no dialogue is scored for it.
    """


class Fault(NamedTuple):
    """Something went wrong with one request."""

    line: str
    """What, for people."""
    passes: bool
    """Whether another attempt may go well."""
    wait: float | None = None
    """Seconds that the server asks to wait."""
    outage: bool = True
    """Whether it says nothing about the request itself: the same one may go well another day."""

    def error(self, server: str, attempts: int) -> DialogGymError:
        """The error to raise when it is given up."""
        if not self.outage:
            return DialogGymError(f"the server at {server} {self.line}")
        tried = f" ({attempts} attempts)" if attempts > 1 else ""
        return ChatOutage(f"the server at {server} {self.line}{tried}")


def fault_of(error: Exception, api: Any, model: str, key_name: str, hide: Callable[[str], str]) -> Fault:
    """What an exception of a request means.

    Args:
        error: Raised by the client library, or in reading its answer.
        api: The openai module.
        model: That was asked.
        key_name: The environment variable of the API key.
        hide: Takes secrets out of a text.

    Raises:
        Exception: the error itself, when it is none of these: a defect here.
    """
    if isinstance(error, api.APIStatusError):
        return _refusal(error, model, key_name, hide)
    if isinstance(error, TimeoutError | api.APITimeoutError):
        return Fault("gave no answer in time", True)
    if isinstance(error, api.APIConnectionError):
        return Fault(f"cannot be reached: {hide(one_line(error.__cause__ or error))}", True)
    if isinstance(error, UnusableAnswer | JSONDecodeError | UnicodeDecodeError | api.APIError):
        return Fault(f"gave no usable answer: {hide(one_line(error))}", True)
    raise error


def _refusal(error: Any, model: str, key_name: str, hide: Callable[[str], str]) -> Fault:
    status, wait = int(error.status_code), retry_after(error.response.headers, time.time())
    body = error.body if isinstance(error.body, Mapping) else {}
    said = f"{hide(one_line(body.get('message') or error.message))} ({status})"
    if status in (401, 403):  # servers quote the key in their answer
        return Fault(f"does not accept the API key in ${key_name} ({status})", False, outage=False)
    if status == 404:
        return Fault(f"does not serve {model}: {said}; is the base URL right?", False, outage=False)
    if error.code == _UNPAID:
        return Fault(f"wants to be paid: {said}", False)
    if status in _PASSING or status >= 500:
        passes = wait is None or wait <= LONGEST_WAIT
        asked = "" if passes else f", and asks to wait {wait:.0f} seconds"
        return Fault(f"is busy or down: {said}{asked}", passes, wait)
    return Fault(f"refuses: {said}", False, outage=False)


def one_line(error: object) -> str:
    """A message in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait (RFC 9110, 10.2.3: a number or a date); None where it does not.

    Args:
        headers: Of its answer, looked up without regard to case.
        now: Seconds since 1970.
    """
    if re.fullmatch(r"\d+(\.\d+)?", found := headers.get("retry-after-ms", "")):
        return float(found) / 1000.0
    if re.fullmatch(r"\d+(\.\d+)?", found := headers.get("retry-after", "").strip()):
        return float(found)
    try:
        return max(0.0, parsedate_to_datetime(found).timestamp() - now)
    except ValueError:
        return None


def pause(attempt: int, first: float, key: int, asked: float | None = None) -> float:
    """Seconds before the next attempt: doubled each time, up to `LONGEST_WAIT`, between half and all of it.

    Args:
        attempt: That went wrong, from 0.
        first: Seconds after the first one.
        key: Fixes the share: requests that fail together do not come back together.
        asked: What the server asks for: no attempt is made before.
    """
    share = 0.5 + (mix(_STREAM, key, attempt) >> 11) / 2**54
    return max(asked or 0.0, min(LONGEST_WAIT, first * 2.0**attempt) * share)


class Pace:
    """When the next request may be sent: evenly, at most so many a minute, and not while the server rests."""

    def __init__(self, per_minute: float | None) -> None:
        """Nothing has been sent; None sets no limit."""
        self.gap = 60.0 / per_minute if per_minute else 0.0
        self.free = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a request may be sent, which is then taken to be sent."""
        start = max(now, self.free)
        self.free = start + self.gap
        return start - now

    def rest(self, until: float) -> None:
        """Nothing is sent before."""
        self.free = max(self.free, until)
