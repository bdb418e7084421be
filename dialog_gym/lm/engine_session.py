"""What the engines share: the turn loop, drawing tokens, and the book-keeping of rows.

The last token of a turn need not be encoded before somebody else has spoken, and tokens that nobody continues
need not be encoded at all. So tokens wait until a row is sampled, and are then encoded together.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Final

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from dialog_gym import noise
from dialog_gym.core import DialogGymError
from dialog_gym.lm.engine import Sampled, Sampling

STREAM: Final = noise.text_key("tokens of a language model")
"""Keeps these draws apart from others that are made with a dialogue's key."""


def context_length(config: PretrainedConfig) -> int:
    """How many positions a model has; unlimited where its configuration names no limit."""
    limit: int | None = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return limit or sys.maxsize


def draw(logits: Tensor, uniforms: Tensor, temperature: float) -> tuple[list[int], list[float]]:
    """One token per row by the inverse of the cumulative distribution; ``torch.multinomial`` is slower.

    Args:
        logits: Shape ``[N, V]``.
        uniforms: Draws in (0, 1], float32, shape ``[N]``; not used at temperature 0.
        temperature: See `Sampling`.

    Returns:
        N ids and N log-probabilities.

    Raises:
        DialogGymError: If logits are not finite.
    """
    probabilities = torch.softmax(logits.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        chosen = probabilities.argmax(dim=-1, keepdim=True)
    else:
        cumulative = probabilities.cumsum(dim=-1)
        # the first token whose sum reaches the target, which is above 0: a token of probability 0 never is
        chosen = torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:])
        chosen.clamp_(max=logits.shape[-1] - 1)  # where all sums are not a number
    logprobs: list[float] = probabilities.gather(-1, chosen).log().flatten().tolist()
    if not all(map(isfinite, logprobs)):
        raise DialogGymError(
            "the model's logits are not finite: its weights have diverged; lower the learning rate"
        )
    return chosen.flatten().tolist(), logprobs


class LockstepSession(ABC):
    """A `Session` but for the forward pass."""

    def __init__(
        self, rows: int, sampling: Sampling, config: PretrainedConfig, stale: Callable[[], bool]
    ) -> None:
        """Begins with empty rows.

        Args:
            rows: Number of dialogues.
            sampling: How turns are sampled.
            config: The model's, for its limits.
            stale: Whether the engine has been refreshed since.
        """
        self._sampling = sampling
        self._limit = context_length(config)
        self._vocabulary: int = config.get_text_config(decoder=True).vocab_size
        self._stale = stale
        self._encoded = dict.fromkeys(range(rows), 0)
        self._waiting: dict[int, list[int]] = {row: [] for row in range(rows)}

    @abstractmethod
    def _advance(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Encodes tokens behind what a row has in the cache.

        Args:
            rows: N different rows.
            tokens: At least one new token per row.
            starts: How many tokens each row has in the cache.

        Returns:
            Logits after each row's last token, ``[N, V]``.
        """

    @abstractmethod
    def _forget(self, rows: set[int]) -> None:
        """Takes rows out of the cache."""

    def append(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> None:
        """See `Session`."""
        self._check(rows, len(tokens), "token lists")
        added = [list(new) for new in tokens]
        for row, new in zip(rows, added, strict=True):
            if len(new) > self.room(row):
                raise DialogGymError(
                    f"row {row} has room for {self.room(row)} more tokens, not {len(new)}: the model's "
                    f"context holds {self._limit}; shorten the prompt or end the dialogue"
                )
            if new and not (min(new) >= 0 and max(new) < self._vocabulary):
                raise DialogGymError(
                    f"row {row} is given token ids {min(new)} to {max(new)}; the model has 0 to "
                    f"{self._vocabulary - 1}: is this its tokenizer?"
                )
        for row, new in zip(rows, added, strict=True):
            self._waiting[row] += new

    def sample(self, rows: Sequence[int], keys: Sequence[int]) -> list[Sampled]:
        """See `Session`."""
        self._check(rows, len(keys), "keys")
        limits = [min(self._sampling.max_new_tokens, self.room(row)) for row in rows]
        uniforms = self._uniforms(rows, keys)
        turns = [Sampled([], [], False) for _ in rows]
        speaking = [i for i, limit in enumerate(limits) if limit]
        while speaking:
            step = len(turns[speaking[0]].ids)
            with torch.inference_mode():
                logits = self._encode([rows[i] for i in speaking])
                ids, logprobs = draw(
                    logits, uniforms[speaking, step].to(logits.device), self._sampling.temperature
                )
            for i, token, logprob in zip(speaking, ids, logprobs, strict=True):
                turns[i].ids.append(token)
                turns[i].logprobs.append(logprob)
                self._waiting[rows[i]].append(token)
            stopped = {i for i, token in zip(speaking, ids, strict=True) if token in self._sampling.stop}
            speaking = [i for i in speaking if i not in stopped and len(turns[i].ids) < limits[i]]
        return [
            turn._replace(stopped=any(token in self._sampling.stop for token in turn.ids[-1:]))
            for turn in turns
        ]

    def drop(self, rows: Sequence[int]) -> None:
        """See `Session`."""
        self._check(rows, len(rows), "rows")
        with torch.inference_mode():
            self._forget(set(rows))
        for row in rows:
            del self._encoded[row], self._waiting[row]

    def length(self, row: int) -> int:
        """See `Session`."""
        self._check([row], 1, "rows")
        return self._encoded[row] + len(self._waiting[row])

    def room(self, row: int) -> int:
        """See `Session`."""
        return self._limit - self.length(row)

    def _check(self, rows: Sequence[int], given: int, what: str) -> None:
        if self._stale():
            raise DialogGymError(
                "the engine was refreshed: this session's cache is of the old weights; open a new one"
            )
        if given != len(rows):
            raise DialogGymError(f"{len(rows)} rows but {given} {what}; give one for each row")
        if len(set(rows)) < len(rows):
            raise DialogGymError(f"a row is named twice in {list(rows)}; name each once")
        if missing := [row for row in rows if row not in self._encoded]:
            raise DialogGymError(
                f"row {missing[0]} is not in this session; there are {sorted(self._encoded)}"
            )

    def _uniforms(self, rows: Sequence[int], keys: Sequence[int]) -> Tensor:
        """Draws for these rows' next tokens, ``[N, max_new_tokens]``, counted by position in the row."""
        streams = noise.mix_array(np.array([int(key) & noise.MASK for key in keys], dtype=np.uint64), STREAM)
        starts = np.array([self.length(row) for row in rows], dtype=np.int64)
        counters = starts[:, None] + np.arange(self._sampling.max_new_tokens)
        return torch.from_numpy(noise.uniform_at(streams[:, None], counters).astype(np.float32))

    def _encode(self, rows: list[int]) -> Tensor:
        """Moves waiting tokens into the cache; logits after the last of each row, ``[N, V]``."""
        tokens = [self._waiting[row] for row in rows]
        if empty := [row for row, new in zip(rows, tokens, strict=True) if not new]:
            raise DialogGymError(f"row {empty[0]} is empty; append a prompt before sampling")
        logits = self._advance(rows, tokens, [self._encoded[row] for row in rows])
        for row, new in zip(rows, tokens, strict=True):
            self._encoded[row] += len(new)
            self._waiting[row] = []
        return logits
