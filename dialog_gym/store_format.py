"""The format of a trajectory store: its header line, guidelines lines, digests and one-line errors."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from dialog_gym.core import DialogGymError, Record, Trajectory

FORMAT: Final = "dialog-gym-trajectories"
FORMAT_VERSION: Final = 1
Key: TypeAlias = tuple[str, int]


def config_hash(config: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of ``config`` as canonical JSON (sorted keys, no spaces, UTF-8)."""
    return digest_of(canonical(config))


class StoreHeader(Record):
    """What produced a store: equal headers mean that runs may be continued in, or compared through, one file.

    ``config_hash`` is computed from ``config`` when left out, and checked when given.
    """

    format: Literal["dialog-gym-trajectories"] = FORMAT
    format_version: Literal[1] = FORMAT_VERSION
    suite: str
    suite_version: int
    agent: str
    simulator: str
    config: Mapping[str, Any] = Field(default_factory=dict)
    config_hash: str = Field(default_factory=lambda data: config_hash(data.get("config", {})))
    simulator_hash: str = ""
    package_version: str = ""
    seed: int = 0

    @model_validator(mode="after")
    def _hash_matches(self) -> Self:
        if self.config_hash != config_hash(self.config):
            raise ValueError(f"config_hash {self.config_hash!r} is not that of config")
        return self


class GuidelinesLine(Record):
    """The line that holds guidelines texts by their digest."""

    guidelines: Mapping[str, str]

    def line(self) -> bytes:
        """The line as written."""
        return self.model_dump_json().encode() + b"\n"


def key_of(trajectory: Trajectory) -> Key:
    """``(task_id, trial)``: what an episode is resumed, sorted and paired by."""
    return trajectory.task.id, trajectory.trial


def canonical(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8.

    Raises:
        DialogGymError: the value is not plain JSON with text keys.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise DialogGymError(f"a config must be plain JSON with text keys: {error}") from error


def digest_of(data: bytes) -> str:
    """First 16 hex digits of the SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def header_line(header: StoreHeader) -> bytes:
    """Line 1 of a store."""
    return canonical(header.model_dump()) + b"\n"


def cannot_write(path: Path, error: OSError) -> DialogGymError:
    """The error to raise when the disk refuses a write."""
    return DialogGymError(f"cannot write {path}: {error.strerror or error}")


def cannot_read(path: Path, error: OSError) -> DialogGymError:
    """The error to raise when a file cannot be read."""
    return DialogGymError(f"cannot read {path}: {error.strerror or error}")
