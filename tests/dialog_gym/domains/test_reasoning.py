"""The reasoning functions on worked examples, and every condition of every product at its boundary."""

from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.ontology import PRODUCTS, REASONS
from dialog_gym.domains.credit.rulebook import load_rulebook

RULEBOOK = load_rulebook()
TODAY = date(2025, 3, 10)
GOOD = {
    "age": 30, "months_as_customer": 24, "monthly_income": 3000, "overdue_now": 0, "overdue_max": 0,
    "overdue_count": 0, "utilisation": 0.1, "credit_left": 10_000, "credit_limit": 12_000,
    "activation": "active",
    "months_since_grant": 12,
}  # fmt: skip

# product, attribute, just allowed, just refused, reason, first level; in the order in which they are checked
BOUNDARIES = [
    ("pay_later", "age", 18, 17, "age", 0),
    ("pay_later", "activation", "dormant", "suspended", "inactive", 0),
    ("pay_later", "overdue_now", 1, 2, "overdue", 0),
    ("pay_later", "overdue_count", 3, 4, "overdue", 4),
    ("instalment", "age", 20, 19, "age", 0),
    ("instalment", "activation", "active", "dormant", "inactive", 0),
    ("instalment", "overdue_now", 1, 2, "overdue", 0),
    ("instalment", "monthly_income", 1000, 999, "income", 0),
    ("instalment", "utilisation", 0.9, 0.9001, "utilisation", 0),
    ("instalment", "months_as_customer", 6, 5, "tenure", 2),
    ("instalment", "overdue_max", 2, 3, "overdue", 6),
    ("revolving", "age", 20, 19, "age", 0),
    ("revolving", "activation", "active", "never_activated", "inactive", 0),
    ("revolving", "overdue_max", 2, 3, "overdue", 0),
    ("revolving", "monthly_income", 1200, 1199, "income", 0),
    ("revolving", "months_since_grant", 3, 2, "recent_grant", 3),
    ("cash_loan", "age", 21, 20, "age", 0),
    ("cash_loan", "activation", "active", "suspended", "inactive", 0),
    ("cash_loan", "overdue_now", 0, 1, "overdue", 0),
    ("cash_loan", "monthly_income", 1800, 1799, "income", 0),
    ("cash_loan", "months_as_customer", 12, 11, "tenure", 0),
    ("cash_loan", "utilisation", 0.8, 0.8001, "utilisation", 5),
    ("starter_line", "age", 18, 17, "age", 0),
    ("starter_line", "activation", "never_activated", "suspended", "inactive", 0),
    ("starter_line", "overdue_max", 2, 3, "overdue", 0),
    ("starter_line", "months_as_customer", 60, 61, "thin_file", 7),
]
CASES = [pytest.param(*row, id=f"{row[0]}-{row[1]}") for row in BOUNDARIES]


def verdict(product, level=9, **changes):
    return reasoning.eligibility(RULEBOOK, product, GOOD | changes, level)


# -- money ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "rate", "days", "expected"),
    [
        (10_000, 0.198, 1, 5.42),  # the published examples of MORE
        (10_000, 0.198, 30, 162.74),
        (30_000, 0.198, 1, 16.27),
        (10_000, 0.072, 1, 1.97),
        (10_000, 0.072, 30, 59.18),
        (365, 0.10, 1, 0.10),
        (1000, 0.198, 365, 198.0),
        (1825, 0.01, 1, 0.05),
        (182.5, 0.01, 1, 0.01),  # exactly half a hundredth is rounded up
        (182.49, 0.01, 1, 0.0),
        (547.5, 0.01, 1, 0.02),  # 0.015: halves go up, not to even
        (10_000, 0.0, 30, 0.0),
        (10_000, 0.198, 0, 0.0),
    ],
)
def test_interest_worked_examples(principal, rate, days, expected):
    assert reasoning.interest(principal, rate, days) == expected


@given(
    st.integers(1, 5_000_000), st.sampled_from(RULEBOOK.rate_grid), st.integers(0, 3650)
)  # principal in hundredths
def test_interest_is_the_exact_fraction_rounded_half_up(hundredths, rate, days):
    exact = Fraction(hundredths, 100) * Fraction(round(rate * 1000), 1000) * days / 365
    rounded = Fraction(int(exact * 100 + Fraction(1, 2)), 100)
    assert reasoning.interest(hundredths / 100, rate, days) == float(rounded)


