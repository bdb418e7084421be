"""GOPO: an expert plans the strategy of every turn, a service agent carries it out (arXiv 2602.15854).

Known from the paper: two levels; the expert is optimised at the level of trajectories on goal preferences
with an ESNDCG-based reward, the service agent writes under its strategy; hard SOP constraints and a joint
business reward tie them. The formulas are ours:

- A dialogue's goal is ``J = tse·TSE + esndcg·ESNDCG + outcome·success − violations·(rules broken)``.
- Expert: of two dialogues of a task, the better is preferred (DPO on ``Σ_t log π_E(s_t)``), beside a
  group-relative policy gradient on J less what was earned before the turn: credit by progress gains.
- Service agent: GRPO turn by turn on the turn rewards ``weights``, beside its share ``joint`` of J.

The strategies are the decisions that ``rollout.inputs["strategic"]`` marks. Where nothing is planned, or
without the expert, this is GRPO on the turn rewards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dialog_gym.agents.learning.advantages import mix_rewards, returns_to_go, turn_normalise
from dialog_gym.agents.learning.algorithm import option
from dialog_gym.agents.learning.dpo import ranked_pairs
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.policy_gradient import Advised
from dialog_gym.agents.learning.rollout import Rollout

TURN_WEIGHTS: Mapping[str, float] = {"progress": 1.0, "propensity": 1.0, "violation": 0.5, "turn": 0.01}
"""Weights of the service agent's rewards: about turns, none about how the dialogue ended."""
SUCCESS = ("converted", "resolved", "refused")
"""Right outcomes, of which a dialogue has at most one."""


@dataclass(frozen=True)
class GOPOConfig(GRPOConfig):
    """Options of GOPO."""

    learning_rate: float = option(1.2e-3, "Step size of Adam at the start.")
    minibatch: int = option(64, "Pairs of dialogues per gradient step.")
    weights: Mapping[str, float] = field(
        default_factory=lambda: dict(TURN_WEIGHTS),
        metadata={"help": "Weights of the service agent's named rewards, NAME=W,..."},
    )
    expert: bool = option(True, "Plan strategies for the goal J; without, only turn rewards count.")
    tse: float = option(5.0, "Weight of TSE in the goal J.")
    esndcg: float = option(0.5, "Weight of ESNDCG in the goal J.")
    outcome: float = option(1.0, "Weight of a right outcome in the goal J; a mis-sale is minus one.")
    violations: float = option(0.1, "What a broken rule takes from the goal J.")
    preference: float = option(0.1, "Weight of the expert's preference loss.")
    beta: float = option(0.1, "Scale β of the preference's log-ratio margin.")
    gradient: float = option(1.0, "Weight of the expert's policy gradient on J.")
    joint: float = option(2.0, "Weight of J in the service agent's advantage: the joint business reward.")


class Contest(Advised):
    """Pairs of dialogues of one task: rows 2i are preferred to rows 2i + 1."""

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.rollout) // 2

    def select(self, index: Tensor) -> "Contest":
        """Some of the pairs."""
        rows = torch.stack([2 * index, 2 * index + 1], 1).flatten()
        return self.select_rows(rows)

    def select_rows(self, rows: Tensor) -> "Contest":
        """Some of the dialogues: the better and the worse one of each pair in turn."""
        return Contest(self.rollout.select(rows), {name: values[rows] for name, values in self.extra.items()})


