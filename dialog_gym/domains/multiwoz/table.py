"""MultiWOZ as a Hugging Face ``datasets.Dataset``, read once from the release and then from an Arrow file.

Columns: ``dialogue_id``, ``split``, ``goal`` (JSON of `goals.MultiWozGoal`, "" without one) and ``turns``,
a list of ``role``, ``text``, ``acts`` (JSON acts, as `dialog_gym.acts.parse_acts` reads them), ``state``
(JSON of ``DOMAIN-SLOT`` to values) and ``domains``. Acts and states are texts because Arrow wants the same
keys in every row.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from dialog_gym.core import DialogGymError, DialogueAct
from dialog_gym.domains.multiwoz import layouts
from dialog_gym.domains.multiwoz.corpus import CorpusDialogue, CorpusTurn, find_source, load_dialogues
from dialog_gym.domains.multiwoz.goals import MultiWozGoal
from dialog_gym.domains.multiwoz.releases import folder_of
from dialog_gym.downloads import cache_folder
from dialog_gym.files import replacing

FORMAT: Final = 1
"""Raised when the columns, or how the release is read, change: old Arrow files are then left alone."""

_ACTS: Final = TypeAdapter(tuple[DialogueAct, ...])
_STATE: Final = TypeAdapter(Mapping[str, tuple[str, ...]])


def load_table(split: str, data_dir: Path | str | None = None, source: str | None = None) -> Any:
    """A split as a ``datasets.Dataset``, one row per dialogue, memory-mapped from the user's cache folder.

    Args:
        split: train, validation or test.
        data_dir: The data folder; default $DIALOG_GYM_DATA, else the user's cache.
        source: One of `corpus.SOURCES`; default the first that is there.

    Raises:
        DialogGymError: as `corpus.load_dialogues`, or `datasets` is not installed.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise DialogGymError("datasets is not installed; pip install 'dialog-gym[data]'") from error
    folder = folder_of(data_dir)
    chosen = find_source(split, folder, source)
    path = cache_folder() / "multiwoz" / f"{chosen}-{split}-{_fingerprint(chosen, split, folder)}.arrow"
    if not path.is_file():
        rows = [to_row(dialogue) for dialogue in load_dialogues(split, data_dir, chosen)]
        _write(datasets.Dataset.from_list(rows, features=_features(datasets)).data.table, path)
    return datasets.Dataset.from_file(str(path))


def to_row(dialogue: CorpusDialogue) -> dict[str, Any]:
    """A dialogue as a row of the table."""
    return {
        "dialogue_id": dialogue.id,
        "split": dialogue.split,
        "goal": dialogue.goal.model_dump_json() if dialogue.goal else "",
        "turns": [
            {
                "role": turn.role,
                "text": turn.text,
                "acts": _ACTS.dump_json(turn.acts).decode(),
                "state": _STATE.dump_json(turn.state).decode(),
                "domains": list(turn.domains),
            }
            for turn in dialogue.turns
        ],
    }


def from_row(row: Mapping[str, Any]) -> CorpusDialogue:
    """The dialogue that `to_row` was given."""
    turns = tuple(
        CorpusTurn(
            role=turn["role"],
            text=turn["text"],
            acts=_ACTS.validate_json(turn["acts"]),
            state=_STATE.validate_json(turn["state"]),
            domains=tuple(turn["domains"]),
        )
        for turn in row["turns"]
    )
    goal = MultiWozGoal.model_validate_json(row["goal"]) if row["goal"] else None
    return CorpusDialogue(id=row["dialogue_id"], split=row["split"], goal=goal, turns=turns)


def _features(datasets: Any) -> Any:
    text = datasets.Value("string")
    turn = {"role": text, "text": text, "acts": text, "state": text, "domains": [text]}
    return datasets.Features({"dialogue_id": text, "split": text, "goal": text, "turns": [turn]})


def _fingerprint(source: str, split: str, folder: Path) -> str:
    """Of the files a table is made from: their paths, sizes and times; the goals of 2.2 come from 2.1."""
    paths = layouts.files_of(source, split, folder)
    for other in ("2.1", "2.1-convlab2"):
        paths += layouts.files_of(other, split, folder)
    facts = [[str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for p in paths]
    return hashlib.blake2b(json.dumps([FORMAT, facts]).encode(), digest_size=8).hexdigest()


def _write(table: Any, path: Path) -> None:
    """An Arrow stream, which `datasets` maps into memory; complete or not there at all."""
    pyarrow = importlib.import_module("pyarrow")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as working,
        working.open("wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
