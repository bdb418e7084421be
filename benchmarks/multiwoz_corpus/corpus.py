"""What predictions are measured against: goals, bookings, gold states and references of the test dialogues.

Rules, from ``utils.py`` and the shipped ``goals.json`` and ``booked_domains.json`` of the published
evaluator:

- **Goals** are those of MultiWOZ 2.1's ``data.json``. ``info`` gives the constraints; ``reqt`` the
  requestables phone, address, postcode and trainID, the others are not asked for; ``book`` adds the
  reference.
- **Bookings**: a domain counts as booked from the first system turn on whose belief state lists a booking.
- **Gold states** are MultiWOZ 2.2's: of each user turn, the first of the values of each slot; a slot that
  may be "dontcare" is left out, and so is a domain without slots.
- **References** are MultiWOZ 2.2's system utterances. The spans of ``dialog_acts.json``, in the order of
  their starts, become ``[slot]``; one that starts inside an earlier one is skipped, and so is a value
  "dontcare". The result is normalised as predictions are.

Where the dialogue files of 2.2 are missing, references and gold states come from MultiWOZ 2.1 as ConvLab-2
annotates it (token spans, belief states of system turns): `Corpus.source` says which it is. Inform and
Success of predictions that bring their own states are the same either way; BLEU, and Inform and Success
with gold states, differ somewhat, for the annotations do.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialog_gym.benchmarks.multiwoz_corpus.judging import DomainGoal, Goal
from dialog_gym.benchmarks.multiwoz_corpus.slots import State, normalized_slots, normalized_state
from dialog_gym.benchmarks.multiwoz_corpus.venues import Venues, load_venues
from dialog_gym.benchmarks.multiwoz_corpus.wording import joined, normalized_response
from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.releases import folder_of, missing

DOMAINS = ("taxi", "police", "restaurant", "hospital", "hotel", "attraction", "train")
_BOOKABLE = ("restaurant", "hotel", "train")
_REQUESTABLES = {"phone": "PHONE", "address": "ADDRESS", "postcode": "POST", "trainID": "TRAINID"}
_SLOTS_OF_ACTS = {
    "Addr": "address", "Area": "area", "Arrive": "arriveby", "Car": "type", "Choice": "choice", "Day": "day",
    "Depart": "departure", "Department": "department", "Dest": "destination", "Fee": "entrancefee",
    "Food": "food", "Id": "trainid", "Internet": "internet", "Leave": "leaveat", "Name": "name",
    "Open": "openhours", "Parking": "parking", "People": "bookpeople", "Phone": "phone", "Post": "postcode",
    "Price": "pricerange", "Ref": "ref", "Stars": "stars", "Stay": "bookstay", "Ticket": "price",
    "Time": "booktime", "Type": "type",
}  # fmt: skip


@dataclass(frozen=True)
class GoldDialogue:
    """A test dialogue; all sequences have one entry per system turn."""

    goal: Goal
    booked: Sequence[frozenset[str]]
    states: Sequence[State]
    references: Sequence[str]


@dataclass(frozen=True)
class Corpus:
    """The test split and the databases.

    Attributes:
        dialogues: By id as in predictions: lower case, without ``.json``.
        splits: The split of each known dialogue id.
        venues: The databases.
        source: "2.2", or "2.1" where references and gold states had to come from there.
    """

    dialogues: Mapping[str, GoldDialogue]
    splits: Mapping[str, str]
    venues: Venues
    source: str


def load_corpus(data_dir: Path | None = None) -> Corpus:
    """The test split of MultiWOZ in ``<data_dir>/multiwoz``.

    Args:
        data_dir: Default: see `dialog_gym.downloads.data_folder`.

    Raises:
        DialogGymError: a file is missing or cannot be read.
    """
    root = folder_of(data_dir)
    files_22 = sorted((root / "MultiWOZ_2.2" / "test").glob("dialogues_*.json"))
    acts_22 = root / "MultiWOZ_2.2" / "dialog_acts.json"
    has_22 = bool(files_22) and acts_22.exists()
    convlab, archive = root / "convlab2_multiwoz21", root / "MultiWOZ_2.1.zip"
    if (convlab / "test.json.zip").exists():
        test, splits = _convlab(convlab)
    elif has_22 and archive.exists():  # its spans count in tokens that it does not give: references need 2.2
        test, splits = _official(archive)
    else:
        raise missing("the test split of MultiWOZ", root)
    gold = _gold_22(files_22, acts_22) if has_22 else _gold_21(test)
    if lacking := test.keys() - gold.keys():
        raise DialogGymError(f"{root / 'MultiWOZ_2.2'}: the test dialogue {min(lacking)} is missing")
    dialogues = {}
    for name, dialogue in test.items():
        states, references = gold[name]
        booked = [_booked(turn) for turn in dialogue["log"][1::2]]
        dialogues[name] = GoldDialogue(_goal(dialogue["goal"]), booked, states, references)
    return Corpus(dialogues, splits, load_venues(root / "db"), "2.2" if has_22 else "2.1")


def dialogue_id(name: str) -> str:
    """A dialogue's id as predictions write it."""
    return name.lower().removesuffix(".json")


_Test = dict[str, Any]
"""The 2.1 test dialogues by id: goals and belief states."""


