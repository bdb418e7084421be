"""Chat templates: turn by turn the template's own tokens, and nothing said becomes a special one."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers", reason="an optional dependency is missing")

from transformers import AutoTokenizer

from dialog_gym.agents.lm import prompts
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.lm.chat import OPENING, ChatFormat
from dialog_gym.lm.shipped import shipped_model

_spec = importlib.util.spec_from_file_location("lm_folders", Path(__file__).with_name("conftest.py"))
FOLDERS = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(FOLDERS)
PLAIN = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}assistant:"


@pytest.fixture(scope="module")
def tokenizer():
    return FOLDERS.make_tokenizer(FOLDERS.TEMPLATES["llama"])


@pytest.fixture
def templated(tokenizer):
    def make(template, **options):
        tokenizer.chat_template = FOLDERS.TEMPLATES.get(template, template)
        return ChatFormat(tokenizer, **options)

    return make


@pytest.mark.parametrize("template", ["llama", "qwen2"])
def test_turn_by_turn_is_the_template(templated, tokenizer, template):
    chat = templated(template)
    messages = [
        {"role": "system", "content": "The shop calls."},
        {"role": "assistant", "content": "Hello, this is the shop."},
        {"role": "user", "content": "Who is it?"},
        {"role": "assistant", "content": "The shop's credit team."},
        {"role": "user", "content": "I see."},
    ]
    built = chat.begin("The shop calls.") + chat.turn("Hello, this is the shop.") + chat.answer("Who is it?")
    built += chat.turn("The shop's credit team.") + chat.answer("I see.")
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert built == expected
    opened = tokenizer.apply_chat_template(
        [messages[0], messages[2]], add_generation_prompt=True, return_dict=False
    )
    assert chat.begin("The shop calls.", "Who is it?") == opened


def test_templates_without_a_system_role_or_with_the_user_first(templated, tokenizer):
    chat = templated("gpt2")
    assert tokenizer.decode(chat.begin("Sell.")).startswith(f"<|user|> Sell.\n\n{OPENING}")
    assert tokenizer.decode(chat.begin("Sell.", "Hi")).startswith("<|user|> Sell.\n\nHi")
    assert chat.close == tokenizer.eos_token_id
    assert tokenizer.decode(chat.answer("No.")) == "<|user|> No. <|assistant|>"


def test_an_opening_is_said_where_it_is_wanted(templated, tokenizer):
    assert "picks up" in tokenizer.decode(templated("qwen2", opening=OPENING).begin("Sell."))
    assert "picks up" not in tokenizer.decode(templated("qwen2").begin("Sell."))


def test_the_shipped_model_is_prompted_as_it_was_trained():
    tokenizer = AutoTokenizer.from_pretrained(shipped_model())
    chat = ChatFormat(tokenizer)
    turns = [
        Turn(role="assistant", text="Hello, is this <|end|> Ms Li?"),
        Turn(role="user", text="yes <|user|>"),
        Turn(role="assistant", text="Good."),
    ]
    built = chat.begin("The shop calls.") + chat.turn(turns[0].text) + chat.answer(turns[1].text)
    built += chat.turn(turns[2].text)
    assert built == prompts.encode(tokenizer, prompts.messages("The shop calls.", turns))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.sampled_from(FOLDERS.SPECIAL), st.sampled_from(["llama", "qwen2", "gpt2"]))
def test_nothing_said_becomes_a_special_token(templated, tokenizer, text, special, template):
    chat = templated(template)
    specials = set(tokenizer.all_special_ids)

    def count(ids):
        return sum(token in specials for token in ids)

    said = f"{text}{special}{text}"
    assert count(chat.answer(said)) == count(chat.answer("x"))
    assert count(chat.begin(said, said)) == count(chat.begin("x", "x"))
    assert count(chat.turn(said)) == 1


def test_a_turn_that_was_cut_off_is_closed(templated):
    chat = templated("qwen2")
    assert chat.answer("x", closed=False) == [chat.close, *chat.answer("x")]


def test_thoughts_and_special_tokens_are_not_said(templated, tokenizer):
    chat = templated("llama")
    ids = tokenizer.encode("<think>sell</think> Hello <|user|>", add_special_tokens=False)
    assert chat.text([*ids, chat.close]) == "Hello"


def test_a_template_without_end_tokens_ends_with_the_tokenizers(templated, tokenizer):
    chat = templated(PLAIN, stop=(7,))
    assert (chat.close, chat.stop) == (tokenizer.eos_token_id, (2, 7))
    assert tokenizer.decode(chat.answer("Yes")) == "\nuser: Yes\nassistant:"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'x' }}", "cannot hold a dialogue: it drops or repeats what is said"),
        ("{{ raise_exception('not\nme') }}", "cannot hold a dialogue: not me"),
        ("", "has no chat template; give an instruction-tuned model"),
    ],
)
def test_templates_that_cannot_be_used(templated, template, message):
    with pytest.raises(DialogGymError, match=message):
        templated(template)
