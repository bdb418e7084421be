"""What is true about each customer, in arrays over N: eligibility, reasons, limits, rates, dates.

The same rules as `reasoning.py`, which works on one customer; a property test keeps the two equal.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from dialog_gym.domains.credit.ontology import REASONS
from dialog_gym.domains.credit.profiles import ACTIVATIONS, Profiles
from dialog_gym.domains.credit.reasoning import basis_points
from dialog_gym.domains.credit.rulebook import Condition, Rulebook


@dataclass(frozen=True)
class Facts:
    """Truth per customer. P products in the rulebook's order."""

    eligible: np.ndarray
    """int64[N], bit p set when product p is allowed."""
    reasons: np.ndarray
    """int64[N, P], index into REASONS of the first failing condition, -1 when eligible."""
    limits: np.ndarray
    """int64[N, P], largest amount on each product; 0 when not eligible."""
    rates: np.ndarray
    """int64[N, P], annual rate in basis points."""
    coupon_expires: np.ndarray
    """int64[N], date ordinal of the coupon's last day, 0 without a coupon."""
    coupon_ok: np.ndarray
    """bool[N], a coupon exists and is still valid today."""
    reactivation: np.ndarray
    """int64[N], date ordinal of the earliest reactivation."""
    inactive: np.ndarray
    """bool[N], the account is not active."""

    def take(self, index: np.ndarray) -> "Facts":
        """The facts of some customers."""
        return Facts(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def attribute_arrays(profiles: Profiles) -> dict[str, np.ndarray]:
    """The attributes that rulebook conditions refer to; activation as an index into ACTIVATIONS."""
    return {
        "age": profiles.age,
        "months_as_customer": profiles.tenure,
        "monthly_income": profiles.income,
        "overdue_now": profiles.overdue[:, 0],
        "overdue_max": profiles.overdue.max(axis=1),
        "overdue_count": (profiles.overdue > 0).sum(axis=1),
        "utilisation": np.where(profiles.limit > 0, profiles.used / np.maximum(profiles.limit, 1), 1.0),
        "credit_left": np.maximum(profiles.limit - profiles.used, 0),
        "credit_limit": profiles.limit,
        "activation": profiles.activation,
        "months_since_grant": (profiles.today - profiles.granted) // 30,
    }


def _holds(condition: Condition, attributes: dict[str, np.ndarray]) -> np.ndarray:
    value: Any = condition.value
    if condition.attribute == "activation":
        condition = condition.model_copy(update={"value": ACTIVATIONS.index(value)})
    held: np.ndarray = condition.holds(attributes[condition.attribute])
    return held


def derive(profiles: Profiles, rulebook: Rulebook, branches: int) -> Facts:
    """The truth for N customers under the conditions switched on up to ``branches``."""
    attributes, count = attribute_arrays(profiles), len(profiles.age)
    ladder = np.asarray((0, *rulebook.ladder))
    eligible = np.zeros(count, np.int64)
    reasons = np.full((count, len(rulebook.products)), -1)
    limits, rates = np.zeros_like(reasons), np.zeros_like(reasons)
    for p, (name, product) in enumerate(rulebook.products.items()):
        rule = product.limit
        ceiling = np.minimum(rule.cap, rule.share * attributes[rule.base])
        room = ladder[np.searchsorted(ladder, ceiling, side="right") - 1]
        reason = np.where(room == 0, REASONS.index("no_credit_line"), -1)
        for condition in reversed(rulebook.conditions(name, branches)):
            reason = np.where(_holds(condition, attributes), reason, REASONS.index(condition.reason))
        reasons[:, p] = reason
        eligible |= (reason < 0).astype(np.int64) << p
        limits[:, p] = np.where(reason < 0, room, 0)
        rates[:, p] = np.asarray([basis_points(rate) for rate in product.rates])[profiles.tier]
    has_coupon = profiles.coupon_amount > 0
    expires = np.where(has_coupon, profiles.coupon_issued + profiles.coupon_valid, 0)
    waits = {str(state): days for state, days in rulebook.reactivation.wait_days.items()}
    wait = np.asarray([waits[state] for state in ACTIVATIONS])[profiles.activation]
    return Facts(
        eligible=eligible,
        reasons=reasons,
        limits=limits,
        rates=rates,
        coupon_expires=expires,
        coupon_ok=has_coupon & (profiles.today <= expires),
        reactivation=profiles.today + wait + rulebook.reactivation.per_month_overdue * profiles.overdue[:, 0],
        inactive=profiles.activation != ACTIVATIONS.index("active"),
    )