def _convlab(folder: Path) -> tuple[_Test, dict[str, str]]:
    """The test dialogues of ConvLab-2's 2.1, and the splits that its lists, where they are, tell."""
    archive = folder / "test.json.zip"
    test = _by_id(_json(archive, _member(archive, "test.json")))
    splits: dict[str, str] = {}
    for split, name in (("train", "trainListFile"), ("validation", "valListFile")):
        if (folder / name).exists():
            splits |= dict.fromkeys(_ids((folder / name).read_bytes()), split)
    return test, splits | dict.fromkeys(test, "test")


def _official(archive: Path) -> tuple[_Test, dict[str, str]]:
    """The test dialogues of the official 2.1, and the split of every dialogue."""
    every = _by_id(_json(archive, _member(archive, "data.json")))
    test = {name: every[name] for name in _ids(_member(archive, "testListFile"))}
    validation = _ids(_member(archive, "valListFile"))
    splits = dict.fromkeys(every, "train") | dict.fromkeys(validation, "validation")
    return test, splits | dict.fromkeys(test, "test")


def _by_id(dialogues: Mapping[str, Any]) -> _Test:
    return {dialogue_id(name): dialogue for name, dialogue in dialogues.items()}


def _member(archive: Path, name: str) -> bytes:
    """The file called ``name`` or ``name.txt`` in any folder of a zip archive."""
    try:
        with zipfile.ZipFile(archive) as packed:
            named = [item for item in packed.namelist() if Path(item).name in (name, f"{name}.txt")]
            return packed.read(next(item for item in named if "MACOSX" not in item))
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise DialogGymError(f"{archive}: cannot read {name} ({error})") from None


def _ids(listed: bytes) -> list[str]:
    return [dialogue_id(name) for name in listed.decode("utf-8").split()]


def _json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise DialogGymError(f"{path}: not JSON ({error})") from None


def _goal(goal: Mapping[str, Any]) -> Goal:
    return {domain: _domain_goal(goal[domain]) for domain in DOMAINS if goal.get(domain)}


def _domain_goal(wanted: Mapping[str, Any]) -> DomainGoal:
    requestables = {_REQUESTABLES[slot] for slot in wanted.get("reqt", ()) if slot in _REQUESTABLES}
    booking = {"REFERENCE"} if "book" in wanted else set[str]()
    return DomainGoal(normalized_slots(wanted["info"]), frozenset(requestables | booking))


def _booked(turn: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(domain for domain in _BOOKABLE if turn["metadata"][domain]["book"]["booked"])


_Gold = dict[str, tuple[list[dict[str, dict[str, str]]], list[str]]]
"""States and references of each dialogue."""


def _gold_22(files: Iterable[Path], acts_file: Path) -> _Gold:
    """From the dialogue files of 2.2."""
    acts = _json(acts_file, acts_file.read_bytes())
    gold: _Gold = {}
    for path in files:
        for dialogue in _json(path, path.read_bytes()):
            turns, spans = dialogue["turns"], acts[dialogue["dialogue_id"]]
            states = [normalized_state(_state_22(turn)) for turn in turns[::2]]
            texts = [
                _delexicalized(turn["utterance"], spans[turn["turn_id"]]["span_info"]) for turn in turns[1::2]
            ]
            gold[dialogue_id(dialogue["dialogue_id"])] = states, [normalized_response(text) for text in texts]
    return gold


def _state_22(turn: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    state = {}
    for frame in turn["frames"]:
        found = frame.get("state", {}).get("slot_values", {})
        slots = {name.split("-")[1]: values[0] for name, values in found.items() if "dontcare" not in values}
        if slots:
            state[frame["service"]] = slots
    return state


def _delexicalized(text: str, spans: Iterable[Sequence[Any]]) -> str:
    """Replace spans ``[act, slot, value, start, end]``, in characters, by ``[slot]``."""
    done, parts = 0, []
    for _, slot, value, start, end in sorted(spans, key=lambda span: int(span[3])):
        if start >= done and value != "dontcare":
            parts += [text[done:start], f"[{slot}]"]
            done = end
    return "".join([*parts, text[done:]])


def _gold_21(test: _Test) -> _Gold:
    """From 2.1 as ConvLab-2 gives it."""
    return {
        name: (
            [normalized_state(_state_21(turn["metadata"])) for turn in dialogue["log"][1::2]],
            [normalized_response(_natural(turn)) for turn in dialogue["log"][1::2]],
        )
        for name, dialogue in test.items()
    }


def _state_21(metadata: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """A belief state under the slot names of 2.2, in alphabetical order as there."""
    state = {}
    for domain in DOMAINS:
        book = metadata[domain]["book"].items()
        slots = metadata[domain]["semi"] | {f"book{slot}": value for slot, value in book if slot != "booked"}
        known = {s: str(v) for s, v in slots.items() if v not in ("", "none", "not mentioned", "dontcare")}
        if known:
            state[domain] = dict(sorted(known.items()))
    return state


def _natural(turn: Mapping[str, Any]) -> str:
    """A tokenised system turn with placeholders, put together again: references of 2.2 are natural text."""
    words = turn["text"].split()
    done, natural = 0, list[str]()
    for _, slot, value, start, end in sorted(turn["span_info"], key=lambda span: int(span[3])):
        if start >= done and value != "dontcare":
            natural += [*words[done:start], f"[{_SLOTS_OF_ACTS[slot]}]"]
            done = end + 1
    text = joined([*natural, *words[done:]])
    text = re.sub(r"\[address\](, \[address\])+", "[address]", text)  # 2.2 has one span for a whole address
    return re.sub(r" (?=n't\b)", "", text)
