"""Held-out perplexity of the tiny language model, and its model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from lm_corpus import ACTS_SHARE, CREDIT, HOLD_OUT, LEVELS, SOURCES
from lm_tokens import CREDIT_SHARE, Ints, Tokens
from transformers import AutoModelForCausalLM, AutoTokenizer

from dialog_gym.agents.learning.demonstrators import POPULATION
from dialog_gym.files import write_text

DOCUMENTS: Final = 100
"""Held-out dialogues measured per source."""
LONGEST: Final = 1024
CARD: Final = "MODEL_CARD.md"
ROLES: Final = ("<|system|>", "<|user|>", "<|assistant|>")


class Perplexity(NamedTuple):
    """Perplexity per token of one source's held-out dialogues; NaN where nobody of that role speaks."""

    source: str
    documents: int
    user: float
    assistant: float


def perplexities(folder: Path, tokens: Tokens) -> list[Perplexity]:
    """Of every source; the system message is read, but not counted."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    markers: Any = tokenizer.convert_tokens_to_ids(list(ROLES))
    found = []
    for source in tokens.sources:
        which = tokens.which(source, held_out=True)[:DOCUMENTS]
        sums = np.sum([_nats(model, tokens.document(int(i))[:LONGEST], markers) for i in which], axis=0)
        with np.errstate(invalid="ignore"):
            user, assistant = np.exp(sums[1:, 0] / sums[1:, 1])
        found.append(Perplexity(source, len(which), float(user), float(assistant)))
    return found


def _nats(model: Any, ids: Ints, markers: Sequence[int]) -> np.ndarray:
    """``[roles, 2]``: nats and number of the tokens that a role says, its end-of-turn included."""
    batch = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        logits = model(input_ids=batch, use_cache=False).logits[0, :-1]
    nats = torch.nn.functional.cross_entropy(logits, batch[0, 1:], reduction="none").numpy()
    said, sums, role = ids[1:].tolist(), np.zeros((len(markers), 2)), 0
    for token, loss in zip(said, nats, strict=True):
        if token in markers:
            role = markers.index(token)
        else:
            sums[role] += loss, 1
    return sums


def table(measured: Sequence[Perplexity]) -> str:
    """A Markdown table."""
    head = ["| source | held-out dialogues | user | assistant |", "|---|---:|---:|---:|"]
    return "\n".join(
        head
        + [f"| {m.source} | {m.documents} | {_shown(m.user)} | {_shown(m.assistant)} |" for m in measured]
    )


def _shown(perplexity: float) -> str:
    return f"{perplexity:.2f}" if np.isfinite(perplexity) else "-"


def write_card(folder: Path, tokens: Tokens, facts: Mapping[str, str]) -> None:
    """Measure the model in ``folder`` and describe it there.

    Args:
        folder: The exported model.
        tokens: Its corpus.
        facts: What was done in training.
    """
    write_text(folder / CARD, _card(folder, tokens, facts))


def _card(folder: Path, tokens: Tokens, facts: Mapping[str, str]) -> str:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config, size = model.config, sum(p.numel() for p in model.parameters())
    whose = {name: f"{source.authors} | {source.licence}" for name, source in SOURCES.items()}
    whose |= dict.fromkeys(CREDIT.values(), "this project | Apache-2.0")
    rows = [f"| {name} | {whose[name]} | {_counts(tokens, name)} |" for name in tokens.sources]
    shares = ", ".join(f"{share:.0%} {name}" for name, share in POPULATION.items())
    return "\n".join(
        [
            "# The tiny language model of dialog-gym",
            "",
            "Trained from scratch for the credit shop: where reinforcement learning on a laptop can start, "
            "not a general chat model. It speaks English only, knows nothing but the dialogues below, and "
            "makes mistakes with numbers.",
            "",
            f"A Llama of {size / 1e6:.2f} M parameters: hidden size {config.hidden_size}, "
            f"{config.num_hidden_layers} layers, {config.num_attention_heads} heads, "
            f"{config.num_key_value_heads} key/value head, vocabulary {config.vocab_size:,}, tied "
            "embeddings; weights in float16, under the project's licence.",
            "",
            "`scripts/train_language_model.py` wrote this card, measurements included.",
            "",
            "## Training data",
            "",
            "| source | authors | licence | dialogues | tokens |",
            "|---|---|---|---:|---:|",
            *rows,
            "",
            f"One dialogue in {HOLD_OUT} of every source is held out, by a hash of its id. "
            f"{CREDIT_SHARE:.0%} of the training tokens are the credit shop's: train split, levels "
            f"{LEVELS[0]} to {LEVELS[-1]}, agents {shares}; {ACTS_SHARE:.0%} of these dialogues are also "
            "written in acts. So the model imitates their mistakes too. MultiWOZ was detokenised; "
            "turns of one speaker in a row were merged (not in MultiDoGO, whose agent turns are missing).",
            "",
            "## Training",
            "",
            *(f"- {name}: {fact}" for name, fact in facts.items()),
            "",
            "## Held-out perplexity per token",
            "",
            table(perplexities(folder, tokens)),
            "",
        ]
    )


def _counts(tokens: Tokens, source: str) -> str:
    which = tokens.source == tokens.sources.index(source)
    lengths = np.diff(tokens.ends, prepend=0)
    return f"{which.sum():,} | {lengths[which].sum():,}"
