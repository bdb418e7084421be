"""MORE's scaffold: reasoning tasks whose answers can be checked, learnt by reinforcement (arXiv 2606.09293).

A task is a dialogue of one turn, the answer; what backbones answer with is in their ``reasoning`` modules.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from dialog_gym.agents.learning.algorithm import option
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.rollout import Policy, Rollout
from dialog_gym.agents.learning.sft import unlikelihood

KINDS = ("mac", "pnr")
HEADS = "reasoning."
"""Parameters whose names begin with this only answer reasoning tasks."""
FORMAT = "format"
"""Reward of a well-formed answer, where one can be ill-formed (lm)."""


class Tasks(Protocol):
    """Reasoning tasks on the customers of a split, as a backbone puts and answers them."""

    size: int
    """Customers of the split."""

    def answer(self, customers: Tensor, answers: int, generator: torch.Generator | None) -> Rollout:
        """Answers to both tasks on some customers, each one a dialogue of one turn.

        Args:
            customers: int64[C], below `size`.
            answers: Answers to each task; they are a group.
            generator: Samples them; without it, the likeliest ones.

        Returns:
            ``rewards`` has ``mac`` and ``pnr`` (1 for an exact answer, NaN for the other kind of task) and
            maybe `FORMAT`; ``outcome`` has ``unseen``, whether the combination is kept out of training, and
            ``customer``: a task that is put in parts is solved when all of a customer's answers are right.
        """
        ...

    def solved(self, customers: Tensor) -> Rollout:
        """The right answers to both tasks, as decisions that nobody sampled (log-probability 0)."""
        ...


class ReasoningPolicy(Policy, Protocol):
    """A policy that can be asked reasoning tasks."""

    def reasoning(self, split: str) -> Tasks:
        """The tasks on a split's customers."""
        ...

    def score_gradients(self, rollout: Rollout) -> Tensor:
        """Gradient of each dialogue's log-likelihood in the last shared layer's weights, float32[D, P]."""
        ...


@dataclass(frozen=True)
class ScaffoldConfig(GRPOConfig):
    """Options of the scaffold's own updates."""

    heads_rate: float = option(3e-3, "Step size of layers that only answer reasoning tasks.")


class Scaffold(GRPO):
    """GRPO on reasoning tasks, with an optimiser of its own for the same parameters."""

    name = "scaffold"
    config: ScaffoldConfig

    def __init__(self, policy: Policy, config: ScaffoldConfig) -> None:
        """As its parent, but layers that dialogues do not use have a step size of their own."""
        super().__init__(policy, config)
        self.start = config
        named = list(policy.module.named_parameters())
        heads = [p for name, p in named if name.startswith(HEADS)]
        shared = [p for name, p in named if p.requires_grad and not name.startswith(HEADS)]
        groups = [(shared, config.learning_rate), (heads, config.heads_rate)]
        self.rates = [rate for part, rate in groups if part]
        self.optimizer = torch.optim.AdamW(
            [{"params": part, "lr": rate} for part, rate in groups if part],
            weight_decay=0.0,
            eps=1e-5,
            fused=True,
        )

    def _set_rate(self, progress: float) -> None:
        super()._set_rate(progress)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] *= rate / self.config.learning_rate

    def learn(self, customers: int, generator: torch.Generator, progress: float) -> dict[str, float]:
        """Answer tasks on customers who are drawn anew, and learn from the answers."""
        tasks = self.tasks(customers, generator)
        # exploring matters at first, being right at the end
        self.config = replace(self.start, entropy=self.start.entropy * (1.0 - progress))
        logs = self.update(tasks, generator, progress) if len(tasks) else {}
        return {f"scaffold_{name}": value for name, value in logs.items()}

    def tasks(self, customers: int, generator: torch.Generator) -> Rollout:
        """Answered tasks of the training split, without the combinations that are kept out of it."""
        asked, drawn = self._drawn(customers, generator)
        return _seen(asked.answer(drawn, self.config.group, generator))

    def imitate(self, customers: int, generator: torch.Generator) -> dict[str, float]:
        """One gradient step towards the right answers: how a small model learns what an answer looks like.

        *Ours*: the paper's model could answer before, so that reinforcement had something to reinforce.
        """
        asked, drawn = self._drawn(customers, generator)
        logs = self._step(_seen(asked.solved(drawn)), partial(unlikelihood, self.policy))
        return {"scaffold_imitation": logs["loss"]}

    def _drawn(self, customers: int, generator: torch.Generator) -> tuple[Tasks, Tensor]:
        """The training split's tasks, and some of its customers, drawn anew."""
        tasks: Tasks = self.policy.reasoning("train")  # type: ignore[attr-defined]
        return tasks, torch.randint(tasks.size, (customers,), generator=generator)


def _seen(rollout: Rollout) -> Rollout:
    return rollout.select((~rollout.outcome["unseen"]).nonzero().squeeze(1))


def accuracy(policy: ReasoningPolicy, customers: int, split: str = "validation") -> dict[str, float]:
    """Share of exact answers, taking the likeliest, on a split's first customers.

    Returns:
        ``mac`` and ``pnr``, and the same with ``_unseen`` on combinations kept out of training (NaN when
        there are none).
    """
    tasks = policy.reasoning(split)
    count = min(customers, tasks.size)
    found = tasks.answer(torch.arange(count), 1, None)
    customer, unseen = found.outcome["customer"], torch.zeros(count, dtype=torch.bool)
    unseen[customer] = found.outcome["unseen"]
    shares = {}
    for kind in KINDS:
        right = torch.nan_to_num(found.rewards[kind][:, 0], nan=1.0)
        solved = torch.zeros(count).index_add(0, customer, 1.0 - right) == 0
        shares[kind], shares[f"{kind}_unseen"] = _mean(solved[~unseen]), _mean(solved[unseen])
    return shares


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if len(values) else float("nan")


def by_kind(right: Tensor, numerical: Tensor) -> dict[str, Tensor]:
    """Named rewards, float32[D, 1], from whether answers are right, float32[D], and to PNR tasks, bool[D]."""
    mac, pnr = torch.where(numerical, torch.nan, right), torch.where(numerical, right, torch.nan)
    return {"mac": mac[:, None], "pnr": pnr[:, None]}
