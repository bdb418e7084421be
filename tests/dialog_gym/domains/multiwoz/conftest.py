"""Real data, when it is there, and a dialogue of our own in the layout of 2.1."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from dialog_gym.domains.multiwoz.corpus import load_dialogues

ROOT = Path(__file__).parents[4]
DATA = Path(os.environ.get("DIALOG_GYM_DATA") or ROOT.parent / "shared" / "data")

EMPTY = {
    "taxi": {},
    "police": {},
    "hospital": {},
    "hotel": {},
    "attraction": {},
    "train": {},
    "restaurant": {},
}
OWN = {
    "goal": EMPTY
    | {
        "topic": {"hotel": True},
        "message": [
            "You are looking for a <span class='emphasis'>place to stay</span>",
            "You are also looking for a <span class='emphasis'>train</span>",
        ],
        "train": {
            "info": {"departure": "cambridge", "destination": "ely", "day": "monday", "leaveAt": "09:15"},
            "fail_info": {},
            "reqt": ["trainID", "price"],
        },
        "hotel": {
            "info": {"type": "guesthouse", "area": "north"},
            "fail_info": {"type": "hotel", "area": "west", "internet": "no"},
            "book": {"people": "2", "day": "friday", "stay": "3", "invalid": False, "pre_invalid": True},
            "fail_book": {"stay": "5"},
        },
    },
    "log": [
        {
            "text": "A guest house in the north , please . ",
            "metadata": {},
            "dialog_act": {"Hotel-Inform": [["Type", "guest house"], ["Area", "the north"]]},
        },
        {
            "text": "For which days ?",
            "metadata": {
                "hotel": {
                    "semi": {
                        "area": "north",
                        "type": "guesthouse|hotel",
                        "name": "not mentioned",
                        "stars": "",
                    },
                    "book": {"booked": [], "people": "", "day": "", "stay": ""},
                },
                "train": {"semi": {"day": "none"}, "book": {"booked": [], "people": ""}},
                "bus": {"semi": {"day": "monday"}, "book": {"booked": []}},
            },
            "dialog_act": {
                "Booking-Request": [["Day", "?"], ["Stay", "?"]],
                "general-welcome": [["none", "none"]],
            },
        },
        {
            "text": "Friday .",
            "metadata": {},
            "dialog_act": {"Hotel-Inform": [["Day", "friday"], ["Internet", "none"]]},
        },
        {
            "text": "Booked !",
            "metadata": {
                "hotel": {
                    "semi": {"area": "north", "type": "guesthouse"},
                    "book": {"booked": [{"name": "a"}], "people": "2", "day": "friday", "stay": ""},
                }
            },
            "dialog_act": {"Booking-Book": [["Ref", "ABC"]], "general-bye": [["none", "none"]]},
        },
    ],
}


def write_convlab(folder, split, dialogues):
    """Dialogues in the layout of ConvLab-2's MultiWOZ 2.1."""
    path = folder / "multiwoz" / "convlab2_multiwoz21" / f"{split}.json.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{split}.json", json.dumps(dialogues))


def read_convlab(split):
    """The real dialogues of a split, as ConvLab-2 has them."""
    with zipfile.ZipFile(DATA / "multiwoz" / "convlab2_multiwoz21" / f"{split}.json.zip") as archive:
        return json.loads(archive.read(f"{split}.json"))


@pytest.fixture(scope="session")
def data():
    """The folder with the real data."""
    if not (DATA / "multiwoz" / "convlab2_multiwoz21" / "val.json.zip").is_file():
        pytest.skip("set DIALOG_GYM_DATA")
    return DATA


@pytest.fixture(scope="session")
def corpus(data):
    """Every real dialogue of validation and test."""
    return [one for split in ("validation", "test") for one in load_dialogues(split, data)]


@pytest.fixture(scope="session")
def real(data):
    """Sixty real dialogues of validation and of test, in the layout of 2.1."""
    return {split: dict(list(read_convlab(split).items())[:60]) for split in ("val", "test")}


@pytest.fixture
def own():
    """A dialogue of our own."""
    return json.loads(json.dumps(OWN))


@pytest.fixture
def convlab():
    """Writes dialogues in the layout of ConvLab-2's MultiWOZ 2.1: folder, split (val), dialogues."""
    return write_convlab
