"""The claims check: a turn's dialogue acts against the truth about the customer.

Produces the same `AgentTurn` that `moves.py` makes from act-level actions, so text and act-level dialogues go
through one tracker and one user model.
"""

from collections.abc import Callable, Mapping, Sequence

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.moves import DEFAULT_AMOUNT, INTEREST_DAYS, MONTHS, MOVES, MoveReader
from dialog_gym.domains.credit.ontology import NEED_SLOTS, NEXT_STEPS, OBJECTIONS, SOLUTIONS
from dialog_gym.domains.credit.reasoning import basis_points, interest, monthly_instalment
from dialog_gym.domains.credit.state import ACT, TOPIC, AgentTurn, State
from dialog_gym.domains.credit.truth import Truth

CENT = 0.011
"""Tolerance of a money claim: one hundredth, plus binary dust."""

Slots = Mapping[str, Scalar]


class _Reading:
    """One turn being read: accumulates the bitmasks and remembers the product talked about."""

    def __init__(self, state: State, truth: Truth) -> None:
        self.state, self.truth = state, truth
        self.right = self.wrong = self.eligible_right = self.ineligible_right = 0
        self.said_eligible = self.said_ineligible = self.said_rate = self.said_fee = 0
        self.rate_right = self.fee_right = self.offers = 0
        self.asked = self.addressed = self.solved = self.advised = 0
        self.product, self.amount = -1, 0
        self.topic_product = -1

    def about(self, slots: Slots) -> int:
        """The product an act is about: named, else the turn's last, else the dialogue's last, else -1."""
        named = self.truth.index(slots.get("product"))
        if named >= 0:
            self.topic_product = named
        elif self.topic_product < 0:
            return int(self.state.product)
        return self.topic_product

    def claim(self, topic: str, holds: bool) -> None:
        """Book one claim on a topic; one wrong claim makes the topic wrong."""
        if holds:
            self.right |= TOPIC[topic]
        else:
            self.wrong |= TOPIC[topic]


def _number(value: Scalar) -> float:
    """A slot's number; NaN (equal to nothing) for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _points(value: Scalar) -> int:
    number = _number(value)
    return basis_points(number) if abs(number) < 1e6 else -1


def _eligibility(r: _Reading, slots: Slots) -> None:
    product, says_yes = r.about(slots), slots.get("verdict") == "eligible"
    if product < 0:  # no product named anywhere: a claim about credit as such
        holds = any(r.truth.eligible) == says_yes
        if holds and not says_yes and slots.get("reason") in r.truth.reasons:
            r.ineligible_right = (1 << len(r.truth.products)) - 1
        return r.claim("eligibility", holds)
    if says_yes:
        r.said_eligible |= 1 << product
    else:
        r.said_ineligible |= 1 << product
    reason = slots.get("reason")
    holds = r.truth.eligible[product] == says_yes and (says_yes or reason in (None, r.truth.reasons[product]))
    if holds and says_yes:
        r.eligible_right |= 1 << product
    elif holds and reason is not None:  # an honest refusal names its reason
        r.ineligible_right |= 1 << product
    r.claim("eligibility", holds)


def _limit(r: _Reading, slots: Slots) -> None:
    product, amount = r.about(slots), _number(slots.get("amount"))
    if product < 0:
        return r.claim("limit", amount > 0 and amount in r.truth.limits)
    r.claim("limit", r.truth.eligible[product] and amount == r.truth.limits[product])


def _per_product(topic: str, slot: str) -> Callable[[_Reading, Slots], None]:
    """A claim that a product's rate or fee has a value; without a product it must hold for some product."""

    def check(r: _Reading, slots: Slots) -> None:
        product, points = r.about(slots), _points(slots.get(slot))
        values = r.truth.rates if topic == "rate" else r.truth.fees
        matches = sum(1 << p for p, value in enumerate(values) if value == points and product in (p, -1))
        named = 1 << product if product >= 0 else 0
        if topic == "rate":
            r.said_rate |= named
            r.rate_right |= matches if product >= 0 else 0
        else:
            r.said_fee |= named
            r.fee_right |= matches if product >= 0 else 0
        r.claim(topic, matches != 0)

    return check


