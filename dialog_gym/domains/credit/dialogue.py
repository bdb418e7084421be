"""One running dialogue of the credit shop: the N = 1 case of the array dynamics, in dialogue acts."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from dialog_gym.core import DialogueAct, EndReason, Scalar, Step, Task
from dialog_gym.domains.credit.claims import acts_of, read_turn
from dialog_gym.domains.credit.dynamics import Dynamics, named_noise
from dialog_gym.domains.credit.ontology import (
    NEED_SLOTS,
    OBJECTIONS,
    PROBLEMS,
    PURPOSES,
    TIMINGS,
    TOPICS,
    USER_INTENTS,
)
from dialog_gym.domains.credit.shoppers import SCENARIOS, SERVICE, STYLES
from dialog_gym.domains.credit.state import ACT, SLOT, USER, AgentTurn, Lane, Reply, State
from dialog_gym.domains.credit.strategies import StrategyBook
from dialog_gym.domains.credit.tracker import END_REASONS, MAX_DECLINES, RUNNING, VIOLATIONS, stage_list
from dialog_gym.domains.credit.truth import Truth
from dialog_gym.domains.credit.user_model import UserModel

_COURTESIES: Final = ("greet", "agree", "unclear", "smalltalk", "thank", "goodbye")
"""Said beside something that matters more, they do not count as the main act."""
_CHOSEN: Final = ("identity", "known", "amount", "mind_changed", "considered", "declined", "human_requests")
"""State that the user model changes by choosing what to say; the rest of a reaction is felt by any user."""


def _slot_value(state: State, slot: str, income: int) -> Scalar:
    values: dict[str, Scalar] = {
        "amount": state.amount,
        "purpose": PURPOSES[state.purpose],
        "timing": TIMINGS[state.timing],
        "income": income,
    }
    return values[slot]


def user_acts(state: State, reply: Reply, income: int) -> tuple[DialogueAct, ...]:
    """The user's reply as dialogue acts: answers first, then the main act."""
    acts = [DialogueAct(intent="confirm_identity")] if reply.confirm else []
    for i, slot in enumerate(NEED_SLOTS):
        if reply.disclosed >> i & 1:
            value = _slot_value(state, slot, income)
            acts.append(DialogueAct(intent="disclose", slots={"slot": slot, "value": value}))
    if reply.main >= 0:
        acts.append(DialogueAct(intent=USER_INTENTS[reply.main], slots=_main_slots(state, reply)))
    return tuple(acts)


def _main_slots(state: State, reply: Reply) -> Mapping[str, Scalar]:
    intent = USER_INTENTS[reply.main]
    if intent in ("ask", "challenge"):
        return {"topic": TOPICS[reply.topic]}
    if intent == "object":
        return {"objection": OBJECTIONS[reply.topic]}
    if intent == "report":
        return {"problem": PROBLEMS[reply.topic]}
    if intent == "correct":
        return {"slot": "amount", "value": state.amount}
    return {}


def reply_of(acts: Sequence[DialogueAct], state: State) -> Reply:
    """User acts from another player as a reply; what is not true of this user (a false value) is still said.

    A reply has one main act: the last that is more than a courtesy, else the last courtesy.
    """
    reply = Reply(confirm=False, disclosed=0, main=-1, topic=0)
    mains: list[DialogueAct] = []
    for act in acts:
        if act.intent == "confirm_identity":
            reply.confirm = not state.identity
        elif act.intent == "disclose":
            reply.disclosed |= SLOT.get(str(act.slots.get("slot")), 0)
        elif act.intent in USER_INTENTS:
            mains.append(act)
    weighty = [act for act in mains if act.intent not in _COURTESIES]
    for act in (weighty or mains)[-1:]:
        reply.main, reply.topic = USER_INTENTS.index(act.intent), _topic_index(act)
    return reply


def _topic_index(act: DialogueAct) -> int:
    for slot, names in (("topic", TOPICS), ("objection", OBJECTIONS), ("problem", PROBLEMS)):
        if act.slots.get(slot) in names:
            return names.index(str(act.slots[slot]))
    return 0


