"""One running dialogue of the credit shop: the N = 1 case of the array dynamics, in dialogue acts."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np

from dialog_gym.act_view import ActView
from dialog_gym.core import END_REASONS, RUNNING, DialogueAct, EndReason, Scalar, Step, Task
from dialog_gym.domains.credit.claims import acts_of, read_turn
from dialog_gym.domains.credit.dynamics import Dynamics, named_noise
from dialog_gym.domains.credit.features import ActWindow
from dialog_gym.domains.credit.ontology import (
    NEED_SLOTS,
    OBJECTIONS,
    TOPICS,
)
from dialog_gym.domains.credit.shoppers import SCENARIOS, STYLES, Shoppers
from dialog_gym.domains.credit.state import AgentTurn, Reply, State, columns
from dialog_gym.domains.credit.strategies import StrategyBook
from dialog_gym.domains.credit.tracker import VIOLATIONS, stage_list
from dialog_gym.domains.credit.truth import Truth
from dialog_gym.domains.credit.user_turns import PlayedUser, reply_of, user_acts

_SHOWN = (
    "scenario", "reached", "required", "questions", "objections", "solvable", "suits", "trust", "patience",
    "frustration", "identity", "known", "credited", "open_questions", "voiced", "resolved", "verdicts",
    "rate_told", "fee_told", "problem_settled", "decided", "dcg", "ideal",
)  # fmt: skip
"""The fields that people are shown of a state, and those that stages and TSE are computed from."""
_SNAPSHOT = attrgetter(*_SHOWN)


@dataclass(frozen=True)
class Starts:
    """N dialogues ready to begin."""

    shoppers: Shoppers
    state: State
    profile: np.ndarray
    """float32[N, F], visible profile features."""
    noise: np.ndarray
    """float64[max_turns, len(NOISE), N]."""

    @cached_property
    def columns(self) -> list[list[Any]]:
        """The state as Python lists."""
        return columns(self.state)


class CreditDialogue:
    """A dialogue in progress."""

    def __init__(
        self,
        task: Task,
        state: State,
        truth: Callable[[], Truth],
        dynamics: Dynamics,
        book: StrategyBook,
        noise: list[list[float]],
        income: int,
        profile: np.ndarray,
        window: ActWindow,
        judge_strategies: bool = True,
    ) -> None:
        """Takes fresh scalars.

        Args:
            task: The task.
            state: Its start state; owned and changed by this dialogue.
            truth: Makes the customer's facts when they are first needed.
            dynamics: Scalar dynamics.
            book: Scalar strategies.
            noise: Per assistant turn the draws named in `user_model.NOISE`.
            income: True monthly income, also when the profile lacks it.
            profile: float32[F], visible profile features.
            window: Makes act-level views.
            judge_strategies: Whether to keep the sums of ESNDCG; without, the outcome's is None.
        """
        self.task, self.state, self._make_truth = task, state, truth
        self._dynamics, self._book, self._noise, self._income = dynamics, book, noise, income
        self._profile, self._window = profile, window
        self._judge_strategies = judge_strategies
        self._strategy_gain = self._strategy_best = 0.0

    @cached_property
    def truth(self) -> Truth:
        """The customer's facts."""
        return self._make_truth()

    @property
    def garbled(self) -> bool:
        """Whether the user's last turn is too badly typed to read."""
        return bool(self.state.garbled)

    @property
    def ended_by(self) -> EndReason | None:
        """Why the dialogue is over, or None."""
        return None if self.state.ended == RUNNING else END_REASONS[self.state.ended]

    def open(self) -> tuple[DialogueAct, ...]:
        """The user's opening acts; empty in the sale scenario, where the agent speaks first."""
        state = self.state
        return user_acts(state, Reply(False, 0, state.main, state.topic), self._income)

    def step(self, acts: Sequence[DialogueAct], user_acts: Sequence[DialogueAct] | None = None) -> Step:
        """Advance by one assistant turn; see `dialog_gym.core.Dialogue.step`."""
        turn = read_turn(acts, self.state, self.truth)
        if user_acts is None:
            return self._advance(turn, self._dynamics)
        reply = reply_of(user_acts if self.state.reached else (), self.state)
        played = copy.copy(self._dynamics)
        played.users = PlayedUser(played.users, reply, any(act.intent == "goodbye" for act in user_acts))
        step = self._advance(turn, played, reply)
        return step._replace(user_acts=() if step.ended_by == "not_reached" else tuple(user_acts))

    def step_action(self, action: Sequence[int]) -> Step:
        """Advance by one act-level action (see `moves.py`)."""
        return self._advance(self._dynamics.moves.read(action, self.state), self._dynamics)

    def acts_of(self, action: Sequence[int]) -> tuple[DialogueAct, ...]:
        """The dialogue acts of an act-level action in the present state."""
        return acts_of(action, self._dynamics.moves, self.state, self.truth)

    def act_view(self) -> ActView:
        """What `EcomDialogActs-v0` shows of the present state."""
        look = self._window.look(self._profile, self.state)
        return ActView(*look, self.acts_of, self._dynamics.moves.nvec, self.allowed_strategies)

    def _advance(self, turn: AgentTurn, dynamics: Dynamics, override: Reply | None = None) -> Step:
        state = self.state
        if self._judge_strategies:
            self._book_strategy(turn)
        reply = dynamics.step(state, turn, named_noise(self._noise[state.turn]), override)
        broken = state.violations
        costs = {name: 1.0 for i, name in enumerate(VIOLATIONS) if broken >> i & 1} if broken else {}
        said = user_acts(state, reply, self._income)
        return Step(said, dynamics.rewards(state), costs, self.ended_by)

    def _book_strategy(self, turn: AgentTurn) -> None:
        chosen, best = self._book.gains(self._book.facts(self.state), turn.acts)
        discount = self._dynamics.tracker.discount[self.state.turn + 1]
        self._strategy_gain += chosen * discount
        self._strategy_best += best * discount

    def allowed_strategies(self) -> tuple[str, ...]:
        """Strategies that the hard SOP rules allow now."""
        return self._book.allowed_names(self._book.facts(self.state))

    def strategy_grades(self) -> dict[str, int]:
        """Graded fit (0 to 3) of every strategy now."""
        return dict(zip(self._book.names, self._book.grades(self._book.facts(self.state)), strict=True))

    def hidden(self) -> dict[str, Any]:
        """Hidden user state and tracker now, JSON-ready."""
        return self.describe(self.snapshot())

    def snapshot(self) -> tuple[Any, ...]:
        """What `describe` needs of the present state: cheap enough for every turn."""
        return _SNAPSHOT(self.state)

    def describe(self, snapshot: tuple[Any, ...]) -> dict[str, Any]:
        """Hidden user state and tracker of an earlier moment, JSON-ready."""
        s: Any = SimpleNamespace(**dict(zip(_SHOWN, snapshot, strict=True)))
        return {
            "trust": round(s.trust, 4),
            "patience": round(s.patience, 4),
            "frustration": round(s.frustration, 4),
            "known": [slot for i, slot in enumerate(NEED_SLOTS) if s.known >> i & 1],
            "open_questions": [topic for i, topic in enumerate(TOPICS) if s.open_questions >> i & 1],
            "open_objections": [
                name for i, name in enumerate(OBJECTIONS) if (s.voiced & ~s.resolved) >> i & 1
            ],
            "stages": stage_list(self._dynamics.tracker, s),
            "tse": round(self._dynamics.tracker.tse(s), 6),
        }

    def outcome(self) -> dict[str, Scalar]:
        """Facts about the dialogue so far that metrics are computed from."""
        s, reason = self.state, self.ended_by or "max_turns"
        return {
            "scenario": SCENARIOS[s.scenario],
            "level": self.task.level,
            "style": STYLES[s.style],
            "reached": s.reached,
            "buyer": s.buyer,
            "solvable": s.solvable != 0,
            "converted": s.converted,
            "mis_sold": s.mis_sold,
            "resolved": reason == "resolved",
            "refused": reason == "refused",
            "success": bool(s.converted or reason in ("resolved", "refused")),
            "handed_over": reason == "handed_over",
            "tse": round(self._dynamics.tracker.tse(s), 9),
            "esndcg": round(self._strategy_gain / self._strategy_best, 9) if self._strategy_best else None,
            "satisfaction": round(self._dynamics.satisfaction(s), 6),
            "violations": ",".join(name for i, name in enumerate(VIOLATIONS) if s.all_violations >> i & 1),
            "violation_count": s.violation_count,
            "right_claims": s.right_claims,
            "wrong_claims": s.wrong_claims,
            "right_verdicts": s.right_verdicts,
            "wrong_verdicts": s.wrong_verdicts,
            "declined": s.declined,
            "human_requests": s.human_requests,
            "offered": bin(s.offered).count("1"),
            "accepted_amount": s.accepted_amount,
            "turns": s.turn,
        }
