"""A desk to stage situations at: scalar dialogue states, turns and replies made by hand."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from dialog_gym.core import END
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.shoppers import SALE, SERVICE, STYLES
from dialog_gym.domains.credit.state import ACT, SLOT, TOPIC, USER, AgentTurn, Reply, State, one
from dialog_gym.domains.credit.tracker import VIOLATION, Tracker
from dialog_gym.domains.credit.user_model import UserModel
from dialog_gym.ops import SCALAR

settings.register_profile("steady", deadline=None, derandomize=True)  # the same on a busy machine
settings.load_profile("steady")

PAY_LATER, INSTALMENT, REVOLVING = 1, 2, 4
SALE_TASK: Mapping[str, Any] = {
    "scenario": SALE, "reached": True, "buyer": True, "strength": 0.8, "amount": 1500, "new_amount": 1000,
    "change_turn": 0, "solvable": PAY_LATER, "suits": PAY_LATER | INSTALMENT,
    "eligible": PAY_LATER | REVOLVING,
    "fits": [1.0, 0.5, 0.0, 0.0, 0.0], "limits": [2000, 0, 5000, 0, 0], "rates": [0, 720, 720, 1080, 1440],
    "required": SLOT["amount"] | SLOT["purpose"], "questions": TOPIC["rate"] | TOPIC["privacy"],
    "objections": 0b11,
    "problem": -1, "fix_actions": 0, "fix_topics": 0, "timing": 1, "style": STYLES.index("default"),
    "trust": 0.6,
    "patience": 8.0, "price_sensitivity": 0.5, "knowledge": 0.5, "typos": 0.0, "main": -1, "topic": 0,
}  # fmt: skip
SERVICE_TASK = SALE_TASK | {
    "scenario": SERVICE, "solvable": 0, "required": 0, "objections": 0, "problem": 1, "fix_actions": 0b10,
}  # fmt: skip
CALM: Mapping[str, float] = {
    "notice": 0.999, "confirm": 0.001, "disclose": 0.001, "choice": 0.0, "ask": 0.999, "consider": 0.999,
    "handover": 0.999, "garble": 0.999,
}  # fmt: skip


class Desk:
    """Makes states, turns and replies, and plays them past the tracker or the user model."""

    def __init__(self) -> None:
        domain = CreditDomain()
        space = domain.space(split="test", scenario="proactive_sale", level=0)
        self.columns = domain.starts(space, np.arange(1), np.zeros(1, np.uint64)).columns
        self.tracker, self.users = Tracker(SCALAR, 12), UserModel(SCALAR, 2340)

    def state(self, task: str = "sale", **changes: Any) -> State:
        """A fresh dialogue: a buyer for whom pay later is right, or a customer with a locked account."""
        state = one(self.columns, 0)
        for name, value in ((SALE_TASK if task == "sale" else SERVICE_TASK) | changes).items():
            setattr(state, name, value)
        state.ideal = self.tracker.ideal(state)
        return state

    @staticmethod
    def turn(*intents: str, **said: int) -> AgentTurn:
        """An assistant turn that says nothing but what is given."""
        blank = {field.name: 0 for field in fields(AgentTurn)} | {"product": -1, "count": len(intents)}
        return AgentTurn(**(blank | {"acts": sum(ACT[name] for name in intents)} | said))

    @staticmethod
    def reply(main: str | None = None, confirm: bool = False, disclosed: int = 0) -> Reply:
        """A user's reply."""
        return Reply(confirm=confirm, disclosed=disclosed, main=-1 if main is None else USER[main], topic=0)

    def play(self, state: State, turn: AgentTurn | None = None, reply: Reply | None = None) -> set[str]:
        """One turn past the tracker alone; the names of its violations."""
        turn, state.turn = turn or self.turn(), state.turn + 1
        self.tracker.judge(state, turn)
        self.tracker.advance(state, turn, reply or self.reply())
        return {name for name, bit in VIOLATION.items() if state.violations & bit}

    def react(self, state: State, turn: AgentTurn | None = None, **draws: float) -> str | None:
        """One turn past the user model alone, in a calm mood but for the draws named; the main act's name."""
        state.turn += 1
        reply = self.users.react(state, turn or self.turn(), CALM | draws)
        self.users.speak(state, reply, CALM | draws)
        return next((name for name, i in USER.items() if i == reply.main), None)

    @staticmethod
    def ended(state: State) -> str | None:
        """The end reason's name."""
        return next((name for name, i in END.items() if i == state.ended), None)


@pytest.fixture(scope="session")
def desk() -> Desk:
    return Desk()