def _candidates(r: _Reading, slots: Slots) -> Sequence[int]:
    product = r.about(slots)
    return (product,) if product >= 0 else range(len(r.truth.products))


def _interest(r: _Reading, slots: Slots) -> None:
    amount, days, said = (_number(slots.get(name)) for name in ("amount", "days", "interest"))
    fits = 0 <= amount < 1e9 and 0 < days < 1e5
    r.claim(
        "interest",
        fits
        and any(
            abs(interest(amount, r.truth.rates[p] / 1e4, int(days)) - said) < CENT
            for p in _candidates(r, slots)
        ),
    )


def _instalment(r: _Reading, slots: Slots) -> None:
    months, said = _number(slots.get("months")), _number(slots.get("monthly"))
    amount = (
        _number(slots.get("amount"))
        if "amount" in slots
        else (r.amount or r.state.quoted or r.state.heard_amount)
    )
    r.claim(
        "instalment",
        0 < amount < 1e9
        and any(
            months in r.truth.months[p]
            and abs(monthly_instalment(amount, r.truth.rates[p] / 1e4, int(months)) - said) < CENT
            for p in _candidates(r, slots)
        ),
    )


def _coupon(r: _Reading, slots: Slots) -> None:
    truth = {"amount": r.truth.coupon_amount, "days": r.truth.coupon_days, "expires": r.truth.coupon_expires}
    r.claim(
        "coupon", r.truth.coupon_amount > 0 and bool(slots) and all(slots[k] == truth.get(k) for k in slots)
    )


def _propose(r: _Reading, slots: Slots) -> None:
    product, amount = r.about(slots), _number(slots.get("amount"))
    r.product = product
    if 0 < amount < 1e12:
        r.amount = int(amount)


def _offer(r: _Reading, slots: Slots) -> None:
    _propose(r, slots)
    if r.product >= 0:
        r.offers |= 1 << r.product


def _bit(field: str, slot: str, names: Sequence[str]) -> Callable[[_Reading, Slots], None]:
    def read(r: _Reading, slots: Slots) -> None:
        value = slots.get(slot)
        if value in names:
            setattr(r, field, getattr(r, field) | 1 << names.index(str(value)))

    return read


_READERS: Mapping[str, Callable[[_Reading, Slots], None]] = {
    "inform_eligibility": _eligibility,
    "inform_limit": _limit,
    "inform_rate": _per_product("rate", "rate"),
    "inform_fees": _per_product("fees", "fee"),
    "inform_interest": _interest,
    "inform_instalment": _instalment,
    "inform_coupon": _coupon,
    "inform_reactivation": lambda r, slots: r.claim(
        "reactivation", slots.get("date") == r.truth.reactivation
    ),
    "inform_credit_check": lambda r, slots: r.claim("credit_check", True),
    "inform_privacy": lambda r, slots: r.claim("privacy", True),
    "offer": _offer,
    "close": _propose,
    "ask_need": _bit("asked", "slot", NEED_SLOTS),
    "address_objection": _bit("addressed", "objection", OBJECTIONS),
    "advise": _bit("advised", "step", NEXT_STEPS),
    "solve": _bit("solved", "action", SOLUTIONS),
}


