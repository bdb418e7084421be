"""Both speakers' words say exactly the acts they were made of, and nothing makes a reader fail."""

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.core import DialogGymError, DialogueAct, Turn
from dialog_gym.domains.multiwoz.agent_wording import word_assistant
from dialog_gym.domains.multiwoz.bookings import CARS, COLOURS
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.grounder import read_assistant
from dialog_gym.domains.multiwoz.ontology import (
    ASSISTANT,
    DONTCARE,
    GENERAL,
    INFORMABLE,
    STATIONS,
    USER,
    slots_of,
)
from dialog_gym.domains.multiwoz.user_reader import read_user
from dialog_gym.domains.multiwoz.user_wording import VERBOSITIES, word_user

DATABASE = load_database()
PLACES = [row["name"] for domain in ("restaurant", "hotel", "attraction") for row in DATABASE[domain].rows]
TIMES = st.builds(lambda minute: f"{minute // 60:02}:{minute % 60:02}", st.integers(0, 24 * 60 - 1))
SMALL = st.integers(1, 8).map(str)
REFERENCES = st.from_regex(r"[A-Z][A-Z0-9]{7}", fullmatch=True)
ODD = st.sampled_from(["my house", "a number", "no idea, really", "see 'the desk'"])
FIXED = {
    "leaveat": TIMES, "arriveby": TIMES, "booktime": TIMES, "bookpeople": SMALL, "bookstay": SMALL,
    "bookday": st.sampled_from(("monday", "wednesday", "sunday")), "ref": REFERENCES,
    "choice": st.one_of(st.integers(1, 99).map(str), st.sampled_from(("several", "many", "a number"))),
}  # fmt: skip
TAXI = {
    "departure": st.one_of(st.sampled_from(PLACES), st.sampled_from(STATIONS), ODD),
    "destination": st.one_of(st.sampled_from(PLACES), st.sampled_from(STATIONS), ODD),
    "type": st.builds("{} {}".format, st.sampled_from(COLOURS), st.sampled_from(CARS)),
    "phone": st.from_regex(r"[0-9]{10}", fullmatch=True),
}


def values(domain, slot):
    """Values of a slot: known ones, None (mentioned), and dontcare where users may say so."""
    if domain == "taxi" and slot in TAXI:
        known = TAXI[slot]
    elif slot in FIXED:
        known = FIXED[slot]
    else:
        rows = DATABASE[domain].rows
        known = st.sampled_from(sorted({row[slot] for row in rows if slot in row}))
    options = [known, known, known, st.none()]
    if slot in INFORMABLE[domain]:
        options.append(st.just(DONTCARE))
    return st.one_of(options)


@st.composite
def acts_of(draw, who):
    """One act of a speaker, with slots that its domain has."""
    ontology = ASSISTANT if who == "assistant" else USER
    intent = draw(st.sampled_from(sorted(ontology.acts)))
    domain, _, kind = intent.partition("_")
    if intent in GENERAL[who]:
        return DialogueAct(intent=intent)
    if kind == "request":
        return DialogueAct(intent=intent, slots={"slot": draw(st.sampled_from(slots_of(domain)))})
    known = [slot.rstrip("?") for slot in ontology.acts[intent]]
    chosen = draw(st.lists(st.sampled_from(known), unique=True))
    return DialogueAct(intent=intent, slots={slot: draw(values(domain, slot)) for slot in chosen})


def turns_of(who):
    """Up to four distinct acts."""
    return st.lists(acts_of(who), max_size=4, unique_by=lambda act: act.model_dump_json()).map(tuple)


KEYS = st.integers(0, 2**40)
ODD = (
    "", " ", "?", "...", '"', '"' * 5001, "@" * 9000, "a" * 200_000, "no " * 60_000, "where " * 40_000,
    "the 12 " * 30_000, "from to " * 30_000, "table for " * 20_000, "(" * 50_000, "\x00\ud800é€", "İ" * 999,
    "a number of options \"x" * 8000, "there are two of the of the " * 9000, "any price range " * 12_000,
    "cambridge museum of " * 10_000, "10:15 " * 30_000, "without wifi or " * 15_000,
)  # fmt: skip


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


