"""The array rules equal the scalar rules, customer by customer."""

from dataclasses import fields, replace
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.domains.credit import profiles as P
from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.facts import Facts, attribute_arrays, derive
from dialog_gym.domains.credit.ontology import PRODUCTS, REASONS
from dialog_gym.domains.credit.rulebook import load_rulebook

RULEBOOK = load_rulebook()
COUNT = 2_400
PROFILES = P.generate(np.arange(COUNT).astype(np.uint64))
ATTRIBUTES = [P.attributes(PROFILES, i) for i in range(COUNT)]


def scalar_facts(attributes):
    return reasoning.customer_facts(attributes, int(attributes["monthly_income"]))


def check_row(facts, row, attributes, level):
    """One row of array facts against the scalar functions."""
    known = scalar_facts(attributes)
    tier = P.TIER_RATES.index(attributes["annual_rate"])
    for p, name in enumerate(RULEBOOK.products):
        verdict = reasoning.eligibility(RULEBOOK, name, known, level)
        code = int(facts.reasons[row, p])
        assert bool(facts.eligible[row] >> p & 1) == verdict.eligible
        assert (REASONS[code] if code >= 0 else None) == verdict.reason
        limit = reasoning.product_limit(RULEBOOK, name, known) if verdict.eligible else 0
        assert facts.limits[row, p] == limit
        assert facts.rates[row, p] == reasoning.basis_points(reasoning.annual_rate(RULEBOOK, name, tier))


@pytest.mark.parametrize("level", range(10))
def test_arrays_equal_scalars_for_every_product(level):
    facts = derive(PROFILES, RULEBOOK, level)
    for row in range(level % 2, COUNT, 2):  # every customer at five levels, every level on half of them
        check_row(facts, row, ATTRIBUTES[row], level)


def test_attribute_arrays_equal_customer_facts():
    arrays = attribute_arrays(PROFILES)
    for row in range(COUNT):
        known = scalar_facts(ATTRIBUTES[row])
        known["activation"] = P.ACTIVATIONS.index(known["activation"])
        assert {name: column[row] for name, column in arrays.items()} == known


@given(
    age=st.integers(18, 90), tenure=st.integers(0, 80), income=st.integers(0, 4000),
    limit=st.integers(0, 3000),
    share=st.sampled_from([0.0, 0.5, 0.8, 0.9, 1.0]), activation=st.integers(0, 3), tier=st.integers(0, 4),
    overdue=st.lists(st.integers(0, 4), min_size=6, max_size=6), granted=st.integers(0, 200),
    level=st.integers(0, 9),
)  # fmt: skip
@settings(max_examples=300)
def test_arrays_equal_scalars_near_the_boundaries(
    age, tenure, income, limit, share, activation, tier, overdue, granted, level
):
    one = P.take(PROFILES, 0)
    values = {
        "age": age, "tenure": tenure, "income": income, "limit": limit, "used": int(limit * share),
        "activation": activation, "tier": tier, "granted": int(one.today[0]) - granted,
    }  # fmt: skip
    one = replace(one, overdue=np.asarray([overdue]), **{k: np.asarray([v]) for k, v in values.items()})
    check_row(derive(one, RULEBOOK, level), 0, P.attributes(one, 0), level)


@pytest.mark.parametrize(("limit", "used"), [(0, 0), (1, 0), (1, 1), (2, 1), (3, 3), (2, 5)])
def test_utilisation_of_the_smallest_lines(limit, used):
    one = replace(P.take(PROFILES, 0), limit=np.asarray([limit]), used=np.asarray([used]))
    arrays, known = attribute_arrays(one), scalar_facts(P.attributes(one, 0))
    assert [arrays[name][0] for name in ("utilisation", "credit_left")] == [
        known["utilisation"], known["credit_left"]
    ]  # fmt: skip


def test_a_customer_without_any_line_is_judged_alike():
    """Without a line, all of it counts as used: that is the reason where there is a utilisation rule."""
    good = P.take(PROFILES, int(np.flatnonzero(derive(PROFILES, RULEBOOK, 9).eligible == 31)[0]))
    one = replace(good, limit=np.zeros(1, int), used=np.zeros(1, int))
    facts = derive(one, RULEBOOK, 9)
    check_row(facts, 0, P.attributes(one, 0), 9)
    assert REASONS[facts.reasons[0, PRODUCTS.index("instalment")]] == "utilisation"


def test_dates_equal_the_scalar_functions():
    facts = derive(PROFILES, RULEBOOK, 0)
    for row, attributes in enumerate(ATTRIBUTES):
        today, overdue = date.fromisoformat(attributes["today"]), int(attributes["repayment_history"][0])
        when = reasoning.earliest_reactivation(RULEBOOK, attributes["activation"], overdue, today)
        assert facts.reactivation[row] == when.toordinal()
        assert facts.inactive[row] == (attributes["activation"] != "active")
        if attributes["coupon_amount"]:
            issued = date.fromisoformat(attributes["coupon_issued_on"])
            last_day = reasoning.coupon_expiry(issued, attributes["coupon_valid_days"])
            assert facts.coupon_expires[row] == last_day.toordinal()
            assert facts.coupon_ok[row] == (today <= last_day)
        else:
            assert (facts.coupon_expires[row], facts.coupon_ok[row]) == (0, False)


def test_a_coupon_is_good_on_its_last_day_and_not_the_day_after():
    row = int(np.flatnonzero(PROFILES.coupon_amount > 0)[0])
    one = P.take(PROFILES, row)
    last_day = one.coupon_issued + one.coupon_valid
    assert derive(replace(one, today=last_day), RULEBOOK, 0).coupon_ok[0]
    assert not derive(replace(one, today=last_day + 1), RULEBOOK, 0).coupon_ok[0]
    assert derive(replace(one, coupon_amount=np.ones(1, int), today=last_day), RULEBOOK, 0).coupon_ok[0]
    assert date.fromordinal(int(last_day[0])) == date.fromisoformat(
        ATTRIBUTES[row]["coupon_issued_on"]
    ) + timedelta(days=ATTRIBUTES[row]["coupon_valid_days"])


def test_the_sample_meets_every_reason_verdict_and_limit():
    facts = derive(PROFILES, RULEBOOK, 9)
    assert set(facts.reasons.ravel()) == {-1, *range(len(REASONS))} - {REASONS.index("age")}
    for p in range(len(PRODUCTS)):
        assert 0 < (facts.eligible >> p & 1).mean() < 1
        assert len(set(facts.limits[:, p])) > 3


def test_more_rule_branches_only_ever_take_products_away():
    masks = [derive(PROFILES, RULEBOOK, level).eligible for level in range(10)]
    for easier, harder in pairwise(masks):
        assert not (harder & ~easier).any()
    assert (masks[9] != masks[0]).mean() > 0.1


def test_taking_rows_keeps_every_column():
    facts = derive(PROFILES, RULEBOOK, 5)
    rows = np.asarray([5, 3, 3])
    taken = facts.take(rows)
    for field in fields(Facts):
        assert (getattr(taken, field.name) == getattr(facts, field.name)[rows]).all()
    again = derive(P.take(PROFILES, rows), RULEBOOK, 5)
    assert all((getattr(again, f.name) == getattr(taken, f.name)).all() for f in fields(Facts))
