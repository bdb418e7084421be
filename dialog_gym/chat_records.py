"""Where clients of served models keep replies and book costs while a run is under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from dialog_gym.chat_cache import ChatCache
from dialog_gym.chat_ledger import Ledger


@dataclass
class ChatRecords:
    """What the clients of a run share; without either, nothing is kept."""

    ledger: Ledger | None = None
    cache: ChatCache | None = None


_CURRENT: ContextVar[ChatRecords | None] = ContextVar("chat_records", default=None)


def current_records() -> ChatRecords:
    """Those of the run that is under way; outside of runs nothing is kept."""
    return _CURRENT.get() or ChatRecords()


@contextmanager
def known_replies(cache: Path | None) -> Iterator[None]:
    """Take replies from a file, and keep further ones there; nothing is booked. None changes nothing."""
    if cache is None:
        yield
        return
    kept = ChatCache(cache)
    token = _CURRENT.set(ChatRecords(cache=kept))
    try:
        yield
    finally:
        _CURRENT.reset(token)
        kept.close()


@contextmanager
def chat_records(run: Path, *, resume: bool | None, cache: Path | None = None) -> Iterator[ChatRecords]:
    """Keep replies and book costs of all clients used inside, on disk, so that a run can be taken up again.

    Args:
        run: The run's file; ``RUN.usage.jsonl`` beside it is the ledger and stays. ``RUN.replies.sqlite`` is
            the cache: it is there to take the run up again, and goes when everything is done.
        resume: Go on with both files, or else start afresh; None goes on with a run that was stopped.
        cache: Keep replies in this file instead, which stays: a later run with it does not ask again.
    """
    own = ChatCache(run.with_name(f"{run.name}.replies.sqlite"))
    if resume is None:
        resume = own.path.exists()
    if not resume:
        own.remove()
    kept = own if cache is None else ChatCache(cache)
    records = ChatRecords(Ledger(run.with_name(f"{run.name}.usage.jsonl"), resume=resume), kept)
    token = _CURRENT.set(records)
    try:
        yield records
        own.remove()
    finally:
        _CURRENT.reset(token)
        kept.close()
