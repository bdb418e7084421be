"""Supervised training of a user model: many tasks, the loss on what the user writes only."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dialog_gym.lm.chat import ChatFormat
from dialog_gym.lm.loading import load, located, quiet
from dialog_gym.noise import mix
from dialog_gym.simulators.delexical import marked, shown
from dialog_gym.simulators.local import prompt_ids
from dialog_gym.simulators.trained import CARD, card_of
from dialog_gym.simulators.training_data import Example

LONGEST: Final = 320
"""Tokens of an example; of longer ones the beginning is left out."""
POOL: Final = 32
"""Batches that are sorted by length together: little is padded, and the order stays random."""


@dataclass(frozen=True)
class Recipe:
    """How a user model is trained."""

    model: str = ""
    """What to start from: a folder or a name; default the shipped language model."""
    batch: int = 32
    """Examples of one update."""
    rate: float = 1e-3
    """Largest learning rate, after a warm-up of 5 % and before a cosine to a tenth."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""
    seed: int = 0


class Sequenced(NamedTuple):
    """An example as token ids; the loss is on those from ``start`` on."""

    ids: list[int]
    start: int


class Progress(NamedTuple):
    """How far training is."""

    updates: int
    of: int
    loss: float
    """Mean cross-entropy per token of the last update, in nats."""
    tokens: int
    seconds: float


def sequenced(chat: ChatFormat, example: Example) -> Sequenced:
    """The token ids of an example, with marks for values."""
    seen = shown(example.prompt)
    prompt, answer = prompt_ids(chat, seen.prompt), chat.turn(marked(example.target, seen.values))
    left = max(LONGEST - len(answer), 1)
    return Sequenced([*prompt[-left:], *answer][:LONGEST], min(len(prompt), left))


def fit(
    examples: Sequence[Example], recipe: Recipe, folder: Path, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Train on each example once, and write the model's folder.

    Args:
        examples: In the order in which they are learnt (see `training_data.mixed`).
        recipe: How.
        folder: Where the model, its tokenizer and its card go.
        on_progress: Called after every update.

    Returns:
        The card's facts; ``before`` are those of the user model that it started from, if it was one.

    Raises:
        DialogGymError: the model cannot be loaded.
    """
    found, before = load(recipe.model), card_of(Path(located(recipe.model)))
    chat = ChatFormat(found.tokenizer, stop=found.stop)
    data = [sequenced(chat, example) for example in examples]
    batches = list(_batches(data, recipe))
    model: Any = found.model.train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay, fused=True
    )
    began, tokens = time.monotonic(), 0
    for number, batch in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _schedule(number, len(batches))
        loss = _loss(model, batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        tokens += sum(len(one.ids) for one in batch)
        on_progress(Progress(number + 1, len(batches), loss.item(), tokens, time.monotonic() - began))
    facts = {
        "style": "compact",
        "marks": True,
        "examples": len(examples),
        "tokens": tokens,
        "by_task": _counts(examples),
        "recipe": asdict(recipe),
        **({"before": before} if before else {}),
    }
    save(model.eval(), found.tokenizer, folder, facts)
    return facts


def save(model: Any, tokenizer: Any, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a user model's folder; weights in float16, the card last, so that a folder with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.half().save_pretrained(folder)
    model.float()
    tokenizer.save_pretrained(folder)
    working = folder / f"{CARD}.part"
    working.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    os.replace(working, folder / CARD)


def perplexity(model: Any, chat: ChatFormat, examples: Sequence[Example], batch: int = 32) -> float:
    """Per token of what users write in these examples, the end of the turn included; NaN for none."""
    if not examples:
        return math.nan
    data = sorted((sequenced(chat, example) for example in examples), key=lambda one: len(one.ids))
    total, count = 0.0, 0
    with torch.inference_mode():
        for begin in range(0, len(data), batch):
            part = data[begin : begin + batch]
            made = sum(len(one.ids) - one.start for one in part)
            total += _loss(model, part).item() * made
            count += made
    return math.exp(total / count)


def _batches(data: Sequence[Sequenced], recipe: Recipe) -> Iterator[list[Sequenced]]:
    """Batches of examples of like length, in an order that the seed fixes."""
    size = recipe.batch * POOL
    for number, begin in enumerate(range(0, len(data), size)):
        pool = sorted(data[begin : begin + size], key=lambda one: len(one.ids))
        starts = np.arange(0, len(pool), recipe.batch)
        np.random.default_rng(mix(recipe.seed, number)).shuffle(starts)
        for start in starts:
            yield pool[start : start + recipe.batch]


def _schedule(number: int, count: int) -> float:
    warm = max(1, count // 20)
    if number < warm:
        return (number + 1) / warm
    done = (number - warm) / max(1, count - warm)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def _loss(model: Any, batch: Sequence[Sequenced]) -> Tensor:
    """Mean cross-entropy of the targets' tokens. Rows are padded behind, where no causal attention looks."""
    width = max(len(one.ids) for one in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    learnt = torch.zeros(len(batch), width, dtype=torch.bool)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
        learnt[row, one.start : len(one.ids)] = True
    ids, learnt = ids.to(model.device), learnt.to(model.device)
    states = model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    chosen = learnt[:, 1:]
    logits = model.get_output_embeddings()(states[chosen])
    return cross_entropy(logits.float(), ids[:, 1:][chosen])


def _counts(examples: Sequence[Example]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for example in examples:
        counts[example.task] = counts.get(example.task, 0) + 1
    return counts
