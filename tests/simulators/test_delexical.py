"""Values as marks: what a tiny model is shown, and what becomes of its words."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct, Trajectory, Turn
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.user_reader import read_user
from dialog_gym.domains.credit.user_wording import word_user
from dialog_gym.simulators.delexical import filled, marked, sayable, shown
from dialog_gym.simulators.drawn_acts import drawn, drawn_turns
from dialog_gym.simulators.prompts import chat
from tests.simulators.test_user_prompts import TASK

RULEBOOK = load_rulebook()
SYSTEM = "Customer Novak, phone ends in 4821. Neutral."


def prompt(*acts, system=SYSTEM):
    return chat(system, (), acts, "compact")


def told(slot, value, intent="disclose"):
    return DialogueAct(intent=intent, slots={"slot": slot, "value": value})


def test_the_model_sees_marks_and_plain_words():
    seen = shown(prompt(told("amount", 4650), told("purpose", "cash_flow"), DialogueAct(intent="thank")))
    assert [message["content"] for message in seen.prompt] == [
        "Customer [name] [phone]. Neutral.",
        "...\ndisclose [amount]; disclose purpose cash flow; thank",
    ]
    assert seen.needed == {"[amount]"} and seen.values["[phone]"] == ("4821",)


def test_values_of_multiwoz():
    slots = {"departure": "london kings cross", "leaveat": "21:45", "bookpeople": "5", "day": "dontcare"}
    name = {"name": "rosa's (bed and) breakfast", "parking": "yes"}
    seen = shown(
        prompt(
            DialogueAct(intent="train_inform", slots=slots),
            DialogueAct(intent="hotel_inform", slots=name),
            DialogueAct(intent="hotel_request", slots={"slot": "price"}),
            system="Customer. Neutral.",
        )
    )
    assert seen.prompt[-1]["content"].split("\n")[1] == (
        "train inform [departure] [leaveat] [bookpeople] day dontcare; "
        "hotel inform [name] parking yes; hotel request price"
    )
    text = filled("From [departure] at [leaveat], for [bookpeople].", seen.values, 1)
    assert text == "From London Kings Cross at 21:45, for 5."


def test_two_values_of_one_slot_have_two_marks():
    seen = shown(prompt(told("amount", 500), told("amount", 700, "correct")))
    assert seen.prompt[-1]["content"].endswith("disclose [amount]; correct [amount 2]")
    assert len(shown(prompt(told("amount", 500), told("amount", 500, "correct"))).values) == 3


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("Customer. Terse.", "Customer. Terse."),
        ("Customer Novak. Terse.", "Customer [name]. Terse."),
        ("Customer phone ends in 4821. Terse.", "Customer [phone]. Terse."),
        ("Customer Novak. Terse. Goal: amount: 5000; buyer: True.",
         "Customer [name]. Terse. Goal: amount: [amount]; buyer: True."),
    ],
)  # fmt: skip
def test_who_the_customer_is(who, said):
    assert shown(prompt(system=who)).prompt[0]["content"] == said


def test_a_goal_s_amount_is_recognised_in_what_the_shop_says():
    heard = [Turn(role="assistant", text="5,000 or 15,000?")]
    seen = shown(chat("Customer. Terse. Goal: amount: 5000.", heard, (), "compact"))
    assert seen.prompt[-1]["content"] == "[amount] or 15,000?"


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from(("terse", "neutral", "chatty")))
def test_marking_and_filling_says_the_same(seed, key, verbosity):
    acts = drawn(np.random.default_rng(seed))
    text = word_user(
        acts, {"verbosity": verbosity}, key, profile={"surname": "Novak", "phone": "***4821"},
        rulebook=RULEBOOK,
    )  # fmt: skip
    seen = shown(prompt(*acts))
    if sayable(prompt(*acts), text):
        bare = marked(text, seen.values)
        assert not any(mark in bare for mark in ("Novak", "4821"))
        assert not any(letter.isdigit() for letter in re.sub(r"\[[^]]*\]", "", bare))
        assert read_user(filled(bare, seen.values, seed), RULEBOOK) == read_user(text, RULEBOOK)


def test_a_mark_without_a_value_is_no_utterance():
    assert filled("I need [amount].", {}, 0) == ""
    assert filled("I need it.", {}, 0) == "I need it."


def test_forms_differ_by_seed_and_begin_sentences_with_capitals():
    values = shown(prompt(told("amount", 2000))).values
    assert {filled("Need [amount].", values, seed) for seed in range(30)} >= {
        "Need 2k.",
        "Need two thousand.",
    }
    assert "Two thousand." in {filled("[amount].", values, seed) for seed in range(30)}


def test_words_that_leave_a_value_out_are_not_sayable():
    assert sayable(prompt(told("amount", 500)), "I need 500.")
    assert not sayable(prompt(told("amount", 500)), "I need money.")
    assert not sayable(prompt(told("amount", 500), told("income", 500)), "500, and I make 500.")


# -- drawn acts


def test_rare_acts_are_drawn_as_often_as_common_ones():
    turns = [drawn(np.random.default_rng(seed)) for seed in range(1500)]
    topics = [act.slots["topic"] for acts in turns for act in acts if act.intent == "ask"]
    counts = {topic: topics.count(topic) for topic in set(topics)}
    assert len(counts) == 10 and min(counts.values()) > max(counts.values()) / 3
    assert {len(acts) for acts in turns} == {1, 2, 3}
    assert not any(act.intent == "unclear" for acts in turns for act in acts)


def test_drawn_turns_say_their_acts():
    one = Trajectory(task=TASK, agent="a", seed=3, turns=(), rewards=(), costs=(), ended_by="accepted")
    turns = list(drawn_turns(one, 40))
    assert len(turns) > 35 and turns == list(drawn_turns(one, 40))
    assert all(read_user(turn.text, RULEBOOK) == turn.acts for turn in turns)
