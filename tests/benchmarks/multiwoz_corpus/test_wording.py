"""Responses become comparable: placeholders, plurals, and the Moses round trip."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.benchmarks.multiwoz_corpus.wording import joined, normalized_response, tokens


@pytest.mark.parametrize(
    ("response", "normal"),
    [
        ("[hotel_name] is a [value_type] .", "NAME is a TYPE."),
        ("There are 3 [type]s , [type]-es or [type] s.", "there are 3 TYPE, TYPE or TYPE s."),
        ("[nonsense] at [Price Range]", "at PRICE"),
        ("A 4-star hotel, friendly-ly", "a 4tar hotel, friendly"),
        ("is that 9:30 am or pm?", "is that 9: 30 am or pm?"),
        ("it 's $ 5 , isn't it ?", "it 's $5, isn't it?"),
        ("i 'm sorry , i 'm confused .", "i 'm sorry, i' m confused."),
        ("I'm sorry; you don't.", "i'm sorry; you don't."),
        ("the guests ' rooms", "the guests' rooms"),
        ('call it " big " .', 'call it "big".'),
        ("day / time ( today )", "day / time (today)"),
        ("reference # [ref]", "reference # REFERENCE"),
        ("the price range .any other?", "the price range .any other?"),
        ("well...yes ..  no", "well... yes.. no"),
        ("1,200 a,b , c 5,", "1,200 a, b, c 5,"),
        ("a & b", "a & b"),
        ("[value_price]gbp", "PRICEgbp"),
        ("  ", ""),
    ],
)
def test_normalized(response, normal):
    assert normalized_response(response) == normal


@given(st.lists(st.text("abcdefghijklmnopqrtuvwxyz", min_size=1), min_size=1))
def test_plain_words_stay_as_they_are(words):
    text = " ".join(words)
    assert joined(tokens(text)) == text


@given(st.text(max_size=60))
def test_any_text_can_be_normalized(text):
    normal = normalized_response(text)
    assert "  " not in normal and normal == normal.strip()
