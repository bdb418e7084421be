"""What served models were asked for and what it cost, by role: user, agent, judge.

A ledger on disk has one JSON line per answered request, so that a run that was killed and taken up again
knows all that it has spent.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from dialog_gym.chat_reply import ChatReply
from dialog_gym.core import DialogGymError, Record

MILLION: Final = 1_000_000


class Entry(Record):
    """One answered request."""

    role: str
    model: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    """What the server says, else tokens times prices, else None (unknown)."""
    seconds: float
    """From sending to the answer, waits between attempts left out; 0 when cached."""
    attempts: int
    cached: bool
    empty: bool


def cost_of(reply: ChatReply, prices: tuple[float, float] | None) -> float | None:
    """What a reply cost; ``prices`` are for a million tokens of input and of output."""
    if reply.cost is not None or prices is None:
        return reply.cost
    return (reply.input_tokens * prices[0] + reply.output_tokens * prices[1]) / MILLION


class Ledger:
    """Entries, in memory and, with a path, in a file that is appended to."""

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        """Begins.

        Args:
            path: The file; made with the first entry.
            resume: Go on with what the file holds.

        Raises:
            DialogGymError: the file to go on with is no ledger.
        """
        self.path = path
        self.entries: list[Entry] = []
        self._lock = threading.Lock()
        if path is not None and path.exists():
            self.entries = _read(path) if resume else []
            _rewrite(path, self.entries)

    def book(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            DialogGymError: the file cannot be written.
        """
        with self._lock:
            self.entries.append(entry)
            if self.path is None:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(entry.model_dump_json() + "\n")
            except OSError as error:
                raise DialogGymError(f"cannot write {self.path}: {error.strerror or error}") from None

    def summary(self) -> dict[str, dict[str, float]]:
        """Sums per role, in the order of their names; see `totals`."""
        roles = sorted({entry.role for entry in self.entries})
        return {role: totals([entry for entry in self.entries if entry.role == role]) for role in roles}


def totals(entries: list[Entry]) -> dict[str, float]:
    """Sums over entries.

    ``requests`` were answered by the server and ``cached`` by the cache; tokens, ``cost``, ``retries`` and
    ``empty`` are of the former only: what was paid for. Latencies are in seconds. A cost or a latency that is
    not known is left out.
    """
    fresh = [entry for entry in entries if not entry.cached]
    found: dict[str, float] = {
        "requests": len(fresh),
        "cached": len(entries) - len(fresh),
        "retries": sum(entry.attempts - 1 for entry in fresh),
        "empty": sum(entry.empty for entry in fresh),
        "input_tokens": sum(entry.input_tokens for entry in fresh),
        "output_tokens": sum(entry.output_tokens for entry in fresh),
    }
    costs = [entry.cost for entry in fresh if entry.cost is not None]
    if costs and len(costs) == len(fresh):
        found["cost"] = round(sum(costs), 9)
    if fresh:
        seconds = [entry.seconds for entry in fresh]
        found["latency_mean"] = round(float(np.mean(seconds)), 4)
        found["latency_p95"] = round(float(np.quantile(seconds, 0.95)), 4)
    return found


def told(role: str, sums: Mapping[str, float]) -> str:
    """One line about a role's sums, for people."""
    line = f"{role}: {sums['requests']:,} requests"
    line += f", {sums['cached']:,} more from the cache" if sums["cached"] else ""
    line += f", {sums['input_tokens']:,} tokens in and {sums['output_tokens']:,} out"
    line += f", {sums['retries']:,} retries" if sums["retries"] else ""
    line += f", {sums['empty']:,} empty replies" if sums["empty"] else ""
    line += f", cost {sums['cost']:,.4f}" if "cost" in sums else ""
    return line + (f", {sums['latency_mean']:.2f} s each" if "latency_mean" in sums else "")


def _read(path: Path) -> list[Entry]:
    """The whole lines; one that was cut off by a crash is dropped."""
    lines = path.read_text("utf-8", errors="replace").split("\n")[:-1]
    try:
        return [Entry(**json.loads(line)) for line in lines]
    except (ValueError, TypeError, ValidationError):
        raise DialogGymError(f"{path} is no ledger of served models: delete it") from None


def _rewrite(path: Path, entries: list[Entry]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text("".join(entry.model_dump_json() + "\n" for entry in entries), "utf-8")
    os.replace(part, path)
