"""The predictions file, and what is wrong with one.

The format of the published evaluator: ``{dialogue id: [{"response": ..., "state": {domain: {slot: value}},
"active_domains": [...]}, ...]}``, ids in lower case without ``.json``, one entry per system turn. "state"
and "active_domains" are optional. If one turn of the file lacks its state, the gold states are taken for
all turns; if one lacks its active domains, they are estimated for all: so the published evaluator does it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dialog_gym.benchmarks.multiwoz_corpus.corpus import Corpus, dialogue_id
from dialog_gym.benchmarks.multiwoz_corpus.slots import State
from dialog_gym.core import DialogGymError


@dataclass(frozen=True)
class PredictedTurn:
    """What a system said in one turn; None for what the file does not give."""

    response: str
    state: State | None
    active: Sequence[str] | None


Predictions = Mapping[str, Sequence[PredictedTurn]]
"""Turns by dialogue id."""


def read_predictions(path: Path, corpus: Corpus, partial: bool = False) -> Predictions:
    """Read and check a predictions file.

    Args:
        path: The file.
        corpus: What it should cover.
        partial: Accept that dialogues, or the last turns of some, are missing: so are they in some published
            files, and the published evaluator scores what there is.

    Raises:
        DialogGymError: one line that names the first thing wrong and what would be right.
    """
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise DialogGymError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise DialogGymError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict) or not found:
        raise DialogGymError(
            f"{path}: predictions are an object {{dialogue id: [turns]}}, not {_kind(found)}"
        )
    predictions = {name: _dialogue(f"{path}: {name}", turns) for name, turns in found.items()}
    for name, turns in predictions.items():
        _check_dialogue(f"{path}: {name}", name, len(turns), corpus, partial)
    missing = sorted(corpus.dialogues.keys() - predictions.keys())
    if missing and not partial:
        raise DialogGymError(
            f"{path}: {len(missing):,} of {len(corpus.dialogues):,} test dialogues are missing, for example "
            f"{missing[0]}; --partial scores only what is there"
        )
    return predictions


def _check_dialogue(where: str, name: str, turns: int, corpus: Corpus, partial: bool) -> None:
    gold = corpus.dialogues.get(name)
    if gold is None:
        raise DialogGymError(f"{where}: {_unknown(name, corpus)}")
    wanted = len(gold.references)
    if turns > wanted or not turns or (turns < wanted and not partial):
        hint = "; --partial scores only what is there" if 0 < turns < wanted else ""
        raise DialogGymError(f"{where}: {turns} turns, but the dialogue has {wanted} system turns{hint}")


def _unknown(name: str, corpus: Corpus) -> str:
    plain = dialogue_id(name)
    split = corpus.splits.get(plain)
    if split == "test":
        return f"ids are written in lower case without .json: {plain}"
    if split is not None:
        return f"a dialogue of the {split} split; this evaluation is of the test split"
    return "no dialogue of MultiWOZ has this id"


def _dialogue(where: str, turns: Any) -> list[PredictedTurn]:
    _need(turns, list, where, "a list of turns")
    return [_turn(f"{where}, turn {number}", turn) for number, turn in enumerate(turns)]


def _turn(where: str, turn: Any) -> PredictedTurn:
    _need(turn, dict, where, 'an object with "response"')
    if "response" not in turn:
        raise DialogGymError(f'{where}: has no "response"')
    _need(turn["response"], str, f"{where}, response", "a string")
    state = _state(f"{where}, state", turn["state"]) if "state" in turn else None
    active = turn.get("active_domains")
    if "active_domains" in turn:
        _need(active, list, f"{where}, active_domains", "a list of strings")
        for domain in active:
            _need(domain, str, f"{where}, active_domains", "a list of strings")
    return PredictedTurn(turn["response"], state, active)


def _state(where: str, state: Any) -> State:
    _need(state, dict, where, "an object {domain: {slot: value}}")
    for domain, slots in state.items():
        _need(slots, dict, f"{where}, {domain}", "an object {slot: value}")
        for slot, value in slots.items():
            _need(value, str, f"{where}, {domain}, {slot}", "a string")
    return cast(State, state)


def _need(value: Any, wanted: type, where: str, right: str) -> None:
    if not isinstance(value, wanted):
        raise DialogGymError(f"{where}: must be {right}, not {_kind(value)}")


def _kind(value: Any) -> str:
    names = {dict: "an empty object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return "an object" if isinstance(value, dict) and value else names.get(type(value), "a number")