class PlayedUser(UserModel):
    """The user model while another player chooses the user's acts: moods still move as the model says.

    What is said counts only where it can be true: the matter is solved only when it is, and the wanted amount
    changes only as the task says. A goodbye makes a refusal final; any other ends the dialogue as hung up.
    """

    def __init__(self, users: UserModel, reply: Reply, leaves: bool) -> None:
        """Wraps the domain's model for one turn.

        Args:
            users: The model that moods follow.
            reply: What the player chose.
            leaves: Whether the player said goodbye.
        """
        vars(self).update(vars(users))
        self.reply, self.leaves = reply, leaves

    def react(self, s: State, t: AgentTurn, u: Mapping[str, Lane]) -> Reply:
        """Let the model feel the assistant's turn, take back its choices and book the player's."""
        before = {name: getattr(s, name) for name in _CHOSEN}
        super().react(s, t, u)
        for name, value in before.items():
            setattr(s, name, value)
        leaves = self.leaves and not t.acts & (ACT["goodbye"] | ACT["hand_over"])
        self._settle(s, leaves)
        self._book(s, leaves)
        return self.reply

    def _settle(self, s: State, leaves: bool) -> None:
        """Solved is what is solved: said too early it is agreement; who leaves served need not say it."""
        pending = s.problem >= 0 and not s.problem_settled
        finished = s.scenario == SERVICE and not s.questions & ~s.told and not pending
        if finished and leaves:
            self.reply.main = USER["confirm_solved"]
        elif self.reply.main == USER["confirm_solved"] and not finished:
            self.reply.main = USER["agree"]

    def _book(self, s: State, leaves: bool) -> None:
        main = self.reply.main
        if main == USER["decline"]:
            s.declined = max(MAX_DECLINES, s.declined + 1) if leaves else s.declined + 1
        elif leaves and main != USER["confirm_solved"]:
            s.patience = 0.0
        if main == USER["correct"] and s.change_turn > 0 and not s.mind_changed:
            s.amount, s.mind_changed = s.new_amount, True
        s.considered += main == USER["consider"]
        s.human_requests += main == USER["request_human"]

    def speak(self, s: State, r: Reply, u: Mapping[str, Lane]) -> None:
        """Book what the player says; how it is typed is the player's affair."""
        super().speak(s, r, {**u, "garble": 1.0})


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
            judge_strategies: Whether to keep the sums of ESNDCG; without, the outcome's is None.
        """
        self.task, self.state, self._make_truth = task, state, truth
        self._dynamics, self._book, self._noise, self._income = dynamics, book, noise, income
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

    def _advance(self, turn: AgentTurn, dynamics: Dynamics, override: Reply | None = None) -> Step:
        state = self.state
        if self._judge_strategies:
            self._book_strategy(turn)
        reply = dynamics.step(state, turn, named_noise(self._noise[state.turn]), override)
        costs = {name: 1.0 for i, name in enumerate(VIOLATIONS) if state.violations >> i & 1}
        said = user_acts(state, reply, self._income)
        return Step(said, dynamics.rewards(state), costs, self.ended_by)

    def _book_strategy(self, turn: AgentTurn) -> None:
        chosen, best = self._book.gains(self._book.facts(self.state), turn.acts)
        discount = self._dynamics.tracker.discount[self.state.turn + 1]
        self._strategy_gain += chosen * discount
        self._strategy_best += best * discount

    def allowed_strategies(self) -> tuple[str, ...]:
        """Strategies that the hard SOP rules allow now."""
        allowed = self._book.allowed(self._book.facts(self.state))
        return tuple(name for name, ok in zip(self._book.names, allowed, strict=True) if ok)

    def strategy_grades(self) -> dict[str, int]:
        """Graded fit (0 to 3) of every strategy now."""
        return dict(zip(self._book.names, self._book.grades(self._book.facts(self.state)), strict=True))

    def hidden(self) -> dict[str, Any]:
        """Hidden user state and tracker, JSON-ready."""
        s = self.state
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
