"""The user wording: many natural forms, deterministic, typos as asked."""

import re

import pytest

from dialog_gym.core import DialogGymError, DialogueAct
from dialog_gym.domains.credit.ontology import PURPOSES, TIMINGS, TOPICS
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.domains.credit.user_amounts import amount_forms
from dialog_gym.domains.credit.user_wording import word_user
from dialog_gym.domains.quantities import find_quantities
from dialog_gym.domains.typos import mistype
from dialog_gym.noise import mix

RULEBOOK = load_rulebook()
PROFILE = {"surname": "Novak", "phone": "*******4821"}


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


AMOUNT = act("disclose", slot="amount", value=5000)
RATE = act("ask", topic="rate")
TURNS = {
    "opening": (act("confirm_identity"), AMOUNT, RATE),
    "need": (
        AMOUNT,
        act("disclose", slot="purpose", value="home"),
        act("disclose", slot="timing", value="now"),
    ),
    "question": (act("ask", topic="fees", product="cash_loan"),),
    "objection": (act("object", objection="fees"),),
    "correction": (act("correct", slot="amount", value=3000),),
    "income": (act("disclose", slot="income", value=2400),),
}


def say(acts, key=0, **persona):
    return word_user(acts, persona, key, profile=PROFILE, rulebook=RULEBOOK)


@pytest.mark.parametrize(
    ("turn", "least"),
    [
        ("opening", 2800),
        ("need", 2800),
        ("question", 600),
        ("objection", 150),
        ("correction", 400),
        ("income", 600),
    ],
)
def test_has_many_surface_forms(turn, least):
    said = {
        say(TURNS[turn], mix(key, 1), verbosity=("terse", "neutral", "chatty")[key % 3], buyer_style=style)
        for key in range(3000)
        for style in (("default", "sceptical", "analytical")[key // 3 % 3],)
    }
    assert len(said) >= least


def test_every_ask_topic_has_many_surface_forms():
    for topic in TOPICS:
        acts = (act("ask", topic=topic),)
        said = {
            say(acts, mix(key, 2), verbosity=("terse", "neutral", "chatty")[key % 3]) for key in range(600)
        }
        assert len(said) >= 80, (topic, len(said))


def every_turn():
    yield from TURNS.values()
    for intent in (
        "greet",
        "agree",
        "accept",
        "decline",
        "consider",
        "challenge",
        "unclear",
        "complain",
        "thank",
    ):
        yield (act("disclose", slot="timing", value="later"), act(intent))
    for purpose in PURPOSES:
        yield (act("disclose", slot="purpose", value=purpose), act("request_human"))
    for timing in TIMINGS:
        yield (act("correct", slot="timing", value=timing), act("smalltalk"))


@pytest.mark.parametrize("verbosity", ["terse", "neutral", "chatty"])
def test_reads_naturally(verbosity):
    for i, acts in enumerate(every_turn()):
        for key in range(80):
            text = say(acts, mix(key, i), verbosity=verbosity, buyer_style=("default", "impulsive")[key & 1])
            assert not re.search(r"  |[{}\[\]|_]|\s[,.!?]|,\s*[,.!?]|\bI '|^\s|\s$", text), text
            if verbosity == "terse":
                continue
            assert text[-1] in ".!?", text
            sentences = re.split(r"(?<=[.!?]) ", text)
            assert all(not sentence[0].isalpha() or sentence[0].isupper() for sentence in sentences), text
            assert not re.search(r"\bi\b", text), text


def test_chatty_turns_are_longer_than_terse_ones():
    length = {
        verbosity: sum(
            len(say(acts, mix(key, 3), verbosity=verbosity)) for acts in every_turn() for key in range(30)
        )
        for verbosity in ("terse", "neutral", "chatty")
    }
    assert length["terse"] < 0.85 * length["neutral"]
    assert length["neutral"] < 0.85 * length["chatty"]


def test_is_deterministic_and_pinned():
    # a change here changes every stored dialogue: bump the domain's version with it
    assert say(TURNS["opening"], 7, verbosity="chatty") == say(TURNS["opening"], 7, verbosity="chatty")
    assert say(TURNS["opening"], 7) != say(TURNS["opening"], 8)
    assert say(TURNS["opening"], -1) == say(TURNS["opening"], 2**64 - 1)


def test_identity_uses_what_the_profile_has():
    acts = (act("confirm_identity"),)
    said = {say(acts, key, verbosity="neutral") for key in range(200)}
    assert any("Novak" in text for text in said)
    assert any("4821" in text for text in said)
    for profile in (
        {},
        {"surname": None, "phone": None},
        {"surname": "Novak"},
        {"id_number": "**************0031"},
    ):
        for verbosity in ("terse", "neutral", "chatty"):
            for key in range(60):
                text = word_user(acts, {"verbosity": verbosity}, key, profile=profile, rulebook=RULEBOOK)
                assert "{" not in text
                assert "None" not in text


@pytest.mark.parametrize("value", [200, 250, 1500, 5000, 12_350, 30_000, 123_456, 4523, 99.5])
@pytest.mark.parametrize("code_words", [False, True])
def test_every_amount_form_reads_back(value, code_words):
    forms = amount_forms(value, code_words)
    assert len(set(forms)) >= (1 if value in (4523, 99.5) else 2)
    for form in forms:
        assert [(found.kind, found.value) for found in find_quantities(form)] == [("amount", value)], form


def test_amount_of_5000_is_worded_in_several_ways():
    forms = set(amount_forms(5000, True))
    assert {"5,000", "5000", "5k", "five thousand", "5 grand"} <= forms


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 1.0])
def test_share_of_typos(share):
    text = (
        "Could you please explain whether there would be hidden charges beyond 5,000 or five thousand here?"
    )
    words = [
        word for word in re.findall(r"[A-Za-z]+", text) if len(word) > 2 and word not in ("five", "thousand")
    ]
    trials = 400
    changed = 0
    for key in range(trials):
        typed = mistype(text, share, mix(key, 5))
        assert "5,000" in typed
        assert "five thousand" in typed
        changed += sum(a != b for a, b in zip(text.split(), typed.split(), strict=True))
    expected = share * len(words) * trials
    assert abs(changed - expected) < 5 * (expected * (1 - share) + 1) ** 0.5


