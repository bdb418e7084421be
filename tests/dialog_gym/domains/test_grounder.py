"""The grounder: conventions, context, hostile input, and its accuracy on hand-made utterances."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.core import DialogueAct, Turn
from dialog_gym.domains.credit.grounder import read_assistant
from dialog_gym.domains.credit.grounder_lexicon import load_lexicon
from dialog_gym.domains.credit.grounder_text import MAX_CHARACTERS
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, CHOICES
from dialog_gym.domains.credit.rulebook import load_rulebook

RULEBOOK = load_rulebook()
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "measure_grounder.py"


def read(text: str, *context: Turn) -> list[str]:
    return [
        f"{act.intent}({', '.join(f'{name}={value}' for name, value in act.slots.items())})"
        for act in read_assistant(text, RULEBOOK, context)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "You're not eligible for the instalment plan, but pay-later up to 3,500 is open.",
            [
                "inform_eligibility(product=instalment, verdict=ineligible)",
                "inform_eligibility(product=pay_later, verdict=eligible)",
                "inform_limit(product=pay_later, amount=3500)",
            ],
        ),
        (
            "You qualify not only for pay-later but also for the cash loan.",
            [
                "inform_eligibility(product=pay_later, verdict=eligible)",
                "inform_eligibility(product=cash_loan, verdict=eligible)",
            ],
        ),
        ("The cash loan has no set-up fee.", ["inform_fees(product=cash_loan, fee=0)"]),
        ("If you were eligible for the cash loan, the rate would be 9 %.", []),
        ("Earlier you asked about the rate of 19.8 % on the loan.", []),
        ("Our rates are really attractive.", []),
        ("The rate is 1.5 % a month on the starter line.", ["inform_rate(product=starter_line, rate=0.18)"]),
        ("On 10,000 that is 5.42 a day.", ["inform_interest(amount=10000, days=1, interest=5.42)"]),
        ("The limit is 8,000 on the revolving line. It costs 19.8 % a year.",
         ["inform_limit(product=revolving, amount=8000)", "inform_rate(product=revolving, rate=0.198)"]),
        ("I can offer 5,000 on pay-later. Shall I set it up?",
         ["offer(product=pay_later, amount=5000)", "close(product=pay_later)"]),
        ("Sure, of course.", ["acknowledge()"]),
        ("Sure! How much do you need?", ["ask_need(slot=amount)"]),
        ("<think>offer(product=cash_loan) now, it is open to her</think>Hello!", ["greet()"]),
        ("<think>they are eligible for pay-later", []),
        ('You wrote "I am eligible for pay-later".', []),
        ("The cash loan isn't open to you. The starter line is, up to 1,000.",
         ["inform_eligibility(product=cash_loan, verdict=ineligible)",
          "inform_eligibility(product=starter_line, verdict=eligible)",
          "inform_limit(product=starter_line, amount=1000)"]),
        ("Pay-later? No problem, up to two grand.",
         ["inform_eligibility(product=pay_later, verdict=eligible)",
          "inform_limit(product=pay_later, amount=2000)"]),
        ("The set-up fee is 1 % on the cash loan. Pay-later has none.",
         ["inform_fees(product=cash_loan, fee=0.01)", "inform_fees(product=pay_later, fee=0)"]),
        ("Yes to pay-later, no to the cash loan.",
         ["inform_eligibility(product=pay_later, verdict=eligible)",
          "inform_eligibility(product=cash_loan, verdict=ineligible)"]),
        ("Both the cash loan and pay-later are approved, up to 5,000 and 800 respectively.",
         ["inform_eligibility(product=cash_loan, verdict=eligible)",
          "inform_eligibility(product=pay_later, verdict=eligible)",
          "inform_limit(product=cash_loan, amount=5000)", "inform_limit(product=pay_later, amount=800)"]),
        ("The loan is at 12.5 %, no, 11.5 %.", ["inform_rate(product=cash_loan, rate=0.115)"]),
        ("Spread over a year that's 90 a month, or 47 over two years.",
         ["inform_instalment(months=12, monthly=90)", "inform_instalment(months=24, monthly=47)"]),
        ("We tried to unlock it twice and it didn't work.", []),
        ("You are approved.", ["inform_eligibility(verdict=eligible)"]),
    ],
)  # fmt: skip
def test_conventions(text: str, expected: list[str]) -> None:
    assert read(text) == expected


def test_the_product_comes_from_the_dialogue_when_the_turn_names_none() -> None:
    offer = DialogueAct(intent="offer", slots={"product": "cash_loan"})
    said = Turn(role="assistant", text="How about the cash loan?", acts=(offer,))
    unread = Turn(role="assistant", text="How about the cash loan?")
    answer = Turn(
        role="user", text="What does it cost?", acts=(DialogueAct(intent="ask", slots={"topic": "rate"}),)
    )
    assert read("The rate is 14.4 %.", said, answer) == ["inform_rate(product=cash_loan, rate=0.144)"]
    assert read("The rate is 14.4 %.", unread, answer) == ["inform_rate(product=cash_loan, rate=0.144)"]
    assert read("The rate is 14.4 %.") == ["inform_rate(rate=0.144)"]


def test_everything_after_the_length_cap_is_ignored() -> None:
    assert read("x" * MAX_CHARACTERS + " Hello!") == []


def test_the_lexicon_names_only_known_acts_and_values() -> None:
    features = {
        "acknowledged", "undecided", "eligible", "blocked", "stands_in_way", "reason", "concern", "topic",
        "denied", "limit",
        "fee", "nofee", "coupon", "nointerest", "reactivation", "ratecue",
    }  # fmt: skip
    for cue in load_lexicon().cues:
        if cue.intent in ASSISTANT_ACTS:
            assert cue.slot in ("", "kind") or cue.value in CHOICES[cue.slot]
        else:
            assert cue.intent in features


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.text("aeiou nt,.!?%0123456789@#$<>\"'()-\n\x00")
    | st.from_regex(r"[a-z_]{1,12}\(([a-z]+=[^)]{0,9},?)*\)")
)
def test_anything_is_read_without_an_error(text: str) -> None:
    for act in read_assistant(text, RULEBOOK):
        assert act.intent in ASSISTANT_ACTS
        assert set(act.slots) <= {slot.rstrip("?") for slot in ASSISTANT_ACTS[act.intent]}


SALAD = """not never no if you are eligible for pay later up to 5,000 at 7.2 % a day shall i set it up but and
, . ? : because fee the cash loan interest 30 days coupon would offer deny income too low"""
WORDS = SALAD.split()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_word_salad_is_read_without_an_error(text: str) -> None:
    for act in read_assistant(text, RULEBOOK):
        assert set(act.slots) <= {slot.rstrip("?") for slot in ASSISTANT_ACTS[act.intent]}


@pytest.mark.parametrize(
    "unit",
    ["5,", "not ", "(", "pay later ", "shall i ", "<think>", '"', "you are eligible ", "understand fees ",
     "'s", "\n", "İ", "\ufdfa", "fee : ", "5,000, sorry, ",
     "not eligible for pay later and 5,000 over 12 months "],
)  # fmt: skip
def test_long_repetitions_return(unit: str) -> None:
    read_assistant(unit * (100_000 // len(unit)), RULEBOOK)


def _measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_grounder", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The aim is 0.95 of the claims and 0.90 act F1 on unseen wordings. On the test split, which nobody who works
# on the grounder reads, acts reach it (0.920), claims do not (0.920). On the validation split (two other
# writers, never read either) it is 0.847 and 0.824. Bars below the aim are regression floors only: the
# figure that was reached, less 0.01.
@pytest.mark.parametrize(
    ("split", "claims", "acts"), [("dev", 0.95, 0.90), ("validation", 0.814, 0.836), ("test", 0.909, 0.90)]
)
def test_accuracy_on_hand_made_utterances(split: str, claims: float, acts: float) -> None:
    script = _measure()
    rows = script.load(split)
    if not rows:
        pytest.skip("the annotated utterances are not there")
    figures = script.measure(rows)
    assert figures["claim_accuracy"] >= claims
    assert figures["act_f1"] >= acts
