"""Memento: the policy stays as it is; what it learns are cases that it reads later (arXiv 2508.16153).

A case is a state of a dialogue, what was done in it, and whether the dialogue ended well. The non-parametric
read finds the nearest cases by cosine; the parametric one ranks them by a learned probability of success.
What a backbone does with the cases that it reads is its own: a language model finds them in its prompt, and
a network adds what they say to the logits of its moves (`Memory.preference`, ours). The paper's agent plans
with a large frozen language model and writes one case per task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from dialog_gym.agents.learning.algorithm import Algorithm, OnlineConfig, option
from dialog_gym.agents.learning.casebank import Cases, balanced, nearest, packed_texts, unpacked_texts
from dialog_gym.agents.learning.memory import FOLLOWED, Memory, Reading
from dialog_gym.agents.learning.rollout import Policy, Rollout
from dialog_gym.core import DialogGymError

GOOD_ENDS = ("converted", "resolved", "refused")
"""Outcomes of a dialogue that are a success: a sale, a problem solved, an honest refusal."""


@dataclass(frozen=True)
class MementoConfig(OnlineConfig):
    """Options of Memento. Those about gradient steps are the parametric read's."""

    learning_rate: float = option(1e-3, "Step size of Adam for the learned read; the paper's encoder: 2e-5.")
    minibatch: int = option(32, "Pairs of query and case per gradient step of the learned read.")
    epochs: int = option(3, "Passes of the learned read over each iteration's pairs.")
    dialogues: int = option(1024, "Dialogues played per iteration.")
    read: Literal["nearest", "learned"] = option(
        "nearest", "Nearest cases by cosine, or nearest ones ranked by a learned P(success)."
    )
    neighbours: int = option(32, "Cases that are read in a state.")
    pool: int = option(64, "Nearest cases that the learned read ranks.")
    tau: float = option(8.0, "net: weight of what cases say against the frozen policy's logits.")
    prior: float = option(4.0, "net: cases worth the average that are added to each move's.")
    capacity: int = option(
        16_384, "Most cases kept; beyond it the oldest of the more frequent outcome are forgotten."
    )
    written: int = option(512, "Dialogues per iteration that are written, half of each outcome if possible.")
    encoder: str = option(
        "", "lm: folder of a sentence-vector model; default the mean of the language model's own states."
    )


class Remembering(Policy, Protocol):
    """A backbone that can read cases."""

    def remember(self, reading: Reading, seed: int = 0) -> Memory:
        """Play with an empty memory from now on, and give it away."""
        ...

    def cases(self, rollout: Rollout, success: Tensor) -> Cases:
        """The cases in some dialogues, bool[D] of which ended well."""
        ...


@dataclass(frozen=True)
class Followed:
    """Pairs of a state and a case that was followed in it."""

    queries: Tensor
    """float32[P, F]."""
    cases: Cases
    success: Tensor
    """bool[P], whether the query's dialogue ended well."""

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.success)

    def select(self, index: Tensor) -> "Followed":
        """Some of the pairs."""
        return Followed(self.queries[index], self.cases.select(index), self.success[index])


class Memento(Algorithm):
    """Write finished dialogues into a case bank; the policy's weights never change."""

    name = "memento"
    config: MementoConfig

    def __init__(self, policy: Policy, config: MementoConfig, reference: Policy | None = None) -> None:
        """Gives the policy an empty memory.

        Raises:
            DialogGymError: this backbone cannot remember.
        """
        super().__init__(policy, config, reference)
        if not hasattr(policy, "remember"):
            raise DialogGymError(f"backbone {policy.backbone} has no memory, which memento needs")
        self.player: Any = policy
        chosen = {field.name: getattr(config, field.name) for field in fields(Reading)}
        self.memory: Memory = self.player.remember(Reading(**chosen))
        if self.memory.scorer is not None:
            self.parameters = list(self.memory.scorer.parameters())
            self.optimizer = torch.optim.AdamW(
                self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
            )

    def update(self, rollout: Rollout, generator: torch.Generator, progress: float = 0.0) -> dict[str, float]:
        """Write cases; the learned read also takes gradient steps. See `Algorithm.update`."""
        logs = super().update(rollout, generator, progress)
        good = float(self.memory.cases.outcomes.float().mean()) if len(self.memory) else 0.0
        return logs | {"cases": float(len(self.memory)), "successful_cases": good}

    def prepare(self, rollout: Rollout) -> Followed:
        """Write the cases of the latest dialogues; the pairs are of the bank that was there before."""
        success = succeeded(rollout)
        met = rollout.outcome.get("reached", torch.ones_like(success)).bool().nonzero().squeeze(1)
        rows = met[balanced(success[met], self.config.written)]
        cases = self.player.cases(rollout.select(rows), success[rows])
        pairs = self._followed(cases)
        self.memory.write(cases)
        return pairs

    def _followed(self, cases: Cases) -> Followed:
        """For every state one recalled case that was followed, near and far ones in turn.

        What became of advice that was not taken says nothing.
        """
        bank = self.memory.cases
        if self.memory.scorer is None or not len(bank):
            empty = torch.zeros(0, dtype=torch.long)
            return Followed(cases.states[empty], cases.select(empty), cases.outcomes[empty])
        found = nearest(cases.states, bank.states, self.config.pool)
        alike = (bank.actions[found] * cases.actions.unsqueeze(1)).sum(-1) >= FOLLOWED
        turn = torch.arange(len(cases)) % alike.sum(1).clamp(min=1)
        query, place = (alike & (alike.cumsum(1) == turn.unsqueeze(1) + 1)).nonzero(as_tuple=True)
        return Followed(cases.states[query], bank.select(found[query, place]), cases.outcomes[query])

    def loss(self, part: Followed, whole: Followed) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of P(success)."""
        assert self.memory.scorer is not None
        scorer, cases = self.memory.scorer, part.cases
        known = scorer.encode(cases.states, cases.actions, cases.outcomes).unsqueeze(1)
        logits, wanted = scorer(part.queries, known).squeeze(1), part.success.float()
        right = ((logits > 0) == part.success).float().sum() / len(whole)
        return binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(whole), {
            "read_accuracy": right
        }

    def state(self) -> dict[str, Any]:
        """See `Algorithm.state`; and the memory."""
        cases = self.memory.cases
        arrays = {"states": cases.states, "actions": cases.actions, "outcomes": cases.outcomes}
        return super().state() | {
            "cases": {**arrays, "texts": packed_texts(cases.texts)},
            "memory": self.memory.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up an earlier `state`."""
        super().load_state(dict(state))
        arrays = dict(state["cases"])
        self.memory.cases = Cases(**{**arrays, "texts": unpacked_texts(arrays["texts"])})
        self.memory.load_state(state["memory"])


def succeeded(rollout: Rollout) -> Tensor:
    """bool[D], which dialogues ended well."""
    found = [rollout.outcome[name].bool() for name in GOOD_ENDS if name in rollout.outcome]
    return torch.stack(found).any(0)
