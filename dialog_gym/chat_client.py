"""Chat models behind OpenAI-compatible servers: many requests at once, patient with faults.

Requests go through the official client library, in a thread of their own, so that they work in notebooks,
too. What passes by itself (too busy, an error of the server, a cut connection, an answer that is none) is
tried again with growing, seeded pauses; when it does not pass, `ChatOutage` is raised: the caller pauses, no
score is ever made of it. API keys are read from the environment when the first request is sent; they are in
no setting, message, cache or ledger.
"""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from dialog_gym.chat_cache import request_key
from dialog_gym.chat_faults import Fault, Pace, fault_of, one_line, pause
from dialog_gym.chat_ledger import Entry, cost_of
from dialog_gym.chat_options import OPENAI, ChatOptions, ChatRequest
from dialog_gym.chat_records import ChatRecords, current_records
from dialog_gym.chat_reply import ChatReply, read_reply
from dialog_gym.chat_stream import whole
from dialog_gym.core import DialogGymError

EMPTY_ATTEMPTS: Final = 3
"""An empty reply may be a fault of the server's; so many in a row are the model's."""
_STREAMED: Final = {"stream": True, "stream_options": {"include_usage": True}}
"""No part of what a reply depends on: with the cache, a stream and a whole answer are the same."""


@dataclass
class _Call:
    """Requests that are asked together."""

    records: ChatRecords
    given_up: list[DialogGymError] = field(default_factory=list)
    """Why one was given up: it stops those that have not been sent yet."""


