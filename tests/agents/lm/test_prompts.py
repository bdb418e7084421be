"""What a language model is told about the customer and the dialogue."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.acts import Ontology, format_acts, parse_acts
from dialog_gym.agents.lm.prompts import content, messages, opened_by, system_message
from dialog_gym.core import DialogueAct, Turn
from dialog_gym.domains.credit import profiles
from dialog_gym.domains.credit.facts import attribute_arrays
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, CHOICES
from dialog_gym.lm.chat import OPENING

CUSTOMER = {
    "today": "2025-03-31",
    "surname": "Campos",
    "phone": "*******3187",
    "id_number": "**************8623",
    "age": 45,
    "months_as_customer": 81,
    "monthly_income": 4500,
    "activation": "never_activated",
    "credit_granted_on": "2025-01-01",
    "credit_limit": 24000,
    "used_balance": 16906,
    "annual_rate": 0.144,
    "repayment_history": "1,0,2,0,0,0",
    "coupon_amount": 10,
    "coupon_interest_free_days": 15,
    "coupon_issued_on": "2025-03-01",
    "coupon_valid_days": 30,
}
HELLO = Turn(role="assistant", text="Hello!", acts=(DialogueAct(intent="greet"),), thought="be nice")
YES = Turn(role="user", text="Yes?", acts=(DialogueAct(intent="confirm_identity"),))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)


def compact(changes=(), **options):
    return system_message(CUSTOMER | dict(changes), "GUIDELINES", **options)


def without(*names):
    return {name: value for name, value in CUSTOMER.items() if name not in names}


def test_the_compact_message_says_what_a_crm_screen_shows():
    assert compact() == (
        "The shop calls. Today 2025-03-31. Campos, 45 years, customer 81 months. Phone 3187, ID 8623. "
        "Income 4500. Account never activated, credit 2 months. Limit 24000, 71% used, 7094 left. "
        "Price tier 3. Overdue now 1, worst 2, 2 of 6 months. "
        "Coupon 10, 15 days free, issued 2025-03-01, valid 30 days, running. Reply in words."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"monthly_income": None}, "Income unknown."),
        ({"today": "2025-04-01"}, "valid 30 days, over."),
        ({"coupon_amount": 0, "coupon_issued_on": "none"}, "No coupon."),
        ({"annual_rate": 0.234}, "Price tier 5."),
        ({"annual_rate": 0.072}, "Price tier 1."),
        ({"used_balance": 24000}, "Limit 24000, 100% used, 0 left."),
        ({"used_balance": 19201}, "81% used"),
        ({"used_balance": 19200}, "80% used"),
        ({"credit_limit": 0, "used_balance": 0}, "Limit 0, 100% used, 0 left."),
    ],
)
def test_special_cases(changes, said):
    assert said in compact(changes)


def test_derived_quantities_are_those_of_the_shops_rules():
    customers = profiles.generate(np.arange(300, dtype=np.uint64))
    truth = attribute_arrays(customers)
    for i in range(len(customers)):
        said = system_message(profiles.attributes(customers, i), "")
        number = r"(\d+)"
        months, limit, share, left = re.search(
            rf"credit {number} months. Limit {number}, {number}% used, {number} left", said
        ).groups()
        now, worst, count = re.search(rf"now {number}, worst {number}, {number} of 6", said).groups()
        assert int(months) == truth["months_since_grant"][i]
        assert (int(limit), int(left)) == (truth["credit_limit"][i], truth["credit_left"][i])
        assert int(share) == np.ceil(np.round(100 * truth["utilisation"][i], 9))
        found = tuple(truth[f"overdue_{part}"][i] for part in ("now", "max", "count"))
        assert (int(now), int(worst), int(count)) == found
        assert f"Price tier {customers.tier[i] + 1}." in said
        assert ": " not in said, "every attribute has its sentence"


def test_who_opened_and_how_to_reply():
    assert compact(opened="user").startswith("The customer wrote. ")
    assert compact(dialect="acts").endswith(" Reply in acts.")
    assert (opened_by(()), opened_by((HELLO, YES)), opened_by((YES,))) == ("assistant", "assistant", "user")


def test_an_attribute_without_its_sentence_is_still_told():
    said = system_message(without("credit_limit") | {"age": "grown up", "loyalty card": None}, "")
    for part in ("used_balance: 16906.", "age: grown up.", "surname: Campos.", "loyalty card: unknown."):
        assert part in said
    assert "credit_limit" not in said and "Price tier 3." in said
    assert system_message({}, "") == "The shop calls. Reply in words."
    assert system_message({"age": None}, "") == "The shop calls. age: unknown. Reply in words."


@given(st.dictionaries(st.sampled_from([*CUSTOMER, "colour"]), SCALARS))
def test_any_profile_can_be_told(changes):
    for profile in (changes, CUSTOMER | changes):
        said = system_message(profile, "G")
        assert said.startswith("The shop calls. ") and said.endswith("Reply in words.")
        full = system_message(profile, "G", style="full")
        for name, value in profile.items():
            assert f"{name}: {'unknown' if value is None else value}" in full
            told = name == "monthly_income" or (name.startswith("coupon_") and "No coupon." in said)
            if value is None and not told:
                assert f"{name}: unknown." in said


def test_the_full_message_holds_guidelines_and_every_attribute():
    said = compact(style="full", dialect="acts")
    assert said.startswith("GUIDELINES\nCustomer profile:\n")
    assert "GUIDELINES" not in compact()
    assert all(f"\n{name}: {value}\n" in said for name, value in CUSTOMER.items())
    assert "act notation" in said and "act notation" not in compact(style="full")


def test_messages():
    roles = [(m["role"], m["content"]) for m in messages("S", (HELLO, YES))]
    assert roles == [("system", "S"), ("assistant", "Hello!"), ("user", "Yes?")]
    in_acts = messages("S", (HELLO, YES), dialect="acts")
    assert [m["content"] for m in in_acts] == ["S", "greet()", "Yes?"]
    assert "be nice" not in str(in_acts + messages("S", (HELLO,)))


def test_the_opening_stands_in_for_the_customer_only_when_the_shop_calls():
    assert [m["content"] for m in messages("S", (), opening=OPENING)] == ["S", OPENING]
    assert [m["role"] for m in messages("S", (HELLO, YES), opening=OPENING)][:3] == [
        "system",
        "user",
        "assistant",
    ]
    assert [m["content"] for m in messages("S", (YES,), opening=OPENING)] == ["S", "Yes?"]


def test_a_turn_without_recognised_acts_is_text():
    assert content(Turn(role="assistant", text="Hm."), "acts") == "Hm."


@given(st.integers(0, 10**6), st.sampled_from(["pay_later", "cash_loan"]))
def test_acts_can_be_read_back(amount, product):
    acts = (DialogueAct(intent="offer", slots={"product": product, "amount": amount}),)
    written = content(Turn(role="assistant", text="", acts=acts), "acts")
    assert written == format_acts(acts)
    assert parse_acts(written, Ontology(ASSISTANT_ACTS, CHOICES)) == acts


def test_prompts_need_no_torch():
    program = (
        "import sys, dialog_gym.agents.lm.prompts, dialog_gym.lm.shipped\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
