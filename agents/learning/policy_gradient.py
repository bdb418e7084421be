"""The clipped policy gradient that PPO and GRPO share; they differ in where advantages come from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dialog_gym.agents.learning.advantages import mix_rewards, normalise, returns_to_go
from dialog_gym.agents.learning.algorithm import Algorithm, OnlineConfig, option, parts
from dialog_gym.agents.learning.rollout import Rollout


@dataclass(frozen=True)
class PolicyGradientConfig(OnlineConfig):
    """Options of PPO, GRPO and what is built on them."""

    clip_low: float = option(0.2, "The probability ratio is clipped at 1 - this.")
    clip_high: float = option(0.2, "The probability ratio is clipped at 1 + this; DAPO uses 0.28.")
    kl: float = option(0.0, "Weight of the KL term to the reference model (k3 estimator).")
    entropy: float = option(0.01, "Weight of the entropy bonus.")
    discount: float = option(1.0, "Discount per turn.")
    length: Literal["token", "dialogue", "constant"] = option(
        "token", "The loss is a mean over decisions, over dialogues, or over a constant (Dr. GRPO)."
    )


@dataclass(frozen=True)
class Advised:
    """Dialogues with advantages and what the losses need beside them."""

    rollout: Rollout
    extra: Mapping[str, Tensor]
    """``advantage`` float32[D, T] or [D, T, K]; algorithms add what they need, [D, ...] each."""

    def __len__(self) -> int:
        """Number of dialogues."""
        return len(self.rollout)

    def select(self, index: Tensor) -> "Advised":
        """Some of the dialogues."""
        chosen = {name: values[index] for name, values in self.extra.items()}
        return replace(self, rollout=self.rollout.select(index), extra=chosen)


class PolicyGradient(Algorithm):
    """Clipped surrogate with a baseline: the mean return of the batch. The parent of PPO and GRPO."""

    name = "policy-gradient"
    config: PolicyGradientConfig
    wants_value: ClassVar[bool] = False

    def needs_reference(self) -> bool:
        """A reference is only kept when the KL term counts."""
        return self.config.kl > 0

    def prepare(self, rollout: Rollout) -> Advised:
        """Advantages, and the reference model's log-probabilities."""
        batch = self.advise(rollout)
        # advantages stand for them from now on, and minibatches are copies
        batch = replace(batch, rollout=replace(batch.rollout, rewards={}, outcome={}))
        if self.reference is None or not len(batch):
            return batch
        with torch.no_grad():
            known = [
                self.reference.evaluate(part).logprob for part in parts(batch.rollout, self.config.microbatch)
            ]
        return replace(batch, extra={**batch.extra, "reference": torch.cat(known)})

    def advise(self, rollout: Rollout) -> Advised:
        """The dialogues to learn from, with advantages: here the normalised return from each turn on."""
        rewards = mix_rewards(rollout.rewards, self.config.weights)
        returns = returns_to_go(rewards, self.config.discount)
        return Advised(rollout, {"advantage": normalise(returns, rollout.turns)})

    def loss(self, part: Advised, whole: Advised) -> tuple[Tensor, dict[str, Tensor]]:
        """Clipped surrogate, KL and entropy, each as a mean over decisions."""
        rollout, found = part.rollout, self.policy.evaluate(part.rollout, value=self.wants_value)
        share = self.share(rollout, whole.rollout)
        advantage = part.extra["advantage"].view(*rollout.mask.shape[:2], -1)
        ratio = (found.logprob - rollout.logprob).exp()
        clipped = ratio.clamp(1 - self.config.clip_low, 1 + self.config.clip_high)
        surrogate = torch.minimum(ratio * advantage, clipped * advantage)
        entropy = (found.entropy * share).sum()
        loss = -(surrogate * share).sum() - self.config.entropy * entropy
        logs = {
            "entropy": entropy,
            "clipped": ((ratio != clipped) * share).sum(),
            "old_kl": (((ratio - 1) - (found.logprob - rollout.logprob)) * share).sum(),
        }
        if "reference" in part.extra:
            kl = (k3(found.logprob, part.extra["reference"]) * share).sum()
            loss, logs["kl"] = loss + self.config.kl * kl, kl
        more, more_logs = self.more_loss(part, whole, found)
        return loss + more, logs | more_logs

    def more_loss(self, part: Advised, whole: Advised, found: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """What a subclass adds to the loss."""
        return torch.zeros(()), {}

    def share(self, part: Rollout, whole: Rollout) -> Tensor:
        """Weight of each decision in the means, float32[D, T, K]; but for "constant" they sum to 1."""
        mask = part.mask.float()
        match self.config.length:
            case "token":
                return mask / whole.mask.sum().clamp(min=1)
            case "dialogue":
                return mask / mask.sum((1, 2), keepdim=True).clamp(min=1) / len(whole)
            case _:
                return mask / (len(whole) * whole.mask.shape[1])


def k3(logprob: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k3 estimate of KL(π ‖ π_ref), ``π_ref/π − log(π_ref/π) − 1``; never negative."""
    difference = reference - logprob
    return difference.exp() - difference - 1
