"""The dialogues of MultiWOZ 2.2 and 2.1 in one typed form.

Three sources, all with the corpus's own splits and the ids of the corpus without ``.json``:

- ``2.2``: ``MultiWOZ_2.2/SPLIT/dialogues_*.json`` and ``dialog_acts.json``; goals come from 2.1, where they
  are.
- ``2.1-convlab2``: ConvLab-2's 2.1 with user acts (``convlab2_multiwoz21/SPLIT.json.zip``); its text is
  tokenised ("I do n't care .").
- ``2.1``: ``MultiWOZ_2.1.zip``; acts as far as the file has them.
"""

import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from pydantic import Field

from dialog_gym.core import DialogGymError, DialogueAct, Record, Role
from dialog_gym.domains.multiwoz import layouts
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.goals import MultiWozGoal, read_goal
from dialog_gym.domains.multiwoz.releases import folder_of, missing
from dialog_gym.plugins import nearest

Split: TypeAlias = Literal["train", "validation", "test"]
Source: TypeAlias = Literal["2.2", "2.1-convlab2", "2.1"]
T = TypeVar("T")
SPLITS: Final[tuple[Split, ...]] = get_args(Split)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
"""In the order in which they are looked for."""


class CorpusTurn(Record):
    """One utterance.

    ``state`` is the belief state after a user's turn, ``DOMAIN-SLOT`` to the values that count as right, as
    the corpus writes them (`values.normal` gives one spelling); assistant turns have none. ``domains`` are
    those the user is busy with.
    """

    role: Role
    text: str
    acts: tuple[DialogueAct, ...] = ()
    state: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    domains: tuple[str, ...] = ()


class CorpusDialogue(Record):
    """One dialogue of the corpus; ``goal`` is None where only the 2.2 files are there."""

    id: str
    split: Split
    goal: MultiWozGoal | None
    turns: tuple[CorpusTurn, ...]


def load_dialogues(
    split: str, data_dir: Path | str | None = None, source: str | None = None
) -> Iterator[CorpusDialogue]:
    """The dialogues of a split, in the order of the files.

    Args:
        split: train, validation or test.
        data_dir: The data folder; default $DIALOG_GYM_DATA, else the user's cache.
        source: One of `SOURCES`; default the first that is there.

    Raises:
        DialogGymError: an unknown name, data that is not there (with the command that gets it), or damaged.
    """
    folder = folder_of(data_dir)
    chosen = find_source(split, folder, source)
    return _dialogues(_split(split), folder, chosen)


def find_source(split: str, folder: Path, source: str | None = None) -> Source:
    """The source to read a split from: ``source``, or the first that is there.

    Raises:
        DialogGymError: an unknown name, or data that is not there.
    """
    wanted = _split(split)
    if source is not None and source not in SOURCES:
        raise DialogGymError(f"unknown source {source!r}; {nearest(source, SOURCES)}")
    for one in SOURCES:
        if source in (None, one) and layouts.files_of(one, wanted, folder):
            return one
    raise missing(f"MultiWOZ {source or ''} ({split})".replace("  ", " "), folder)


def _split(split: str) -> Split:
    for one in SPLITS:
        if split == one:
            return one
    raise DialogGymError(f"unknown split {split!r}; {nearest(split, SPLITS)}")


def load_goals(split: str, data_dir: Path | str | None = None) -> dict[str, MultiWozGoal]:
    """The goals of a split by dialogue id, from whichever 2.1 files are there.

    Raises:
        DialogGymError: an unknown split, or data that is not there.
    """
    folder, wanted = folder_of(data_dir), _split(split)
    for source in ("2.1", "2.1-convlab2"):
        if layouts.files_of(source, wanted, folder):
            records = _readable(layouts.read_2_1(source, wanted, folder), folder)
            return {identity: read_goal(identity, raw["goal"], load_database()) for identity, raw in records}
    raise missing(f"MultiWOZ 2.1 with the goals ({split})", folder)


def load_schema(data_dir: Path | str | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    """The schema of 2.2: domain to slot to its closed values, none for an open slot.

    Raises:
        DialogGymError: data that is not there, or damaged.
    """
    folder = folder_of(data_dir)
    path = folder / "MultiWOZ_2.2" / "schema.json"
    if not path.is_file():
        raise missing("MultiWOZ_2.2/schema.json", folder)
    (schema,) = _readable((layouts.read_schema(one) for one in (path,)), folder)
    return schema


def _dialogues(split: Split, folder: Path, source: Source) -> Iterator[CorpusDialogue]:
    if source == "2.2":
        goals = _goals_if_there(split, folder)
        for identity, turns in _readable(layouts.read_2_2(split, folder), folder):
            yield CorpusDialogue(id=identity, split=split, goal=goals.get(identity), turns=_typed(turns))
        return
    for identity, raw in _readable(layouts.read_2_1(source, split, folder), folder):
        goal = read_goal(identity, raw["goal"], load_database())
        turns = layouts.turns_of_2_1(raw)
        yield CorpusDialogue(id=identity, split=split, goal=goal, turns=_typed(turns))


def _typed(turns: list[dict[str, Any]]) -> tuple[CorpusTurn, ...]:
    return tuple(CorpusTurn(**turn) for turn in turns)


@lru_cache(maxsize=3)
def _goals_if_there(split: Split, folder: Path) -> Mapping[str, MultiWozGoal]:
    try:
        return load_goals(split, folder.parent)
    except DialogGymError:
        return {}


def _readable(records: Iterator[T], folder: Path) -> Iterator[T]:
    """The records, with damage reported in one line."""
    try:
        yield from records
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DialogGymError(
            f"MultiWOZ in {folder} cannot be read: {type(error).__name__}: {error}"
        ) from None
