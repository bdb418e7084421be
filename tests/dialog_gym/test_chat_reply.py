"""Reading chat completions."""

from types import SimpleNamespace as Object

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.chat_reply import ChatReply, UnusableAnswer, read_reply


def completion(content, usage=None, **message):
    choice = Object(message=Object(content=content, **message), finish_reason="stop")
    return Object(choices=[choice], usage=usage)


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        ("Hello", "Hello", None),
        ("<think>a</think> Hello <THINK>b</THINK>", "Hello", "a\nb"),
        ("a</think>Hello", "Hello", "a"),
        ("<think>a", "", "a"),
        ("<think></think>", "", None),
        (None, "", None),
    ],
)
def test_thoughts_are_taken_out(content, text, thought):
    found = read_reply(completion(content))
    assert (found.text, found.thought, found.empty) == (text, thought, not text)


@given(st.text())
def test_any_text_survives_a_round_trip(content):
    found = read_reply(completion(content))
    assert ChatReply.model_validate_json(found.model_dump_json()) == found
    assert "<think>" not in found.text


def test_lone_surrogates_are_storable():
    found = read_reply(completion("caf\udce9", reasoning="\udce9"))
    assert (found.text, found.thought) == ("caf?", "?")
    found.model_dump_json().encode()


def test_usage_and_cost():
    found = read_reply(completion("x", Object(prompt_tokens=3, completion_tokens=4, cost=0.5)))
    assert (found.input_tokens, found.output_tokens, found.cost) == (3, 4, 0.5)
    found = read_reply(completion("x", Object(prompt_tokens=None)))
    assert (found.input_tokens, found.output_tokens, found.cost) == (0, 0, None)


@pytest.mark.parametrize(
    "answer",
    [
        "<html>gateway</html>", None, Object(choices=[]), Object(choices=None), Object(choices=[None]),
        Object(choices=[Object(message=None)]), completion(["part"]),
        completion("", tool_calls=[Object(function=None)]),
    ],
)  # fmt: skip
def test_what_is_no_completion(answer):
    with pytest.raises(UnusableAnswer):
        read_reply(answer)
