"""Values and names in the corpus's spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.names import Names, key
from dialog_gym.domains.multiwoz.ontology import DOMAINS, slots_of
from dialog_gym.domains.multiwoz.slots import slot_name
from dialog_gym.domains.multiwoz.values import clock, minutes, normal


@pytest.mark.parametrize(
    ("domain", "slot", "value", "wanted"),
    [
        ("hotel", "area", "centre of town", "centre"),
        ("hotel", "area", "West side", "west"),
        ("hotel", "area", "center", "centre"),
        ("hotel", "area", "north or centre", "north or centre"),
        ("hotel", "area", "eat", "eat"),
        ("hotel", "pricerange", "moderately - priced", "moderate"),
        ("hotel", "pricerange", "inexpensive", "cheap"),
        ("hotel", "pricerange", "not expensive", "not expensive"),
        ("hotel", "pricerange", "rather expensive", "expensive"),
        ("hotel", "type", "guest house", "guesthouse"),
        ("hotel", "type", "guesthouse - type hotels", "guesthouse"),
        ("hotel", "type", "hotels", "hotel"),
        ("hotel", "parking", "free", "yes"),
        ("hotel", "parking", True, "yes"),
        ("hotel", "internet", False, "no"),
        ("hotel", "stars", "four - star", "4"),
        ("hotel", "stars", 4, "4"),
        ("hotel", "stars", "0 to 4", "0 to 4"),
        ("hotel", "bookpeople", "3.", "3"),
        ("hotel", "bookpeople", "Seven", "7"),
        ("hotel", "bookstay", "three nights", "3"),
        ("hotel", "bookday", "Saturday", "saturday"),
        ("hotel", "area", "do n't care", "dontcare"),
        ("hotel", "area", "anywhere", "dontcare"),
        ("hotel", "area", None, ""),
        ("attraction", "type", "mutliple sports", "multiple sports"),
        ("attraction", "type", "Swimming pools", "swimmingpool"),
        ("attraction", "type", "night club", "nightclub"),
        ("restaurant", "food", "portugese", "portuguese"),
        ("restaurant", "food", "Modern European food", "modern european"),
        ("restaurant", "booktime", "8pm", "20:00"),
        ("train", "leaveat", "after 9:15", "09:15"),
        ("train", "leaveat", "1715", "17:15"),
        ("train", "leaveat", "12:30 am", "00:30"),
        ("train", "leaveat", "12 noon", "12:00"),
        ("train", "leaveat", "noon", "12:00"),
        ("train", "leaveat", "24:30", "24:30"),
        ("train", "leaveat", "190:00", "190:00"),
        ("train", "leaveat", "after lunch", "after lunch"),
        ("train", "departure", "London 's Kings Cross station", "london kings cross"),
        ("train", "departure", "liecester", "leicester"),
        ("train", "destination", "the airport", "stansted airport"),
        ("train", "destination", "london", "london"),
        ("taxi", "destination", "the airport", "the airport"),
    ],
)
def test_one_spelling(domain, slot, value, wanted):
    assert normal(domain, slot, value) == wanted


PAIRS = [(domain, slot) for domain in DOMAINS for slot in slots_of(domain)]


@given(st.sampled_from(PAIRS), st.text(max_size=60))
def test_any_text_has_a_spelling_and_it_stays(pair, text):
    once = normal(*pair, text)
    assert normal(*pair, once) == once


def test_every_value_of_the_databases_is_its_own_spelling():
    for domain, table in load_database().tables.items():
        for row in table.rows:
            for slot in table._masks:
                if value := row.get(slot):
                    assert normal(domain, slot, value) == value


def test_long_texts_are_not_kept():
    assert normal("hotel", "area", "North " * 20_000) == ("north " * 20_000).strip()


@pytest.mark.parametrize("text", ["9", "09:00", "9 am", "at 9", "9.00"])
def test_the_clock(text):
    assert minutes(clock(text)) == 540


@pytest.mark.parametrize(
    ("domain", "text", "name"),
    [
        ("hotel", "The Gonvile Hotel", "gonville hotel"),
        ("hotel", "Rosa 's Bed and Breakfast", "rosa's bed and breakfast"),
        ("hotel", "City Centre North B&B", "city centre north b and b"),
        ("hotel", "a and b guesthouse", "a and b guest house"),
        ("hotel", "huntingdon marriott", "huntingdon marriott hotel"),
        ("hotel", "El Shaddia Guesthouse", "el shaddai"),
        ("hotel", "and the University Arms", "university arms hotel"),
        ("attraction", "Christ 's College", "christ's college"),
        ("attraction", "st christs college", "christ's college"),
        ("attraction", "byard art museum", "byard art"),
        ("attraction", "fitzwilliam museum", "the fitzwilliam museum"),
        ("attraction", "Primavera 's", "primavera"),
        ("restaurant", "pizza hut fenditton", "pizza hut fen ditton"),
        ("restaurant", "meze bar restaurant", "meze bar"),
        ("restaurant", "ask", "ask restaurant"),
        ("restaurant", "pizza hut", None),  # there are three
        ("restaurant", "curry prince or the rajmahal", None),
        ("hotel", "a guest house in cambridge", None),
        ("hotel", "", None),
        ("hotel", "x" * 10_000, None),
    ],
)
def test_names(domain, text, name):
    assert load_database()[domain].names.find(text) == name


def test_every_name_is_found_by_itself_and_without_the():
    for table in (load_database()[domain] for domain in ("hotel", "restaurant", "attraction", "police")):
        for row in table.rows:
            name = row["name"]
            for spelling in (
                name,
                name.upper(),
                name.removeprefix("the "),
                f"the {name}",
                name.replace("'", " '"),
            ):
                assert table.names.find(spelling) == name


def test_places_of_all_domains_can_be_told_apart():
    places = load_database().places
    assert (
        places.find("parkside police station") and places.find("Nandos City Centre") == "nandos city centre"
    )
    assert Names(["one place"]).find(key("other")) is None


@pytest.mark.parametrize(
    ("domain", "name", "booking", "wanted"),
    [
        ("hotel", "Post", False, "postcode"),
        ("hotel", "Price", False, "pricerange"),
        ("train", "Ticket", False, "price"),
        ("train", "price", False, "price"),
        ("train", "Time", False, "duration"),
        ("train", "day", False, "day"),
        ("train", "people", True, "bookpeople"),
        ("train", "trainID", False, "trainid"),
        ("restaurant", "Time", False, "booktime"),
        ("restaurant", "book time", True, "booktime"),
        ("hotel", "bookday", False, "bookday"),
        ("hotel", "Day", False, "bookday"),
        ("taxi", "car type", False, "type"),
        ("taxi", "Car", False, "type"),
        ("attraction", "entrance fee", False, "entrancefee"),
        ("hotel", "none", False, "none"),
    ],
)
def test_slot_names(domain, name, booking, wanted):
    assert slot_name(domain, name, booking=booking) == wanted