@pytest.mark.parametrize(
    ("principal", "rate", "months", "expected"),
    [
        (1200, 0.0, 12, 100.0),
        (1000, 0.12, 12, 88.85),
        (100, 0.0, 3, 33.33),
        (200, 0.0, 3, 66.67),
        (0.25, 0.0, 2, 0.13),  # 0.125: halves go up
        (10_000, 0.198, 24, 507.98),
        (30_000, 0.072, 6, 5105.52),
        (5000, 0.108, 1, 5045.0),
        (50_000_000, 0.234, 24, 2628605.31),  # a month is a twelfth of a year, exactly
    ],
)
def test_instalment_worked_examples(principal, rate, months, expected):
    assert reasoning.monthly_instalment(principal, rate, months) == expected


@given(st.integers(200, 50_000), st.sampled_from(RULEBOOK.rate_grid[1:]), st.sampled_from((1, 3, 6, 12, 24)))
def test_the_instalments_pay_the_debt_off(principal, rate, months):
    monthly = reasoning.monthly_instalment(principal, rate, months)
    debt = Fraction(principal)
    for _ in range(months):
        debt = debt * (1 + Fraction(round(rate * 10_000), 120_000)) - Fraction(str(monthly))
    assert abs(debt) <= Fraction(1, 100) * months  # half a cent a month, with its own interest


def test_basis_points():
    points = [reasoning.basis_points(rate) for rate in (0.0, 0.072, 0.198, 0.01, 1.0)]
    assert points == [0, 720, 1980, 100, 10_000]


# -- dates and limits ----------------------------------------------------------------------------------------


def test_coupon_expiry_crosses_months_and_leap_days():
    assert reasoning.coupon_expiry(date(2025, 1, 31), 30) == date(2025, 3, 2)
    assert reasoning.coupon_expiry(date(2024, 2, 28), 1) == date(2024, 2, 29)
    assert reasoning.coupon_expiry(date(2025, 5, 1), 0) == date(2025, 5, 1)


@pytest.mark.parametrize(
    ("activation", "overdue", "expected"),
    [
        ("active", 0, date(2025, 3, 10)),
        ("dormant", 0, date(2025, 3, 17)),
        ("suspended", 0, date(2025, 6, 8)),
        ("never_activated", 0, date(2025, 3, 11)),
        ("active", 1, date(2025, 4, 9)),
        ("dormant", 2, date(2025, 5, 16)),
    ],
)
def test_earliest_reactivation(activation, overdue, expected):
    assert reasoning.earliest_reactivation(RULEBOOK, activation, overdue, TODAY) == expected


def test_available_credit_is_never_negative():
    assert [reasoning.available_credit(1000, used) for used in (0, 400, 1000, 1001)] == [1000, 600, 0, 0]


@pytest.mark.parametrize("below, step", list(pairwise(RULEBOOK.ladder)))
def test_a_limit_is_the_largest_ladder_step_within_the_line(below, step):
    limits = [
        reasoning.product_limit(RULEBOOK, "revolving", {"credit_left": left}) for left in (step, step - 1)
    ]
    assert limits == [step, below]


@pytest.mark.parametrize(
    ("product", "base", "amount", "limit"),
    [
        ("pay_later", "credit_left", 400, 200),  # half of what is left
        ("pay_later", "credit_left", 399, 0),
        ("pay_later", "credit_left", 9_999, 3000),
        ("pay_later", "credit_left", 1_000_000, 5000),  # its cap
        ("instalment", "credit_left", 33_334, 30_000),  # 0.9 of what is left
        ("instalment", "credit_left", 33_333, 20_000),
        ("instalment", "credit_left", 1_000_000, 30_000),
        ("revolving", "credit_left", 200, 200),  # all of it
        ("revolving", "credit_left", 199, 0),
        ("revolving", "credit_left", 1_000_000, 50_000),
        ("cash_loan", "credit_limit", 500, 200),  # 0.4 of the line itself
        ("cash_loan", "credit_limit", 499, 0),
        ("cash_loan", "credit_limit", 1_000_000, 20_000),
        ("starter_line", "monthly_income", 3000, 1500),  # half an income
        ("starter_line", "monthly_income", 2999, 1000),
        ("starter_line", "monthly_income", 1_000_000, 1500),
    ],
)
def test_limits_at_share_and_cap(product, base, amount, limit):
    assert reasoning.product_limit(RULEBOOK, product, GOOD | {base: amount}) == limit


