"""The claims check: each kind of claim, right and wrong, named and implied, broken and missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct
from dialog_gym.domains.credit.claims import read_turn
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import (
    ASSISTANT_ACTS,
    NEED_SLOTS,
    NEXT_STEPS,
    OBJECTIONS,
    PRODUCTS,
    SOLUTIONS,
)
from dialog_gym.domains.credit.state import ACT, TOPIC, one
from dialog_gym.domains.credit.truth import Truth

TRUTH = Truth(
    products=PRODUCTS, eligible=(True, False, True, False, False), limits=(2000, 0, 5000, 0, 0),
    reasons=(None, "income", None, "overdue", "overdue"), rates=(0, 1080, 1440, 1980, 1800),
    fees=(0, 100, 0, 200, 100), months=((1, 3), (3, 6, 12, 24), (1,), (6, 12, 24), (1, 3)), coupon_amount=30,
    coupon_days=15, coupon_expires="2025-05-01", coupon_ok=True, reactivation="2025-03-17",
)  # fmt: skip
PAY_LATER, INSTALMENT, REVOLVING, CASH_LOAN, STARTER = (1 << p for p in range(5))
DOMAIN = CreditDomain()
COLUMNS = DOMAIN.starts(
    DOMAIN.space(split="test", scenario="proactive_sale", level=0), np.arange(1), np.zeros(1, np.uint64)
).columns


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


def read(*acts, truth=TRUTH, **state):
    fresh = one(COLUMNS, 0)
    for name, value in state.items():
        setattr(fresh, name, value)
    return read_turn(acts, fresh, truth)


def holds(*acts, truth=TRUTH, **state):
    """Whether the turn's one topic is right; it must be either right or wrong, and only one topic."""
    turn = read(*acts, truth=truth, **state)
    assert bool(turn.right) != bool(turn.wrong) and bin(turn.right | turn.wrong).count("1") == 1
    assert turn.right | turn.wrong == TOPIC[acts[-1].intent.removeprefix("inform_")]
    return turn.wrong == 0


# -- eligibility ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("product", "verdict", "reason", "right", "counts"),
    [
        ("revolving", "eligible", None, True, True),
        ("instalment", "eligible", None, False, False),
        ("instalment", "ineligible", "income", True, True),
        ("instalment", "ineligible", None, True, False),  # right, but an honest refusal names its reason
        ("instalment", "ineligible", "age", False, False),
        ("revolving", "ineligible", None, False, False),
        ("revolving", "ineligible", "income", False, False),
        ("revolving", "eligible", "income", True, True),  # a reason means nothing beside a yes
    ],
)
def test_verdicts_on_a_named_product(product, verdict, reason, right, counts):
    slots = {"product": product, "verdict": verdict} | ({"reason": reason} if reason else {})
    turn, bit = read(act("inform_eligibility", **slots)), 1 << PRODUCTS.index(product)
    assert (turn.right, turn.wrong) == ((1, 0) if right else (0, 1))
    said_yes = verdict == "eligible"
    assert (turn.said_eligible, turn.said_ineligible) == ((bit, 0) if said_yes else (0, bit))
    assert turn.eligible_right == (bit if right and said_yes and counts else 0)
    assert turn.ineligible_right == (bit if right and not said_yes and counts else 0)


def test_verdicts_on_credit_as_such():
    nothing = replace(TRUTH, eligible=(False,) * 5, reasons=("age",) * 4 + ("overdue",), limits=(0,) * 5)
    yes, no = act("inform_eligibility", verdict="eligible"), act("inform_eligibility", verdict="ineligible")
    assert holds(yes) and not holds(no)
    assert holds(no, truth=nothing) and not holds(yes, truth=nothing)
    because = act("inform_eligibility", verdict="ineligible", reason="overdue")
    assert read(because, truth=nothing).ineligible_right == 0b11111
    assert read(no, truth=nothing).ineligible_right == 0
    assert (
        read(act("inform_eligibility", verdict="ineligible", reason="income"), truth=nothing).ineligible_right
        == 0
    )
    assert read(act("inform_eligibility", verdict="ineligible", reason="income")).ineligible_right == 0
    general = read(yes)
    assert (general.said_eligible, general.said_ineligible) == (0, 0)
    assert (general.eligible_right, general.ineligible_right) == (0, 0)


