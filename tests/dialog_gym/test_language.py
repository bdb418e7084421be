import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct
from dialog_gym.language import LANGUAGE_REWARDS, LanguageContext, language_rewards, rouge_l

GOOD = "Good morning, Mr. Chen. Your credit limit is 12,000, and the yearly rate is 19.8 %. Shall we go on?"


def score(name: str, text: str, **fields: Any) -> float:
    return language_rewards(LanguageContext(text, **fields))[name]


def act(intent: str, **slots: Any) -> DialogueAct:
    return DialogueAct(intent=intent, slots=slots)


class TestNaturalness:
    def test_ordinary_speech_is_fully_natural(self) -> None:
        assert score("naturalness", GOOD) == 1.0
        assert score("naturalness", "Yes.") == 1.0
        assert score("naturalness", "您好。您的额度是一万元。") == 1.0
        assert score("naturalness", "Is that the phone 138****5678, Ms. Wu? The APR is 7.2 %.") == 1.0

    @pytest.mark.parametrize(
        "leak",
        [
            "offer(product=pay_later, amount=5000)",
            "greet()",
            '{"intent": "offer"}',
            "Hello [CUSTOMER NAME], welcome.",
            "Hello {name}, welcome.",
            "We can offer pay_later today.",
            "<b>Hello</b>, welcome.",
            "**Hello**, welcome.",
            "```json```",
            "# Offer\nHere it is.",
        ],
    )
    def test_leaking_notation_is_zero(self, leak: str) -> None:
        assert score("naturalness", leak) == 0.0

    @pytest.mark.parametrize(
        "bad",
        [
            GOOD.removesuffix("?"),
            GOOD.upper(),
            GOOD + " Sooooo good!",
            GOOD + " Now!!!",
            "good offer " * 30 + ".",
            " ".join(f"word{i}x and" for i in range(40)) + ".",
            "A short sentence number one two. " * 40,
        ],
    )
    def test_flaws_lower_it(self, bad: str) -> None:
        assert score("naturalness", bad) < 0.8

    def test_parroting_the_user_lowers_it(self) -> None:
        user = "I would like to know my limit, please."
        assert score("naturalness", user, user_text=user) == 0.0
        assert score("naturalness", "Your limit is 12,000, madam.", user_text=user) == 1.0

    def test_saying_nothing_is_zero(self) -> None:
        assert score("naturalness", " ... ") == 0.0


class TestConsistency:
    def test_asking_again(self) -> None:
        ask = (act("ask_need", slot="amount"), act("ask_need", slot="purpose"))
        assert score("consistency", "How much, and what for?", acts=ask) == 1.0
        assert score("consistency", "How much, and what for?", acts=ask, known={"amount": 500}) == 0.5

    def test_identity_and_greeting(self) -> None:
        again = (act("greet"), act("ask_identity"))
        assert score("consistency", "Hello, who is this?", acts=again) == 1.0
        fields = {"acts": again, "known": {"identity": True}, "previous_agent_texts": ("Hello.",)}
        assert score("consistency", "Hello, who is this?", **fields) == 0.0

    def test_surname(self) -> None:
        assert score("consistency", "Hello Mr. Chen.", profile={"surname": "Chen"}) == 1.0
        assert score("consistency", "Mr Chen's card is ready.", profile={"surname": "chen"}) == 1.0
        assert score("consistency", "Hello Ms Wang.", profile={"surname": "Chen"}) == 0.0

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("You said you need 5,000, right?", 1.0),
            ("You\u2019ve asked for 5k.", 1.0),
            ("You asked for 8000.00 today.", 0.0),
            ("You need to wait 180 days.", 1.0),
            ("You asked about 19.8 % rates.", 1.0),
            ("Your monthly income of 9,000 is enough.", 0.0),
            ("Your income is 4,000.", 1.0),
            ("You are 41 years old.", 0.0),
        ],
    )
    def test_quoting_the_user(self, text: str, expected: float) -> None:
        fields = {"known": {"amount": 5000}, "profile": {"monthly_income": 4000, "age": 40}}
        assert score("consistency", text, **fields) == expected

    def test_offering_more_than_asked(self) -> None:
        known = {"amount": 5000}
        assert score("consistency", "Take 4,000.", acts=(act("offer", amount=4000.0),), known=known) == 1.0
        assert score("consistency", "Take 9,000.", acts=(act("offer", amount=9000.0),), known=known) == 0.0

    def test_nothing_said_is_not_judged(self) -> None:
        assert math.isnan(score("consistency", ""))


