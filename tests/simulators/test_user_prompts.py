"""What a language model that plays the customer is told, and what is taken of its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct, Goal, Task, Turn, UserProfile
from dialog_gym.simulators.prompts import LONGEST, SILENCE, chat, manner, system_message, utterance

TASK = Task(
    id="t0", domain="credit", scenario="proactive_sale", split="test", level=0,
    profile=UserProfile(id="u0", attributes={"surname": "Novak", "phone": "*******4821"}),
    goal=Goal(need="home", constraints={"amount": 5000}, requests=("rate",), persona={"trust": 0.3125}),
)  # fmt: skip
ACTS = (DialogueAct(intent="ask", slots={"topic": "rate"}),)
SHOP = Turn(role="assistant", text="Hello.", thought="close soon")
USER = Turn(role="user", text="Hi.")


@pytest.mark.parametrize("style", ["compact", "full"])
def test_only_who_chooses_is_told_the_goal_and_nobody_the_hidden_state(style):
    worded = system_message(TASK, {"verbosity": "terse"}, "worded", style)
    free = system_message(TASK, {"verbosity": "terse"}, "free", style)
    assert "5000" in free and "5000" not in worded
    assert "0.3125" not in free + worded
    assert "erse" in worded and "Novak" in worded and "4821" in worded


def test_manner():
    assert manner({}) == "neutral"
    assert manner({"verbosity": "chatty", "buyer_style": "sceptical", "code_words": True}) == (
        "chatty, sceptical, slang"
    )


@pytest.mark.parametrize("style", ["compact", "full"])
@given(st.lists(st.sampled_from([SHOP, USER]), max_size=8), st.booleans())
def test_roles_alternate_and_the_shop_speaks_last(style, dialogue, told):
    prompt = chat("S", dialogue, ACTS if told else (), style, "What is the rate?")
    roles = [message["role"] for message in prompt]
    assert roles[0] == "system"
    assert roles[1::2] == ["user"] * len(roles[1::2]) and roles[-1] == "user"
    assert set(roles[2::2]) <= {"assistant"}
    assert ("ask(topic=rate)" in prompt[-1]["content"]) == told
    assert "close soon" not in str(prompt)


def test_a_customer_who_opens_hears_silence():
    assert chat("S", (), ACTS, "compact")[-1]["content"] == f"{SILENCE}\nask(topic=rate)"


def test_a_general_model_is_given_an_example():
    assert "What is the rate?" in chat("S", [SHOP], ACTS, "full", "What is the rate?")[-1]["content"]
    assert "In plain words" not in chat("S", [SHOP], ACTS, "full")[-1]["content"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Yes.", "Yes."),
        ('"Yes, please."', "Yes, please."),
        ("Customer: I need 500.\nAssistant: sure", "I need 500."),
        ("\n\n  user:  hello  ", "hello"),
        ("", ""),
        ("  \n ", ""),
        ("a" * 1000, "a" * LONGEST),
    ],
)
def test_utterance(written, said):
    assert utterance(written) == said
