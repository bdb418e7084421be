"""Speed of language-model rollouts: our engines beside ``generate`` of transformers, as a ratio.

    python -m dialog_gym.benchmarks.lm_speed [--batch 64] [--turns 8] [--hidden 256] [--layers 6] [--sweep]

Everybody plays the same dialogues with the same Llama of random weights (one key-value head, 4,096 tokens, no
stop tokens): a prompt of 120 tokens, then turns of 32 sampled tokens, each answered by 24 of the user. The
yardstick encodes the whole history anew in every turn, as a loop around ``generate`` does; it returns no
log-probabilities, the engines do. On one thread times are CPU times, otherwise wall-clock times. Every round
plays all variants one after the other; a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

from dialog_gym.core import DialogGymError

try:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as error:
    raise DialogGymError("this needs torch and transformers: pip install 'dialog-gym[train]'") from error

from dialog_gym.lm.engine import Engine, Sampling, make_engine

VOCABULARY, PROMPT, USER, AGENT = 4096, 120, 24, 32
HEAD_SIZE = 64
GENERATE, OTHER, FAST, FAST_BF16 = (
    "generate, no cache kept",
    "any-model engine",
    "fast, float32",
    "fast, bfloat16",
)

Play = Callable[[], None]
"""Plays a batch of dialogues."""


class Shape(NamedTuple):
    """What is played, with which model."""

    batch: int = 64
    turns: int = 8
    hidden: int = 256
    layers: int = 6


class Speed(NamedTuple):
    """How fast one variant is."""

    name: str
    dialogues_per_second: float
    """Median of the rounds."""
    ratio: float
    """To the first variant measured beside it, median of the rounds."""


def build(shape: Shape) -> LlamaForCausalLM:
    """The model, in float32, with the same random weights every time.

    Raises:
        DialogGymError: If its width is no multiple of the size of a head.
    """
    if shape.hidden < HEAD_SIZE or shape.hidden % HEAD_SIZE:
        raise DialogGymError(f"--hidden is {shape.hidden}; give a multiple of {HEAD_SIZE}")
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=HEAD_SIZE * round(shape.hidden * 8 / 3 / HEAD_SIZE),
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.hidden // HEAD_SIZE,
        num_key_value_heads=1,
        max_position_embeddings=PROMPT + shape.turns * (USER + AGENT),
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = None
    return model


def said(shape: Shape, count: int, turn: int) -> torch.Tensor:
    """Tokens of a prompt or a user, ``[batch, count]``."""
    generator = torch.Generator().manual_seed(turn)
    return torch.randint(VOCABULARY, (shape.batch, count), generator=generator)


def by_generate(model: Any, shape: Shape) -> None:
    """Dialogues as a loop around ``generate`` plays them."""
    history = said(shape, PROMPT, 0)
    for turn in range(shape.turns):
        history = model.generate(
            history,
            attention_mask=torch.ones_like(history),
            do_sample=True,
            top_k=0,
            min_new_tokens=AGENT,
            max_new_tokens=AGENT,
            pad_token_id=0,
        )
        history = torch.cat((history, said(shape, USER, turn + 1)), dim=1)


def by_engine(engine: Engine, shape: Shape) -> None:
    """The same dialogues with an engine."""
    rows = range(shape.batch)
    session = engine.open(shape.batch, Sampling(stop=(), max_new_tokens=AGENT))
    session.append(rows, said(shape, PROMPT, 0).tolist())
    for turn in range(shape.turns):
        session.sample(rows, rows)
        session.append(rows, said(shape, USER, turn + 1).tolist())


def engines(model: LlamaForCausalLM) -> dict[str, Engine]:
    """Ours, the fastest last; bfloat16 where the processor computes in it."""
    found = {OTHER: make_engine(model, fast=False), FAST: make_engine(model, fast=True, dtype=torch.float32)}
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        found[FAST_BF16] = make_engine(model, fast=True, dtype=torch.bfloat16)
    return found


def seconds(play: Play) -> float:
    """How long one batch takes."""
    clock = process_time if torch.get_num_threads() == 1 else perf_counter
    began = clock()
    play()
    return clock() - began


def measure(shape: Shape, rounds: int) -> list[Speed]:
    """Every variant beside the others; the first is the yardstick."""
    model = build(shape)
    makers = {GENERATE: partial(by_generate, model)}
    makers |= {name: partial(by_engine, engine) for name, engine in engines(model).items()}
    for make in makers.values():
        make(shape._replace(batch=2, turns=1))
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            times[name].append(seconds(partial(make, shape)))
    return [
        Speed(
            name,
            shape.batch / median(spent),
            median(base / own for base, own in zip(times[GENERATE], spent, strict=True)),
        )
        for name, spent in times.items()
    ]


def sweep(shape: Shape, rounds: int) -> Iterator[tuple[str, float]]:
    """Dialogues per second of the fastest engine, with one property of ``shape`` changed at a time."""
    changes = {"batch": (1, 4, 16, 128), "turns": (2, 4, 16), "hidden": (128, 384), "layers": (2, 12)}
    shapes = {"as given": shape}
    for name, values in changes.items():
        shapes |= {f"{name} {value}": shape._replace(**{name: value}) for value in values}
    for label, changed in shapes.items():
        engine = list(engines(build(changed)).values())[-1]
        by_engine(engine, changed._replace(batch=2, turns=1))
        spent = median(seconds(partial(by_engine, engine, changed)) for _ in range(rounds))
        yield label, changed.batch / spent


def table(speeds: Sequence[Speed]) -> str:
    """The figures as text."""
    lines = [f"{'variant':<26}{'dialogues / s':>14}{'ratio':>8}"]
    lines += [f"{name:<26}{speed:>14.2f}{ratio:>8.2f}" for name, speed, ratio in speeds]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m dialog_gym.benchmarks.lm_speed", description=__doc__)
    for name, default in Shape._field_defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sweep", action="store_true", help="how the fastest engine's cost grows, instead")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    if wrong := [name for name in (*Shape._fields, "threads", "rounds") if getattr(chosen, name) < 1]:
        parser.error(f"--{wrong[0]} is {getattr(chosen, wrong[0])}; give at least 1")
    torch.set_num_threads(chosen.threads)
    shape = Shape(chosen.batch, chosen.turns, chosen.hidden, chosen.layers)
    if chosen.sweep:
        for label, rate in sweep(shape, chosen.rounds):
            row = json.dumps({"changed": label, "dialogues_per_second": rate})
            print(row if chosen.json else f"{label:<14}{rate:>9.2f} dialogues / s", flush=True)
        return 0
    speeds = measure(shape, chosen.rounds)
    print(json.dumps([speed._asdict() for speed in speeds]) if chosen.json else table(speeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
