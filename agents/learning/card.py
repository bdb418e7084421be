"""The card of a trained agent: what its folder says about it. Needs no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from dialog_gym.core import DialogGymError, Record

CARD: Final = "agent.json"


class AgentCard(Record):
    """How an agent came to be, beside its weights."""

    format: Literal["dialog-gym-agent"] = "dialog-gym-agent"
    format_version: Literal[1] = 1
    name: str
    algorithm: str
    backbone: str
    """``net`` or ``lm``."""
    domain: str
    seed: int
    env_steps: int
    """Environment steps it has learnt from; demonstrations are counted apart."""
    demonstrations: int
    """Demonstrated dialogues it has learnt from."""
    temperature: float = 0.0
    """How it plays: 0 takes the likeliest decision, 1 samples."""
    config: Mapping[str, Any]
    """The options of its training."""
    model: Mapping[str, Any]
    """The backbone's own: ``hidden`` (net); ``base``, ``dialect``, ``prompt``, ``lora`` (lm)."""
    versions: Mapping[str, str]


def read_card(folder: Path) -> AgentCard:
    """The card of a trained agent's folder.

    Raises:
        DialogGymError: there is none, or it cannot be read.
    """
    path = folder / CARD
    try:
        return AgentCard.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        wanted = "`dialog-gym train` writes such folders"
        raise DialogGymError(f"{folder} is no trained agent: it holds no {CARD}; {wanted}") from None
    except OSError as error:
        raise DialogGymError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise DialogGymError(f"{path} is no agent card: not a text in UTF-8") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise DialogGymError(f"{path} is no agent card: {where}: {first['msg']}") from None
