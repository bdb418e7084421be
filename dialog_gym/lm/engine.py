"""Rollouts of a causal language model over many dialogues at once: what an engine offers, and which one fits.

A batch of dialogues advances in lock-step. The key-value cache is kept across turns: the prompt is encoded
once, and a turn appends the user's tokens and samples the agent's. Everything is token-in, token-out: ids and
log-probabilities are those of sampling, and nothing is ever tokenised again.

    session = make_engine(model).open(rows=2, sampling=Sampling(stop=(eos,)))
    session.append([0, 1], [prompt, other_prompt])
    turns = session.sample([0, 1], keys)
    session.append([0], [user_tokens])
    session.drop([1])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol

import torch
from transformers import PreTrainedModel

from dialog_gym.core import DialogGymError


@dataclass(frozen=True)
class Sampling:
    """How turns are sampled.

    There is no top-k and no top-p, so that the log-probabilities are those of the policy.
    """

    stop: tuple[int, ...]
    """Token ids that end a turn; empty for turns of full length."""
    max_new_tokens: int = 64
    """Longest turn, in tokens, at least 1."""
    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token."""

    def __post_init__(self) -> None:
        """Raises DialogGymError for a length or temperature out of range."""
        if self.max_new_tokens < 1:
            raise DialogGymError(f"max_new_tokens is {self.max_new_tokens}; give at least 1")
        if not 0 <= self.temperature < inf:
            raise DialogGymError(f"the temperature is {self.temperature}; give 0 (greedy) or more, usually 1")


class Sampled(NamedTuple):
    """One turn of one row."""

    ids: list[int]
    """Sampled tokens, the stop token included; empty when the row had no room."""
    logprobs: list[float]
    """Natural log-probability of each token at the sampling temperature (at temperature 1 when greedy)."""
    stopped: bool
    """Whether the last token is a stop token; otherwise the turn was cut off."""


class Session(Protocol):
    """A batch of dialogues. Rows are numbered from 0 and keep their numbers when others are dropped.

    Every method raises DialogGymError when a row is unknown, dropped or named twice.
    """

    def append(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> None:
        """Adds prompts or users' turns, of any lengths; they are encoded when the row is next sampled.

        Raises:
            DialogGymError: If a row has no room for its tokens or the model has no such token; then no row
                has changed.
        """

    def sample(self, rows: Sequence[int], keys: Sequence[int]) -> list[Sampled]:
        """Samples one turn of each of these rows, which become part of their dialogues.

        A turn ends at a stop token, after ``max_new_tokens``, or where the model's context is full.

        Args:
            rows: Rows with at least one token.
            keys: One integer per row, such as a dialogue's key. A draw is a function of the key and the
                token's position, so one key does for all turns, and who else is in the batch does not matter
                (but for a draw within rounding error of the border between two tokens).

        Raises:
            DialogGymError: If a row is empty, or the model's logits are not finite.
        """

    def drop(self, rows: Sequence[int]) -> None:
        """Forgets dialogues that are over and takes them out of the cache."""

    def length(self, row: int) -> int:
        """Tokens of a row so far, prompt and turns of both sides."""

    def room(self, row: int) -> int:
        """How many more tokens fit into a row."""


class Engine(Protocol):
    """A model that is ready to be sampled."""

    def open(self, rows: int, sampling: Sampling) -> Session:
        """Begins a batch of empty dialogues."""

    def refresh(self) -> None:
        """Reads the weights from the model again; to be called after every update.

        Sessions opened before are over: their caches are of the old weights, and they raise DialogGymError.
        """


def make_engine(
    model: PreTrainedModel, *, fast: bool | None = None, dtype: torch.dtype | None = None
) -> Engine:
    """The engine for a model.

    Args:
        model: Any decoder that ``AutoModelForCausalLM`` loads and that keeps a key-value cache.
        fast: Whether to use the forward pass written for Llama and Qwen2; by default, where the model allows.
        dtype: Type of the fast path's weights; by default bfloat16 on processors that compute in it, else
            float32, and the model's own elsewhere than on a CPU. The other path computes in the model's type.

    Raises:
        DialogGymError: If the model is not fit for what was asked.
    """
    from dialog_gym.lm.engine_hf import HFEngine
    from dialog_gym.lm.engine_llama import LlamaEngine, unfit

    why = unfit(model)
    if fast and why:
        raise DialogGymError(f"the fast path cannot run this model: {why}; leave out fast=True")
    if not why and fast is not False:
        return LlamaEngine(model, dtype)
    if dtype not in (None, model.dtype):
        raise DialogGymError(
            f"only the fast path has a dtype of its own; this model computes in {model.dtype}"
        )
    return HFEngine(model)
