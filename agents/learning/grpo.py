"""GRPO: advantages relative to other dialogues of the same task, no value network (arXiv 2402.03300).

Options of later papers are switches: DAPO's higher upper clip and dropping of groups without spread
(arXiv 2503.14476), Dr. GRPO's missing division by the deviation and constant length (arXiv 2503.20783),
GDPO's normalise-each-reward-then-sum, and DuCA's separate normalisation of turn- and session-level advantages
(arXiv 2603.01481). The default is *ours*: dialogues of a task share the customer and the customer's
randomness, so they can be compared turn by turn, and a turn is not blamed for what came before it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dialog_gym.agents.learning.advantages import (
    group_normalise,
    has_spread,
    mix_rewards,
    normalise,
    returns_to_go,
    turn_normalise,
)
from dialog_gym.agents.learning.algorithm import option
from dialog_gym.agents.learning.policy_gradient import Advised, PolicyGradient, PolicyGradientConfig
from dialog_gym.agents.learning.rollout import Rollout

SESSION = ("conversion", "resolution", "honest_refusal", "mis_sale", "satisfaction")
"""Rewards about how the whole dialogue ended; the others are about turns."""


@dataclass(frozen=True)
class GRPOConfig(PolicyGradientConfig):
    """Options of GRPO."""

    group: int = option(8, "Dialogues per task: same task, same customer, same customer's randomness.")
    divide: bool = option(True, "Divide by the group's deviation (Dr. GRPO does not).")
    drop_equal: bool = option(True, "Leave out groups whose dialogues all earned the same (DAPO).")
    mix: Literal["sum-then-normalise", "normalise-then-sum"] = option(
        "sum-then-normalise", "Mix rewards before, or after (GDPO) normalising each within the group."
    )
    levels: Literal["joint", "separate", "turn"] = option(
        "turn",
        "One advantage per dialogue (the paper's), or turn and session rewards normalised apart (DuCA's "
        "HIAN), or what is still to come after each turn, compared with the group's dialogues at that turn.",
    )


class GRPO(PolicyGradient):
    """Policy gradient whose advantages come from comparing dialogues of one task."""

    name = "grpo"
    config: GRPOConfig

    def advise(self, rollout: Rollout) -> Advised:
        """One advantage per turn; with ``levels="joint"`` it is the same for all turns of a dialogue."""
        session = {name: values.sum(1, keepdim=True) for name, values in self._discounted(rollout).items()}
        if self.config.drop_equal:
            total = mix_rewards(session, self.config.weights).squeeze(1)
            spread = has_spread(total, rollout.group).nonzero().squeeze(1)
            rollout, session = rollout.select(spread), {n: v[spread] for n, v in session.items()}
        if not len(rollout):
            return Advised(rollout, {"advantage": torch.zeros(0, rollout.mask.shape[1])})
        if self.config.levels == "separate":
            return Advised(rollout, {"advantage": self._separate(rollout, session)})
        if self.config.levels == "turn":
            return Advised(rollout, {"advantage": self._turn_advantage(rollout)})
        advantage = self._session_advantage(session, rollout.group)
        return Advised(rollout, {"advantage": advantage[:, None] * rollout.turns})

    def _discounted(self, rollout: Rollout) -> dict[str, Tensor]:
        factors = self.config.discount ** torch.arange(rollout.mask.shape[1])
        return {name: torch.nan_to_num(values, nan=0.0) * factors for name, values in rollout.rewards.items()}

    def _session_advantage(self, session: dict[str, Tensor], group: Tensor) -> Tensor:
        weights = {name: w for name, w in self.config.weights.items() if name in session}
        if self.config.mix == "sum-then-normalise":
            return group_normalise(mix_rewards(session, weights).squeeze(1), group, divide=self.config.divide)
        parts = [
            w * group_normalise(session[name].squeeze(1), group, divide=self.config.divide)
            for name, w in weights.items()
        ]
        total = torch.stack(parts).sum(0)
        return normalise(total, torch.ones_like(total, dtype=torch.bool))

    def _turn_advantage(self, rollout: Rollout) -> Tensor:
        """What is still to come after each turn, compared with the group's dialogues at that turn."""
        together = mix_rewards(rollout.rewards, self.config.weights)
        if self.config.mix == "sum-then-normalise":
            togo = returns_to_go(together, self.config.discount)
            return turn_normalise(togo, rollout.turns, rollout.group)
        total = torch.zeros_like(together)
        for name, weight in self.config.weights.items():
            if name in rollout.rewards:
                togo = returns_to_go(torch.nan_to_num(rollout.rewards[name]), self.config.discount)
                total += weight * turn_normalise(togo, rollout.turns, rollout.group)
        return normalise(total, rollout.turns)

    def _separate(self, rollout: Rollout, session: dict[str, Tensor]) -> Tensor:
        """The sum of a session-level advantage and one from the turn rewards that are still to come."""
        about_session = {n: v for n, v in session.items() if n in SESSION and n in self.config.weights}
        about_turns = {name: w for name, w in self.config.weights.items() if name not in SESSION}
        turns = returns_to_go(mix_rewards(rollout.rewards, about_turns), self.config.discount)
        advantage = normalise(turns, rollout.turns)
        if about_session:
            advantage += self._session_advantage(about_session, rollout.group)[:, None] * rollout.turns
        return advantage
