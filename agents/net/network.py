"""The network: a trunk over the act-level observation and one small head per decision of a turn.

A turn is six decisions taken one after the other (move, second move, product, amount, price tier, months);
each sees the trunk's features and the choices before it. Decisions that the chosen moves do not use (a
product for a greeting) are not made: they are masked out of every loss.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dialog_gym.domains.credit.moves import MOVES

DECISIONS = ("move", "second", "product", "amount", "tier", "months")
_USES = {
    "inform_eligibility": ("product",), "inform_limit": ("product", "amount"),
    "inform_rate": ("product", "tier"), "inform_fees": ("product",),
    "inform_interest": ("product", "amount", "tier"),
    "inform_instalment": ("product", "amount", "tier", "months"), "offer": ("product", "amount"),
    "close": ("product", "amount"),
}  # fmt: skip
_ZERO = -1e9
"""Logit of what is not allowed; finite, so that the entropy's gradient stays finite."""


def used_decisions() -> Tensor:
    """bool[moves, 6], which decisions a move makes beside its own."""
    uses = [[name in _USES.get(move.intent, ()) for name in DECISIONS] for move in MOVES]
    return torch.tensor(uses)


class Chosen(NamedTuple):
    """Decisions of R turns, [R, 6] each."""

    action: Tensor
    logprob: Tensor
    entropy: Tensor
    made: Tensor


class Network(nn.Module):
    """Policy and value. The value has a trunk of its own: its gradients are of another size."""

    def __init__(
        self, inputs: int, sizes: tuple[int, ...], hidden: int = 128, stage: int = 64, masked: bool = True
    ) -> None:
        """Sets up layers.

        Args:
            inputs: Length F of the observation.
            sizes: Number of choices of the six decisions.
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
        self.register_buffer("uses", used_decisions(), persistent=False)
        for table in self.later:
            nn.init.zeros_(table.weight)  # type: ignore[arg-type]
        for head in self.heads:
            nn.init.orthogonal_(head.weight, 0.01)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def value(self, observation: Tensor) -> Tensor:
        """float32[R], expected return."""
        found: Tensor = self.value_net(observation).squeeze(-1)
        return found

    def decide(
        self, observation: Tensor, allowed: Tensor, action: Tensor | None, uniforms: Tensor | None
    ) -> Chosen:
        """Take or evaluate decisions.

        Args:
            observation: float32[R, F].
            allowed: bool[R, moves].
            action: int64[R, 6] to evaluate, or None to choose.
            uniforms: float32[R, 6] in [0, 1) to sample with; None takes the likeliest.
        """
        if not self.masked:
            allowed = torch.ones_like(allowed)
        shape = (len(observation), -1, self.stage)
        hidden = list(self.stages(self.trunk(observation)).view(shape).unbind(1))
        actions: list[Tensor] = []
        logprobs, entropies, made = [], [], []
        for i, head in enumerate(self.heads):
            logits, now = head(torch.relu(hidden[i])), self._made(i, actions, len(observation))
            if i < 2:
                logits = logits.masked_fill(~self._open(i, allowed, actions), _ZERO)
            logp = torch.log_softmax(logits, -1)
            if action is not None:
                choice = action[:, i]
            else:
                choice = _choose(logp, None if uniforms is None else uniforms[:, i])
            choice = torch.where(now, choice, 0)
            actions.append(choice)
            logprobs.append(logp.gather(1, choice[:, None]).squeeze(1) * now)
            entropies.append(-(logp.exp() * logp).sum(-1) * now)
            made.append(now)
            if i < len(self.later):
                told = (self.later[i](choice) * now[:, None]).view(shape).unbind(1)
                hidden[i + 1 :] = [known + more for known, more in zip(hidden[i + 1 :], told, strict=True)]
        return Chosen(*(torch.stack(parts, 1) for parts in (actions, logprobs, entropies, made)))

    def _made(self, i: int, actions: list[Tensor], rows: int) -> Tensor:
        """bool[R], whether decision i is made at all."""
        if i < 2:
            return torch.ones(rows, dtype=torch.bool, device=self.uses.device)
        return self.uses[actions[0], i] | self.uses[actions[1], i]

    def _open(self, i: int, allowed: Tensor, actions: list[Tensor]) -> Tensor:
        """bool[R, moves]: the second move may be none, and is not the first again."""
        if i == 0:
            return allowed
        second = allowed.clone()
        second.scatter_(1, actions[0][:, None], False)
        second[:, 0] = True
        return second


def _choose(logp: Tensor, uniform: Tensor | None) -> Tensor:
    """Sample by the inverse of the distribution function, or take the likeliest."""
    if uniform is None:
        return logp.argmax(-1)
    total = logp.exp().cumsum(-1)
    return (
        torch.searchsorted(total, (uniform * total[:, -1])[:, None], right=True)
        .squeeze(1)
        .clamp_(max=logp.shape[1] - 1)
    )
