"""Reading a trajectory store: record by record, with damage told by file and line."""

import gzip
import json
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from dialog_gym.core import DialogGymError, Task, Trajectory
from dialog_gym.store_format import (
    FORMAT,
    FORMAT_VERSION,
    GuidelinesLine,
    StoreHeader,
    cannot_read,
    digest_of,
)


class Store(NamedTuple):
    """A whole store in memory. ``truncated``: a cut-off last line was left out."""

    header: StoreHeader
    trajectories: list[Trajectory]
    truncated: bool


def read_trajectories(path: str | os.PathLike[str]) -> Iterator[Trajectory]:
    """Yield a store's trajectories one by one, in file order.

    A cut-off last line is skipped with a `UserWarning`.

    Raises:
        DialogGymError: naming file and line, when the file is missing, empty, not a store, of another format
            version, or damaged before its last line.
    """
    reader = StoreReader(Path(path))
    yield from reader
    if reader.truncated:
        warnings.warn(f"{path}: the last line is cut off and was skipped", stacklevel=2)


def read_store(path: str | os.PathLike[str]) -> Store:
    """Read a whole store; errors as in `read_trajectories`, a cut-off last line is told by ``truncated``."""
    reader = StoreReader(Path(path))
    trajectories = list(reader)
    return Store(reader.header, trajectories, reader.truncated)


class StoreReader:
    """Iterates a store's trajectories; ``good`` is the length of the whole records read so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.guidelines: dict[str, str] = {}
        self.truncated = False
        self.unended = False  # the last record is whole but lacks its newline
        self.good = 0
        self.number = 0
        self._lines = self._read()
        first = next(self._lines, None)
        if first is None:
            raise DialogGymError(f"{path}: is empty, not a trajectory store")
        self.header = self._header(first)
        self._advance(first)

    def __iter__(self) -> Iterator[Trajectory]:
        for line in self._lines:
            try:
                found = self._record(line)
            except DialogGymError:
                if line.endswith(b"\n"):
                    raise
                self.truncated = True
                return
            self._advance(line)
            if found is not None:
                yield found

    def _advance(self, line: bytes) -> None:
        self.good += len(line)
        self.unended = not line.endswith(b"\n")

    def _read(self) -> Iterator[bytes]:
        opener = gzip.open if self.path.suffix == ".gz" else open
        try:
            with opener(self.path, "rb") as file:
                for line in file:
                    self.number += 1
                    yield line
        except EOFError:  # a compressed file without its end
            self.truncated = True
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DialogGymError(
                f"{self.path}, after line {self.number}: not valid gzip ({error})"
            ) from error
        except FileNotFoundError as error:
            raise DialogGymError(f"{self.path}: no such file") from error
        except OSError as error:
            raise cannot_read(self.path, error) from error

    def _header(self, line: bytes) -> StoreHeader:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise DialogGymError(f"{self.path}, line 1: not a trajectory store (no {FORMAT!r} header)")
        version = found.get("format_version")
        if version != FORMAT_VERSION:
            raise DialogGymError(
                f"{self.path}: written in format version {version}; this is version {FORMAT_VERSION}; "
                "read it with the dialog-gym release that wrote it"
            )
        try:
            return StoreHeader.model_validate(found)
        except ValidationError as error:
            raise self._error(error) from error

    def _record(self, line: bytes) -> Trajectory | None:
        """A trajectory; None for a guidelines line, which is kept aside."""
        try:
            if line.lstrip(b" \t{").startswith(b'"guidelines"'):
                self._keep(GuidelinesLine.model_validate_json(line))
                return None
            return self._restore(Trajectory.model_validate_json(line))
        except ValidationError as error:
            raise self._error(error) from error

    def _keep(self, found: "GuidelinesLine") -> None:
        for digest, text in found.guidelines.items():
            if digest != digest_of(text.encode()):
                raise DialogGymError(f"{self.path}, line {self.number}: guidelines {digest} were altered")
            self.guidelines[digest] = text

    def _restore(self, trajectory: Trajectory) -> Trajectory:
        task: Task = trajectory.task
        if not task.guidelines.startswith("@"):
            return trajectory
        text = self.guidelines.get(task.guidelines[1:])
        if text is None:
            raise DialogGymError(
                f"{self.path}, line {self.number}: guidelines {task.guidelines} are not defined above"
            )
        return trajectory.model_copy(update={"task": task.model_copy(update={"guidelines": text})})

    def _error(self, error: ValidationError) -> DialogGymError:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return DialogGymError(
            f"{self.path}, line {self.number}: {place + ': ' if place else ''}{first['msg']}"
        )
