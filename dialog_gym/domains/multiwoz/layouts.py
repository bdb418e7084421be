"""How the releases lay dialogues out: JSON read into plain turns, one form for 2.2 and 2.1."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dialog_gym.domains.multiwoz.corpus_acts import ActReader
from dialog_gym.domains.multiwoz.ontology import DOMAINS
from dialog_gym.domains.multiwoz.releases import FILES
from dialog_gym.domains.multiwoz.slots import slot_name

_FOLDERS: Final = {"train": "train", "validation": "dev", "test": "test"}
_CONVLAB: Final = {"train": "train", "validation": "val", "test": "test"}
_LISTS: Final = {"validation": "valListFile", "test": "testListFile"}
_UNSET: Final = frozenset(("", "none", "not mentioned"))


def files_of(source: str, split: str, folder: Path) -> list[Path]:
    """The files a split is read from; empty unless all of them are there."""
    if source == "2.2":
        prefix = f"MultiWOZ_2.2/{_FOLDERS[split]}/"
        names = [name for name in FILES if name.startswith(prefix)] + ["MultiWOZ_2.2/dialog_acts.json"]
    elif source == "2.1-convlab2":
        names = [f"convlab2_multiwoz21/{_CONVLAB[split]}.json.zip"]
    else:
        names = ["MultiWOZ_2.1.zip"]
    paths = [folder / name for name in names]
    return paths if all(path.is_file() for path in paths) else []


def read_2_2(split: str, folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Ids and turns (the fields of `corpus.CorpusTurn`) of the files of 2.2."""
    *dialogues, acts_file = files_of("2.2", split, folder)
    acts = _read_json(acts_file)
    for path in dialogues:
        for raw in _read_json(path):
            identity = raw["dialogue_id"]
            yield _bare(identity), _turns_of_2_2(raw, acts.get(identity, {}))


def _turns_of_2_2(raw: Mapping[str, Any], labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    reader = ActReader(raw["services"])
    turns: list[dict[str, Any]] = []
    domains: tuple[str, ...] = ()
    for turn in raw["turns"]:
        of_user = turn["speaker"] == "USER"
        state: dict[str, tuple[str, ...]] = {}
        if of_user:
            frames = turn["frames"]
            domains = tuple(f["service"] for f in frames if f["state"]["active_intent"] != "NONE")
            for frame in frames:
                state |= {slot: tuple(v) for slot, v in frame["state"]["slot_values"].items() if v}
        said = labels.get(turn["turn_id"], {})
        acts = reader.read(said.get("dialog_act", {}), of_user=of_user)
        turns.append(_turn(of_user, turn["utterance"], acts, state, domains))
    return turns


def read_schema(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    """Domain to slot to its closed values (none for an open slot), from ``schema.json`` of 2.2."""
    return {
        service["service_name"]: {
            slot["name"].partition("-")[2]: tuple(slot["possible_values"]) if slot["is_categorical"] else ()
            for slot in service["slots"]
        }
        for service in _read_json(path)
    }


def read_2_1(source: str, split: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ids and raw dialogues, ``{"goal": ..., "log": [...]}``, of the files of 2.1."""
    (path,) = files_of(source, split, folder)
    with zipfile.ZipFile(path) as archive:
        if source == "2.1-convlab2":
            (name,) = [name for name in archive.namelist() if name.endswith(".json")]
            yield from json.loads(archive.read(name)).items()
            return
        yield from _of_split(archive, split)


def _of_split(archive: zipfile.ZipFile, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The official 2.1: one file, with the ids of validation and test in lists beside it."""
    members = {Path(name).stem: name for name in archive.namelist()}
    listed = {
        other: {_bare(line) for line in archive.read(members[file]).decode().split()}
        for other, file in _LISTS.items()
    }
    for name, raw in json.loads(archive.read(members["data"])).items():
        identity = _bare(name)
        own = next((other for other, ids in listed.items() if identity in ids), "train")
        if own == split:
            yield identity, raw


def turns_of_2_1(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turns (the fields of `corpus.CorpusTurn`); the state that 2.1 has on replies goes to users' turns."""
    reader = ActReader([domain for domain in DOMAINS if raw["goal"].get(domain)])
    log = raw["log"]
    turns: list[dict[str, Any]] = []
    domains: tuple[str, ...] = ()
    known: dict[str, tuple[str, ...]] = {}
    for i, turn in enumerate(log):
        of_user = i % 2 == 0
        labels = turn.get("dialog_act")  # a text, or nothing, where a turn was not annotated
        acts = reader.read(labels if isinstance(labels, Mapping) else {}, of_user=of_user)
        state: dict[str, tuple[str, ...]] = {}
        if of_user:
            state = _state_of_2_1(log[i + 1]["metadata"]) if i + 1 < len(log) else known
            changed = [slot.partition("-")[0] for slot, value in state.items() if known.get(slot) != value]
            named = [act.intent.partition("_")[0] for act in acts]
            domains = tuple(d for d in DOMAINS if d in changed or d in named) or domains
            known = state
        turns.append(_turn(of_user, turn["text"].strip(), acts, state, domains))
    return turns


def _state_of_2_1(metadata: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    state: dict[str, tuple[str, ...]] = {}
    for domain in DOMAINS:
        parts = metadata.get(domain, {})
        for part in ("semi", "book"):
            for slot, value in parts.get(part, {}).items():
                values = value.split("|") if isinstance(value, str) else value
                if slot != "booked" and (known := tuple(one for one in values if one not in _UNSET)):
                    state[f"{domain}-{slot_name(domain, slot, booking=part == 'book')}"] = known
    return state


def _turn(of_user: bool, text: str, acts: Any, state: Any, domains: tuple[str, ...]) -> dict[str, Any]:
    role = "user" if of_user else "assistant"
    return {"role": role, "text": text, "acts": acts, "state": state, "domains": domains}


def _bare(identity: str) -> str:
    return identity.removesuffix(".json")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())
