"""MORE: rewards weighted by their gradients, held by reasoning tasks (arXiv 2606.09293, KDD '26).

Each batch is learnt from in two stages. First the policy answers reasoning tasks (`scaffold`) and learns from
the answers; a frozen copy of it becomes the reference model. Then come the dialogues, which the policy had
played before the first stage: rewards, each rescaled to [0, 1], are weighted by the rank of their gradients'
norms, compared within the group, and enter a clipped surrogate with a KL term to that reference.

On one reply a reward's gradient is the reward times a vector that all rewards share, so the paper's ranking
is by the size of rewards: ``weighting="sample"``. The default ``"group"`` is *ours*: the gradient of reward j
over a group is Σ_i A_ij ∇log π(y_i) with A_ij the reward less its group mean; its norm comes from the Gram
matrix K of the dialogues' gradients in the last shared layer, ‖g_j‖² = A_jᵀ K A_j. *Ours* too are whole
dialogues with their outcome among the rewards; the paper learns from single logged turns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from dialog_gym.agents.learning.advantages import group_statistics, members_of
from dialog_gym.agents.learning.algorithm import WEIGHTS, option
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig
from dialog_gym.agents.learning.policy_gradient import Advised
from dialog_gym.agents.learning.rollout import Policy, Rollout, portions
from dialog_gym.agents.learning.scaffold import FORMAT, Scaffold, ScaffoldConfig, accuracy
from dialog_gym.language import LANGUAGE_REWARDS

RANGES: Mapping[str, tuple[float, float]] = {
    "mis_sale": (-1.0, 0.0), "violation": (-3.0, 0.0), "satisfaction": (-1.0, 1.0), "turn": (-12.0, 0.0),
    "propensity": (-1.0, 1.0),
}  # fmt: skip
"""Sum over a dialogue that becomes 0, and that which becomes 1; for other rewards 0 and 1."""


def _weights() -> dict[str, float]:
    """Those of all algorithms, times the width of a reward's range: rescaled, it counts as much as there."""
    widths = {name: high - low for name, (low, high) in RANGES.items()}
    outcome = {name: weight * widths.get(name, 1.0) for name, weight in WEIGHTS.items()}
    return {**outcome, **dict.fromkeys(LANGUAGE_REWARDS, 0.1)}


@dataclass(frozen=True)
class MOREConfig(GRPOConfig):
    """Options of MORE."""

    kl: float = option(0.01, "Weight of the KL term to the reference model (k3 estimator).")
    weights: Mapping[str, float] = field(
        default_factory=_weights, metadata={"help": "Weights that ranks multiply, NAME=W,..."}
    )
    weighting: Literal["group", "sample", "uniform"] = option(
        "group", "Rewards are weighted by their gradients over a group, on one dialogue (paper), or not."
    )
    mode: Literal["dialogue", "single_turn"] = option(
        "dialogue", "Learn from whole dialogues, or from single replies to logged calls (paper)."
    )
    logged: int = option(2_000, "Logged calls that are replied to in the mode single_turn.")
    scaffold: bool = option(True, "Learn reasoning tasks too.")
    merged: bool = option(False, "Reasoning and dialogues in one stage, with the reference of the start.")
    rounds: int = option(6, "Batches of reasoning tasks in each iteration.")
    customers: int = option(128, "Customers whose two reasoning tasks make a batch.")
    answers: int = option(8, "Answers to each reasoning task.")
    mac: float = option(0.5, "Weight of exact answers to masked attribute completion.")
    pnr: float = option(0.5, "Weight of exact answers to numerical reasoning.")
    form: float = option(0.5, "Weight of well-formed answers.")
    scaffold_rate: float = option(1e-4, "Step size of the reasoning stage.")
    scaffold_entropy: float = option(0.2, "Weight of its entropy bonus at the start; it falls to nothing.")
    scaffold_minibatch: int = option(1024, "Answers per gradient step of the reasoning stage.")
    imitated: int = option(600, "Batches of solved reasoning tasks that are imitated before all else.")
    measured: int = option(256, "Validation customers on whom reasoning is measured in each iteration.")