@pytest.mark.parametrize(
    ("product", "base", "too_little"),
    [("pay_later", "credit_left", 399), ("revolving", "credit_left", 199), ("cash_loan", "credit_limit", 499),
     ("starter_line", "monthly_income", 399), ("instalment", "credit_left", 222)],
)  # fmt: skip
def test_no_room_for_the_lowest_step_is_no_credit_line(product, base, too_little):
    assert verdict(product, **{base: too_little}) == reasoning.Verdict(False, "no_credit_line")
    assert verdict(product, **{base: too_little + 1}).eligible


# -- eligibility ---------------------------------------------------------------------------------------------


def test_a_good_customer_may_have_everything_at_every_level():
    assert all(
        verdict(name, level) == reasoning.Verdict(True, None) for name in PRODUCTS for level in range(10)
    )


@pytest.mark.parametrize(("product", "attribute", "allowed", "refused", "reason", "level"), CASES)
def test_every_condition_at_its_boundary(product, attribute, allowed, refused, reason, level):
    assert verdict(product, 9, **{attribute: allowed}) == reasoning.Verdict(True, None)
    assert verdict(product, 9, **{attribute: refused}) == reasoning.Verdict(False, reason)
    assert verdict(product, level, **{attribute: refused}).reason == reason
    if level:
        assert verdict(product, level - 1, **{attribute: refused}).eligible


def test_the_boundaries_above_are_all_there_are():
    shipped = [
        (n, c.attribute, c.reason, c.from_level) for n, p in RULEBOOK.products.items() for c in p.conditions
    ]
    assert shipped == [(row[0], row[1], row[4], row[5]) for row in BOUNDARIES]


@pytest.mark.parametrize("product", PRODUCTS)
def test_only_one_activation_state_or_all_but_suspended_are_allowed(product):
    allowed = [state for state in ("active", "dormant", "suspended", "never_activated")
               if verdict(product, activation=state).eligible]  # fmt: skip
    lenient = product in ("pay_later", "starter_line")
    assert allowed == (["active", "dormant", "never_activated"] if lenient else ["active"])


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_first_failing_condition_gives_the_reason(product):
    rows = [row for row in BOUNDARIES if row[0] == product]
    for first, second in zip(rows, [*rows[1:], None], strict=True):
        changes = {first[1]: first[3]} | ({second[1]: second[3]} if second else {"credit_left": 0})
        assert verdict(product, **changes).reason == first[4]


def test_every_reason_code_is_used():
    used = {row[4] for row in BOUNDARIES} | {"no_credit_line"}
    assert used == set(REASONS)


def test_customer_facts_worked_example():
    attributes = {
        "age": 41, "months_as_customer": 30, "repayment_history": "1,0,3,0,0,2", "credit_limit": 8000,
        "used_balance": 2000, "today": "2025-03-10", "credit_granted_on": "2024-12-10",
        "activation": "dormant",
    }  # fmt: skip
    assert reasoning.customer_facts(attributes, 2500) == {
        "age": 41, "months_as_customer": 30, "monthly_income": 2500, "overdue_now": 1, "overdue_max": 3,
        "overdue_count": 3, "utilisation": 0.25, "credit_left": 6000, "credit_limit": 8000,
        "activation": "dormant", "months_since_grant": 3,
    }  # fmt: skip
    no_line = attributes | {"credit_limit": 0, "used_balance": 0, "credit_granted_on": "2024-12-11"}
    facts = reasoning.customer_facts(no_line, 2500)
    assert (facts["utilisation"], facts["credit_left"], facts["months_since_grant"]) == (1.0, 0, 2)


def test_rates_by_tier():
    assert [reasoning.annual_rate(RULEBOOK, "revolving", t) for t in range(5)] == [
        0.072,
        0.108,
        0.144,
        0.198,
        0.234,
    ]
