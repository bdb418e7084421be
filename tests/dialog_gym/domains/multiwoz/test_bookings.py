"""Bookings, references and taxis."""

import re

import pytest

from dialog_gym.domains.multiwoz.bookings import CARS, COLOURS, problem, reference, taxi

TABLE = {"bookday": "monday", "booktime": "18:30", "bookpeople": "2"}


def test_references_are_fixed_by_their_key():
    assert reference(1, "hotel", "avalon") == reference(1, "hotel", "avalon")
    made = {
        reference(key, domain, name) for key in range(50) for domain in ("hotel", "train") for name in "abc"
    }
    assert len(made) == 300
    assert all(re.fullmatch("[A-Z0-9]{8}", code) for code in made)


def test_a_reference_is_the_same_on_every_machine():
    assert reference(7, "hotel", "avalon") == "ERNV1HC0"
    assert taxi(7) == {"type": "white ford", "phone": "5197236221"}


def test_taxis_have_all_colours_and_makes():
    cars = [taxi(key) for key in range(2000)]
    assert all(re.fullmatch("[0-9]{10}", car["phone"]) for car in cars)
    assert {car["type"] for car in cars} == {f"{colour} {make}" for colour in COLOURS for make in CARS}


@pytest.mark.parametrize(
    ("domain", "details", "refused", "wanted"),
    [
        ("restaurant", TABLE, {}, ""),
        ("restaurant", TABLE | {"booktime": "6:30 pm", "bookpeople": 2, "bookday": "Mondays"}, {}, ""),
        ("restaurant", {}, {}, "bookday is missing"),
        ("restaurant", TABLE | {"bookpeople": None}, {}, "bookpeople is missing"),
        ("restaurant", TABLE | {"bookpeople": "0"}, {}, "bookpeople is not understood"),
        ("restaurant", TABLE | {"booktime": "soon"}, {}, "booktime is not understood"),
        ("restaurant", TABLE | {"bookday": "today"}, {}, "bookday is not understood"),
        ("restaurant", TABLE, {"booktime": "18:30"}, "booktime is not available"),
        ("restaurant", TABLE, {"booktime": "18:45"}, ""),
        ("restaurant", TABLE, {"booktime": "18:30", "bookday": "friday"}, ""),
        ("hotel", {"bookday": "friday", "bookstay": "3", "bookpeople": "1"}, {"bookstay": "3"},
         "bookstay is not available"),
        ("train", {"bookpeople": "8"}, {}, ""),
    ],
)  # fmt: skip
def test_why_a_booking_fails(domain, details, refused, wanted):
    assert problem(domain, details, refused) == wanted