def said(role, text, *acts):
    return Turn(role=role, text=text, acts=acts)


@settings(max_examples=300, deadline=None)
@given(turns_of("assistant"), KEYS)
def test_agent_words_are_read_back_exactly(acts, key):
    assert read_assistant(word_assistant(acts, key)) == acts


@settings(max_examples=300, deadline=None)
@given(turns_of("user"), KEYS, st.sampled_from(VERBOSITIES))
def test_user_words_are_read_back_exactly(acts, key, verbosity):
    assert read_user(word_user(acts, key, verbosity=verbosity)) == acts


@settings(max_examples=200, deadline=None)
@given(turns_of("user").filter(len), KEYS, st.sampled_from(VERBOSITIES))
def test_what_the_dialogue_is_about_need_not_be_said(acts, key, verbosity):
    domain = acts[0].intent.partition("_")[0]
    if f"{domain}_inform" not in USER.acts:
        return
    before = [said("user", "...", act(f"{domain}_inform"))]
    text = word_user(acts, key, verbosity=verbosity, about=domain)
    assert read_user(text, before) == acts


@pytest.mark.parametrize("text", ODD)
def test_readers_take_anything(text):
    for read, ontology in ((read_assistant, ASSISTANT), (read_user, USER)):
        for one in read(text, [said("user", text)]):
            assert one.intent in ontology.acts
            assert set(one.slots) <= {slot.rstrip("?") for slot in ontology.acts[one.intent]}


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_readers_take_any_text(text):
    assert isinstance(read_assistant(text), tuple)
    assert isinstance(read_user(text), tuple)


def test_wordings_vary_with_the_key():
    acts = (act("hotel_inform", area="east", stars="4"),)
    assert len({word_user(acts, key) for key in range(200)}) > 60
    assert len({word_assistant(acts, key) for key in range(200)}) > 15
    assert word_user(acts, 7) == word_user(acts, 7)


