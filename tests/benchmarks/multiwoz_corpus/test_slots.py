"""One spelling for slots, values and times."""

import pytest

from dialog_gym.benchmarks.multiwoz_corpus.slots import (
    minutes,
    normalized_state,
    normalized_value,
    placeholder,
)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("hotel_name", "NAME"),
        ("value_name", "NAME"),
        ("name", "NAME"),
        ("Train_TrainID", "TRAINID"),
        ("value_id", "TRAINID"),
        ("hospital_id", "ID"),
        ("entrance fee", "PRICE"),
        ("value_pricerange", "PRICE"),
        ("taxi_phone", "PHONE"),
        ("ref", "REFERENCE"),
        ("value_postcode", "POST"),
        ("leave at", "TIME"),
        ("restaurant_time", ""),
        ("hotel name", ""),
    ],
)
def test_a_placeholder_has_one_word_in_all_styles(name, word):
    assert placeholder(name) == word


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("8:30", "08:30"),
        ("0830", "08:30"),
        ("830", "830:00"),
        ("8", "08:00"),
        ("12 :30", "12:30"),
        ("08 : 45", "08:45"),
        ("after 17:15", "17:15"),
        ("by 10:45", "10:45"),
        ("by10:45", "00:45"),  # as published
        ("10:15 am", "10:15"),
        ("3:15pm", "15:15"),
        ("3 p.m.", "15:00"),
        ("12:30 pm", "24:30"),
        ("half past three pm", "half past three"),
        ("a:b pm", "a:b"),
        ("17:15.", "17:15"),
        ("noon", "12:00"),
        ("Afternoon", "13:00"),
        ("", "00:00"),
        ("saturday", "saturday"),
        ("one o'clock p.m. sharp", "13:00"),
    ],
)
def test_times(text, time):
    assert normalized_value("arrive", text) == time


def test_minutes():
    assert [minutes(text) for text in ("00:05", "24:07", "08:30 or so", "8:30", "")] == [5, 1447, 510, 0, 0]


@pytest.mark.parametrize(
    ("slot", "value", "normal"),
    [
        ("name", " Nando's ", "nandos"),
        ("departure", "Hotel du Vin & Bistro", "hotel du vin and bistro"),
        ("name", "rosa's", "rosas bed and breakfast"),
        ("destination", "christ college", "christ's college"),
        ("name", "saint john 's", "saint john's"),
        ("food", "Brazilian", "portuguese"),
        ("type", "swimming pool", "swimmingpool"),
        ("type", "Guest House", "Guest House"),
        ("parking", "free", "yes"),
        ("area", "free", "free"),
        ("area", "Centre", "Centre"),
    ],
)
def test_values(slot, value, normal):
    assert normalized_value(slot, value) == normal


def test_a_state_keeps_its_order():
    state = {"train": {"Leave At": "8:00", "arriveBy": "0930"}, "hotel": {"book day": "monday"}}
    assert normalized_state(state) == {
        "train": {"leave": "08:00", "arrive": "09:30"},
        "hotel": {"bookday": "monday"},
    }
    assert list(normalized_state(state)) == ["train", "hotel"]
