"""DPO on whole dialogues: of two of a task, the better is preferred (Rafailov et al., arXiv 2305.18290)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dialog_gym.agents.learning.advantages import members_of, mix_rewards
from dialog_gym.agents.learning.algorithm import Algorithm, OnlineConfig, option
from dialog_gym.agents.learning.rollout import Policy, Rollout, portions


@dataclass(frozen=True)
class DPOConfig(OnlineConfig):
    """Options of DPO."""

    learning_rate: float = option(3e-4, "Step size of Adam at the start.")
    dialogues: int = option(4096, "Dialogues played per iteration.")
    epochs: int = option(1, "Passes over each batch of pairs.")
    minibatch: int = option(128, "Pairs per gradient step.")
    group: int = option(8, "Dialogues per task that pairs are made from.")
    pairs: int = option(2, "Pairs per group: best against worst, second best against second worst, ...")
    beta: float = option(0.1, "Scale β of the log-ratio margin.")
    sft: float = option(0.1, "Weight of the chosen dialogues' negative log-likelihood per decision.")
    preference: float = option(1.0, "Weight of the preference loss.")


@dataclass(frozen=True)
class Pairs:
    """Preferred and other dialogues, row by row of the same task."""

    chosen: Rollout
    rejected: Rollout
    margin: Tensor
    """float32[P], the reference model's log-probability of the chosen minus that of the rejected dialogue."""

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.margin)

    def select(self, index: Tensor) -> "Pairs":
        """Some of the pairs."""
        return replace(
            self,
            chosen=self.chosen.select(index),
            rejected=self.rejected.select(index),
            margin=self.margin[index],
        )


class DPO(Algorithm):
    """Prefer the better of two dialogues of a task, relative to the reference model."""

    name = "dpo"
    config: DPOConfig

    def needs_reference(self) -> bool:
        """Always: the loss is relative to it."""
        return True

    def prepare(self, rollout: Rollout) -> Pairs:
        """Ranked pairs within each group."""
        total = mix_rewards(rollout.rewards, self.config.weights).sum(1)
        chosen, rejected = ranked_pairs(total, rollout.group, self.config.pairs)
        first, second = rollout.select(chosen), rollout.select(rejected)
        if not len(chosen):
            return Pairs(first, second, torch.zeros(0))
        assert self.reference is not None
        margins = []
        with torch.no_grad():
            for index in portions(len(chosen), self.config.microbatch):
                better, worse = first.select(index), second.select(index)
                margins.append(_total(self.reference, better) - _total(self.reference, worse))
        return Pairs(first, second, torch.cat(margins))

    def loss(self, part: Pairs, whole: Pairs) -> tuple[Tensor, dict[str, Tensor]]:
        """−log σ(β · (log-ratio of the chosen − log-ratio of the rejected)), a mean over pairs."""
        likely = self.policy.evaluate(part.chosen).logprob
        margin = likely.sum((1, 2)) - _total(self.policy, part.rejected) - part.margin
        preference = -logsigmoid(self.config.beta * margin).sum() / len(whole)
        sft = -likely.sum() / whole.chosen.mask.sum().clamp(min=1)
        logs = {"preference": preference, "accuracy": (margin > 0).float().sum() / len(whole)}
        return self.config.preference * preference + self.config.sft * sft, logs


def _total(policy: Policy, rollout: Rollout) -> Tensor:
    """Log-probability of whole dialogues, float32[D]."""
    found: Tensor = policy.evaluate(rollout).logprob.sum((1, 2))
    return found


def ranked_pairs(total: Tensor, group: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """Indices of preferred and other dialogues, best against worst; equal ones make no pair.

    Args:
        total: float32[D], what dialogues earned.
        group: int64[D].
        pairs: Pairs per group.
    """
    chosen, rejected = [], []
    for together in members_of(group):
        members = together[torch.argsort(total[together], descending=True, stable=True)]
        for k in range(min(pairs, len(members) // 2)):
            best, worst = members[k], members[-1 - k]
            if total[best] > total[worst] + 1e-5:
                chosen.append(best)
                rejected.append(worst)
    empty = torch.zeros(0, dtype=torch.long)
    return (torch.stack(chosen), torch.stack(rejected)) if chosen else (empty, empty)