def test_words_are_the_same_in_every_process():
    code = (
        "from dialog_gym.core import DialogueAct as A;"
        "from dialog_gym.domains.multiwoz.user_wording import word_user;"
        "print(word_user([A(intent='train_inform', slots={'day': 'monday'})], 5, typos=0.3))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_one_sentence_per_thing():
    acts = (act("hotel_recommend", name="acorn guest house", area="north", stars="4", internet="yes"),)
    for key in range(30):
        text = word_assistant(acts, key)
        assert "Acorn Guest House" in text
        assert len(re.findall(r"[.?!](?: |$)", text)) == 1


def test_typos_change_words_but_not_numbers():
    acts = (act("train_inform", leaveat="10:15", destination="ely"), act("train_request", slot="price"))
    typed = [word_user(acts, key, typos=0.5) for key in range(40)]
    assert all("10:15" in text for text in typed)
    assert sum(text != word_user(acts, key) for key, text in enumerate(typed)) > 30


def test_what_a_typo_leaves_is_never_misread_often():
    acts = (act("restaurant_inform", food="indian", area="centre", pricerange="cheap"),)
    read = [read_user(word_user(acts, key, typos=0.05)) for key in range(200)]
    assert sum(one == acts for one in read) > 120


@pytest.mark.parametrize(
    ("word", "one", "message"),
    [
        (word_user, act("hotel_book"), "'hotel_book' is not an act of the user"),
        (word_user, act("hotel_inform", colour="red"), "unknown slot 'colour'"),
        (word_user, act("hotel_request", slot="colour"), "slot must be one of area"),
        (word_assistant, act("sing"), "'sing' is not an act of the agent"),
        (word_assistant, act("taxi_request"), "slot must be one of area"),
    ],
)
def test_unknown_acts_are_refused(word, one, message):
    with pytest.raises(DialogGymError, match=message):
        word([one], 0)


def test_an_unknown_verbosity_is_refused():
    with pytest.raises(DialogGymError, match="verbosity 'loud' is not one of terse, neutral, chatty"):
        word_user([act("greet")], verbosity="loud")


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("There are 12 trains.", (act("train_inform", choice="12"),)),
        (
            "I'm sorry, there are no cheap Indian restaurants in the east.",
            (act("restaurant_no_offer", pricerange="cheap", food="indian", area="east"),),
        ),
        ("How about the Gonvile Hotel?", (act("hotel_recommend", name="gonville hotel"),)),
        (
            "I booked it! Your reference number is AXH1NM1I.",
            (act("hotel_book"), act("hotel_book", ref="AXH1NM1I")),
        ),
        ("Sorry, the booking was unsuccessful.", (act("hotel_no_book"),)),
        ("Would you like me to book it?", (act("hotel_offer_book"),)),
        (
            "The phone number is 01223 358 966 and the postcode is CB2 1AB.",
            (act("hotel_inform", phone="01223358966", postcode="cb21ab"),),
        ),
        ("It has no parking but free wifi.", (act("hotel_inform", parking="no", internet="yes"),)),
        (
            "TR1071 leaves Ely at 9:35 and arrives in Cambridge by 9:52 am for 4.40 pounds.",
            (
                act(
                    "train_inform",
                    trainid="TR1071",
                    departure="ely",
                    leaveat="09:35",
                    destination="cambridge",
                    arriveby="09:52",
                    price="4.40 pounds",
                ),
            ),
        ),
        ("A red toyota will pick you up.", (act("taxi_book", type="red toyota"),)),
        (
            "What day, and for how many nights?",
            (act("hotel_request", slot="bookday"), act("hotel_request", slot="bookstay")),
        ),
        ("Is there anything else?", (act("reqmore"),)),
        ("You're welcome. Goodbye!", (act("welcome"), act("goodbye"))),
    ],
)  # fmt: skip
def test_the_grounder_on_free_text(text, acts):
    before = [said("user", "I need a hotel.", act("hotel_inform"))]
    assert read_assistant(text, before) == acts


@pytest.mark.parametrize(
    ("text", "acts"),
    [
        ("4 people for 2 nights starting sunday, please!",
         (act("hotel_inform", bookpeople="4", bookstay="2", bookday="sunday"),)),
        ("I don't care about the price range.", (act("hotel_inform", pricerange="dontcare"),)),
        ("Is there free parking? What's the postcode?",
         (act("hotel_request", slot="parking"), act("hotel_inform", parking="yes"),
          act("hotel_request", slot="postcode"))),
        ("I also want a train from Ely to Norwich after 5 pm on Friday.",
         (act("train_inform", departure="ely", destination="norwich", leaveat="17:00", day="friday"),)),
        ("Just me.", (act("hotel_inform", bookpeople="1"),)),
        ("Thanks, bye!", (act("thank"), act("goodbye"))),
    ],
)  # fmt: skip
def test_the_user_reader_on_free_text(text, acts):
    before = [said("assistant", "Hotels.", act("hotel_inform", choice="3"))]
    assert read_user(text, before) == acts


def test_a_bare_answer_goes_to_what_was_asked():
    asked = [said("assistant", "Where to?", act("train_request", slot="destination"))]
    assert read_user("Stevenage.", asked) == (act("train_inform", destination="stevenage"),)
    asked = [said("assistant", "Which area?", act("hotel_request", slot="area"))]
    assert read_user("It doesn't matter.", asked) == (act("hotel_inform", area="dontcare"),)


def test_every_place_is_known_by_its_name():
    for domain in ("restaurant", "hotel", "attraction"):
        for row in DATABASE[domain].rows:
            one = act(f"{domain}_recommend", name=row["name"])
            assert read_assistant(word_assistant([one], 3)) == (one,), row["name"]


def test_naming_a_car_is_booking_it():
    assert read_assistant("Look for a white skoda.") == (act("taxi_book", type="white skoda"),)
    assert read_assistant("I found a taxi with a white skoda.") == (act("taxi_inform", type="white skoda"),)
