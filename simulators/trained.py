"""Folders of trained users: a model in Hugging Face format, and a card that says how it was trained."""

from importlib.resources import files
from pathlib import Path
from typing import Final

CARD: Final = "user.json"
"""In the folder of every model that was trained to play users: it is prompted in the compact style."""


def shipped_user() -> Path:
    """The folder of the shipped user model; it may not exist (then the shipped language model stands in)."""
    return Path(str(files("dialog_gym.simulators"))) / "user"
