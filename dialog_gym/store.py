"""Trajectories on disk: JSON Lines that can be appended to, resumed, checked and read back exactly.

Line 1 is a `StoreHeader`. Every other line is one `Trajectory`, or ``{"guidelines": {digest: text}}``: a
guidelines text repeats across tasks, so it is written once, before its first use, and tasks hold
``"@digest"`` instead. Nothing that varies between equal runs is stored (no clock, host or path): same seed,
same bytes.

A name ending in ``.gz`` is gzip-compressed. A last line cut off by a crash is tolerated and reported; any
other damage is an error that names file and line.
"""

import contextlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from dialog_gym.core import DialogGymError, Trajectory
from dialog_gym.files import replacing
from dialog_gym.store_format import (
    GuidelinesLine,
    Key,
    StoreHeader,
    cannot_read,
    cannot_write,
    canonical,
    config_hash,
    digest_of,
    header_line,
    key_of,
)
from dialog_gym.store_reading import Store, StoreReader, read_store, read_trajectories

__all__ = [
    "Key",
    "Store",
    "StoreHeader",
    "TrajectoryWriter",
    "config_hash",
    "key_of",
    "read_store",
    "read_trajectories",
    "write_sorted",
    "write_store",
]


def write_store(
    path: str | os.PathLike[str], header: StoreHeader, trajectories: Iterable[Trajectory]
) -> None:
    """Write a store in canonical (task id, trial) order, replacing ``path`` in one step."""
    target = Path(path)
    try:
        with replacing(target) as working:
            working.touch()  # where the disk refuses, the error is to name the target
            with TrajectoryWriter(working, header, overwrite=True) as writer:
                for trajectory in sorted(trajectories, key=key_of):
                    writer.write(trajectory)
    except OSError as error:
        raise cannot_write(target, error) from error


def write_sorted(path: str | os.PathLike[str]) -> Store:
    """Rewrite a store in canonical order, so that its bytes do not tell how many workers wrote it.

    Returns:
        The store as read, before sorting; look at ``truncated`` to learn whether a cut-off line was dropped.
    """
    store = read_store(path)
    write_store(path, store.header, store.trajectories)
    return store


class TrajectoryWriter:
    """Appends trajectories to a store; every record is in the file when `write` returns.

    Args:
        path: the file; ``.gz`` compresses (and cannot be resumed).
        header: what produces the trajectories.
        resume: continue an existing store, whose header must be the same. A cut-off last line is removed (the
            file is shortened in one step) and told in ``recovered``.
        overwrite: replace an existing file. Without it and without ``resume`` an existing file is an error.

    Attributes:
        finished: the ``(task_id, trial)`` keys already in the store.
        recovered: what a resume repaired, or None.

    Raises:
        DialogGymError: when the file exists, its header differs, it is damaged, or the disk refuses.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: StoreHeader,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        """Open the file and write or check its header."""
        self.path = Path(path)
        self.finished: set[Key] = set()
        self.recovered: str | None = None
        self._known: set[str] = set()
        self._good = 0  # length of the file up to its last whole record
        compress = self.path.suffix == ".gz"
        if compress and resume:
            raise DialogGymError(f"{path}: a compressed store cannot be resumed; write it without .gz")
        self._compressor = zlib.compressobj(wbits=31) if compress else None  # 31: gzip format, no clock
        self._broken = False
        first_line = header_line(header)
        fresh = not (resume and self._resume(header, first_line))
        if fresh and not (resume or overwrite) and self.path.exists() and self.path.stat().st_size:
            raise DialogGymError(f"{path} already exists: resume it, or choose another path")
        try:
            self._file = open(self.path, "wb" if fresh else "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise cannot_write(self.path, error) from error
        if fresh:
            self._append(first_line)

    def write(self, trajectory: Trajectory) -> None:
        """Append one trajectory; after an error the file still ends with the last whole record."""
        task = trajectory.task
        try:
            digest = digest_of(task.guidelines.encode())
            lines = b""
            if task.guidelines:
                task = task.model_copy(update={"guidelines": f"@{digest}"})
                if digest not in self._known:
                    lines = GuidelinesLine(guidelines={digest: trajectory.task.guidelines}).line()
            lines += trajectory.model_copy(update={"task": task}).model_dump_json().encode() + b"\n"
        except ValueError as error:  # pydantic's serialisation error is one
            reason = str(error).splitlines()[0]
            raise DialogGymError(
                f"{self.path}: task {task.id!r} cannot be stored as JSON: {reason}"
            ) from error
        self._append(lines)
        self._known.add(digest)
        self.finished.add(key_of(trajectory))

    def close(self) -> None:
        """Finish the file. Closing twice is harmless."""
        if self._file.closed:
            return
        if self._compressor is not None and not self._broken:
            self._append(b"", last=True)
        self._file.close()

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _append(self, data: bytes, last: bool = False) -> None:
        if self._broken or self._file.closed:
            raise DialogGymError(f"{self.path}: the store is closed after an earlier error; resume it")
        if self._compressor is not None:
            data = self._compressor.compress(data)
            data += self._compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        view = memoryview(data)
        try:
            while view:  # an unbuffered write may take only a part
                view = view[self._file.write(view) :]
        except OSError as error:
            self._broken = True
            self._cut_back()
            raise cannot_write(self.path, error) from error
        self._good += len(data)

    def _cut_back(self) -> None:
        """Drop a half-written record; where even that fails, readers skip the cut-off line."""
        with contextlib.suppress(OSError):
            self._file.truncate(self._good)
        self._file.close()

    def _resume(self, header: StoreHeader, first_line: bytes) -> bool:
        """Take over what is in the file. False: there is nothing, start afresh."""
        try:
            start = self.path.read_bytes() if self.path.stat().st_size < len(first_line) else None
        except FileNotFoundError:
            return False
        except OSError as error:
            raise cannot_read(self.path, error) from error
        if start is not None and first_line.startswith(start):
            self.recovered = f"{self.path}: held only a part of its header; started afresh" if start else None
            return False
        reader = StoreReader(self.path)
        _same_header(self.path, reader.header, header)
        self.finished = {key_of(trajectory) for trajectory in reader}
        self._known = set(reader.guidelines)
        self._good = reader.good
        extra = self.path.stat().st_size - reader.good
        if extra or reader.unended:
            os.truncate(self.path, reader.good)
        if extra:
            self.recovered = (
                f"{self.path}: removed a cut-off last line of {extra} bytes; its episode runs again"
            )
        if reader.unended:
            with open(self.path, "ab") as file:
                self._good += file.write(b"\n")
        return True


def _same_header(path: Path, old: StoreHeader, new: StoreHeader) -> None:
    for name in StoreHeader.model_fields:
        before, now = getattr(old, name), getattr(new, name)
        if name == "config":
            before, now = canonical(before), canonical(now)
            changed = [k for k in {**old.config, **new.config} if old.config.get(k) != new.config.get(k)]
            name = f"config ({', '.join(changed)})" if changed else name
        if before != now:
            raise DialogGymError(
                f"{path} cannot be resumed: {name} is {_short(before)} in the file and {_short(now)} now"
            )


def _short(value: object) -> str:
    text = value.decode() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
