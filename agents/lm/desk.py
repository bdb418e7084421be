"""What the service desk's screen shows beside the profile: every product's verdict, limit, rate and fee.

Computed with the shop's own reasoning functions and base rules from the visible profile, as the scripted
agent does: a model of a few million parameters can copy a figure, but not work it out. Rules of higher levels
and an income that the profile lacks are not on the screen.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from dialog_gym.core import Scalar
from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.profiles import TIER_RATES
from dialog_gym.domains.credit.rulebook import Rulebook, load_rulebook
from dialog_gym.domains.quantities import format_amount, format_percent

BASE_LEVEL: Final = 0


@lru_cache(maxsize=1)
def _rulebook() -> Rulebook:
    return load_rulebook()


def desk_sheet(profile: Mapping[str, Scalar]) -> list[str]:
    """One sentence per product, with figures in the form in which they are said to customers.

    Args:
        profile: The visible attributes; for customers of other shops there is no sheet.
    """
    if "credit_limit" not in profile:
        return []
    rulebook, income = _rulebook(), profile["monthly_income"]
    facts = reasoning.customer_facts(profile, int(float(str(income))) if income is not None else 10**6)
    tier = TIER_RATES.index(float(str(profile["annual_rate"])))
    sentences = []
    for name, product in rulebook.products.items():
        verdict = reasoning.eligibility(rulebook, name, facts, BASE_LEVEL)
        if verdict.eligible:
            limit = format_amount(reasoning.product_limit(rulebook, name, facts))
            rate = format_percent(reasoning.annual_rate(rulebook, name, tier))
            told = f"{limit}, rate {rate}, fee {format_percent(product.fee)}"
        else:
            told = f"no, {str(verdict.reason).replace('_', ' ')}"
        sentences.append(f"{product.label}: {told}.")
    return sentences
