"""Supervised fine-tuning: raise the likelihood of what demonstrators did."""

from dataclasses import dataclass

from torch import Tensor

from dialog_gym.agents.learning.algorithm import Algorithm, Config, option
from dialog_gym.agents.learning.rollout import Policy, Rollout


@dataclass(frozen=True)
class SFTConfig(Config):
    """Options of supervised fine-tuning."""

    learning_rate: float = option(2e-3, "Step size of Adam at the start.")
    minibatch: int = option(64, "Dialogues per gradient step.")
    demonstrations: int = option(6000, "Demonstrated sales calls; a fifth as many service calls are added.")
    passes: int = option(12, "Passes over the demonstrations.")


class SFT(Algorithm):
    """Cross-entropy over the demonstrators' decisions; what the customer says is not learnt."""

    name = "sft"
    online = False
    config: SFTConfig

    def prepare(self, rollout: Rollout) -> Rollout:
        """The demonstrations as they are."""
        return rollout

    def loss(self, part: Rollout, whole: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean negative log-likelihood of a decision."""
        return unlikelihood(self.policy, part, whole)


def unlikelihood(policy: Policy, part: Rollout, whole: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean negative log-likelihood of the whole's decisions, as far as the part's go, and their entropy."""
    found = policy.evaluate(part)
    decisions = whole.mask.sum().clamp(min=1)
    return -found.logprob.sum() / decisions, {"entropy": found.entropy.detach().sum() / decisions}
