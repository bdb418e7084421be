"""MORE's reasoning tasks on the net backbone: extra queries that heads on the policy's trunk answer.

A task is put field by field: an answer is one choice between classes, and a customer's task is solved when
all of its fields are right. The trunk sees the customer's profile where it sees it in dialogues, nothing of
a conversation, and what the task says beside that.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from dialog_gym.agents.learning.rollout import Evaluation, Rollout
from dialog_gym.agents.learning.scaffold import by_kind
from dialog_gym.agents.net.network import draw

ANSWERED: Final = "answered"
"""Input that tells a rollout of answers from one of dialogues."""


class ReasoningHeads(nn.Module):
    """A classifier per field of either task's answer; fields are numbered through both."""

    def __init__(self, asked: int, hidden: int, sizes: Sequence[int]) -> None:
        """Sets up layers.

        Args:
            asked: Length of what a task says beside the profile.
            hidden: Width of the trunk.
            sizes: Number of classes of each field.
        """
        super().__init__()
        self.read = nn.Linear(asked, hidden)
        self.mix = nn.Linear(2 * hidden, 2 * hidden)
        self.heads = nn.ModuleList(nn.Linear(2 * hidden, size) for size in sizes)

    def forward(self, features: Tensor, asked: Tensor) -> list[Tensor]:
        """Log-probabilities of each field's classes, float32[N, classes].

        Args:
            features: float32[N, hidden], the trunk's.
            asked: float32[N, asked], what the tasks say.
        """
        told = torch.relu(self.read(asked))
        hidden = torch.relu(self.mix(torch.cat([features, told], 1)))
        return [head(hidden).log_softmax(-1) for head in self.heads]


class NetTasks:
    """`dialog_gym.agents.learning.scaffold.Tasks` of a network."""

    def __init__(self, policy: Any, split: str) -> None:
        """Takes the policy, whose module has `ReasoningHeads`, and the split of the customers."""
        self.module, self.domain = policy.module, policy.domain
        self.space = self.domain.space(
            split=split, scenario=self.domain.scenarios[0], level=policy.config.level
        )
        self.size = self.space.size

    def answer(self, customers: Tensor, answers: int, generator: torch.Generator | None) -> Rollout:
        """Sampled or likeliest answers; see `Tasks.answer`."""
        return self._rollout(customers, answers, generator, solved=False)

    def solved(self, customers: Tensor) -> Rollout:
        """The right answers."""
        return self._rollout(customers, 1, None, solved=True)

    def _rollout(
        self, customers: Tensor, answers: int, generator: torch.Generator | None, solved: bool
    ) -> Rollout:
        """Rows stand by field, then by customer, then by answer."""
        known = self.domain.closed_tasks.of(self.domain, self.space, customers.numpy())
        observation = torch.zeros(len(customers), self.module.inputs)
        observation[:, : known.profile.shape[1]] = torch.from_numpy(known.profile)
        asked, truth = torch.from_numpy(known.asked), torch.from_numpy(np.hstack([known.mac, known.pnr]))
        with torch.no_grad():
            fields = self.module.reasoning(self.module.trunk(observation), asked)
        every = torch.arange(len(customers)).repeat_interleave(answers)
        picked = truth
        if not solved:
            picked = torch.stack([_pick(field[every], generator) for field in fields], 1)
        chance = [f[every].gather(1, c[:, None]) for f, c in zip(fields, picked.unbind(1), strict=True)]
        right = (picked == truth[every]).float()
        count, first = picked.shape[1], known.mac.shape[1]
        field = torch.arange(count).repeat_interleave(len(every))
        return Rollout(
            logprob=torch.cat(chance)[:, None] * (not solved),
            mask=torch.ones(len(field), 1, 1, dtype=torch.bool),
            rewards=by_kind(right.T.flatten(), field >= first),
            cost=torch.zeros(len(field), 1),
            group=field * len(customers) + every.repeat(count),
            outcome={
                "unseen": torch.from_numpy(known.unseen)[every].repeat(count),
                "customer": every.repeat(count),
            },
            inputs={
                ANSWERED: picked.T.flatten(), "field": field,
                "observation": observation[every].repeat(count, 1), "asked": asked[every].repeat(count, 1),
            },
        )  # fmt: skip


def evaluate_answers(module: Any, rollout: Rollout) -> Evaluation:
    """Log-probabilities and entropies of answers now; see `Policy.evaluate`."""
    inputs, shape = rollout.inputs, rollout.mask.shape
    logprob, entropy = torch.zeros(shape), torch.zeros(shape)
    fields = module.reasoning(module.trunk(inputs["observation"]), inputs["asked"])
    for i, found in enumerate(fields):
        rows = (inputs["field"] == i).nonzero().squeeze(1)
        own = found[rows]
        picked = own.gather(1, inputs[ANSWERED][rows, None])
        logprob = logprob.index_put((rows,), picked[:, None])
        entropy = entropy.index_put((rows,), -(own.exp() * own).sum(1)[:, None, None])
    return Evaluation(logprob, entropy, None)


def score_gradients(policy: Any, rollout: Rollout) -> Tensor:
    """Gradient of each dialogue's log-likelihood in the trunk's last weights, float32[D, hidden * hidden]."""
    seen: list[tuple[Tensor, Tensor]] = []
    last = policy.module.trunk[-2]
    hook = last.register_forward_hook(lambda _, given, found: seen.append((given[0], found)))
    try:
        likely = policy.evaluate(rollout).logprob.sum()
    finally:
        hook.remove()
    ((given, found),) = seen
    (slope,) = torch.autograd.grad(likely, found)
    rows = rollout.inputs["taken"].nonzero(as_tuple=True)
    shape = *rollout.inputs["taken"].shape, given.shape[1]
    before, after = (torch.zeros(shape).index_put(rows, part.detach()) for part in (given, slope))
    return torch.bmm(after.transpose(1, 2), before).flatten(1)


def _pick(field: Tensor, generator: torch.Generator | None) -> Tensor:
    """int64[N], sampled classes, or the likeliest."""
    if generator is None:
        return field.argmax(1)
    return draw(field.exp(), torch.rand(len(field), generator=generator))


def fresh(domain: Any, hidden: int) -> ReasoningHeads:
    """Heads with random weights for a domain's tasks."""
    tasks = domain.closed_tasks
    return ReasoningHeads(tasks.asked, hidden, [*tasks.sizes["mac"], *tasks.sizes["pnr"]])
