"""Pretrain the tiny language model on the corpus of ``lm_corpus.py``, with the tokenizer already trained.

    python scripts/train_language_model.py train [--minutes M | --tokens N] [--resume]
    python scripts/train_language_model.py publish       # export the last checkpoint, also a half-trained one
    python scripts/train_language_model.py evaluate FOLDER

Half of the tokens are the credit shop's. Ctrl-C saves a checkpoint. Initial weights, data order and schedule
are functions of the corpus, ``--seed`` and ``--tokens``.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve their neighbours

import signal
import time
from pathlib import Path
from threading import Event
from typing import Annotated, Final

import numpy as np
import torch
import typer
from lm_card import perplexities, table, write_card
from lm_run import BATCH, LENGTH, Run, Settings, export, learning_rate, load, new_run, save, update
from lm_tokens import Tokens, blocks, read_tokens
from transformers import PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from dialog_gym.core import DialogGymError
from dialog_gym.lm.shipped import shipped_model

PROBE: Final = 12
"""Steps whose speed is measured to turn minutes into tokens."""
SHOWN: Final = 25
CORPUS: Final = Path("runs/lm/corpus.jsonl")
CHECKPOINT: Final = Path("runs/lm/checkpoint.pt")
CorpusFile = Annotated[Path, typer.Option(help="The corpus.")]
CheckpointFile = Annotated[Path, typer.Option(help="The checkpoint.")]
OutputFolder = Annotated[Path | None, typer.Option(help="Folder with the tokenizer; default the shipped.")]
app = typer.Typer(add_completion=False)


def measured_budget(minutes: float, tokens: Tokens, tokenizer: PreTrainedTokenizerFast, seed: int) -> int:
    """Tokens that this machine can train on in ``minutes`` now, by a trial of a few steps."""
    trial = new_run(Settings(PROBE * BATCH * LENGTH, seed, ""), tokenizer)
    data = blocks(tokens, trial.settings.tokens, LENGTH, seed)
    update(trial, data[:BATCH])  # the first step is slow
    began = time.monotonic()
    for _ in range(1, PROBE):
        update(trial, data[trial.step * BATCH : (trial.step + 1) * BATCH])
    rate = (PROBE - 1) * BATCH * LENGTH / (time.monotonic() - began)
    return int(rate * minutes * 60)


def fit(run: Run, tokens: Tokens, checkpoint: Path, every: float, stop: Event) -> None:
    """Train to the end of the budget or until ``stop`` is set; a checkpoint every ``every`` minutes."""
    data = blocks(tokens, run.settings.tokens, LENGTH, run.settings.seed)
    saved, losses = time.monotonic(), list[float]()
    run.model.train()
    while run.step < run.settings.steps and not stop.is_set():
        began = time.monotonic()
        losses.append(update(run, data[run.step * BATCH : (run.step + 1) * BATCH]))
        run.seconds += time.monotonic() - began
        if run.step % SHOWN == 0 or run.step == run.settings.steps:
            report(run, float(np.mean(losses)))
            losses.clear()
        if time.monotonic() - saved > every * 60:
            save(run, checkpoint)
            saved = time.monotonic()
    save(run, checkpoint)


def stop_on_signals(stop: Event) -> None:
    """Ctrl-C and kill finish the step first, so that a checkpoint is whole; the second time they kill."""

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)


def report(run: Run, loss: float) -> None:
    """One line of progress."""
    rate, left = run.seen / run.seconds, run.settings.steps - run.step
    minutes = left * run.seconds / run.step / 60
    typer.echo(
        f"step {run.step:,}/{run.settings.steps:,}  loss {loss:.3f}  {rate:,.0f} tokens/s  "
        f"rate {learning_rate(run.step, run.settings.steps):.1e}  {minutes:.0f} min left"
    )


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a folder; never looked for on a hub."""
    if not (folder / "tokenizer.json").is_file():
        raise DialogGymError(f"there is no tokenizer.json in {folder}; run scripts/train_tokenizer.py first")
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer


def published(run: Run, folder: Path, tokens: Tokens) -> None:
    """Export, measure what was exported, and write the card."""
    export(run, folder)
    facts = {
        "Updates": f"{run.step:,} of {run.settings.steps:,}, each on {BATCH} sequences of {LENGTH} tokens",
        "Tokens": f"{run.seen:,}",
        "Time": f"{run.seconds / 60:.0f} minutes on {torch.get_num_threads()} CPU thread",
        "Speed": f"{run.seen / max(run.seconds, 1e-9):,.0f} tokens/s",
        "Seed": str(run.settings.seed),
    }
    write_card(folder, tokens, facts)
    typer.echo(f"published {folder}")


@app.command()
def train(
    minutes: Annotated[
        float | None, typer.Option(help="Budget in minutes at the speed measured now.", min=0.1)
    ] = None,
    tokens: Annotated[int, typer.Option(help="Budget in tokens.", min=1)] = 10_000_000,
    seed: Annotated[int, typer.Option(help="Fixes weights, data order and schedule.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    corpus: CorpusFile = CORPUS,
    checkpoint: CheckpointFile = CHECKPOINT,
    every: Annotated[float, typer.Option(help="Minutes between checkpoints.")] = 5.0,
    output: OutputFolder = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
) -> None:
    """Train, and publish the trained model."""
    torch.set_num_threads(threads)
    folder = output or shipped_model()
    tokenizer = read_tokenizer(folder)
    data = read_tokens(corpus, tokenizer)
    if resume:
        run = load(checkpoint, tokenizer)
        if run.settings.corpus != data.hash:
            raise DialogGymError(f"{checkpoint} was trained on another corpus; train without --resume")
    else:
        budget = tokens if minutes is None else measured_budget(minutes, data, tokenizer, seed)
        run = new_run(Settings(budget, seed, data.hash), tokenizer)
    typer.echo(f"{run.settings}: {run.settings.steps:,} steps")
    stop = Event()
    stop_on_signals(stop)
    fit(run, data, checkpoint, every, stop)
    if stop.is_set():
        raise SystemExit(f"interrupted; saved {checkpoint}: go on with --resume, or publish it")
    published(run, folder, data)


@app.command()
def publish(
    corpus: CorpusFile = CORPUS,
    checkpoint: CheckpointFile = CHECKPOINT,
    output: OutputFolder = None,
) -> None:
    """Export a checkpoint, finished or not."""
    torch.set_num_threads(1)
    folder = output or shipped_model()
    tokenizer = read_tokenizer(folder)
    published(load(checkpoint, tokenizer), folder, read_tokens(corpus, tokenizer))


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A model folder.")],
    corpus: CorpusFile = CORPUS,
) -> None:
    """Held-out perplexity per source."""
    torch.set_num_threads(1)
    tokenizer = read_tokenizer(folder)
    typer.echo(table(perplexities(folder, read_tokens(corpus, tokenizer))))


if __name__ == "__main__":
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        app()
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