def test_a_verdict_without_its_value_is_a_refusal_claim():
    assert not holds(act("inform_eligibility", product="revolving"))


# -- figures -------------------------------------------------------------------------------------------------


CLAIMS = {
    "limit": [
        ({"product": "pay_later", "amount": 2000}, True),
        ({"product": "pay_later", "amount": 2000.0}, True),
        ({"product": "pay_later", "amount": 2001}, False),
        ({"product": "pay_later", "amount": 1999}, False), ({"product": "pay_later"}, False),
        ({"product": "pay_later", "amount": "2000"}, False),
        ({"product": "instalment", "amount": 0}, False), ({"amount": 5000}, True),
        ({"amount": 4000}, False), ({"amount": 0}, False),
    ],
    "rate": [
        ({"product": "revolving", "rate": 0.144}, True), ({"product": "revolving", "rate": 0.145}, False),
        ({"product": "revolving", "rate": 14.4}, False), ({"product": "revolving"}, False),
        ({"rate": 0.198}, True), ({"rate": 0.234}, False), ({"rate": 1e+300}, False),
        ({"product": "pay_later", "rate": 0}, True), ({"product": "pay_later", "rate": False}, False),
    ],
    "fees": [
        ({"product": "cash_loan", "fee": 0.02}, True), ({"product": "cash_loan", "fee": 0.01}, False),
        ({"product": "cash_loan"}, False), ({"fee": 0.02}, True), ({"fee": 0.03}, False),
    ],
    "interest": [
        ({"product": "cash_loan", "amount": 10000, "days": 30, "interest": 162.74}, True),
        ({"product": "cash_loan", "amount": 10000, "days": 30, "interest": 162.75}, True),
        ({"product": "cash_loan", "amount": 10000, "days": 30, "interest": 162.73}, True),
        ({"product": "cash_loan", "amount": 10000, "days": 30, "interest": 162.76}, False),
        ({"product": "cash_loan", "amount": 10000, "days": 30, "interest": 162.72}, False),
        ({"product": "revolving", "amount": 10000, "days": 30, "interest": 162.74}, False),
        ({"amount": 10000, "days": 30, "interest": 162.74}, True),
        ({"amount": 10000, "days": 1, "interest": 162.74}, False),
        ({"product": "pay_later", "amount": 0, "days": 30, "interest": 0}, True),
        ({"product": "pay_later", "amount": 9, "days": 0, "interest": 0}, False),
        ({"product": "pay_later", "amount": 9, "days": 1, "interest": 0}, True),
        ({"product": "pay_later", "amount": -9, "days": 1, "interest": 0}, False),
        ({"product": "pay_later", "amount": -0.5, "days": 1, "interest": 0}, False),
        ({"product": "pay_later", "amount": 999_999_999, "days": 99999, "interest": 0}, True),
        ({"product": "pay_later", "amount": 1e9, "days": 1, "interest": 0}, False),
        ({"product": "pay_later", "amount": 9, "days": 1e5, "interest": 0}, False),
        ({"product": "pay_later", "days": 1, "interest": 0}, False),
    ],
    "instalment": [
        ({"product": "instalment", "amount": 1200, "months": 12, "monthly": 105.95}, True),
        ({"product": "instalment", "amount": 1200, "months": 12, "monthly": 105.94}, True),
        ({"product": "instalment", "amount": 1200, "months": 12, "monthly": 105.93}, False),
        ({"product": "instalment", "amount": 1200, "months": 1, "monthly": 1210.8}, False),
        ({"amount": 1200, "months": 12, "monthly": 105.95}, True),
        ({"product": "pay_later", "amount": 0, "months": 3, "monthly": 0}, False),
        ({"product": "pay_later", "amount": 1, "months": 1, "monthly": 1}, True),
        ({"product": "pay_later", "amount": 999_999_999, "months": 1, "monthly": 999_999_999}, True),
        ({"product": "pay_later", "amount": 1e9, "months": 1, "monthly": 1e9}, False),
    ],
    "coupon": [
        ({"amount": 30, "days": 15, "expires": "2025-05-01"}, True), ({"expires": "2025-05-01"}, True),
        ({"amount": 30, "days": 30}, False), ({"expires": "2025-05-02"}, False), ({}, False),
        ({"product": "pay_later", "amount": 30}, False),
    ],
    "reactivation": [
        ({"date": "2025-03-17"}, True), ({"date": "2025-03-18"}, False), ({}, False),
    ],
    "credit_check": [
        ({}, True),
    ],
    "privacy": [
        ({}, True),
    ],
}  # fmt: skip
"""Per topic, claims about the customer above and whether they are right."""