def test_no_typos_means_no_change():
    assert mistype("What's the rate?", 0.0, 3) == "What's the rate?"


def test_code_words_appear_only_when_the_persona_uses_them():
    acts = (act("request_human"), act("thank"))
    slang = re.compile(r"\b(pls|plz|thx|u|abt|ngl|tbh)\b", re.IGNORECASE)
    plain = [say(acts, key, verbosity="neutral") for key in range(100)]
    coded = [say(acts, key, verbosity="neutral", code_words=True) for key in range(100)]
    assert not any(slang.search(text) for text in plain)
    assert sum(bool(slang.search(text)) for text in coded) > 20


def test_style_colours_the_wording_but_not_the_unstyled_acts():
    decline = (act("decline"),)
    assert any(
        say(decline, key, verbosity="neutral", buyer_style="analytical")
        != say(decline, key, verbosity="neutral", buyer_style="default")
        for key in range(20)
    )
    greet = (act("greet"),)
    assert say(greet, 4, buyer_style="analytical") == say(greet, 4, buyer_style="default")
    assert say(decline, 4, buyer_style="of a plug-in") == say(decline, 4, buyer_style="default")


def test_no_acts_give_no_text():
    assert say(()) == ""


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        (act("offer", product="pay_later"), "user act"),
        (act("ask", topic="weather"), "weather"),
        (act("ask", topic="rate", product="mortgage"), "mortgage"),
        (act("disclose", slot="amount", value=-5), "value"),
        (act("disclose", slot="amount", value="many"), "value"),
        (act("disclose", slot="purpose", value="yacht"), "yacht"),
        (act("disclose", slot="colour", value="red"), "colour"),
        (act("challenge", topic="weather"), "weather"),
    ],
)
def test_refuses_what_is_not_in_the_ontology(bad, names):
    with pytest.raises(DialogGymError, match=names):
        for key in range(30):
            say((bad,), key)


def test_refuses_an_unknown_verbosity():
    with pytest.raises(DialogGymError, match="terse, neutral, chatty"):
        say((RATE,), verbosity="shouty")
