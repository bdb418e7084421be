"""Folders of trained users: a model in Hugging Face format, and a card that says how it was trained."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from dialog_gym.core import DialogGymError

CARD: Final = "user.json"
"""In the folder of every model that was trained to play users: it is prompted in the compact style."""


def shipped_user() -> Path:
    """The folder of the shipped user model; it may not exist (then the shipped language model stands in)."""
    return Path(str(files("dialog_gym.simulators"))) / "user"


def card_of(folder: Path) -> dict[str, Any]:
    """The card of a trained user; empty for other models.

    Raises:
        DialogGymError: the card is damaged.
    """
    path = folder / CARD
    if not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DialogGymError(f"{path} is no card of a user model: {error}; train it again") from None
    if not isinstance(card, dict):
        raise DialogGymError(f"{path} is no card of a user model: it holds no object; train it again")
    return card
