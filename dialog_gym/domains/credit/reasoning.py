"""Reasoning functions: pure and exact. Ground truth for claims, costs and MORE's MAC and PNR tasks.

Money is computed in integer hundredths with halves rounded up, so no result depends on binary fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from dialog_gym.domains.credit.rulebook import Rulebook

DAYS_PER_YEAR = 365


def basis_points(rate: float) -> int:
    """An annual rate or fee as a whole number of basis points: 0.198 -> 1980."""
    return round(rate * 10_000)


def interest(principal: float, annual_rate: float, days: int) -> float:
    """Simple interest, ``round(principal * rate * days / 365, 2)`` (MORE, arXiv 2606.09293), halves up.

    >>> interest(10_000, 0.198, 1), interest(10_000, 0.198, 30), interest(30_000, 0.198, 1)
    (5.42, 162.74, 16.27)
    """
    numerator = round(principal * 100) * basis_points(annual_rate) * days
    denominator = DAYS_PER_YEAR * 10_000
    return (2 * numerator + denominator) // (2 * denominator) / 100


def monthly_instalment(principal: float, annual_rate: float, months: int) -> float:
    """The equal monthly payment of an annuity, ``P*r / (1 - (1+r)**-n)``, r = annual rate / 12, halves up.

    >>> monthly_instalment(1200, 0.0, 12), monthly_instalment(1000, 0.12, 12)
    (100.0, 88.85)
    """
    with localcontext() as context:
        context.prec = 40
        amount, rate = Decimal(str(principal)), Decimal(basis_points(annual_rate)) / Decimal(120_000)
        payment = amount / months if rate == 0 else amount * rate / (1 - (1 + rate) ** -months)
        return float(payment.quantize(Decimal("0.01"), ROUND_HALF_UP))


def available_credit(credit_limit: int, used_balance: int) -> int:
    """What is left of the line, never negative."""
    return max(0, credit_limit - used_balance)


def coupon_expiry(issued_on: date, valid_days: int) -> date:
    """The last day a coupon is valid: issue date + validity."""
    return issued_on + timedelta(days=valid_days)


def earliest_reactivation(rulebook: Rulebook, activation: str, overdue_now: int, today: date) -> date:
    """The first day an account in this state can be active: today for an active account in good standing."""
    rule = rulebook.reactivation
    wait: Mapping[str, int] = {str(state): days for state, days in rule.wait_days.items()}
    return today + timedelta(days=wait[activation] + rule.per_month_overdue * overdue_now)


@dataclass(frozen=True)
class Verdict:
    """An eligibility verdict: ``reason`` is None when eligible, else the first failing condition's code."""

    eligible: bool
    reason: str | None


def customer_facts(attributes: Mapping[str, Any], income: int) -> dict[str, Any]:
    """The numbers that rulebook conditions refer to, from visible attributes and the true monthly income."""
    overdue = [int(part) for part in str(attributes["repayment_history"]).split(",")]
    limit, used = int(attributes["credit_limit"]), int(attributes["used_balance"])
    today = date.fromisoformat(str(attributes["today"]))
    granted = date.fromisoformat(str(attributes["credit_granted_on"]))
    return {
        "age": attributes["age"],
        "months_as_customer": attributes["months_as_customer"],
        "monthly_income": income,
        "overdue_now": overdue[0],
        "overdue_max": max(overdue),
        "overdue_count": sum(months > 0 for months in overdue),
        "utilisation": used / limit if limit else 1.0,
        "credit_left": available_credit(limit, used),
        "credit_limit": limit,
        "activation": attributes["activation"],
        "months_since_grant": (today - granted).days // 30,
    }


def product_limit(rulebook: Rulebook, product: str, facts: Mapping[str, Any]) -> int:
    """The most this customer can have on a product: a ladder step, or 0 when not even the lowest fits."""
    rule = rulebook.products[product].limit
    ceiling = min(rule.cap, rule.share * facts[rule.base])
    return max((step for step in rulebook.ladder if step <= ceiling), default=0)


def eligibility(rulebook: Rulebook, product: str, facts: Mapping[str, Any], level: int) -> Verdict:
    """The verdict on a product; a customer without room for the lowest ladder step has ``no_credit_line``."""
    for condition in rulebook.conditions(product, level):
        if not condition.holds(facts[condition.attribute]):
            return Verdict(False, condition.reason)
    if product_limit(rulebook, product, facts) == 0:
        return Verdict(False, "no_credit_line")
    return Verdict(True, None)


def annual_rate(rulebook: Rulebook, product: str, tier: int) -> float:
    """The annual rate of a product for a price tier (0 is the best)."""
    return rulebook.products[product].rates[tier]