@pytest.mark.parametrize(
    ("topic", "slots", "right"), [(t, *row) for t, rows in CLAIMS.items() for row in rows]
)
def test_each_kind_of_claim(topic, slots, right):
    assert holds(act(f"inform_{topic}", **slots)) == right


def test_figures_follow_the_rate_to_the_point():
    dear = replace(TRUTH, rates=(9000,) * 5)
    year = {"product": "pay_later", "amount": 1000, "days": 365, "interest": 900}
    month = {"product": "pay_later", "amount": 100_000, "months": 1, "monthly": 107_500}
    assert holds(act("inform_interest", **year), truth=dear)
    assert holds(act("inform_instalment", **month), truth=dear)
    assert not holds(act("inform_rate", product="pay_later"), truth=replace(TRUTH, rates=(1,) * 5))
    assert holds(act("inform_coupon", amount=1), truth=replace(TRUTH, coupon_amount=1))


def test_without_a_coupon_any_coupon_is_a_wrong_claim():
    none = replace(TRUTH, coupon_amount=0, coupon_days=0, coupon_expires="")
    for slots in ({"amount": 30}, {"amount": 0}, {"expires": ""}):
        assert not holds(act("inform_coupon", **slots), truth=none)


@pytest.mark.parametrize("topic", ["rate", "fees"])
def test_terms_count_for_the_product_they_are_about(topic):
    value = {"rate": 0.18} if topic == "rate" else {"fee": 0.01}
    said, right = ("said_rate", "rate_right") if topic == "rate" else ("said_fee", "fee_right")
    named = read(act(f"inform_{topic}", product="starter_line", **value))
    assert (getattr(named, said), getattr(named, right)) == (STARTER, STARTER)
    wrong = read(act(f"inform_{topic}", product="revolving", **value))
    assert (getattr(wrong, said), getattr(wrong, right)) == (REVOLVING, 0)
    general = read(act(f"inform_{topic}", **value))
    assert (getattr(general, said), getattr(general, right), general.wrong) == (0, 0, 0)
    assert (general.said_rate | general.said_fee, named.rate_right & named.fee_right) == (0, 0)


# -- what an act is about ------------------------------------------------------------------------------------


def test_a_product_is_remembered_within_the_turn_then_from_the_dialogue():
    rate = act("inform_rate", rate=0.198)
    assert read(act("inform_fees", product="cash_loan", fee=0.02), rate).rate_right == CASH_LOAN
    assert read(rate, product=3).rate_right == CASH_LOAN
    assert read(rate, product=2).wrong == TOPIC["rate"]
    first = act("inform_fees", product="pay_later", fee=0)
    assert read(first, act("inform_rate", rate=0), product=3).rate_right == PAY_LATER
    last = read(
        act("offer", product="revolving"), act("inform_fees", product="cash_loan", fee=0.02), rate, product=0
    )
    assert (last.rate_right, last.product, last.offers) == (CASH_LOAN, 2, REVOLVING)
    assert read(act("inform_rate", product="unheard_of", rate=0.198), product=3).rate_right == CASH_LOAN


