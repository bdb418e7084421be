"""The act-level action space: a turn is two moves and four slot values, ``MultiDiscrete``.

``action = [move, second move, product, amount, price tier, months]``. The shop's systems fill in what needs
no decision (the reason code of a refusal, the fee, coupon and reactivation dates, the arithmetic); what needs
judgement is the agent's: which product, eligible or not, which limit, which tier's rate, when to close.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dialog_gym.domains.credit.ontology import (
    ASSISTANT_INTENTS,
    NEED_SLOTS,
    NEXT_STEPS,
    OBJECTIONS,
    SOLUTIONS,
    TOPICS,
)
from dialog_gym.domains.credit.reasoning import basis_points
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.state import ACT, TOPIC, AgentTurn, Lane, State
from dialog_gym.ops import Ops

DEFAULT_AMOUNT = 1000
"""Principal of an interest example when the wanted amount is not known."""
INTEREST_DAYS = 30


@dataclass(frozen=True)
class Move:
    """One thing a turn can do: an intent with its closed slot value, if it has one."""

    intent: str
    slot: str = ""
    value: str = ""

    @property
    def name(self) -> str:
        """``intent`` or ``intent:value``."""
        return f"{self.intent}:{self.value}" if self.value else self.intent


def _moves() -> tuple[Move, ...]:
    choices = {
        "ask_need": ("slot", NEED_SLOTS),
        "inform_eligibility": ("verdict", ("eligible", "ineligible")),
        "address_objection": ("objection", OBJECTIONS),
        "advise": ("step", NEXT_STEPS),
        "solve": ("action", SOLUTIONS),
    }
    found = [Move("none")]
    for intent in ASSISTANT_INTENTS:
        slot, values = choices.get(intent, ("", ("",)))
        found += [Move(intent, slot, value) for value in values]
    return tuple(found)


MOVES = _moves()
MOVE = {move.name: i for i, move in enumerate(MOVES)}
MONTHS = (1, 3, 6, 12, 24)


def _table(slot: str, names: tuple[str, ...]) -> list[int]:
    return [1 << names.index(move.value) if move.slot == slot else 0 for move in MOVES]


class MoveReader:
    """Turns actions into what the turn says, checked against the facts; arrays or scalars."""

    def __init__(self, ops: Ops, rulebook: Rulebook) -> None:
        """Prepares lookup tables for a rulebook's products, ladder and rate grid."""
        self.ops = ops
        products = tuple(rulebook.products.values())
        self.nvec = (
            len(MOVES),
            len(MOVES),
            len(products),
            len(rulebook.ladder) + 1,
            len(products[0].rates),
            len(MONTHS),
        )
        self.act = ops.table([ACT.get(move.intent, 0) for move in MOVES])
        self.asked = ops.table(_table("slot", NEED_SLOTS))
        self.addressed = ops.table(_table("objection", OBJECTIONS))
        self.advised = ops.table(_table("step", NEXT_STEPS))
        self.solved = ops.table(_table("action", SOLUTIONS))
        self.amounts = ops.table([*rulebook.ladder, 0])
        self.tiers = len(products[0].rates)
        self.rates = ops.table([basis_points(rate) for product in products for rate in product.rates])
        self.months_ok = ops.table(
            [sum(1 << i for i, m in enumerate(MONTHS) if m in p.months) for p in products]
        )

    def read(self, action: Any, s: State) -> AgentTurn:
        """What an action says.

        Args:
            action: Six index lanes in the order of the action space (a sequence of ints, or int64[6, N]).
            s: The state before the turn.
        """
        where, take, lane = self.ops.where, self.ops.take, self.ops.lane
        first, second, product, amount, tier, months = action
        second = where(second == first, 0, second)
        acts = take(self.act, first) | take(self.act, second)
        chosen = take(self.amounts, amount)
        named = where(chosen == 0, s.heard_amount, chosen)
        bit = 1 << product
        allowed = (s.eligible & bit) != 0
        says = {MOVE[name]: (first == MOVE[name]) | (second == MOVE[name]) for name in _VERDICTS}
        yes, no = says[MOVE["inform_eligibility:eligible"]], says[MOVE["inform_eligibility:ineligible"]]
        rate_ok = take(self.rates, product * self.tiers + tier) == lane(s.rates, product)
        limit_ok = allowed & (named == lane(s.limits, product))
        term_ok = rate_ok & (((take(self.months_ok, product) >> months) & 1) != 0)
        informed, right = self._informed(acts), 0
        eligibility_wrong = (yes & (allowed ^ True)) | (no & allowed)
        for topic, holds in (
            ("eligibility", eligibility_wrong ^ True),
            ("limit", limit_ok),
            ("rate", rate_ok),
            ("interest", rate_ok),
            ("instalment", term_ok),
            ("coupon", s.has_coupon),
        ):
            right = right | where(holds, TOPIC[topic], 0)
        right = informed & (right | _ALWAYS_RIGHT)
        proposes = (acts & _PROPOSES) != 0
        return AgentTurn(
            acts=acts,
            count=where(first != 0, 1, 0) + where(second != 0, 1, 0),
            asked=take(self.asked, first) | take(self.asked, second),
            right=right,
            wrong=informed & ~right,
            said_eligible=where(yes, bit, 0),
            said_ineligible=where(no, bit, 0),
            said_rate=where((acts & ACT["inform_rate"]) != 0, bit, 0),
            said_fee=where((acts & ACT["inform_fees"]) != 0, bit, 0),
            eligible_right=where(yes & allowed, bit, 0),
            ineligible_right=where(no & (allowed ^ True), bit, 0),
            rate_right=where((right & TOPIC["rate"]) != 0, bit, 0),
            fee_right=where((right & TOPIC["fees"]) != 0, bit, 0),
            offers=where((acts & ACT["offer"]) != 0, bit, 0),
            product=where(proposes, product, -1),
            amount=where(proposes, named, 0),
            addressed=take(self.addressed, first) | take(self.addressed, second),
            solved=take(self.solved, first) | take(self.solved, second),
            advised=take(self.advised, first) | take(self.advised, second),
        )

    def _informed(self, acts: Lane) -> Lane:
        """Bitmask of TOPICS from the bitmask of intents: the inform acts stand in the order of TOPICS."""
        return (acts >> _FIRST_INFORM) & ((1 << len(TOPICS)) - 1)


