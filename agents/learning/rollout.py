"""Finished dialogues as arrays of decisions, the only thing that algorithms see.

An agent's turn is a short sequence of decisions ("tokens") with log-probabilities. Arrays have the shape
``[dialogue, turn, token]`` with a mask, whichever backbone made them: on the net a token is a factorised
choice (move, product, amount, ...), on a language model a sampled token. What the customer says is never a
decision and so is in no loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """D finished dialogues of at most T assistant turns with at most K decisions each."""

    logprob: Tensor
    """float32[D, T, K], log-probability of each decision when it was sampled; 0 outside the mask."""
    mask: Tensor
    """bool[D, T, K], which decisions were made."""
    rewards: Mapping[str, Tensor]
    """Named rewards, float32[D, T]; NaN where one cannot be judged, 0 after the end."""
    cost: Tensor
    """float32[D, T], number of rules broken in the turn."""
    group: Tensor
    """int64[D]; dialogues of one group share the task and the customer's randomness."""
    outcome: Mapping[str, Tensor]
    """Facts about the finished dialogues, [D] each (``converted``, ``reached``, ``truncated``, ...)."""
    inputs: Mapping[str, Tensor]
    """What the backbone needs to evaluate the decisions again, [D, ...] each."""

    @property
    def turns(self) -> Tensor:
        """bool[D, T], which turns were taken."""
        return self.mask.any(-1)

    @property
    def env_steps(self) -> int:
        """Environment steps these dialogues took."""
        return int(self.turns.sum())

    def __len__(self) -> int:
        """Number of dialogues."""
        return len(self.group)

    def select(self, index: Tensor) -> "Rollout":
        """Some of the dialogues.

        Args:
            index: int64[n], or bool[D].
        """
        return _field_by_field([self], lambda values: values[0][index])


def _field_by_field(rollouts: Sequence[Rollout], combine: Callable[[list[Tensor]], Tensor]) -> Rollout:
    """A rollout each of whose tensors is made from those that stand in its place in some rollouts."""
    found: dict[str, Any] = {}
    for field in fields(Rollout):
        values = [getattr(one, field.name) for one in rollouts]
        if isinstance(values[0], Mapping):
            found[field.name] = {name: combine([v[name] for v in values]) for name in values[0]}
        else:
            found[field.name] = combine(values)
    return Rollout(**found)


def join(parts: Sequence[Rollout]) -> Rollout:
    """Several rollouts of the same shape behind the dialogue axis as one; groups stay apart."""
    shifts = np.cumsum([0, *(int(part.group.max()) + 1 for part in parts)])
    moved = [replace(p, group=p.group + int(shift)) for p, shift in zip(parts, shifts[:-1], strict=True)]
    return _field_by_field(moved, torch.cat)


def portions(count: int, size: int) -> tuple[Tensor, ...]:
    """The numbers below ``count`` in portions of at most ``size``; 0: all in one. None for a count of 0."""
    return torch.split(torch.arange(count), size or count) if count else ()


class Evaluation(NamedTuple):
    """What a policy says about a rollout's decisions now; differentiable."""

    logprob: Tensor
    """float32[D, T, K]; 0 outside the mask."""
    entropy: Tensor
    """float32[D, T, K], entropy of the distribution each decision was drawn from; 0 outside the mask."""
    value: Tensor | None
    """float32[D, T], expected return before each turn, 0 after the end; None when not asked for. The turn
    limit is part of the task and every observation shows the turn, so nothing is expected beyond it."""


class Episodes(NamedTuple):
    """Which dialogues to play."""

    scenario: str
    tasks: np.ndarray
    """int64[D], task indices of the split."""
    seeds: np.ndarray
    """uint64[D], the customers' randomness."""
    group: np.ndarray
    """int64[D]."""


class Policy(Protocol):
    """A backbone: something that makes decisions and can evaluate them again."""

    backbone: str
    """``net`` or ``lm``."""

    @property
    def module(self) -> torch.nn.Module:
        """What is trained, value head included."""
        ...

    def collect(self, episodes: Episodes, generator: torch.Generator | None) -> Rollout:
        """Play dialogues, sampling every decision; without a generator, taking the likeliest ones."""
        ...

    def evaluate(self, rollout: Rollout, *, value: bool = False) -> Evaluation:
        """Log-probabilities of the rollout's decisions under the present parameters."""
        ...

    def values(self, rollout: Rollout) -> Tensor:
        """Expected return before each turn as in `Evaluation.value`, without gradients."""
        ...

    def demonstrations(self, count: int, seed: int, scenario: str = "proactive_sale") -> Rollout:
        """Demonstrations of the mixed population (`demonstrators`) as decisions of this backbone."""
        ...

    def clone(self) -> "Policy":
        """A frozen copy: a reference model."""
        ...

    def on_split(self, split: str) -> "Policy":
        """The same parameters, playing the tasks of another split."""
        ...

    def save(self, folder: Path) -> None:
        """Write what a trained agent needs into an existing folder."""
        ...
