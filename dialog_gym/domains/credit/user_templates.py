"""Loads `user_wording.toml`: what customers may say, as compiled templates."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from dialog_gym.core import Scalar
from dialog_gym.domains.credit.ontology import USER_ACTS

VERBOSITIES: Final = ("terse", "neutral", "chatty")
_CHOICE = re.compile(r"\[([^\]]*)\]")
_PROFILE_SLOT = re.compile(r"\{(surname|tail)\}")


@dataclass(frozen=True)
class Template:
    """A sentence as a row of choices, and the profile slots it cannot do without."""

    parts: tuple[tuple[str, ...], ...]
    needs: frozenset[str]


@dataclass(frozen=True)
class Templates:
    """The parsed `user_wording.toml` with compiled templates."""

    groups: Mapping[tuple[str, Scalar, str], tuple[Template, ...]]
    styled: Mapping[tuple[str, str], tuple[Template, ...]]
    openers: Mapping[str, Sequence[str]]
    closers: Mapping[str, Sequence[str]]
    style_openers: Mapping[str, Sequence[str]]
    hedges: Mapping[str, Sequence[str]]
    slang: Mapping[str, Sequence[str]]
    topics: Mapping[str, Sequence[str]]
    values: Mapping[str, Mapping[str, Sequence[str]]]


@lru_cache(maxsize=1)
def templates() -> Templates:
    """The shipped templates; read and compiled once."""
    raw: dict[str, Any] = tomllib.loads(
        (files("dialog_gym.domains.credit") / "user_wording.toml").read_text("utf-8")
    )
    groups: dict[tuple[str, Scalar, str], tuple[Template, ...]] = {}
    for intent in USER_ACTS:
        variants = {None: raw[intent]} if "neutral" in raw[intent] else raw[intent]
        for variant, lists in variants.items():
            for verbosity in VERBOSITIES:
                groups[intent, variant, verbosity] = tuple(map(_compiled, lists[verbosity]))
    styled = {
        (style, intent): tuple(map(_compiled, lines))
        for style, intents in raw["style"].items()
        for intent, lines in intents.items()
    }
    return Templates(
        groups, styled, raw["openers"], raw["closers"], raw["style_openers"], raw["hedges"],
        raw["code_words"], raw["topics"], raw["values"],
    )  # fmt: skip


def _compiled(template: str) -> Template:
    parts = tuple(
        tuple(part.split("|")) if i % 2 else (part,) for i, part in enumerate(_CHOICE.split(template)) if part
    )
    return Template(parts, frozenset(_PROFILE_SLOT.findall(template)))
