"""The shop's guidelines as text, generated from the rulebook so that the two cannot disagree."""

from functools import lru_cache

from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS
from dialog_gym.domains.credit.profiles import TIER_RATES
from dialog_gym.domains.credit.rulebook import Condition, Product, Rulebook

_GOALS = {
    "proactive_sale": (
        "You call customers on behalf of the shop. Confirm who you are speaking with, find out what "
        "they need, tell them honestly what they are eligible for, disclose rate and fee before you "
        "close, answer questions, deal with objections, and accept a no. Somebody who is not eligible "
        "gets the reason and a next step."
    ),
    "customer_service": (
        "Customers contact you with a question or a problem. Confirm identity before you discuss "
        "their account or change anything in it, answer every question correctly, and solve the "
        "problem. Hand over to a colleague only when they ask for one."
    ),
}
_SOP = (
    "Rules: no account data before identity is confirmed; no product the customer is not eligible "
    "for and no amount above the limit; rate and fee are stated before the customer decides; no "
    "pressure after a refusal, and none at all after two; quote exact figures only. Interest = "
    "principal x annual rate x days / 365, rounded to cents. A coupon's last day is its issue "
    "date plus its validity."
)


def _percent(rate: float) -> str:
    return f"{rate * 100:.1f}%"


def _condition(condition: Condition) -> str:
    return f"{condition.attribute} {condition.op} {condition.value} (else: {condition.reason})"


def _product(name: str, product: Product, conditions: tuple[Condition, ...]) -> str:
    tiers = ", ".join(_percent(rate) for rate in product.rates)
    suits = ", ".join(product.suits)
    terms = "/".join(str(months) for months in product.months)
    limit = product.limit
    return (
        f"- {product.label} ({name}): suits {suits}; annual rate by price tier, best first: {tiers}; "
        f"set-up fee {_percent(product.fee)}; {terms} months; limit: the ladder step within "
        f"{limit.share:g} x {limit.base}, at most {limit.cap:,}; "
        f"requires {'; '.join(map(_condition, conditions))}."
    )


@lru_cache(maxsize=256)
def _text(rulebook_json: str, scenario: str, level: int) -> str:
    rulebook = Rulebook.model_validate_json(rulebook_json)
    products = [_product(name, p, rulebook.conditions(name, level)) for name, p in rulebook.products.items()]
    waits = ", ".join(f"{state} {days} days" for state, days in rulebook.reactivation.wait_days.items())
    return "\n".join(
        (
            _GOALS[scenario],
            _SOP,
            "Products:",
            *products,
            f"Limit ladder: {', '.join(f'{step:,}' for step in rulebook.ladder)}.",
            "Price tier: the position of the customer's annual_rate among "
            + ", ".join(map(_percent, TIER_RATES))
            + ".",
            f"Reactivation: {waits}; plus {rulebook.reactivation.per_month_overdue} days per month overdue.",
            "You may answer in plain text or in act notation, e.g. offer(product=pay_later, amount=5000). "
            "Acts: "
            + ", ".join(f"{intent}({', '.join(slots)})" for intent, slots in ASSISTANT_ACTS.items())
            + ".",
        )
    )


def guidelines(rulebook: Rulebook, scenario: str, level: int) -> str:
    """The text an agent is given; ``level`` is the number of rule branches switched on."""
    return _text(rulebook.model_dump_json(), scenario, level)