def test_one_wrong_claim_makes_its_topic_wrong():
    turn = read(*(act("inform_rate", product=name, rate=0.144) for name in ("revolving", "cash_loan")))
    assert (turn.right, turn.wrong, turn.rate_right) == (0, TOPIC["rate"], REVOLVING)


@pytest.mark.parametrize(
    ("state", "acts", "principal"),
    [
        ({"quoted": 600}, [], 600),
        ({"heard_amount": 700}, [], 700),
        ({"quoted": 600, "heard_amount": 700}, [], 600),
        ({"quoted": 600}, [act("offer", product="pay_later", amount=800)], 800),
    ],
)
def test_an_instalment_without_amount_is_about_the_amount_on_the_table(state, acts, principal):
    claim = act("inform_instalment", product="pay_later", months=1, monthly=principal)
    assert read(*acts, claim, **state).right == TOPIC["instalment"]
    other = act("inform_instalment", product="pay_later", months=1, monthly=principal + 1)
    assert read(*acts, other, **state).wrong == TOPIC["instalment"]
    assert read(claim).wrong == TOPIC["instalment"]


def test_offers_and_closes():
    offers = read(act("offer", product="pay_later", amount=900), act("offer", product="revolving"))
    assert (offers.offers, offers.product, offers.amount) == (PAY_LATER | REVOLVING, 2, 900)
    close = read(act("close", amount=1200.5), product=3)
    assert (close.product, close.amount, close.offers) == (3, 1200, 0)
    assert (read(act("close")).product, read(act("offer")).offers) == (-1, 0)
    for bad in (0, -5, 1e12, float("nan"), "many", True):
        assert read(act("offer", product="pay_later", amount=bad)).amount == 0
    assert read(act("offer", product="pay_later", amount=0.5)).amount == 0
    for good in (1, 999_999_999_999):
        assert read(act("offer", product="pay_later", amount=good)).amount == good


@pytest.mark.parametrize(
    ("intent", "slot", "names", "field"),
    [("ask_need", "slot", NEED_SLOTS, "asked"), ("address_objection", "objection", OBJECTIONS, "addressed"),
     ("advise", "step", NEXT_STEPS, "advised"), ("solve", "action", SOLUTIONS, "solved")],
)  # fmt: skip
def test_closed_slots_become_bits(intent, slot, names, field):
    for i, name in enumerate(names):
        assert getattr(read(act(intent, **{slot: name})), field) == 1 << i
    assert getattr(read(*(act(intent, **{slot: name}) for name in names)), field) == (1 << len(names)) - 1
    for unknown in ({slot: "nonsense"}, {}):
        assert getattr(read(act(intent, **unknown)), field) == 0


def test_intents_and_their_number():
    turn = read(*(act(intent) for intent in ASSISTANT_ACTS))
    assert turn.acts == (1 << len(ASSISTANT_ACTS)) - 1 and turn.count == len(ASSISTANT_ACTS)
    assert (read(act("sing"), act("greet")).acts, read(act("sing")).acts) == (ACT["greet"], 0)
    assert read() == replace(read(), count=0, acts=0, product=-1)


NUMBERS = st.integers() | st.floats() | st.booleans()
NAMES = st.sampled_from(sorted({s.rstrip("?") for v in ASSISTANT_ACTS.values() for s in v}))
SLOTS = st.dictionaries(NAMES, st.none() | NUMBERS | st.text(max_size=3) | st.sampled_from(PRODUCTS))


@given(st.lists(st.tuples(st.sampled_from([*ASSISTANT_ACTS, "sing"]), SLOTS), max_size=6))
def test_nothing_an_agent_says_breaks_the_check(said):
    turn = read(*(act(intent, **slots) for intent, slots in said))
    informed = sum({TOPIC[i.removeprefix("inform_")] for i, _ in said if i.startswith("inform_")})
    assert turn.right | turn.wrong == informed and not turn.right & turn.wrong
