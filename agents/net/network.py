"""The network: a trunk over the act-level observation and one small head per decision of a turn.

A turn is a few decisions taken one after the other (in the shop: move, second move, product, amount, price
tier, months); each sees the trunk's features and the choices before it. Decisions that the chosen moves do
not use (a product for a greeting) are not made: they are masked out of every loss, and turns without any
detail beside their moves, which most are, are spared the details' stages.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MOVES = range(2)
CLOSED = -1e9
"""Logit of what is not allowed; finite, so that the entropy's gradient stays finite."""


class Chosen(NamedTuple):
    """Decisions of R turns, [R, K] each."""

    action: Tensor
    logprob: Tensor
    entropy: Tensor
    made: Tensor


class Network(nn.Module):
    """Policy and value. The value has a trunk of its own: its gradients are of another size."""

    def __init__(
        self,
        inputs: int,
        sizes: tuple[int, ...],
        uses: np.ndarray,
        hidden: int = 128,
        stage: int = 64,
        masked: bool = True,
    ) -> None:
        """Sets up layers.

        Args:
            inputs: Length F of the observation.
            sizes: Number of choices of the K decisions; the first two are moves.
            uses: bool[moves, K], which further decisions a move makes.
            hidden: Width of the trunk.
            stage: Width of each decision's hidden layer.
            masked: Whether only moves are open that the shop's rules allow.
        """
        super().__init__()
        self.inputs, self.sizes = inputs, sizes
        self.stage, self.masked = stage, masked
        count = len(sizes)
        self.trunk = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.stages = nn.Linear(hidden, count * stage)
        # what a choice tells the decisions after it
        later = [nn.Embedding(n, (count - 1 - i) * stage) for i, n in enumerate(sizes[:-1])]
        self.later = nn.ModuleList(later)
        self.heads = nn.ModuleList([nn.Linear(stage, n) for n in sizes])
        value = [nn.Linear(inputs, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, hidden // 2), nn.ReLU()]
        self.value_net = nn.Sequential(*value, nn.Linear(hidden // 2, 1))
        self.uses: Tensor
        made = torch.from_numpy(uses.copy())
        made[:, : _MOVES.stop] = True
        self.register_buffer("uses", made, persistent=False)
        for table in self.later:
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]
        for head in self.heads:
            nn.init.orthogonal_(head.weight, 0.01)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    @property
    def decisions(self) -> int:
        """Number of decisions in a turn."""
        return len(self.sizes)

    @property
    def choices(self) -> int:
        """Number of moves, of which a turn's observation says which are allowed."""
        return self.sizes[0]

    def value(self, observation: Tensor) -> Tensor:
        """float32[R], expected return."""
        found: Tensor = self.value_net(observation).squeeze(-1)
        return found

    def decide(
        self, observation: Tensor, allowed: Tensor, action: Tensor | None, uniforms: Tensor | None,
        first_bias: Tensor | None = None,
    ) -> Chosen:  # fmt: skip
        """Take or evaluate decisions.

        Args:
            observation: float32[R, F].
            allowed: bool[R, moves].
            action: int64[R, K] to evaluate, or None to choose.
            uniforms: float32[R, K] in [0, 1) to sample with; None takes the likeliest.
            first_bias: float32[R, moves], added to the logits of the first move.
        """
        if not self.masked:
            allowed = torch.ones_like(allowed)
        return self._decide(self.trunk(observation), allowed, action, uniforms, first_bias)

    def _decide(
        self, features: Tensor, allowed: Tensor, action: Tensor | None, uniforms: Tensor | None,
        first_bias: Tensor | None = None,
    ) -> Chosen:  # fmt: skip
        """As `decide` from the trunk's features; ``first_bias``, float32[R, moves], is for the first move."""
        others, every = range(_MOVES.stop, len(self.sizes)), torch.ones_like(allowed[:, : _MOVES.stop])
        hidden = self._stages(_MOVES, features)
        moves = self._follow(_MOVES, hidden, every, action, uniforms, allowed, first_bias)
        first, second = moves.action.unbind(1)
        made = self.uses[first] | self.uses[second]
        rows = made[:, _MOVES.stop :].any(1).nonzero().squeeze(1)
        hidden = self._stages(others, features.index_select(0, rows))
        hidden = hidden + self._told(0, first[rows], others) + self._told(1, second[rows], others)
        given = (None if part is None else part[rows] for part in (action, uniforms))
        details = self._follow(others, hidden, made[rows, _MOVES.stop :], *given)
        none = (part.new_zeros(len(made), len(others)) for part in details)
        full = (zero.index_copy(0, rows, part) for zero, part in zip(none, details, strict=True))
        return Chosen(*(torch.cat(parts, 1) for parts in zip(moves, full, strict=True)))

    def _follow(
        self, which: range, hidden: Tensor, made: Tensor,
        action: Tensor | None, uniforms: Tensor | None, allowed: Tensor | None = None,
        first_bias: Tensor | None = None,
    ) -> Chosen:  # fmt: skip
        """Some decisions of a turn, one after the other.

        Args:
            which: Their numbers, n of them.
            hidden: float32[R, n * stage], what their stages know beforehand.
            made: bool[R, n], which of them are made at all.
            action: As in `decide`.
            uniforms: As in `decide`.
            allowed: bool[R, moves] where moves are chosen.
            first_bias: float32[R, moves], added to the logits of the first of these decisions.
        """
        actions: list[Tensor] = []
        logprobs, entropies = [], []
        for i, now in zip(which, made.unbind(1), strict=True):
            known, rest = hidden.tensor_split((self.stage,), 1)
            logits = self.heads[i](torch.relu(known))
            if allowed is not None:
                logits = logits.masked_fill(~_open(allowed, actions), CLOSED)
            if first_bias is not None and not actions:
                logits = logits + first_bias
            logp = torch.log_softmax(logits, -1)
            p = torch.softmax(logits, -1)
            if action is not None:
                choice = action[:, i]
            else:
                choice = logp.argmax(-1) if uniforms is None else draw(p, uniforms[:, i])
            choice = torch.where(now, choice, 0)
            actions.append(choice)
            logprobs.append(logp.gather(1, choice[:, None]).squeeze(1) * now)
            entropies.append(-(p * logp).sum(-1) * now)
            if i + 1 < which.stop:
                told = self._told(i, choice, range(i + 1, which.stop))
                hidden = rest + told * now[:, None]
        chosen, logprob, entropy = (torch.stack(parts, 1) for parts in (actions, logprobs, entropies))
        return Chosen(chosen, logprob, entropy, made)

    def _stages(self, which: range, features: Tensor) -> Tensor:
        """float32[R, len(which) * stage]: what some decisions make of the trunk's features."""
        rows = slice(which.start * self.stage, which.stop * self.stage)
        return F.linear(features, self.stages.weight[rows], self.stages.bias[rows])

    def _told(self, i: int, choice: Tensor, which: range) -> Tensor:
        """float32[R, len(which) * stage]: what a choice of decision i tells some of those after it."""
        table: Tensor = self.later[i].weight  # type: ignore[assignment]
        first = i + 1
        return F.embedding(
            choice, table[:, (which.start - first) * self.stage : (which.stop - first) * self.stage]
        )


def _open(allowed: Tensor, actions: list[Tensor]) -> Tensor:
    """bool[R, moves]: the second move may be none, and is not the first again."""
    if not actions:
        return allowed
    second = allowed.scatter(1, actions[0][:, None], False)
    second[:, 0] = True
    return second


def draw(p: Tensor, uniform: Tensor) -> Tensor:
    """Sample by the inverse of the distribution function."""
    total = p.cumsum(-1)
    drawn = torch.searchsorted(total, (uniform * total[:, -1])[:, None], right=True)
    return drawn.squeeze(1).clamp_(max=p.shape[1] - 1)
