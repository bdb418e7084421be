"""Openly licensed dialogues between people, as turns: what language models of both sides are trained on."""

import csv
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

from dialog_gym.core import Role, Turn

SPEAKERS: Final[tuple[Role, Role]] = ("user", "assistant")
_JOIN_LEFT: Final = re.compile(r" (n't|'(?:s|m|d|ll|re|ve)\b|[.,!?;:)%])", re.IGNORECASE)
_JOIN_RIGHT: Final = re.compile(r"([(£$]) ")


class Source(NamedTuple):
    """An open corpus: whose it is, its licence, and the dialogues in its folder with their ids."""

    authors: str
    licence: str
    read: Callable[[Path], Iterator[tuple[str, list[Turn]]]]


def detokenised(text: str) -> str:
    """Text whose words, punctuation and clitics are separated by blanks, as people write it."""
    return _JOIN_RIGHT.sub(r"\1", _JOIN_LEFT.sub(r"\1", " ".join(text.split())))


def merged(said: Iterable[tuple[Role, str]]) -> list[Turn]:
    """Turns; what one speaker says in several utterances without an answer is one turn."""
    turns: list[Turn] = []
    for role, text in said:
        text = " ".join(text.split())
        if turns and turns[-1].role == role and text:
            text = f"{turns.pop().text} {text}"
        if text:
            turns.append(Turn(role=role, text=text))
    return turns


def read_multiwoz(root: Path) -> Iterator[tuple[str, list[Turn]]]:
    """MultiWOZ 2.1, validation split: ids and turns of the dialogues below the data folder ``root``."""
    with zipfile.ZipFile(root / "multiwoz/convlab2_multiwoz21/val.json.zip") as archive:
        dialogues = json.loads(archive.read("val.json"))
    for name, dialogue in dialogues.items():
        texts = [detokenised(turn["text"]) for turn in dialogue["log"]]
        yield name, merged(zip(cycle(SPEAKERS), texts, strict=False))


def read_camrest(root: Path) -> Iterator[tuple[str, list[Turn]]]:
    """CamRest676, training split."""
    with zipfile.ZipFile(root / "camrest676/train.json.zip") as archive:
        dialogues = json.loads(archive.read("train.json"))
    for dialogue in dialogues:
        texts = [s for turn in dialogue["dial"] for s in (turn["usr"]["transcript"], turn["sys"]["sent"])]
        yield str(dialogue["dialogue_id"]), merged(zip(cycle(SPEAKERS), texts, strict=False))


def read_star(root: Path) -> Iterator[tuple[str, list[Turn]]]:
    """Complete dialogues only; the wizard's requests to the knowledge base are not said."""
    speakers: dict[str, Role] = {"User": "user", "Wizard": "assistant"}
    with tarfile.open(root / "star/dialogues.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None or not member.name.endswith(".json"):
                continue
            dialogue = json.load(file)
            if dialogue["CompletionLevel"] == "Complete":
                said = [e for e in dialogue["Events"] if e["Action"] in ("utter", "pick_suggestion")]
                said = [e for e in said if e["Agent"] in speakers]
                yield str(dialogue["DialogueID"]), merged((speakers[e["Agent"]], e["Text"]) for e in said)


def read_multidogo(root: Path) -> Iterator[tuple[str, list[Turn]]]:
    """The customer's turns only: the agent's are not in the annotated release."""
    with zipfile.ZipFile(root / "multidogo/paper_splits_annotated_at_turn_level.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith("train.tsv")):
            conversations: dict[str, list[Turn]] = {}
            with io.TextIOWrapper(archive.open(name), "utf-8", newline="") as file:
                for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                    if text := " ".join((row["utterance"] or "").split()):
                        turn = Turn(role="user", text=text)
                        conversations.setdefault(row["conversationId"], []).append(turn)
            yield from conversations.items()


SOURCES: Final = {
    "MultiWOZ 2.1, validation": Source(
        "Budzianowski et al. 2018, Eric et al. 2020, Zhu et al. 2020",
        "MIT; ConvLab-2's edition Apache-2.0",
        read_multiwoz,
    ),
    "CamRest676, train": Source("Wen et al. 2017", "CC BY 4.0", read_camrest),
    "STAR, complete dialogues": Source("Mosig et al. 2020", "MIT", read_star),
    "MultiDoGO, train, customer turns": Source("Peskov et al. 2019", "CDLA-Permissive-1.0", read_multidogo),
}
