"""MORE's two verifiable reasoning tasks on customers of the credit shop (arXiv 2606.09293).

MAC, masked attribute completion: fill in attributes that stand in the profile. PNR, programmatic numerical
reasoning: the interest of 10,000 for 1 and for 30 days and of 30,000 for 1 day on a product, and the coupon's
last day (issue date + validity). An answer is right when all of its fields are. Rates come from the price
tiers, so interest is a finite table; what must be put together from parts is the coupon's last day.

The harder split (*ours*): a fifth of all combinations of price tier, coupon validity and coupon age is kept
out of training, see `unseen`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from dialog_gym.core import Scalar
from dialog_gym.domains.closed_tasks import Answers, kept_out
from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.features import profile_features
from dialog_gym.domains.credit.profiles import ACTIVATIONS, NO_COUPON, TIER_RATES
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.shoppers import Shoppers
from dialog_gym.noise import text_key

KINDS: Final = ("mac", "pnr")
LOANS: Final = {"day": (10_000, 1), "month": (10_000, 30), "large": (30_000, 1)}
"""Principal and days of the interest fields."""
_UNSEEN: Final = text_key("unseen reasoning combinations")
_VALID = (30, 60, 90)
_LIMITS, _COUPONS, _WORST = (10_000, 25_000), (1, 30), 2
"""Where bands of limits and coupon amounts begin, and the arrears, in months, that count as the worst."""


@dataclass(frozen=True)
class Question:
    """A reasoning task in words."""

    kind: str
    text: str
    answer: Mapping[str, Scalar]
    """What the JSON object of a right reply holds."""


def unseen(tier: np.ndarray, valid: np.ndarray, age: np.ndarray) -> np.ndarray:
    """bool[N], whether the combination is kept out of training; customers without a coupon never are.

    Args:
        tier: int64[N], price tier.
        valid: int64[N], days the coupon is valid; 0: no coupon.
        age: int64[N], days since it was issued.
    """
    return kept_out(_UNSEEN, (tier * 1000 + valid) * 1000 + age) & (valid > 0)


def is_unseen(profile: Mapping[str, Scalar]) -> bool:
    """`unseen` of one visible profile."""
    tier = TIER_RATES.index(float(str(profile["annual_rate"])))
    valid, age = int(str(profile["coupon_valid_days"])), 0
    if profile["coupon_issued_on"] != NO_COUPON:
        age = (_day(profile, "today") - _day(profile, "coupon_issued_on")).days
    return bool(unseen(np.array([tier]), np.array([valid]), np.array([age]))[0])


def questions(profile: Mapping[str, Scalar], rulebook: Rulebook, product: str) -> tuple[Question, Question]:
    """Both tasks on a customer in words; ``product`` is the one whose rate PNR asks for."""
    return _mac(profile), _pnr(profile, rulebook, product)


def _mac(profile: Mapping[str, Scalar]) -> Question:
    answer: dict[str, Scalar] = {
        "phone": str(profile["phone"])[-4:],
        "id": str(profile["id_number"])[-4:],
        "limit": profile["credit_limit"],
        "age": profile["age"],
    }
    text = "Fill in: phone ending ____, ID ending ____, credit limit ____, age ____."
    return Question("mac", f"{text} Reply in JSON: phone, id, limit, age.", answer)


def _pnr(profile: Mapping[str, Scalar], rulebook: Rulebook, product: str) -> Question:
    tier = TIER_RATES.index(float(str(profile["annual_rate"])))
    rate = reasoning.annual_rate(rulebook, product, tier)
    answer: dict[str, Scalar] = {
        name: reasoning.interest(principal, rate, days) for name, (principal, days) in LOANS.items()
    }
    answer["coupon"] = NO_COUPON
    if profile["coupon_issued_on"] != NO_COUPON:
        valid = int(str(profile["coupon_valid_days"]))
        answer["coupon"] = reasoning.coupon_expiry(_day(profile, "coupon_issued_on"), valid).isoformat()
    loans = ", ".join(f"{p:,} for {d} day{'s' * (d > 1)}" for p, d in LOANS.values())
    text = f"Work out the interest with {product.replace('_', ' ')} of {loans}, and the coupon's last day."
    return Question("pnr", f"{text} Reply in JSON: {', '.join(answer)}.", answer)


def _day(profile: Mapping[str, Scalar], name: str) -> date:
    return date.fromisoformat(str(profile[name]))


class ClosedTasks:
    """The tasks for a network that chooses between classes, one decision per field.

    MAC asks for what act-level observations show: price tier, band of the limit, activation, band of the
    coupon, worst arrears. PNR asks for the interest amounts (each an entry in the table that the
    rate grid spans) and the days until the coupon's last day, as sign, tens and units.
    """

    def __init__(self, rulebook: Rulebook) -> None:
        """Prepares the tables of a rulebook's products, ladder and rates."""
        products = tuple(rulebook.products.values())
        grid = sorted({rate for product in products for rate in product.rates})
        self.rates = np.asarray([[grid.index(rate) for rate in product.rates] for product in products])
        self.sizes = {
            "mac": (len(TIER_RATES), len(_LIMITS) + 1, len(ACTIVATIONS), len(_COUPONS) + 1, _WORST + 1),
            "pnr": (*[len(grid)] * len(LOANS), 3, 10, 10),
        }
        self.asked = len(products) + len(_VALID) + 10 + 10

    def of(self, shop: Any, space: Any, customers: np.ndarray) -> Answers:
        """Tasks on the customers with some task indices, int64[N]; PNR asks each about one product."""
        shoppers: Shoppers = shop.draw(space, customers)
        product = customers % len(self.rates)
        p = shoppers.profiles
        worst = np.minimum(p.overdue.max(axis=1), _WORST)
        limit = np.searchsorted(_LIMITS, p.limit, side="right")
        coupon = np.searchsorted(_COUPONS, p.coupon_amount, side="right")
        mac = [p.tier, limit, p.activation, coupon, worst]
        has = p.coupon_valid > 0
        age = np.where(has, p.today - p.coupon_issued, 0)
        days = np.where(has, p.coupon_valid - age, 0)
        sign = np.where(has, np.where(days < 0, 1, 2), 0)
        rate = self.rates[product, p.tier]
        pnr = [*[rate] * len(LOANS), sign, np.abs(days) // 10, np.abs(days) % 10]
        hot = [np.eye(len(self.rates))[product], p.coupon_valid[:, None] == np.asarray(_VALID)]
        hot += [np.eye(10)[age // 10] * has[:, None], np.eye(10)[age % 10] * has[:, None]]
        asked = np.concatenate(hot, axis=1).astype(np.float32)
        held_out = unseen(p.tier, p.coupon_valid, age)
        return Answers(profile_features(shoppers), asked, np.stack(mac, 1), np.stack(pnr, 1), held_out)
