"""What a language model says about the decisions of a rollout: one pass over each dialogue."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, TypeAlias

import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Evaluation, Rollout
from dialog_gym.agents.lm.attention import attention_in_blocks
from dialog_gym.agents.lm.network import LanguageModel

BUCKET: Final = 8
"""Dialogues that are evaluated together."""


class Choices(torch.autograd.Function):
    """Log-probability of chosen tokens, and entropy, from logits.

    Keeps one array of the logits' size for the way back: the gradient of log p(a) is ``1[a] - p``, that of
    the entropy H is ``-p (log p + H)``.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """float32[N] each, from float[N, V] and int64[N]."""
        logp = torch.log_softmax(logits.float(), -1)
        entropy = -(logp.exp() * logp).sum(-1)
        ctx.save_for_backward(logp, entropy, chosen)
        ctx.kind = logits.dtype
        return logp.gather(-1, chosen[:, None]).squeeze(-1), entropy

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Gradient of the logits."""
        (logp, entropy, chosen), (of_logprob, of_entropy) = ctx.saved_tensors, gradients
        found = logp.exp() * -(of_logprob[:, None] + of_entropy[:, None] * (logp + entropy[:, None]))
        found.scatter_add_(-1, chosen[:, None], of_logprob[:, None])
        return found.to(ctx.kind), None


_Values: TypeAlias = tuple[tuple[Tensor, Tensor], Tensor]
"""Dialogue and turn, int64[M] each, and the values of these turns, float32[M]."""


class _Found(NamedTuple):
    """What was found for the decisions of a few dialogues, N of them in M turns."""

    decisions: tuple[Tensor, Tensor, Tensor]
    """int64[N] each: dialogue, turn, token."""
    logprob: Tensor
    entropy: Tensor
    turns: tuple[Tensor, Tensor]
    """int64[M] each: dialogue, turn."""
    value: Tensor


def evaluate(
    module: LanguageModel,
    rollout: Rollout,
    *,
    temperature: float,
    value: bool,
    precision: AbstractContextManager[Any],
) -> Evaluation:
    """Log-probabilities, entropies and values of decisions.

    Logits are computed for decisions only: what the customer and the prompt say is in no loss.

    Args:
        module: The model.
        rollout: Its dialogues, see `dialog_gym.agents.lm.transcript`.
        temperature: At which the decisions were sampled, above 0.
        value: Whether values are wanted.
        precision: In which the model runs, see `torch.autocast`.
    """
    shape = rollout.mask.shape
    with precision, attention_in_blocks(module.model):
        parts = [_evaluate_some(module, rollout, rows, temperature, value) for rows in _buckets(rollout)]
    if not parts:
        return Evaluation(torch.zeros(shape), torch.zeros(shape), torch.zeros(shape[:2]) if value else None)
    decisions = tuple(torch.cat(index) for index in zip(*(part.decisions for part in parts), strict=True))
    logprob = torch.zeros(shape).index_put(decisions, torch.cat([part.logprob for part in parts]))
    entropy = torch.zeros(shape).index_put(decisions, torch.cat([part.entropy for part in parts]))
    values = _by_turn(shape, [(part.turns, part.value) for part in parts]) if value else None
    return Evaluation(logprob, entropy, values)


def values(module: LanguageModel, rollout: Rollout, precision: AbstractContextManager[Any]) -> Tensor:
    """Values only, float32[D, T], without gradients: they need no logits."""
    parts = []
    with precision, attention_in_blocks(module.model), torch.no_grad():
        for rows in _buckets(rollout):
            states = module.states(_ids(rollout, rows).to(module.device))
            parts.append(_values_of_some(module, rollout, rows, states))
    return _by_turn(rollout.mask.shape, parts)


def _evaluate_some(
    module: LanguageModel, rollout: Rollout, rows: Tensor, temperature: float, value: bool
) -> _Found:
    """A few dialogues of similar length; the arrays come back to where the rollout is."""
    device, ids = module.device, _ids(rollout, rows)
    d, t, k = rollout.mask[rows].nonzero(as_tuple=True)
    columns = rollout.inputs["starts"][rows][d, t] + k
    # a token is decided in the state after the one before it
    logits, states = module(ids.to(device), d.to(device), (columns - 1).to(device))
    choices: Any = Choices.apply
    logprob, entropy = choices(logits / temperature, ids[d, columns].to(device))
    turns, found = _values_of_some(module, rollout, rows, states) if value else ((rows, rows), torch.zeros(0))
    return _Found((rows[d], t, k), logprob.cpu(), entropy.cpu(), turns, found)


def _values_of_some(module: LanguageModel, rollout: Rollout, rows: Tensor, states: Tensor) -> _Values:
    """Values of the turns of a few dialogues, in the states before their first tokens."""
    d, t = rollout.turns[rows].nonzero(as_tuple=True)
    before = rollout.inputs["starts"][rows][d, t] - 1
    return (rows[d], t), module.value(states[d.to(module.device), before.to(module.device)]).cpu()


def _buckets(rollout: Rollout) -> list[Tensor]:
    """Dialogues of similar length together, so that little of what is computed is padding."""
    order = torch.argsort(rollout.inputs["lengths"], stable=True)
    return [order[first : first + BUCKET] for first in range(0, len(order), BUCKET)]


def _ids(rollout: Rollout, rows: Tensor) -> Tensor:
    """int64[n, L], up to the longest of these dialogues."""
    return rollout.inputs["ids"][rows, : int(rollout.inputs["lengths"][rows].max())]


def _by_turn(shape: torch.Size, parts: Sequence[_Values]) -> Tensor:
    """float32[D, T]."""
    found = torch.zeros(shape[:2])
    for turns, values in parts:
        found = found.index_put(turns, values)
    return found