def read_turn(acts: Sequence[DialogueAct], state: State, truth: Truth) -> AgentTurn:
    """Check the acts of one turn. Unknown intents are ignored; a claim without its value is a wrong claim."""
    r, mask = _Reading(state, truth), 0
    for act in acts:
        mask |= ACT.get(act.intent, 0)
        if reader := _READERS.get(act.intent):
            reader(r, act.slots)
    return AgentTurn(
        acts=mask, count=len(acts), asked=r.asked, right=r.right & ~r.wrong, wrong=r.wrong,
        said_eligible=r.said_eligible, said_ineligible=r.said_ineligible, said_rate=r.said_rate,
        said_fee=r.said_fee, eligible_right=r.eligible_right, ineligible_right=r.ineligible_right,
        rate_right=r.rate_right, fee_right=r.fee_right, offers=r.offers, product=r.product, amount=r.amount,
        addressed=r.addressed, solved=r.solved, advised=r.advised,
    )  # fmt: skip


def acts_of(action: Sequence[int], reader: MoveReader, state: State, truth: Truth) -> tuple[DialogueAct, ...]:
    """An act-level action as dialogue acts, with what the shop's systems fill in.

    Args:
        action: Six indices, see `moves.py`.
        reader: The `MoveReader` whose tables give amounts, rates and months.
        state: The state before the turn.
        truth: The customer's facts.
    """
    first, second, p, amount, tier, months = (int(index) for index in action)
    named = reader.amounts[amount] or state.heard_amount
    values = _Fill(truth, p, named, reader.rates[p * reader.tiers + tier] / 1e4, MONTHS[months])
    chosen = [MOVES[first]] + ([MOVES[second]] if second != first else [])
    return tuple(
        DialogueAct(
            intent=move.intent, slots=({move.slot: move.value} if move.slot else {}) | values.slots(move.name)
        )
        for move in chosen
        if move.intent != "none"
    )


class _Fill:
    """Slot values of an act-level turn about product ``p``."""

    def __init__(self, truth: Truth, p: int, amount: int, rate: float, months: int) -> None:
        self.truth, self.p, self.amount, self.rate, self.months = truth, p, amount, rate, months

    def slots(self, move: str) -> dict[str, Scalar]:
        """The open slots of a move."""
        intent, _, value = move.partition(":")
        maker = getattr(self, f"_{intent}", None)
        found: dict[str, Scalar] = maker(value) if maker else {}
        return found

    def _product(self) -> str:
        return self.truth.products[self.p]

    def _inform_eligibility(self, verdict: str) -> dict[str, Scalar]:
        reason, said = self.truth.reasons[self.p], dict[str, Scalar](product=self._product())
        return said | ({"reason": reason} if verdict == "ineligible" and reason else {})

    def _inform_limit(self, _: str) -> dict[str, Scalar]:
        return {"product": self._product(), "amount": self.amount}

    def _inform_rate(self, _: str) -> dict[str, Scalar]:
        return {"product": self._product(), "rate": self.rate}

    def _inform_fees(self, _: str) -> dict[str, Scalar]:
        return {"product": self._product(), "fee": self.truth.fees[self.p] / 1e4}

    def _inform_interest(self, _: str) -> dict[str, Scalar]:
        principal, days = self.amount or DEFAULT_AMOUNT, INTEREST_DAYS
        return {
            "amount": principal, "days": days, "interest": interest(principal, self.rate, days),
            "product": self._product(),
        }  # fmt: skip

    def _inform_instalment(self, _: str) -> dict[str, Scalar]:
        principal = self.amount or DEFAULT_AMOUNT
        monthly = monthly_instalment(principal, self.rate, self.months)
        return {"amount": principal, "months": self.months, "monthly": monthly, "product": self._product()}

    def _inform_coupon(self, _: str) -> dict[str, Scalar]:
        truth = self.truth
        if not truth.coupon_amount:
            return {"amount": 10}  # promising a coupon that does not exist
        return {"amount": truth.coupon_amount, "days": truth.coupon_days, "expires": truth.coupon_expires}

    def _inform_reactivation(self, _: str) -> dict[str, Scalar]:
        return {"date": self.truth.reactivation}

    def _offer(self, _: str) -> dict[str, Scalar]:
        return {"product": self._product()} | ({"amount": self.amount} if self.amount else {})

    _close = _offer
