"""Collect the dialogues the tiny language model is trained on, as chat messages in one JSONL file.

    python scripts/lm_corpus.py [--output FILE] [--data-dir DATA]

Openly licensed dialogues between people (`SOURCES`), and dialogues of the credit shop played by agents of
mixed quality on the train split. One dialogue in `HOLD_OUT` of every source is held out, by a hash of its id.
"""

import csv
import io
import json
import os
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Annotated, Final, NamedTuple, get_args

import typer

from dialog_gym.agents.learning.demonstrators import demonstrate
from dialog_gym.agents.lm.prompts import Dialect, Message, messages, opened_by, system_message
from dialog_gym.core import DialogGymError, Role, Trajectory, Turn
from dialog_gym.noise import mix, text_key

HOLD_OUT: Final = 20
LEVELS: Final = range(7)
ACTS_SHARE: Final = 0.35
"""Share of the shop's dialogues that are also written in acts."""
CREDIT: Final[dict[Dialect, str]] = {"text": "credit shop, words", "acts": "credit shop, acts"}
SPEAKERS: Final[tuple[Role, Role]] = ("user", "assistant")
_JOIN_LEFT: Final = re.compile(r" (n't|'(?:s|m|d|ll|re|ve)\b|[.,!?;:)%])", re.IGNORECASE)
_JOIN_RIGHT: Final = re.compile(r"([(£$]) ")


class Document(NamedTuple):
    """One dialogue as messages; ``held_out`` ones are never trained on."""

    source: str
    id: str
    held_out: bool
    messages: list[Message]


class Source(NamedTuple):
    """An open corpus: whose it is, its licence, and the dialogues in its folder with their ids."""

    authors: str
    licence: str
    read: Callable[[Path], Iterator[tuple[str, list[Turn]]]]


def chosen(purpose: str, dialogue_id: str, share: float) -> bool:
    """Whether a dialogue is in a random ``share`` of all dialogues: a function of its id."""
    return mix(text_key(purpose), text_key(dialogue_id)) < share * 2**64


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
    with zipfile.ZipFile(root / "multiwoz/convlab2_multiwoz21/val.json.zip") as archive:
        dialogues = json.loads(archive.read("val.json"))
    for name, dialogue in dialogues.items():
        texts = [detokenised(turn["text"]) for turn in dialogue["log"]]
        yield name, merged(zip(cycle(SPEAKERS), texts, strict=False))


def read_camrest(root: Path) -> Iterator[tuple[str, list[Turn]]]:
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


def open_dialogues(root: Path) -> Iterator[Document]:
    """The dialogues of all open corpora below ``root``."""
    for name, source in SOURCES.items():
        try:
            for dialogue_id, turns in source.read(root):
                system = system_message({}, "", opened=opened_by(turns))
                held_out = chosen("held out", f"{name}/{dialogue_id}", 1 / HOLD_OUT)
                yield Document(name, dialogue_id, held_out, messages(system, turns))
        except OSError as error:
            raise DialogGymError(f"cannot read {name}: {error}; set DIALOG_GYM_DATA or --data-dir") from None


def shop_dialogues(scenario: str, count: int, seed: int) -> Iterator[Document]:
    """``count`` dialogues of the shop, evenly over `LEVELS`; each in words, some also in acts."""
    for level in LEVELS:
        share = count // len(LEVELS) + (level < count % len(LEVELS))
        for trajectory in demonstrate(share, seed=seed, scenario=scenario, split="train", level=level):
            yield from written(trajectory)


def written(trajectory: Trajectory) -> Iterator[Document]:
    """A dialogue of the shop in words, and in acts when it is one of `ACTS_SHARE`."""
    task, turns = trajectory.task, trajectory.turns
    dialogue_id = f"{task.id}/{trajectory.seed}"
    for dialect in get_args(Dialect):
        if dialect == "text" or chosen("in acts", dialogue_id, ACTS_SHARE):
            profile, opened = task.profile.attributes, opened_by(turns)
            system = system_message(profile, "", dialect=dialect, opened=opened)
            held_out = chosen("held out", task.id, 1 / HOLD_OUT)
            yield Document(CREDIT[dialect], dialogue_id, held_out, messages(system, turns, dialect=dialect))


def read_corpus(path: Path) -> Iterator[Document]:
    """The documents of a file written by this script."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield Document(**json.loads(line))
    except OSError as error:
        raise DialogGymError(f"cannot read {path}: {error}; run scripts/lm_corpus.py first") from None


def main(
    output: Annotated[Path, typer.Option(help="Where the corpus goes.")] = Path("runs/lm/corpus.jsonl"),
    data_dir: Annotated[Path | None, typer.Option(help="The open corpora; default $DIALOG_GYM_DATA.")] = None,
    sales: Annotated[int, typer.Option(help="Dialogues of the proactive sale.")] = 10_000,
    services: Annotated[int, typer.Option(help="Dialogues of customer service.")] = 3_000,
    seed: Annotated[int, typer.Option(help="Fixes the shop's dialogues.")] = 0,
) -> None:
    """Collect the corpus."""
    root = data_dir or Path(os.environ.get("DIALOG_GYM_DATA", ""))
    output.parent.mkdir(parents=True, exist_ok=True)
    working, counts = output.with_suffix(".part"), Counter[str]()
    with working.open("w", encoding="utf-8") as file:
        for documents in (
            open_dialogues(root),
            shop_dialogues("proactive_sale", sales, seed),
            shop_dialogues("customer_service", services, seed),
        ):
            for document in documents:
                counts[document.source] += 1
                file.write(json.dumps(document._asdict(), ensure_ascii=False) + "\n")
    os.replace(working, output)
    for source, count in counts.items():
        typer.echo(f"{count:7,} {source}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
