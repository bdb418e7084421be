"""A strategy before every turn: GOPO's expert and service agent as two levels of one network.

The expert chooses a strategy among those that the shop's hard rules allow now; the service agent's first
move is then one of the moves that carry the strategy out. At the start the two levels are a factorisation of
the one-level network (this choice is ours): with ``n(m)`` the number of open strategies that carry a move m
out and ``p`` the network's distribution of first moves,

    π(strategy) = Σ_m∈strategy p(m) / n(m),   π(m | strategy) ∝ p(m) / n(m),

so a move that carries out a strategy is as likely as before, in proportion to the others, and what was
learnt from demonstrations is the expert's start, too. What is learnt beside that is a correction of the first
formula and what the strategy tells the later decisions; both begin at 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.net.arrays import ArrayDialogues, Turns, View
from dialog_gym.agents.net.network import CLOSED, Chosen, Network, draw
from dialog_gym.core import Observation
from dialog_gym.envs.lanes import PlannedActs, PlannedLanes
from dialog_gym.envs.multiagent_seats import STRATEGY, told_strategy

_LEAST: Final = 1e-20
"""Probability below which a strategy counts as this likely; its logarithm stays finite."""
_OWN: Final = ("plan.weight", "plan.bias", "told.weight")


def allowed_strategies(observations: Sequence[Observation], names: Sequence[str]) -> Tensor:
    """bool[N, S], strategies an agent may choose: the one that it is told, or what the hard rules allow."""
    rows = []
    for seen in observations:
        assert seen.act_view is not None
        told = told_strategy(seen.guidelines)
        rows.append((told,) if told in names else seen.act_view.strategies())
    return torch.tensor([[name in row for name in names] for row in rows])


def thought_of(strategy: str) -> str:
    """What an agent thinks that has chosen a strategy."""
    return f"{STRATEGY}{strategy}"


class StrategyNetwork(Network):
    """A network whose turn begins with a strategy: K + 1 decisions, the strategy first."""

    def __init__(
        self,
        inputs: int,
        sizes: tuple[int, ...],
        uses: np.ndarray,
        hidden: int = 128,
        stage: int = 64,
        masked: bool = True,
        *,
        carried: np.ndarray,
        names: Sequence[str] = (),
    ) -> None:
        """Sets up layers; those of `Network` get the weights that it would have.

        Args:
            inputs: Length F of the observation.
            sizes: Number of choices of the K decisions after the strategy.
            uses: bool[moves, K], which further decisions a move makes.
            hidden: Width of the trunk.
            stage: Width of each decision's hidden layer.
            masked: Whether only moves are open that the shop's rules allow.
            carried: bool[S, moves], which moves carry a strategy out.
            names: The strategies' names.
        """
        super().__init__(inputs, sizes, uses, hidden, stage, masked)
        self.names = tuple(names)
        self.carried: Tensor
        self.register_buffer("carried", torch.from_numpy(carried), persistent=False)
        self.plan = nn.Linear(hidden, len(carried))
        self.told = nn.Embedding(len(carried), hidden)
        for weight in (self.plan.weight, self.plan.bias, self.told.weight):
            nn.init.zeros_(weight)

    @property
    def decisions(self) -> int:
        """Number of decisions in a turn."""
        return super().decisions + 1

    @property
    def choices(self) -> int:
        """Number of moves and strategies, of which a turn's observation says which are allowed."""
        return super().choices + len(self.carried)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take up weights; those of a network without strategies are the start of one with them."""
        own = self.state_dict()
        fresh = {name: torch.zeros_like(own[name]) for name in _OWN}
        return super().load_state_dict({**fresh, **state_dict}, strict, assign)

    def decide(
        self, observation: Tensor, allowed: Tensor, action: Tensor | None, uniforms: Tensor | None,
        first_bias: Tensor | None = None,
    ) -> Chosen:  # fmt: skip
        """Take or evaluate decisions.

        If no allowed strategy has an allowed move, one is chosen all the same and all allowed moves are open.

        Args:
            observation: float32[R, F].
            allowed: bool[R, moves + strategies].
            action: int64[R, K + 1] to evaluate, None to choose.
            uniforms: float32[R, K + 1] in [0, 1) to sample with; None takes the likeliest.
            first_bias: float32[R, moves], added to the logits of the first move.
        """
        moves, plans = self._parts(allowed)
        features = self.trunk(observation)
        likely = self._first_moves(features, moves, first_bias)
        feasible = plans & (moves.float() @ self.carried.T.float() > 0)
        plans = torch.where(feasible.any(1, keepdim=True), feasible, plans)
        logits = self._prior(likely, plans) + self.plan(features)
        logp = torch.log_softmax(logits.masked_fill(~plans, CLOSED), -1)
        p = logp.exp()
        if action is not None:
            plan = action[:, 0]
        else:
            plan = logp.argmax(-1) if uniforms is None else draw(p, uniforms[:, 0])
        made = plans.sum(1) > 1
        chosen = (plan, logp.gather(1, plan[:, None]).squeeze(1) * made, -(p * logp).sum(-1) * made, made)
        later, draws = (None if part is None else part[:, 1:] for part in (action, uniforms))
        rest = self._carry_out(plan, features, moves, plans, later, draws, first_bias)
        return Chosen(*(torch.cat([one[:, None], more], 1) for one, more in zip(chosen, rest, strict=True)))

    def _parts(self, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """Allowed moves and strategies."""
        moves, plans = allowed[:, : self.sizes[0]], allowed[:, self.sizes[0] :]
        return (moves if self.masked else torch.ones_like(moves)), plans

    def _first_moves(self, features: Tensor, moves: Tensor, bias: Tensor | None) -> Tensor:
        """float32[R, moves], log-probabilities of first moves before there is a strategy."""
        logits = self.heads[0](torch.relu(self._stages(range(1), features)))
        logits = logits if bias is None else logits + bias
        return torch.log_softmax(logits.masked_fill(~moves, CLOSED), -1)

    def _prior(self, likely: Tensor, plans: Tensor) -> Tensor:
        """float32[R, S], logarithm of the share of first moves that falls to each open strategy."""
        shares = likely.exp() / self._carriers(plans)
        found: Tensor = (shares @ self.carried.T.float()).clamp(min=_LEAST).log()
        return found

    def _carriers(self, plans: Tensor) -> Tensor:
        """float32[R, moves], number of open strategies that carry a move out, at least 1."""
        found: Tensor = (plans.float() @ self.carried.float()).clamp(min=1)
        return found

    def _carry_out(
        self, plan: Tensor, features: Tensor, moves: Tensor, plans: Tensor,
        action: Tensor | None, uniforms: Tensor | None, first_bias: Tensor | None,
    ) -> Chosen:  # fmt: skip
        """The K decisions under a strategy."""
        within = moves & self.carried[plan]
        within = torch.where(within.any(1, keepdim=True), within, moves)
        bias = -self._carriers(plans).log().masked_fill(~within, -CLOSED)
        bias = bias if first_bias is None else bias + first_bias
        return self._decide(features + self.told(plan), moves, action, uniforms, bias)


class PlannedDialogues(ArrayDialogues):
    """Array dialogues in which a turn begins with a strategy, and ESNDCG is among the outcomes."""

    act_level: PlannedActs
    lanes: PlannedLanes

    def begin(self, tasks: np.ndarray, seeds: np.ndarray) -> None:
        """Begin one dialogue per task; see `ArrayDialogues.begin`."""
        super().begin(tasks, seeds)
        self._gain, self._best = np.zeros((2, len(tasks)))

    def view(self) -> View:
        """The running dialogues as the agent sees them; ``allowed`` is bool[n, moves + strategies]."""
        seen = super().view()
        return seen._replace(allowed=np.concatenate([seen.allowed, self.lanes.allowed_strategies()], 1))

    def name(self, actions: np.ndarray) -> np.ndarray:
        """Actions int64[n, K] with the strategy that they carry out, int64[n, K + 1]: the best graded one.

        Of the strategies allowed now; where none has the first move, the first strategy stands there, and the
        turn is against the rules.
        """
        fit = self.lanes.allowed_strategies() & self.act_level.carried.T[actions[:, 0]]
        graded = np.where(fit, self.lanes.strategy_grades(), -1)
        return np.concatenate([graded.argmax(1)[:, None], actions], 1)

    def step(self, actions: np.ndarray) -> Turns:
        """One turn, int64[n, K + 1], in every running dialogue; for ESNDCG counts what is done in it."""
        gain, best = self.lanes.strategy_gains(actions[:, 1:])
        self._gain, self._best = self._gain + gain, self._best + best
        return super().step(actions[:, 1:])

    def _facts_at_end(self) -> dict[str, np.ndarray]:
        return super()._facts_at_end() | {"esndcg": self._gain / self._best}

    def leave(self, ended: np.ndarray) -> None:
        """Its parent's, with ESNDCG."""
        super().leave(ended)
        self._gain, self._best = self._gain[~ended], self._best[~ended]


def strategic(rollout: Rollout) -> Rollout:
    """A rollout that says which of its decisions are the expert's: the first of each turn."""
    first = torch.zeros_like(rollout.mask)
    first[..., 0] = rollout.mask[..., 0]
    return replace(rollout, inputs={**rollout.inputs, "strategic": first})
