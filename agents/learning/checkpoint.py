"""A run's folder on disk: the trained agent, and what it takes to go on. Complete or unchanged, never half.

Everything is first written beside its place and then moved there, the card last. A run that is killed while
it moves files leaves the newer ``checkpoint.pt`` or the older one, and goes on exactly from either.
"""

import io
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from dialog_gym.agents.learning.algorithm import Algorithm
from dialog_gym.agents.learning.card import CARD, AgentCard
from dialog_gym.agents.learning.settings import flag
from dialog_gym.agents.learning.trainer import Position
from dialog_gym.core import DialogGymError

CHECKPOINT: Final = "checkpoint.pt"
_STAGING, _FORMAT = ".saving", 1


def exists(folder: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (folder / CHECKPOINT).exists()


def save(folder: Path, card: AgentCard, algorithm: Algorithm, position: Position) -> None:
    """Write agent and checkpoint.

    Raises:
        DialogGymError: they cannot be written, e.g. the disk is full; what was there before is intact.
    """
    staging = folder / _STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        _stage(staging, card, algorithm, position)
        found = [path.relative_to(staging) for path in sorted(staging.rglob("*")) if path.is_file()]
        for name in sorted(found, key=lambda name: (name.name == CARD, name)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / name, folder / name)
    # libraries report a full disk in their own ways
    except (OSError, RuntimeError, SafetensorError) as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else error
        kept = "the checkpoint before it is intact" if exists(folder) else "nothing was saved before"
        raise DialogGymError(f"{folder}: the checkpoint cannot be written: {cause}; {kept}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(staging: Path, card: AgentCard, algorithm: Algorithm, position: Position) -> None:
    algorithm.policy.save(staging)
    state = {
        "format": _FORMAT,
        "position": asdict(position),
        "options": dict(card.config),
        "state": algorithm.state(),
    }
    memory = io.BytesIO()  # torch hides what went wrong with a file
    torch.save(state, memory)
    (staging / CHECKPOINT).write_bytes(memory.getbuffer())
    (staging / CARD).write_text(card.model_dump_json(indent=2) + "\n", "utf-8")


def restore(
    folder: Path,
    algorithm: Algorithm,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> Position:
    """Take up the run in a folder.

    Args:
        folder: Of the run.
        algorithm: As it was made for the run; gets its state.
        options: Of the present command, which must be those of the run.
        defaults: See `compare`.

    Returns:
        Where the run is.

    Raises:
        DialogGymError: there is no checkpoint, it cannot be read, or it is of a run with other options.
    """
    found = _read(folder / CHECKPOINT)
    compare(folder, found["options"], options, defaults)
    try:
        algorithm.load_state(found["state"])
    except (KeyError, ValueError, RuntimeError):
        raise DialogGymError(f"{folder / CHECKPOINT} is of another model than this run's") from None
    return Position(**found["position"])


def options_of(folder: Path) -> Mapping[str, Any]:
    """The options of the run in a folder.

    Raises:
        DialogGymError: there is no checkpoint, or it cannot be read.
    """
    found: Mapping[str, Any] = _read(folder / CHECKPOINT)["options"]
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DialogGymError(f"{path.parent} holds no run to go on with: there is no {path.name}") from None
    except OSError as error:
        raise DialogGymError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # unpickling a damaged file may fail in any way
        raise DialogGymError(f"{path} cannot be read ({type(error).__name__}): it is damaged") from None
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise DialogGymError(f"{path} is no checkpoint of this version of dialog-gym")
    return found


def compare(
    folder: Path,
    made: Mapping[str, Any],
    wanted: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """See that a run is taken up with the options it was made with.

    Args:
        folder: Of the run.
        made: Its options.
        wanted: Those of the present command.
        defaults: What a run made before some option existed is taken to have been made with.

    Raises:
        DialogGymError: naming the first option that differs.
    """
    made = {**(defaults or {}), **made}
    for name in dict.fromkeys([*made, *wanted]):
        if made.get(name) != wanted.get(name):
            was, now = _shown(made.get(name)), _shown(wanted.get(name))
            raise DialogGymError(
                f"{folder} was made with {flag(name)} {was}, not {now}: go on with the same options, "
                "or choose another --out"
            )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={one:g}" for name, one in value.items())
    return str(value)
