"""PPO: a value network and advantage estimation over turns (Schulman et al., arXiv 1707.06347)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dialog_gym.agents.learning.advantages import gae, mix_rewards, normalise
from dialog_gym.agents.learning.algorithm import option, parts
from dialog_gym.agents.learning.policy_gradient import Advised, PolicyGradient, PolicyGradientConfig
from dialog_gym.agents.learning.rollout import Rollout


@dataclass(frozen=True)
class PPOConfig(PolicyGradientConfig):
    """Options of PPO."""

    epochs: int = option(2, "Passes over each batch of dialogues.")
    gae_lambda: float = option(0.95, "λ of generalised advantage estimation.")
    value: float = option(0.5, "Weight of the value loss.")
    value_clip: float = option(0.0, "Values move at most this far from the old ones in an update; 0: freely.")


class PPO(PolicyGradient):
    """Policy gradient whose advantages come from a learnt value of each turn."""

    name = "ppo"
    config: PPOConfig
    wants_value: ClassVar[bool] = True

    def advise(self, rollout: Rollout) -> Advised:
        """GAE on the policy's own values, normalised over the batch's turns."""
        rewards = mix_rewards(rollout.rewards, self.config.weights)
        values = torch.cat([self.policy.values(part) for part in parts(rollout, self.config.microbatch)])
        advantage = gae(rewards, values, self.config.discount, self.config.gae_lambda) * rollout.turns
        extra = {
            "advantage": normalise(advantage, rollout.turns),
            "return": advantage + values,
            "value": values,
        }
        return Advised(rollout, extra)

    def more_loss(self, part: Advised, whole: Advised, found: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error of the value, a mean over turns."""
        old, target, turns = part.extra["value"], part.extra["return"], part.rollout.turns
        error = (found.value - target).square()
        if self.config.value_clip:
            near = old + (found.value - old).clamp(-self.config.value_clip, self.config.value_clip)
            error = torch.maximum(error, (near - target).square())
        loss = (error * turns).sum() / whole.rollout.turns.sum().clamp(min=1)
        return self.config.value * loss, {"value_loss": loss}
