"""What the audit says of words that are not what was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct, Goal, Task, Turn, UserProfile
from dialog_gym.domains.credit.ontology import USER_ACTS
from dialog_gym.simulators.audit import KINDS, Facts, judge_free, judge_worded, shares, stated


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


TASK = Task(
    id="t0", domain="credit", scenario="proactive_sale", split="test", level=0,
    profile=UserProfile(id="u0", attributes={"surname": "Novak", "phone": "*******4821"}),
    goal=Goal(
        need="home",
        constraints={"amount": 5000, "purpose": "home", "timing": "now"},
        requests=("rate", "fees"),
        persona={"income": 2500, "objections": "privacy", "problem": ""},
    ),
)  # fmt: skip
FACTS = Facts(TASK)
AMOUNT, RATE = act("disclose", slot="amount", value=5000), act("ask", topic="rate")


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        ([AMOUNT, RATE], None),
        ([act("greet"), AMOUNT, RATE, act("thank")], None),
        ([act("disclose", slot="amount", value=5000.0), RATE], None),
        ([act("disclose", slot="amount", value=6000), RATE], "contradicted"),
        ([act("correct", slot="amount", value=6000), RATE], "contradicted"),
        ([AMOUNT, act("ask", topic="fees")], "contradicted"),
        ([AMOUNT, RATE, act("disclose", slot="income", value=2500)], "leaked"),
        ([AMOUNT, RATE, act("object", objection="privacy")], "leaked"),
        ([AMOUNT, RATE, act("object", objection="fees")], "leaked"),
        ([AMOUNT, RATE, act("object", objection="bad_experience")], "invented"),
        ([AMOUNT, RATE, act("complain")], "invented"),
        ([AMOUNT, RATE, act("goodbye")], "premature_stop"),
        ([AMOUNT, RATE, act("accept")], "premature_stop"),
        ([AMOUNT], "omitted"),
        ([act("unclear")], "omitted"),
        ([], "omitted"),
    ],
)
def test_worded_turns(read, kind):
    assert judge_worded(read, [AMOUNT, RATE], FACTS) == kind


def test_the_opposite_contradicts_and_what_was_meant_may_stop():
    assert judge_worded([act("decline")], [act("accept")], FACTS) == "contradicted"
    assert judge_worded([act("decline")], [act("decline")], FACTS) is None
    assert judge_worded([act("decline"), act("goodbye")], [act("decline")], FACTS) == "premature_stop"
    assert judge_worded([act("agree")], [act("thank")], FACTS) == "invented"
    assert judge_worded([act("unclear")], [act("thank")], FACTS) == "omitted"


@given(st.lists(st.sampled_from(sorted(USER_ACTS)), min_size=1, max_size=4, unique=True))
def test_saying_what_was_meant_is_never_wrong(intents):
    acts = [act(intent) for intent in intents]
    assert judge_worded(acts, acts, FACTS) is None


ASKED = Turn(role="assistant", text="Your income?", acts=(act("ask_need", slot="income"),))
OFFERED = Turn(role="assistant", text="5,000?", acts=(act("offer", product="pay_later", amount=5000),))
HELLO = Turn(role="assistant", text="Hello.", acts=(act("greet"),))


@pytest.mark.parametrize(
    ("read", "dialogue", "kind"),
    [
        ([AMOUNT], [HELLO], None),
        ([act("disclose", slot="amount", value=900)], [HELLO], "contradicted"),
        ([act("disclose", slot="income", value=900)], [ASKED], "invented"),
        ([act("disclose", slot="income", value=2500)], [HELLO], "leaked"),
        ([act("disclose", slot="income", value=2500)], [HELLO, ASKED], None),
        ([act("accept")], [HELLO], "premature_stop"),
        ([act("accept", product="pay_later")], [HELLO, OFFERED], None),
        ([act("report", problem="wrong_charge")], [HELLO], "invented"),
        ([act("decline")], [HELLO], None),
        ([act("unclear")], [HELLO], "omitted"),
        ([], [HELLO], "omitted"),
    ],
)
def test_turns_that_the_model_chose(read, dialogue, kind):
    assert judge_free(read, FACTS, dialogue) == kind


def test_stated():
    assert stated(AMOUNT) == [("amount", "5000")]
    assert stated(act("hotel_inform", area="East", stars=4, internet=None)) == [
        ("area", "east"),
        ("stars", "4"),
    ]
    assert stated(act("hotel_request", slot="area")) == []


def test_shares():
    assert shares({"leaked": 1}, 4) == {**dict.fromkeys(KINDS, 0.0), "leaked": 0.25}
    assert set(shares({"leaked": 1}, 0).values()) == {0.0}
