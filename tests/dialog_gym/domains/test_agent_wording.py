"""The agent's wording: nothing is lost on the way to text and back."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.core import DialogGymError, DialogueAct
from dialog_gym.domains.credit.agent_wording import pick, word_assistant
from dialog_gym.domains.credit.grounder import read_assistant
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, CHOICES
from dialog_gym.domains.credit.rulebook import load_rulebook

RULEBOOK = load_rulebook()
CENTS = st.integers(100, 5_000_000).map(lambda cents: cents / 100 if cents % 100 else cents // 100)
AMOUNTS = st.one_of(st.sampled_from(RULEBOOK.ladder), CENTS)
DATES = st.dates(date(2020, 1, 1), date(2035, 12, 31)).map(date.isoformat)
NUMBERS = {
    "rate": st.sampled_from(RULEBOOK.rate_grid),
    "fee": st.sampled_from((0, 0.0, 0.01, 0.02, 0.015, 0.025)),
    "amount": AMOUNTS,
    "days": st.sampled_from((1, 2, 7, 14, 28, 30, 31, 45, 90, 365)),
    "months": st.sampled_from((1, 2, 3, 6, 12, 24, 36)),
    "date": DATES,
    "expires": DATES,
}


@st.composite
def acts(draw: st.DrawFn, intent: str | None = None) -> DialogueAct:
    intent = draw(st.sampled_from(sorted(ASSISTANT_ACTS))) if intent is None else intent
    slots: dict[str, object] = {}
    for name in ASSISTANT_ACTS[intent]:
        slot = name.rstrip("?")
        if slot != name and draw(st.booleans()):
            continue
        if slot == "reason" and slots["verdict"] == "eligible":
            continue
        if slot in CHOICES:
            slots[slot] = draw(st.sampled_from(CHOICES[slot]))
        elif slot == "interest":  # interest is less than what it is paid on
            slots[slot] = draw(st.integers(0, round(float(slots["amount"]) * 50))) / 100  # type: ignore[arg-type]
        elif slot == "monthly":  # a single instalment is the amount and some interest
            slots[slot] = draw(st.integers(1, round(float(slots.get("amount", 500)) * 110))) / 100  # type: ignore[arg-type]
        else:
            slots[slot] = draw(NUMBERS[slot])
    if intent == "inform_coupon" and not slots:
        slots["amount"] = draw(AMOUNTS)
    return DialogueAct(intent=intent, slots=slots)  # type: ignore[arg-type]


def show(found: tuple[DialogueAct, ...]) -> list[tuple[str, dict[str, object]]]:
    return [(act.intent, dict(act.slots)) for act in found]


@pytest.mark.parametrize("intent", sorted(ASSISTANT_ACTS))
@settings(max_examples=60, deadline=None)
@given(data=st.data(), key=st.integers(0, 2**64 - 1))
def test_one_act_survives_the_round_trip(intent: str, data: st.DataObject, key: int) -> None:
    act = data.draw(acts(intent))
    text = word_assistant([act], RULEBOOK, key)
    assert (text, show(read_assistant(text, RULEBOOK))) == (text, show((act,)))


@settings(max_examples=400, deadline=None)
@given(said=st.lists(acts(), min_size=1, max_size=5, unique_by=str), key=st.integers(0, 2**64 - 1))
def test_a_turn_survives_the_round_trip(said: list[DialogueAct], key: int) -> None:
    text = word_assistant(said, RULEBOOK, key)
    assert (text, show(read_assistant(text, RULEBOOK))) == (text, show(tuple(said)))


def test_the_key_decides_the_wording() -> None:
    act = DialogueAct(intent="offer", slots={"product": "pay_later", "amount": 5000})
    texts = {word_assistant([act], RULEBOOK, key) for key in range(40)}
    assert len(texts) == 2 and all("5,000" in text and "Pay Later" in text for text in texts)
    assert pick(("a", "b", "c"), 7, 0) == pick(("a", "b", "c"), 7, 0)
    assert word_assistant([], RULEBOOK) == ""


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (DialogueAct(intent="sing"), "not an assistant act"),
        (DialogueAct(intent="offer"), "slot 'product' is missing"),
        (DialogueAct(intent="offer", slots={"product": "gold_card"}), "unknown product 'gold_card'"),
        (DialogueAct(intent="greet", slots={"mood": "fine"}), "unknown slot 'mood'"),
        (DialogueAct(intent="advise", slots={"step": "pray"}), "no wording for 'advise/pray'"),
        (
            DialogueAct(intent="inform_limit", slots={"product": "pay_later", "amount": "lots"}),
            "'lots' is not a number",
        ),
        (DialogueAct(intent="inform_reactivation", slots={"date": "soon"}), "'soon' is not a date"),
    ],
)
def test_mistakes_are_named_in_one_line(act: DialogueAct, complaint: str) -> None:
    with pytest.raises(DialogGymError, match=complaint) as caught:
        word_assistant([act], RULEBOOK)
    assert "\n" not in str(caught.value)