class GOPO(GRPO):
    """GRPO on two levels: an expert plans strategies for whole dialogues, a service agent says the turns."""

    name = "gopo"
    backbones: ClassVar[tuple[str, ...]] = ("net",)
    model: ClassVar[Mapping[str, Mapping[str, Any]]] = {"net": {"strategies": True}}
    config: GOPOConfig

    def needs_reference(self) -> bool:
        """Preferences are relative to the expert that training began with."""
        return super().needs_reference() or (self.config.expert and self.config.preference > 0)

    def update(self, rollout: Rollout, generator: torch.Generator, progress: float = 0.0) -> dict[str, float]:
        """Learn from a batch of dialogues; the mean goal J is logged."""
        return super().update(rollout, generator, progress) | {"goal": float(self.goal(rollout).mean())}

    def prepare(self, rollout: Rollout) -> Advised:
        """Dialogues of each task in pairs, the better one first, if there is an expert; else as GRPO."""
        batch = super().prepare(rollout)
        if not self._planned(rollout):
            return batch
        extra = dict(batch.extra)
        if "reference" in extra:
            known = extra["reference"] if self.config.kl else extra.pop("reference")
            extra["known"] = _of_plan(known, batch.rollout)
        pairs = ranked_pairs(self.goal(rollout), rollout.group, self.config.group // 2)
        return Contest(batch.rollout, extra).select_rows(torch.stack(pairs, 1).flatten())

    def advise(self, rollout: Rollout) -> Advised:
        """An advantage per decision, float32[D, T, K]: the expert's and the service agent's."""
        if not self._planned(rollout):
            return super().advise(rollout)
        turns, group = rollout.turns, rollout.group
        expert = turn_normalise(self.goal_to_go(rollout), turns, group)
        rewards = returns_to_go(mix_rewards(rollout.rewards, self.config.weights), self.config.discount)
        service = turn_normalise(rewards, turns, group) + self.config.joint * expert
        levels = (self.config.gradient * expert)[..., None], service[..., None]
        return Advised(rollout, {"advantage": torch.where(rollout.inputs["strategic"], *levels)})

    def more_loss(self, part: Advised, whole: Advised, found: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """−log σ(β · difference of the plans' log-ratios to the reference), a mean over pairs."""
        if not isinstance(part, Contest) or not self.config.preference:
            return super().more_loss(part, whole, found)
        ratio = _of_plan(found.logprob, part.rollout) - part.extra["known"]
        margin = ratio[0::2] - ratio[1::2]
        loss = -logsigmoid(self.config.beta * margin).sum() / len(whole)
        logs = {"preference": loss, "accuracy": (margin > 0).float().sum() / len(whole)}
        return self.config.preference * loss, logs

    def goal(self, rollout: Rollout) -> Tensor:
        """J of each dialogue, float32[D]; facts that a rollout does not have drop out."""
        facts, zero = rollout.outcome, torch.zeros(len(rollout))
        success = sum((facts[name].float() for name in SUCCESS if name in facts), zero)
        return (
            self.config.tse * facts.get("tse", zero).float()
            + self.config.esndcg * torch.nan_to_num(facts.get("esndcg", zero).float())
            + self.config.outcome * (success - facts.get("mis_sold", zero).float())
            - self.config.violations * rollout.cost.sum(1)
        )

    def goal_to_go(self, rollout: Rollout) -> Tensor:
        """J less what was earned of it before each turn, float32[D, T]: TSE by the turns' shares in it."""
        discount = 1 / torch.log2(torch.arange(2, rollout.mask.shape[1] + 2))
        gains = rollout.rewards["progress"] * discount
        share = gains / gains.sum(1, keepdim=True).clamp(min=1e-6)
        tse = rollout.outcome["tse"].float() if "tse" in rollout.outcome else torch.zeros(len(rollout))
        earned = self.config.tse * share * tse[:, None] - self.config.violations * rollout.cost
        return self.goal(rollout)[:, None] - (earned.cumsum(1) - earned)

    def _planned(self, rollout: Rollout) -> bool:
        """Whether there is an expert, and something that it chose."""
        return self.config.expert and bool(rollout.inputs.get("strategic", torch.zeros(1)).any())


def _of_plan(logprob: Tensor, rollout: Rollout) -> Tensor:
    """Log-probability of all strategies of each dialogue, float32[D]."""
    found: Tensor = (logprob * rollout.inputs["strategic"]).sum((1, 2))
    return found
