"""The goals of the corpus that ship with the package: validation and test, without the users' instructions.

Suites play them, so that everybody plays the same goals whether or not the corpus is there.
"""

import gzip
import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dialog_gym.domains.multiwoz.goals import DomainGoal, MultiWozGoal

SPLITS: Final = ("validation", "test")
_FILE: Final = "goals.json.gz"


def pack(goals: Iterable[MultiWozGoal]) -> list[list[Any]]:
    """Goals in short: id, then by domain what `DomainGoal` has, without its empty parts."""
    return [
        [goal.id, {domain: part.model_dump(exclude_defaults=True) for domain, part in goal.domains.items()}]
        for goal in goals
    ]


def unpack(packed: Iterable[list[Any]]) -> tuple[MultiWozGoal, ...]:
    """The goals that `pack` was given, without their messages."""
    return tuple(
        MultiWozGoal(id=identity, domains={name: DomainGoal(**part) for name, part in domains.items()})
        for identity, domains in packed
    )


@lru_cache(maxsize=len(SPLITS))
def shipped_goals(split: str) -> tuple[MultiWozGoal, ...]:
    """The goals of one of `SPLITS`, in the corpus's order."""
    data = gzip.decompress((files("dialog_gym.domains.multiwoz") / _FILE).read_bytes())
    return unpack(json.loads(data)[split])
