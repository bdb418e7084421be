"""User turns as dialogue acts: the user model's choice put into acts, and another player's acts read back."""

from collections.abc import Mapping, Sequence
from typing import Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.ontology import (
    NEED_SLOTS,
    OBJECTIONS,
    PROBLEMS,
    PURPOSES,
    TIMINGS,
    TOPICS,
    USER_INTENTS,
)
from dialog_gym.domains.credit.shoppers import SERVICE
from dialog_gym.domains.credit.state import ACT, SLOT, USER, AgentTurn, Lane, Reply, State
from dialog_gym.domains.credit.tracker import MAX_DECLINES
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
