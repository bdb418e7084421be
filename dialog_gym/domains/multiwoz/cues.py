"""Loads `cues.toml`: what the readers look for, as compiled patterns."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dialog_gym.domains.multiwoz.bookings import CARS, COLOURS

NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
"""Number words, each at the place of its number."""


@lru_cache(maxsize=1)
def _file() -> Mapping[str, Any]:
    return tomllib.loads((files("dialog_gym.domains.multiwoz") / "cues.toml").read_text("utf-8"))


def patterns(section: str) -> dict[str, re.Pattern[str]]:
    """The patterns of a section by name, in the order of the file."""
    lettered = "|".join(NUMBERS[1:])
    parts = {
        "<number>": rf"(?:\d{{1,4}}|{lettered})",
        "<lettered>": lettered,
        "<colour>": "|".join(COLOURS),
        "<car>": "|".join(CARS),
        "<listed>": f"(?:{'|'.join(_file()['parts']['listed'])})",
    }
    found = {}
    for name, alternatives in _file()[section].items():
        pattern = "|".join(alternatives)
        for part, stands_for in parts.items():
            pattern = pattern.replace(part, stands_for)
        found[name] = re.compile(pattern)
    return found
