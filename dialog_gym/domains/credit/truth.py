"""What is true about one customer, in the form that claims are checked against."""

from dataclasses import dataclass
from datetime import date

from dialog_gym.domains.credit.ontology import REASONS
from dialog_gym.domains.credit.profiles import Profiles
from dialog_gym.domains.credit.reasoning import basis_points
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.shoppers import Shoppers


@dataclass(frozen=True)
class Truth:
    """One customer's facts; per-product tuples are in the rulebook's order."""

    products: tuple[str, ...]
    eligible: tuple[bool, ...]
    reasons: tuple[str | None, ...]
    limits: tuple[int, ...]
    rates: tuple[int, ...]
    """Annual rates in basis points."""
    fees: tuple[int, ...]
    """Set-up fees in basis points."""
    months: tuple[tuple[int, ...], ...]
    coupon_amount: int
    """0 without a coupon."""
    coupon_days: int
    coupon_expires: str
    coupon_ok: bool
    reactivation: str

    def index(self, product: object) -> int:
        """Position of a product, -1 for None or an unknown name."""
        return self.products.index(str(product)) if product in self.products else -1


def truth_of(shoppers: Shoppers, row: int, rulebook: Rulebook) -> Truth:
    """The truth about one of N shoppers."""
    facts, profiles = shoppers.facts, shoppers.profiles
    mask = int(facts.eligible[row])
    reasons = [int(code) for code in facts.reasons[row]]
    return Truth(
        products=tuple(rulebook.products),
        eligible=tuple(bool(mask >> p & 1) for p in range(len(rulebook.products))),
        reasons=tuple(REASONS[code] if code >= 0 else None for code in reasons),
        limits=tuple(facts.limits[row].tolist()),
        rates=tuple(facts.rates[row].tolist()),
        fees=tuple(basis_points(product.fee) for product in rulebook.products.values()),
        months=tuple(product.months for product in rulebook.products.values()),
        coupon_amount=_scalar(profiles, "coupon_amount", row),
        coupon_days=_scalar(profiles, "coupon_days", row),
        coupon_expires=date.fromordinal(int(facts.coupon_expires[row])).isoformat()
        if facts.coupon_expires[row]
        else "",
        coupon_ok=bool(facts.coupon_ok[row]),
        reactivation=date.fromordinal(int(facts.reactivation[row])).isoformat(),
    )


def _scalar(profiles: Profiles, name: str, row: int) -> int:
    return int(getattr(profiles, name)[row])