class ChatClient:
    """Asks one model. Copies, deep copies and pickles are clients of their own with the same options."""

    def __init__(self, options: ChatOptions, role: str) -> None:
        """Sends nothing yet.

        Args:
            options: Which model, and how.
            role: For the ledger: user, agent or judge.
        """
        self.options, self.role = options, role
        self.server = options.url
        self._link: _Link | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Options and role: connections and keys never travel."""
        return ChatClient, (self.options, self.role)

    def ask(self, requests: Sequence[ChatRequest]) -> list[ChatReply]:
        """One reply per request, in their order.

        Replies that are known are taken from the cache of the run (see `chat_records`); the others are there
        as soon as they have come, also when this ends with an error.

        Raises:
            ChatOutage: the server cannot be reached, is too busy, or gives no usable answers.
            DialogGymError: the server refuses (the key, the model, the request), or the openai package is
                missing.
        """
        call = _Call(current_records())
        replies = [self._known(request, call) for request in requests]
        missing = [place for place, reply in enumerate(replies) if reply is None]
        if missing:
            future = asyncio.run_coroutine_threadsafe(
                self._ask([requests[place] for place in missing], call), _event_loop(os.getpid())
            )
            try:
                found = future.result()
            finally:
                future.cancel()  # Ctrl-C: nothing goes on in the background
            for place, reply in zip(missing, found, strict=True):
                replies[place] = reply
        return [reply for reply in replies if reply is not None]

    # -- what is known

    def _sent(self, request: ChatRequest) -> dict[str, Any]:
        """Everything that is sent, except the key."""
        options = self.options
        longest = "max_completion_tokens" if self.server == OPENAI else "max_tokens"  # its older name
        sent = {
            "model": options.model, "messages": [dict(message) for message in request.messages],
            "seed": request.seed, longest: options.max_tokens, "temperature": options.temperature,
            "top_p": options.top_p, "tools": [dict(tool) for tool in request.tools] or None,
        }  # fmt: skip
        return {name: value for name, value in sent.items() if value is not None}

    def _known(self, request: ChatRequest, call: _Call) -> ChatReply | None:
        if call.records.cache is None:
            return None
        reply = call.records.cache.get(request_key(self.server, self._sent(request)))
        if reply is not None:
            self._book(call, reply, 0.0, 1, cached=True)
        return reply

    def _book(self, call: _Call, reply: ChatReply, seconds: float, attempts: int, *, cached: bool) -> None:
        if call.records.ledger is not None:
            call.records.ledger.book(
                Entry(
                    role=self.role, model=self.options.model, input_tokens=reply.input_tokens,
                    output_tokens=reply.output_tokens, cost=cost_of(reply, self.options.prices),
                    seconds=round(seconds, 6), attempts=attempts, cached=cached, empty=reply.empty,
                )
            )  # fmt: skip

    # -- what is asked; all of this runs in the thread of the event loop

    async def _ask(self, requests: Sequence[ChatRequest], call: _Call) -> list[ChatReply]:
        if self._link is None or self._link.process != os.getpid():
            self._link = _Link(self.options)
            end = weakref.finalize(self._link, _hang_up, self._link.client, asyncio.get_running_loop())
            end.atexit = False
        link = self._link
        done = await asyncio.gather(*(self._one(r, call, link) for r in requests), return_exceptions=True)
        if errors := [one for one in done if isinstance(one, BaseException)]:
            raise errors[0]
        return [one for one in done if isinstance(one, ChatReply)]

    async def _one(self, request: ChatRequest, call: _Call, link: "_Link") -> ChatReply:
        """Ask until there is a reply."""
        sent = self._sent(request)
        key = request_key(self.server, sent)
        attempts = empty = 0
        async with link.room:
            for attempt in range(self.options.attempts):
                if call.given_up:
                    raise call.given_up[0]
                began, attempts = await link.turn(), attempts + 1
                outcome = await self._attempt(sent, link)
                last = attempt == self.options.attempts - 1
                if isinstance(outcome, ChatReply):
                    self._book(call, outcome, time.monotonic() - began, attempts, cached=False)
                    attempts, empty = 0, empty + outcome.empty
                    if last or not outcome.empty or empty == EMPTY_ATTEMPTS:
                        return call.records.cache.put(key, outcome) if call.records.cache else outcome
                    outcome = Fault("gave an empty reply", True)
                if last or not outcome.passes:
                    call.given_up.append(outcome.error(self.server, attempt + 1))
                    raise call.given_up[-1]
                await link.rest(
                    pause(attempt, self.options.backoff, int(key[:16], 16), outcome.wait), outcome
                )
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, sent: Mapping[str, Any], link: "_Link") -> ChatReply | Fault:
        ask, timeout = link.client.chat.completions.create, self.options.timeout
        try:
            async with asyncio.timeout(timeout):
                answer = await ask(**sent, **(_STREAMED if self.options.stream else {}))
            return read_reply(await whole(answer, timeout) if self.options.stream else answer)
        except Exception as error:
            return fault_of(error, link.api, self.options.model, self.options.api_key_env, link.hide)


class _Link:
    """The connections of a client in one process."""

    def __init__(self, options: ChatOptions) -> None:
        """Reads the key; connects with the first request.

        Raises:
            DialogGymError: the openai package is missing, or the address or the key can be none.
        """
        self.api, self.process = _openai(), os.getpid()
        key = os.environ.get(options.api_key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise DialogGymError(f"${options.api_key_env} holds characters that no API key has")
        self.hide: Callable[[str], str] = lambda text: text.replace(key, "***") if key else text
        self.pace, self.room = Pace(options.requests_per_minute), asyncio.Semaphore(options.concurrency)
        try:
            self.client = self.api.AsyncOpenAI(
                base_url=options.url, api_key=key or "none", timeout=options.timeout, max_retries=0
            )
        except Exception as error:  # the library's and its transport's, e.g. for a malformed address
            raise DialogGymError(
                f"{options.url} is no address of a server: {self.hide(one_line(error))}"
            ) from None

    async def turn(self) -> float:
        """Waits until a request may be sent; the time then, in seconds."""
        if (wait := self.pace.wait(time.monotonic())) > 0:
            await asyncio.sleep(wait)
        return time.monotonic()

    async def rest(self, seconds: float, fault: Fault) -> None:
        """Waits after a fault; if the server asked for it, nobody sends in the meantime."""
        if fault.wait:
            self.pace.rest(time.monotonic() + fault.wait)
        await asyncio.sleep(seconds)


@lru_cache(maxsize=1)
def _event_loop(process: int) -> asyncio.AbstractEventLoop:
    """The event loop of this process, in a thread of its own (a forked process has lost its parent's)."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=_thread(process), daemon=True).start()
    return loop


def _thread(process: int) -> str:
    return f"dialog-gym-chat-{process}"


def _hang_up(client: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Close the connections of a client that nobody has any more."""
    if any(thread.name == _thread(os.getpid()) for thread in threading.enumerate()):  # not a fork's
        asyncio.run_coroutine_threadsafe(client.close(), loop)


def _openai() -> Any:
    try:
        import openai
    except ModuleNotFoundError:
        raise DialogGymError(
            "models on a server need the openai package: pip install 'dialog-gym[openai]'"
        ) from None
    return openai
