"""MORE's reasoning tasks: worked examples, and the split of combinations that training never sees."""

from datetime import date, timedelta

import numpy as np
import pytest

from dialog_gym.domains.credit import reasoning
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.profiles import NO_COUPON, TIER_RATES
from dialog_gym.domains.credit.reasoning_tasks import LOANS, is_unseen, questions, unseen

DOMAIN = CreditDomain()
PLACE = {"split": "train", "scenario": "proactive_sale", "level": 3}
COUNT = 400
PROFILES = [DOMAIN.task(index, **PLACE).profile.attributes for index in range(COUNT)]
WITH_COUPON = next(p for p in PROFILES if p["coupon_issued_on"] != NO_COUPON)
WITHOUT = next(p for p in PROFILES if p["coupon_issued_on"] == NO_COUPON)
CLOSED = DOMAIN.closed_tasks
SPACE = DOMAIN.space(**PLACE)


def asked(profile, product="revolving", **changes):
    return questions({**profile, **changes}, DOMAIN.rulebook, product)


def product_with(rate):
    """A product and the customer's own rate with which it costs ``rate``."""
    for name, product in DOMAIN.rulebook.products.items():
        if rate in product.rates:
            return name, TIER_RATES[product.rates.index(rate)]
    raise AssertionError(f"no product costs {rate}")


@pytest.mark.parametrize(
    ("rate", "day", "month", "large"), [(0.198, 5.42, 162.74, 16.27), (0.072, 1.97, 59.18, 5.92)]
)
def test_interest(rate, day, month, large):
    product, own = product_with(rate)
    _, pnr = asked(WITH_COUPON, product, annual_rate=own)
    assert {name: pnr.answer[name] for name in LOANS} == {"day": day, "month": month, "large": large}
    assert product.replace("_", " ") in pnr.text and "10,000 for 30 days" in pnr.text


def test_the_coupons_last_day():
    changes = {"today": "2025-03-01", "coupon_issued_on": "2025-02-10", "coupon_valid_days": 30}
    _, pnr = asked(WITH_COUPON, **changes)
    assert pnr.answer["coupon"] == "2025-03-12"
    assert asked(WITHOUT)[1].answer["coupon"] == NO_COUPON


def test_what_is_masked():
    changes = {"phone": "138****3947", "id_number": "5*****3578", "credit_limit": 34000, "age": 31}
    mac, _ = asked(WITH_COUPON, **changes)
    assert mac.answer == {"phone": "3947", "id": "3578", "limit": 34000, "age": 31}
    for value in ("3947", "3578", "34000", "31"):
        assert value not in mac.text


@pytest.mark.parametrize("number", [0, 1])
def test_a_question_names_the_keys_of_its_answer(number):
    question = asked(WITH_COUPON)[number]
    assert question.kind == ("mac", "pnr")[number]
    assert question.text.endswith(f"Reply in JSON: {', '.join(question.answer)}.")


# -- as choices between classes


def test_classes_are_the_answers_in_words():
    index = np.arange(COUNT)
    found = CLOSED.of(DOMAIN, SPACE, index)
    grid = sorted({rate for product in DOMAIN.rulebook.products.values() for rate in product.rates})
    for row, profile in enumerate(PROFILES):
        product = DOMAIN.products[row % len(DOMAIN.products)]
        answer = asked(profile, product)[1].answer
        classes = found.pnr[row]
        for (principal, days), name, rate in zip(LOANS.values(), LOANS, classes, strict=False):
            assert reasoning.interest(principal, grid[rate], days) == answer[name]
        left = int(classes[4]) * 10 + int(classes[5])
        if answer["coupon"] == NO_COUPON:
            assert classes[3:].tolist() == [0, 0, 0]
        else:
            last = date.fromisoformat(str(profile["today"])) + timedelta(left if classes[3] == 2 else -left)
            assert last.isoformat() == answer["coupon"]
        assert found.mac[row][0] == TIER_RATES.index(profile["annual_rate"])
    assert found.unseen.tolist() == [is_unseen(profile) for profile in PROFILES]


def test_every_class_exists_and_all_are_within_bounds():
    found = CLOSED.of(DOMAIN, SPACE, np.arange(2000))
    for kind in ("mac", "pnr"):
        classes = getattr(found, kind)
        assert classes.min() == 0
        assert (classes < np.asarray(CLOSED.sizes[kind])).all()
    assert [len(np.unique(column)) for column in found.mac.T] == list(CLOSED.sizes["mac"])
    assert found.asked.shape == (2000, CLOSED.asked)
    assert set(np.unique(found.asked)) == {0.0, 1.0}


# -- the harder split


def test_a_fifth_of_all_combinations_is_unseen():
    tier, valid, age = np.meshgrid(np.arange(len(TIER_RATES)), (30, 60, 90), np.arange(100), indexing="ij")
    found = unseen(tier.ravel(), valid.ravel(), age.ravel())
    assert 0.16 < found.mean() < 0.24


def test_no_combination_is_on_both_sides():
    known, hidden = set(), set()
    for profile in PROFILES:
        if profile["coupon_issued_on"] == NO_COUPON:
            assert not is_unseen(profile)
            continue
        age = date.fromisoformat(profile["today"]) - date.fromisoformat(profile["coupon_issued_on"])
        combination = profile["annual_rate"], profile["coupon_valid_days"], age.days
        (hidden if is_unseen(profile) else known).add(combination)
    assert known and hidden
    assert not known & hidden


def test_the_split_is_the_same_for_everybody():
    """Kept out by the combination alone: whatever else a profile says."""
    changes = {"surname": "Else", "age": 77, "credit_limit": 1}
    assert [is_unseen({**p, **changes}) for p in PROFILES] == [is_unseen(p) for p in PROFILES]
