"""What the booking desk's systems say: true, of what was said, and of nothing that is hidden."""

import pytest

from dialog_gym.agents.learning.demonstrators import demonstrated_episodes
from dialog_gym.core import DialogueAct, Turn
from dialog_gym.domains.multiwoz.desk_notes import DeskNotes
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.phrases import capitalised
from dialog_gym.rollout import play

DESK = MultiWOZDomain()
PROFILE = {
    "hotel_ref": "AAAA1111", "hotel_full": "bookstay=5", "train_ref": "BBBB2222", "train_full": None,
    "restaurant_ref": "CCCC3333", "restaurant_full": None, "taxi_type": "red ford",
    "taxi_phone": "0123456789",
}  # fmt: skip


@pytest.fixture(scope="module")
def played():
    """Demonstrated episodes that were played to their ends."""
    episodes = list(demonstrated_episodes(25, domain="multiwoz"))
    for episode, _, agent in episodes:
        play(episode, agent)
    return [episode for episode, _, _ in episodes]


def talk(*said):
    roles = ("user", "assistant")
    return tuple(Turn(role=roles[i % 2], text=text) for i, text in enumerate(said))


def note_of(*said, profile=PROFILE):
    return DeskNotes(DESK.database, profile).note(talk(*said))


# -- what a note says


def test_a_search_is_that_of_the_database():
    found = note_of("I would like a cheap restaurant in the centre.")
    rows = DESK.database["restaurant"].find({"area": "centre", "pricerange": "cheap"})
    assert f"{len(rows)} fit {capitalised(rows[0]['name'])}" in found
    assert found.startswith("restaurant in the centre") and "open food type" in found
    assert "none fits" in note_of("I would like a cheap restaurant in the centre serving swiss food.")


def test_questions_are_answered_from_the_entity_on_the_table():
    said = ["A hotel in the east, please.", "I recommend Carolina Bed and Breakfast, a place to stay."]
    (row,) = DESK.database["hotel"].find({"name": "carolina bed and breakfast"})
    asks = "What is the postcode and the phone number?"
    found = note_of(*said, asks)
    assert "shown Carolina Bed and Breakfast" in found
    assert f"postcode {row['postcode']}" in found and f"phone number {row['phone']}" in found
    told = f"Its postcode is {row['postcode']} and its phone number is {row['phone']}."
    assert row["postcode"] not in note_of(*said, asks, told, "Thank you.")
    changed = note_of(*said, "I need it in the north instead.")
    assert "shown" not in changed and "Carolina" not in changed


def test_bookings_lack_details_then_fail_or_have_a_reference():
    said = [
        "The hotel Carolina Bed and Breakfast.",
        "I recommend Carolina Bed and Breakfast, a place to stay.",
    ]
    some = note_of(*said, "Book it for 2 people, please.")
    assert "missing booking day, number of nights" in some and "AAAA1111" not in some
    full = note_of(*said, "Book it for 2 people for 5 nights on Friday, please.")
    assert full.endswith("; full.") and "AAAA1111" not in full
    free = note_of(*said, "Book it for 2 people for 4 nights on Friday, please.")
    assert free.endswith("; ref AAAA1111.")
    books = "I have booked the hotel for 2 people for 4 nights on Friday, the reference number is AAAA1111."
    ordered = "Book it for 2 people for 4 nights on Friday, please."
    assert note_of(*said, ordered, books, "Thank you.").endswith("; booked, ref AAAA1111.")
    assert "ref" not in note_of(*said, "Thank you.")


def test_a_taxi_needs_both_ends_and_a_time():
    some = note_of("I need a taxi from Kettle's Yard.")
    assert some.endswith("missing destination, departure time, arrival time.")
    ready = note_of("I need a taxi from Kettle's Yard to Ely leaving at 10:15.")
    assert ready.endswith("red ford, 0123456789.")


def test_nothing_is_noted_of_nothing():
    assert note_of("Hello there.") == ""
    assert note_of() == ""


# -- what a note is made of


def test_reading_on_is_reading_from_the_beginning(played):
    for episode in played:
        running = DeskNotes(DESK.database, episode.observation.profile)
        for end in range(1, len(episode.turns) + 1):
            fresh = DeskNotes(DESK.database, episode.observation.profile)
            assert running.note(episode.turns[:end]) == fresh.note(episode.turns[:end])


def test_what_the_user_meant_is_not_looked_at(played):
    """Records hold the acts that the users meant, which nobody at the desk can see."""
    lies = (DialogueAct(intent="police_inform"),)
    for episode in played:
        other = [t.model_copy(update={"acts": lies}) if t.role == "user" else t for t in episode.record]
        found = {
            DeskNotes(DESK.database, episode.observation.profile).note(turns)
            for turns in (episode.turns, episode.record, other)
        }
        assert len(found) == 1