_FIRST_INFORM = ASSISTANT_INTENTS.index(f"inform_{TOPICS[0]}")
_VERDICTS = ("inform_eligibility:eligible", "inform_eligibility:ineligible")
_ALWAYS_RIGHT = TOPIC["fees"] | TOPIC["reactivation"] | TOPIC["credit_check"] | TOPIC["privacy"]
_PROPOSES = ACT["offer"] | ACT["close"]
assert ASSISTANT_INTENTS[_FIRST_INFORM : _FIRST_INFORM + len(TOPICS)] == tuple(f"inform_{t}" for t in TOPICS)


DECISIONS = ("move", "second", "product", "amount", "tier", "months")
_USES = {
    "inform_eligibility": ("product",), "inform_limit": ("product", "amount"),
    "inform_rate": ("product", "tier"), "inform_fees": ("product",),
    "inform_interest": ("product", "amount", "tier"),
    "inform_instalment": ("product", "amount", "tier", "months"), "offer": ("product", "amount"),
    "close": ("product", "amount"),
}  # fmt: skip


def used_decisions() -> np.ndarray:
    """bool[moves, 6], which decisions a move makes beside its own."""
    return np.array([[name in _USES.get(move.intent, ()) for name in DECISIONS] for move in MOVES])


def action_array(actions: np.ndarray) -> np.ndarray:
    """int64[N, 6] actions as six contiguous lanes, int64[6, N]."""
    return np.ascontiguousarray(np.asarray(actions, dtype=np.int64).T)