class MORE(GRPO):
    """GRPO with a scaffold, a reference that is refreshed by it, and rewards weighted by rank."""

    name = "more"
    model: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "net": {"reasoning": True, "language_rewards": True},
        "lm": {"language_rewards": True},
    }
    config: MOREConfig

    def __init__(self, policy: Policy, config: MOREConfig, reference: Policy | None = None) -> None:
        """As its parent; the scaffold has an optimiser of its own."""
        super().__init__(policy, config, reference)
        weights = {"mac": config.mac, "pnr": config.pnr, FORMAT: config.form}
        chosen = {name: getattr(config, name) for name in ("microbatch", "max_gradient", "anneal", "divide")}
        own = ScaffoldConfig(
            **chosen, learning_rate=config.scaffold_rate, minibatch=config.scaffold_minibatch, epochs=1,
            group=config.answers, weights=weights, entropy=config.scaffold_entropy, kl=0.0,
        )  # fmt: skip
        self.scaffold = Scaffold(policy, own)
        self.iteration = 0
        self._asked: Advised | None = None

    def update(self, rollout: Rollout, generator: torch.Generator, progress: float = 0.0) -> dict[str, float]:
        """Reason, refresh the reference, then learn from the dialogues."""
        logs: dict[str, float] = {}
        if self.config.scaffold:
            logs |= self._reason(generator, progress)
        logs |= super().update(rollout, generator, progress)
        self.iteration += 1
        if self.config.scaffold and self.config.measured:
            logs |= accuracy(self.policy, self.config.measured)  # type: ignore[arg-type]
        return logs

    def _reason(self, generator: torch.Generator, progress: float) -> dict[str, float]:
        """The first stage; in the merged variant one batch of tasks joins all gradient steps."""
        chosen = self.config
        logs: dict[str, float] = {}
        for _ in range(chosen.imitated if self.iteration == 0 else 0):
            self.scaffold.imitate(chosen.customers, generator)
        if chosen.merged:
            self._asked = self.scaffold.prepare(self.scaffold.tasks(chosen.customers, generator))
            return logs
        for _ in range(chosen.rounds):
            logs = self.scaffold.learn(chosen.customers, generator, progress)
        if self.reference is not None:
            self.reference.module.load_state_dict(self.policy.module.state_dict())
        return logs

    def more_loss(self, part: Advised, whole: Advised, found: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """In the merged variant, the reasoning tasks' loss."""
        if self._asked is None or not len(self._asked):
            return super().more_loss(part, whole, found)
        loss, _ = self.scaffold.loss(self._asked, self._asked)
        return loss * len(part) / len(whole), {}

    def advise(self, rollout: Rollout) -> Advised:
        """As GRPO, from rewards that are rescaled and weighted."""
        rewards = rescaled(rollout, self.config.weights)
        scores = {name: values.sum(1) for name, values in rewards.items()}
        ranks = self._rank_weights(rollout, scores)
        weighted = {name: rewards[name] * rank[:, None] for name, rank in zip(rewards, ranks.T, strict=True)}
        return super().advise(replace(rollout, rewards=weighted))

    def _rank_weights(self, rollout: Rollout, scores: Mapping[str, Tensor]) -> Tensor:
        """λ of each dialogue's rewards, float32[D, J]."""
        values = torch.stack(list(scores.values()), 1)
        match self.config.weighting:
            case "uniform":
                return torch.ones_like(values)
            case "sample":
                return rank_weights(values.abs())
        centred = torch.stack([v - group_statistics(v, rollout.group)[0] for v in values.unbind(1)], 1)
        return rank_weights(self._norms(rollout, centred))

    def _norms(self, rollout: Rollout, advantage: Tensor) -> Tensor:
        """‖g_j‖² of each dialogue's group, float32[D, J]."""
        norms = torch.zeros_like(advantage)
        members = members_of(rollout.group)
        together = max(1, (self.config.microbatch or self.config.minibatch) // max(self.config.group, 1))
        for index in portions(len(members), together):
            groups = [members[i] for i in index.tolist()]
            gradients = self.policy.score_gradients(rollout.select(torch.cat(groups)))  # type: ignore[attr-defined]
            parts = torch.split(gradients, [len(group) for group in groups])
            for group, own in zip(groups, parts, strict=True):
                norms[group] = (own.T @ advantage[group]).square().sum(0)
        return norms

    def state(self) -> dict[str, Any]:
        """Its parent's, the scaffold's optimiser, and how often it has learnt."""
        own = {"scaffold": self.scaffold.optimizer.state_dict(), "iteration": self.iteration}
        return super().state() | own

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up an earlier `state`."""
        super().load_state(state)
        self.scaffold.optimizer.load_state_dict(state["scaffold"])
        self.iteration = state["iteration"]


def rescaled(rollout: Rollout, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Rewards that are weighted and can be judged, turn by turn, float32[D, T] each.

    Over a dialogue each adds up to a score in [0, 1]: measures of language to their mean over the turns that
    can be judged, all others to their rescaled sum; see `RANGES`. A dialogue in which nothing can be judged
    has the mean score of its group, which favours and blames nobody. What the turns do not explain of a score
    (where its range begins, what was cut off) comes with the last turn.
    """
    found, turns = {}, rollout.turns
    last = torch.zeros_like(turns).scatter(1, (turns.sum(1, keepdim=True) - 1).clamp(min=0), True)
    for name in weights:
        if name not in rollout.rewards:
            continue
        values = rollout.rewards[name]
        if name in LANGUAGE_REWARDS:
            judged = turns & ~torch.isnan(values)
            count = judged.sum(1)
            earned = torch.where(judged, values, 0.0) / count.clamp(min=1)[:, None]
            score = _filled(earned.sum(1), count > 0, rollout.group)
        else:
            low, high = RANGES.get(name, (0.0, 1.0))
            earned = torch.nan_to_num(values, nan=0.0) / (high - low)
            score = (earned.sum(1) - low / (high - low)).clamp(0.0, 1.0)
        found[name] = earned + last * (score - earned.sum(1))[:, None]
    return found


def _filled(values: Tensor, known: Tensor, group: Tensor) -> Tensor:
    """Values with the mean of the group's known ones where they are not known; 0 where none is."""
    groups = int(group.max()) + 1 if len(group) else 0
    total, count = torch.zeros(groups), torch.zeros(groups)
    total.index_add_(0, group, torch.where(known, values, 0.0))
    count.index_add_(0, group, known.float())
    return torch.where(known, values, (total / count.clamp(min=1))[group])


def rank_weights(norms: Tensor) -> Tensor:
    """λ_j = 1 − (rank_j − 1)/n by falling norm, float32[D, n]; equal norms share the better rank."""
    better = (norms.unsqueeze(1) > norms.unsqueeze(2)).sum(2)
    return 1.0 - better.float() / norms.shape[1]
