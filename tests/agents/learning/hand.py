"""Rollouts and policies written by hand, for losses computed by hand."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dialog_gym.agents.learning.policy_gradient import Advised
from dialog_gym.agents.learning.rollout import Evaluation, Rollout


class Spoken:
    """A policy that says about row i what its parameters hold at i: for losses computed by hand."""

    backbone = "net"

    def __init__(self, logprob: Any, entropy: Any = 0.0, value: Any = None) -> None:
        self.module = nn.Module()
        self.module.logprob = nn.Parameter(torch.as_tensor(logprob, dtype=torch.float32))
        self.entropy = torch.as_tensor(entropy, dtype=torch.float32).expand(self.module.logprob.shape)
        if value is not None:
            self.module.value = nn.Parameter(torch.as_tensor(value, dtype=torch.float32))

    def evaluate(self, rollout: Rollout, *, value: bool = False) -> Evaluation:
        row = rollout.inputs["row"]
        known = self.module.value[row] * rollout.turns if value else None
        return Evaluation(self.module.logprob[row] * rollout.mask, self.entropy[row] * rollout.mask, known)

    def values(self, rollout: Rollout) -> Tensor:
        return self.module.value.detach()[rollout.inputs["row"]] * rollout.turns

    def clone(self) -> "Spoken":
        twin = copy.copy(self)
        twin.module = copy.deepcopy(self.module).requires_grad_(False)
        return twin


def by_hand(
    rewards: Mapping[str, Sequence[Sequence[float]]],
    *,
    logprob: Any = None,
    mask: Any = None,
    group: Any = None,
) -> Rollout:
    """A rollout [D, T, K] from lists; everything is one decision per turn and one group unless said."""
    named = {name: torch.tensor(values, dtype=torch.float32) for name, values in rewards.items()}
    count, turns = next(iter(named.values())).shape
    made = torch.ones(count, turns, 1).bool() if mask is None else torch.tensor(mask).bool()
    old = torch.zeros(made.shape) if logprob is None else torch.tensor(logprob, dtype=torch.float32)
    return Rollout(
        logprob=old, mask=made, rewards=named, cost=torch.zeros(count, turns),
        group=torch.zeros(count, dtype=torch.long) if group is None else torch.tensor(group),
        outcome={}, inputs={"row": torch.arange(count)},
    )  # fmt: skip


def advised(rollout: Rollout, advantage: Any, **extra: Any) -> Advised:
    """A rollout with advantages [D, T] as given."""
    known = {"advantage": advantage, **extra}
    return Advised(rollout, {n: torch.as_tensor(v, dtype=torch.float32) for n, v in known.items()})
