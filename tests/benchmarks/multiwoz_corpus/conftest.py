"""A small MultiWOZ, made by hand, in the layout of the real one; and the real one where it is at hand."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from dialog_gym.benchmarks.multiwoz_corpus.corpus import DOMAINS, load_corpus
from dialog_gym.benchmarks.multiwoz_corpus.venues import Venues

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DIALOG_GYM_DATA") or ROOT.parent / "shared" / "data")

RESTAURANTS = [
    {"id": "1", "name": "curry garden", "food": "indian", "area": "centre", "pricerange": "expensive"},
    {"id": "2", "name": "the gandhi", "food": "indian", "area": "centre", "pricerange": "cheap"},
    {"id": "3", "name": "kohinoor", "food": "indian", "area": "north", "pricerange": "cheap"},
    {"id": "4", "name": "nandos", "food": "portuguese", "area": "south", "pricerange": "cheap"},
]
HOTELS = [
    {
        "id": "1",
        "name": "a and b guest house",
        "area": "east",
        "stars": "4",
        "type": "guesthouse",
        "price": {},
    },
    {"id": "2", "name": "ashley hotel", "area": "north", "stars": "2", "type": "hotel", "parking": "yes"},
]
ATTRACTIONS = [
    {
        "id": "1",
        "name": "all saints church",
        "area": "centre",
        "type": "architecture",
        "entrance fee": "free",
    },
    {"id": "2", "name": "adc theatre", "area": "centre", "type": "theatre", "entrance fee": "?"},
]
TRAINS = [
    {"trainID": "TR1", "departure": "cambridge", "destination": "ely", "day": "monday",
     "leaveAt": "05:50", "arriveBy": "06:07"},
    {"trainID": "TR2", "departure": "cambridge", "destination": "ely", "day": "monday",
     "leaveAt": "07:50", "arriveBy": "08:07"},
    {"trainID": "TR3", "departure": "cambridge", "destination": "ely", "day": "tuesday",
     "leaveAt": "07:50", "arriveBy": "08:07"},
    {"trainID": "TR1", "departure": "ely", "destination": "cambridge", "day": "monday",
     "leaveAt": "23:35", "arriveBy": "23:52"},
]  # fmt: skip
DATABASES = {"restaurant": RESTAURANTS, "hotel": HOTELS, "attraction": ATTRACTIONS, "train": TRAINS}


def belief(**domains):
    """A belief state as 2.1 writes it; ``restaurant={"food": "indian", "book": {"day": "monday"}}``."""
    state = {domain: {"semi": {}, "book": {"booked": []}} for domain in DOMAINS}
    for domain, slots in domains.items():
        state[domain]["semi"] = {slot: value for slot, value in slots.items() if slot != "book"}
        state[domain]["book"] |= slots.get("book", {})
    return state


def exchange(user, system, spans=(), **domains):
    """A user turn and a system turn as 2.1 writes them."""
    return [
        {"text": user, "metadata": {}, "dialog_act": {}, "span_info": []},
        {"text": system, "metadata": belief(**domains), "dialog_act": {}, "span_info": list(spans)},
    ]


BOOKED = {"booked": [{"name": "curry garden", "reference": "ABC"}], "day": "monday", "people": "2"}
TEST = {
    "MUL0001": {
        "goal": {
            "restaurant": {
                "info": {"food": "indian", "area": "centre"}, "reqt": ["phone", "food"],
                "book": {"day": "monday", "people": "2", "invalid": False}, "fail_info": {}, "fail_book": {},
            },
            "train": {
                "info": {"departure": "cambridge", "destination": "ely", "day": "monday", "arriveBy": "8:30"},
                "reqt": ["trainID", "price"], "fail_info": {},
            },
            "hotel": {}, "taxi": {}, "police": {}, "hospital": {}, "attraction": {},
            "message": ["..."], "topic": {"taxi": False},
        },
        "log": [
            *exchange(
                "indian food please", "Curry Garden is in the centre , phone 01223 302330 .",
                [["Restaurant-Inform", "Name", "curry garden", 0, 1],
                 ["Restaurant-Inform", "Area", "centre", 5, 5],
                 ["Restaurant-Inform", "Phone", "01223302330", 8, 9]],
                restaurant={"food": "indian", "area": "centre", "name": "not mentioned", "pricerange": ""},
            ),
            *exchange(
                "book it", "Done , it 's ABC .", [["Booking-Book", "Ref", "abc", 4, 4]],
                restaurant={"food": "indian", "area": "centre", "book": BOOKED},
            ),
            *exchange(
                "and a train", "TR2 arrives by 08:07 . I do n't have others .",
                [["Train-Inform", "Id", "tr2", 0, 0], ["Train-Inform", "Arrive", "08:07", 3, 3]],
                restaurant={"food": "indian", "area": "centre", "book": BOOKED},
                train={"departure": "cambridge", "destination": "ely", "day": "monday", "arriveBy": "8:30"},
            ),
        ],
    },
    "SNG0002": {
        "goal": {
            "attraction": {"info": {"type": "architecture"}, "reqt": ["postcode", "area"], "fail_info": {}},
        },
        "log": exchange(
            "churches ?", "All Saints Church , Jesus Lane , Centre , cb58bs .",
            [["Attraction-Inform", "Name", "all saints church", 0, 2],
             ["Attraction-Inform", "Addr", "jesus lane", 4, 5], ["Attraction-Inform", "Addr", "centre", 7, 7],
             ["Attraction-Inform", "Post", "cb58bs", 9, 9]],
            attraction={"type": "architecture", "area": "dontcare"},
        ),
    },
}  # fmt: skip


def write_databases(root):
    (root / "db").mkdir(parents=True)
    for domain, rows in DATABASES.items():
        (root / "db" / f"{domain}_db.json").write_text(json.dumps(rows))


def write_lists(folder, suffix=""):
    for split, names in {"train": "SNG0009", "val": "SNG0008", "test": "MUL0001\nSNG0002"}.items():
        (folder / f"{split}ListFile{suffix}").write_text(names)


@pytest.fixture(scope="session")
def databases():
    return DATABASES


@pytest.fixture(scope="session")
def venues():
    return Venues(DATABASES)


@pytest.fixture
def data(tmp_path):
    """A data folder with ConvLab-2's MultiWOZ 2.1."""
    root = tmp_path / "data" / "multiwoz"
    write_databases(root)
    folder = root / "convlab2_multiwoz21"
    folder.mkdir()
    with zipfile.ZipFile(folder / "test.json.zip", "w") as packed:
        packed.writestr("test.json", json.dumps(TEST))
    write_lists(folder)
    return root.parent


@pytest.fixture
def corpus(data):
    return load_corpus(data)


@pytest.fixture(scope="session")
def real():
    """The real corpus."""
    if not (DATA / "multiwoz").is_dir():
        pytest.skip("needs the MultiWOZ data: set DIALOG_GYM_DATA")
    return load_corpus(DATA)


@pytest.fixture(scope="session")
def real_folder():
    return DATA / "multiwoz"
