"""Dialogue acts as an act-level action: how demonstrations in acts become actions of `EcomDialogActs-v0`."""

from collections.abc import Sequence, Set

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.moves import DEFAULT_AMOUNT, MONTHS, MOVE, MOVES
from dialog_gym.domains.credit.reasoning import interest, monthly_instalment
from dialog_gym.domains.credit.rulebook import Rulebook

_CHOICE = {move.intent: move.slot for move in MOVES if move.slot}
_CLAIMED = {"inform_rate": "rate", "inform_interest": "interest", "inform_instalment": "monthly"}
NONE = MOVE["none"]


class Fitter:
    """Fits turns into two moves and four slot values."""

    def __init__(self, rulebook: Rulebook) -> None:
        """Takes the shop's products, ladder and rates."""
        self.rulebook, self.products = rulebook, tuple(rulebook.products)

    def fit(self, acts: Sequence[DialogueAct], said: Set[str], heard: int) -> list[int]:
        """The action that says the first one or two of some acts; what was said before is left to the end.

        Args:
            acts: What the agent would say, in its order.
            said: What it has said before in this dialogue, in act notation.
            heard: The amount the customer asked for, 0 while unknown.

        Returns:
            Six indices, see `dialog_gym.domains.credit.moves`.
        """
        fresh = [act for act in acts if format_acts([act]) not in said]
        action: list[int] | None = None
        for act in fresh or acts:
            move, slots = self._move(act), self._slots(act, heard)
            if action is None:
                chosen: list[int | None] = [move, NONE, *slots]
                action = [index or 0 for index in chosen]
                fixed = chosen
            elif move != action[0] and _agree(fixed[2:], slots):
                both = [b if a is None else a for a, b in zip(fixed[2:], slots, strict=True)]
                return [action[0], move, *(index or 0 for index in both)]
        return action or [NONE] * 6

    def _move(self, act: DialogueAct) -> int:
        slot = _CHOICE.get(act.intent)
        return MOVE[f"{act.intent}:{act.slots[slot]}" if slot else act.intent]

    def _slots(self, act: DialogueAct, heard: int) -> list[int | None]:
        """Product, amount, price tier and months; None where the act says nothing about it."""
        slots = act.slots
        product = self.products.index(str(slots["product"])) if "product" in slots else None
        amount = self._amount(slots["amount"], heard) if _is_principal(act) else None
        if amount is None and act.intent in ("offer", "close"):
            amount = len(self.rulebook.ladder)  # no amount: as much as was asked for
        tier = None if product is None else self._tier(product, act)
        months = MONTHS.index(int(str(slots["months"]))) if slots.get("months") in MONTHS else None
        return [product, amount, tier, months]

    def _amount(self, amount: Scalar, heard: int) -> int:
        """The ladder's index of an amount; the one past its end means the amount asked for."""
        ladder = self.rulebook.ladder
        if amount == (heard or DEFAULT_AMOUNT) and amount not in ladder:
            return len(ladder)
        below = [i for i, step in enumerate(ladder) if step <= _number(amount)]
        return below[-1] if below else 0

    def _tier(self, product: int, act: DialogueAct) -> int | None:
        """The price tier whose rate makes the act's claim true; None for acts that claim no rate."""
        rates, slots = self.rulebook.products[self.products[product]].rates, act.slots
        match act.intent:
            case "inform_rate":
                claims = list(rates)
            case "inform_interest":
                claims = [interest(_number(slots["amount"]), r, int(_number(slots["days"]))) for r in rates]
            case "inform_instalment":
                amount, months = _number(slots["amount"]), int(_number(slots["months"]))
                claims = [monthly_instalment(amount, r, months) for r in rates]
            case _:
                return None
        said = _number(slots[_CLAIMED[act.intent]])
        return min(range(len(rates)), key=lambda tier: abs(claims[tier] - said))


def _agree(first: Sequence[int | None], second: Sequence[int | None]) -> bool:
    """Whether no slot has two values."""
    return all(a is None or b is None or a == b for a, b in zip(first, second, strict=True))


def _number(value: Scalar) -> float:
    return float(str(value))


def _is_principal(act: DialogueAct) -> bool:
    """Whether the act's amount is one that the action chooses (a coupon's is not)."""
    return "amount" in act.slots and act.intent != "inform_coupon"
