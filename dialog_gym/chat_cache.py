"""Replies of served models on disk, by everything that was sent: what is known is not asked again.

One SQLite file; every reply is in it when `put` returns, and a process that is killed leaves it whole.
Several processes may share it. The first reply to a request stays: whoever asks the same at the same time
gets it, too.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from dialog_gym.chat_reply import ChatReply
from dialog_gym.core import DialogGymError
from dialog_gym.store_format import canonical

FORMAT: Final = 1
_MAGIC: Final = b"SQLite format 3\0"
_WAIT: Final = 60.0
"""Seconds to wait for another process that writes."""


def request_key(server: str, sent: Mapping[str, Any]) -> str:
    """SHA-256 of the server's address and of everything that is sent there except the API key."""
    return hashlib.sha256(canonical({"server": server, "sent": dict(sent)})).hexdigest()


class ChatCache:
    """Replies by the key of their request. The file is made when the first reply comes."""

    def __init__(self, path: Path) -> None:
        """Names the file, which may exist."""
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> ChatReply | None:
        """The reply to a request, or None.

        Raises:
            DialogGymError: the file is no cache.
        """
        if self._connection is None and not self.path.exists():
            return None
        rows = self._execute("SELECT reply FROM replies WHERE key = ?", (key,))
        try:
            return ChatReply.model_validate_json(rows[0][0]) if rows else None
        except ValidationError as error:
            raise self._damaged(error) from None

    def put(self, key: str, reply: ChatReply) -> ChatReply:
        """Keep a reply; returns the one that is kept, which is the first.

        Raises:
            DialogGymError: the file is no cache, or cannot be written.
        """
        self._execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, reply.model_dump_json()))
        return self.get(key) or reply

    def close(self) -> None:
        """Close the file; it opens again when needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def remove(self) -> None:
        """Delete the file with what belongs to it."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _execute(self, statement: str, values: tuple[str, ...]) -> list[tuple[str]]:
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = self._open()
                with self._connection as transaction:
                    return transaction.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            raise self._damaged(error) from None

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and _start(self.path) not in (b"", _MAGIC):
            raise sqlite3.DatabaseError("it is something else")  # SQLite would take over very short files
        connection = sqlite3.connect(self.path, timeout=_WAIT, check_same_thread=False)
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"it has format {found}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT)")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _damaged(self, error: Exception) -> DialogGymError:
        reason = str(error).splitlines()[0]
        return DialogGymError(
            f"{self.path} cannot be used as a cache of replies ({reason}): delete it or name another file"
        )


def _start(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(len(_MAGIC))