def test_repetition_looks_at_the_previous_turn_only() -> None:
    earlier = ("The rate is 7.2 %.", "May I ask your name?")
    assert score("repetition", "May I ask your name?", previous_agent_texts=earlier) == 0.0
    assert score("repetition", "The rate is 7.2 %.", previous_agent_texts=earlier) == 1.0
    # pairs: (start, may), (may, i), (i, ask), (ask, why); three of four were there
    assert score("repetition", "May I ask why?", previous_agent_texts=earlier) == 0.25
    assert math.isnan(score("repetition", "Hello."))


def test_fidelity_and_coverage_are_shares() -> None:
    assert score("fidelity", "x", right_claims=3, wrong_claims=1) == 0.75
    assert math.isnan(score("fidelity", "x"))
    asked = frozenset({"rate", "fees"})
    assert score("coverage", "x", asked_topics=asked, answered_topics=frozenset({"rate", "limit"})) == 0.5
    assert score("coverage", "", asked_topics=asked) == 0.0
    assert math.isnan(score("coverage", "x", answered_topics=asked))


def test_novelty_by_hand() -> None:
    # content: rate, low, rate | (rate, low), (low, rate) -> 5 n-grams, 4 distinct
    assert score("novelty", "The rate is low, a rate!", previous_agent_texts=("Hello.",)) == pytest.approx(
        4 / 5
    )
    # 'rate' was said before: 3 new ones of 5
    assert score("novelty", "The rate is low, a rate!", previous_agent_texts=("Rate?",)) == pytest.approx(
        3 / 5
    )
    assert score("novelty", "Fresh words.", previous_agent_texts=("Fresh words.",)) == 0.0
    assert score("novelty", "", previous_agent_texts=("Hello.",)) == 0.0
    assert math.isnan(score("novelty", "Yes, we are.", previous_agent_texts=("Hello.",)))
    assert math.isnan(score("novelty", "Fresh words."))


def test_novelty_forgets_after_five_turns() -> None:
    old = ("Fresh words.", "one", "two", "three", "four")
    assert score("novelty", "Fresh words.", previous_agent_texts=old) == 0.0
    assert score("novelty", "Fresh words.", previous_agent_texts=(*old, "five")) == 1.0


def test_rouge_by_hand() -> None:
    # the examples of Lin (2004): reference "police killed the gunman"
    reference = ["police", "killed", "the", "gunman"]
    assert rouge_l(["police", "kill", "the", "gunman"], reference) == pytest.approx(3 / 4)
    assert rouge_l(["the", "gunman", "kill", "police"], reference) == pytest.approx(2 / 4)
    # precision 2/5, recall 2/3 -> F1 = 4/8
    assert rouge_l(list("abcde"), list("bxe")) == pytest.approx(0.5)
    assert rouge_l([], ["a"]) == 0.0
    assert score("rouge", "The Rate is 7.2!", reference="the rate: is 7.2") == 1.0
    assert math.isnan(score("rouge", "x"))
    assert math.isnan(score("rouge", "x", reference="..."))


@given(
    st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), min_size=1, max_size=12)
)
def test_lcs_matches_dynamic_programming(a: list[str], b: list[str]) -> None:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert rouge_l(a, b) == pytest.approx(2 * table[-1][-1] / (len(a) + len(b)))


TEXT = st.one_of(
    st.text(), st.lists(st.sampled_from(["you need 5", "Mr Chen", "!", "a", ".", "{"])).map(" ".join)
)


@settings(max_examples=200)
@given(TEXT, st.lists(TEXT, max_size=7), TEXT, st.none() | TEXT, st.integers(0, 3), st.integers(0, 3))
def test_all_measures_stay_in_range_and_are_pure(
    text: str, before: list[str], user: str, reference: str | None, right: int, wrong: int
) -> None:
    context = LanguageContext(
        text,
        tuple(before),
        user,
        (act("offer", amount=7.0), act("ask_need"), act("close", amount="many")),
        frozenset({"rate"}),
        frozenset({"fees"}),
        right,
        wrong,
        {"surname": "Chen", "age": 30, "monthly_income": None},
        {"amount": 5},
        reference,
    )
    found = language_rewards(context)
    assert tuple(found) == LANGUAGE_REWARDS
    assert all(math.isnan(value) or 0.0 <= value <= 1.0 for value in found.values())
    assert str(found) == str(language_rewards(context))


@pytest.mark.parametrize("unit", ["word ", "a_", "<a", "[a", "1,", "you said ", "Mr ", "!a", "\n", "中"])
def test_very_long_texts_are_judged(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    found = language_rewards(LanguageContext(text, (text,), text, reference=text, known={"amount": 3}))
    assert all(math.isnan(value) or 0.0 <= value <= 1.0 for value in found.values())
