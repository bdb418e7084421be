"""Collect the dialogues the tiny language model is trained on, as chat messages in one JSONL file.

    python scripts/lm_corpus.py [--output FILE] [--data-dir DATA]

Openly licensed dialogues between people (`SOURCES`), and dialogues of the credit shop played by agents of
mixed quality on the train split. One dialogue in `HOLD_OUT` of every source is held out, by a hash of its id.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple, get_args

import typer

from dialog_gym.agents.learning.demonstrators import demonstrate
from dialog_gym.agents.lm.prompts import Dialect, messages, opened_by, system_message
from dialog_gym.core import DialogGymError, Trajectory
from dialog_gym.files import replacing
from dialog_gym.lm.chat import Message
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.real_dialogues import SOURCES

HOLD_OUT: Final = 20
LEVELS: Final = range(7)
ACTS_SHARE: Final = 0.35
"""Share of the shop's dialogues that are also written in acts."""
CREDIT: Final[dict[Dialect, str]] = {"text": "credit shop, words", "acts": "credit shop, acts"}


class Document(NamedTuple):
    """One dialogue as messages; ``held_out`` ones are never trained on."""

    source: str
    id: str
    held_out: bool
    messages: list[Message]


def chosen(purpose: str, dialogue_id: str, share: float) -> bool:
    """Whether a dialogue is in a random ``share`` of all dialogues: a function of its id."""
    return mix(text_key(purpose), text_key(dialogue_id)) < share * 2**64


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
    counts = Counter[str]()
    with replacing(output) as working, working.open("w", encoding="utf-8") as file:
        for documents in (
            open_dialogues(root),
            shop_dialogues("proactive_sale", sales, seed),
            shop_dialogues("customer_service", services, seed),
        ):
            for document in documents:
                counts[document.source] += 1
                file.write(json.dumps(document._asdict(), ensure_ascii=False) + "\n")
    for source, count in counts.items():
        typer.echo(f"{count:7,} {source}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
