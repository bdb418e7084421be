"""Goals, bookings, gold states and references, from 2.1 and from 2.2."""

import json
import shutil
import zipfile

import pytest

from dialog_gym.benchmarks.multiwoz_corpus.corpus import load_corpus
from dialog_gym.benchmarks.multiwoz_corpus.judging import DomainGoal
from dialog_gym.core import DialogGymError


def test_what_2_1_gives(corpus):
    gold = corpus.dialogues["mul0001"]
    assert gold.goal == {
        "restaurant": DomainGoal({"food": "indian", "area": "centre"}, frozenset({"PHONE", "REFERENCE"})),
        "train": DomainGoal(
            {"departure": "cambridge", "destination": "ely", "day": "monday", "arrive": "08:30"},
            frozenset({"TRAINID"}),
        ),
    }
    assert gold.booked == [frozenset(), {"restaurant"}, {"restaurant"}]
    food = {"area": "centre", "food": "indian"}
    table = {"area": "centre", "bookday": "monday", "bookpeople": "2", "food": "indian"}
    train = {"arrive": "08:30", "day": "monday", "departure": "cambridge", "destination": "ely"}
    assert gold.states == [
        {"restaurant": food},
        {"restaurant": table},
        {"restaurant": table, "train": train},
    ]
    assert gold.references == [
        "NAME is in the AREA, phone PHONE.",
        "done, it's REFERENCE.",
        "TRAINID arrives by TIME. i don't have others.",
    ]
    church = corpus.dialogues["sng0002"]
    assert church.states == [{"attraction": {"type": "architecture"}}], "dontcare is no constraint"
    assert church.references == ["NAME, ADDRESS, POST."], "an address is one placeholder"
    assert (corpus.splits["sng0008"], corpus.splits["sng0009"], corpus.source) == (
        "validation",
        "train",
        "2.1",
    )


DIALOGUE_22 = {
    "dialogue_id": "SNG0002.json",
    "turns": [
        {
            "turn_id": "0", "speaker": "USER", "utterance": "churches?",
            "frames": [
                {"service": "hotel", "state": {"slot_values": {}}},
                {
                    "service": "attraction",
                    "state": {"slot_values": {
                        "attraction-type": ["swimming pool", "pool"],
                        "attraction-area": ["centre", "dontcare"],
                    }},
                },
                {"service": "train", "state": {"slot_values": {"train-leaveat": ["8:00", "08:00"]}}},
            ],
        },
        {
            "turn_id": "1", "speaker": "SYSTEM", "frames": [],
            "utterance": "All Saints is 4-star, in Jesus Lane, Centre, isn't it?",
        },
    ],
}  # fmt: skip
ACTS_22 = {
    "SNG0002.json": {
        "1": {
            "dialog_act": {},
            "span_info": [
                ["Attraction-Inform", "address", "jesus lane, centre", 25, 43],
                ["Attraction-Inform", "name", "all saints", 0, 10],
                ["Attraction-Inform", "area", "centre", 37, 43],
                ["Attraction-Inform", "stars", "4", 14, 15],
                ["Attraction-Inform", "type", "dontcare", 22, 24],
            ],
        }
    }
}


@pytest.fixture
def data_22(data):
    """The small corpus with one dialogue of 2.2, and goals in the official 2.1 archive."""
    root = data / "multiwoz"
    folder = root / "convlab2_multiwoz21"
    with zipfile.ZipFile(folder / "test.json.zip") as packed:
        dialogues = json.loads(packed.read("test.json"))
    names = {"train": "", "val": "MUL0001.json", "test": "SNG0002.json"}
    with zipfile.ZipFile(root / "MultiWOZ_2.1.zip", "w") as packed:
        archived = {f"{name}.json": dialogue for name, dialogue in dialogues.items()}
        packed.writestr("__MACOSX/MultiWOZ_2.1/data.json", "no JSON")
        packed.writestr("MultiWOZ_2.1/data.json", json.dumps(archived | {"SNG0009.json": {}}))
        for split, listed in names.items():
            packed.writestr(f"MultiWOZ_2.1/{split}ListFile.txt", listed)
    shutil.rmtree(folder)
    (root / "MultiWOZ_2.2" / "test").mkdir(parents=True)
    (root / "MultiWOZ_2.2" / "test" / "dialogues_001.json").write_text(json.dumps([DIALOGUE_22]))
    (root / "MultiWOZ_2.2" / "dialog_acts.json").write_text(json.dumps(ACTS_22))
    return data


def test_what_2_2_gives(data_22):
    corpus = load_corpus(data_22)
    assert corpus.source == "2.2" and list(corpus.dialogues) == ["sng0002"]
    assert corpus.splits == {"mul0001": "validation", "sng0002": "test", "sng0009": "train"}
    gold = corpus.dialogues["sng0002"]
    assert gold.states == [{"attraction": {"type": "swimmingpool"}, "train": {"leave": "08:00"}}]
    assert gold.references == ["NAME is COUNTtar, in ADDRESS, isn't it?"]
    assert gold.goal["attraction"].requestables == {"POST"}


def test_a_dialogue_that_2_2_lacks(data_22):
    (data_22 / "multiwoz" / "MultiWOZ_2.2" / "test" / "dialogues_001.json").write_text("[]")
    with pytest.raises(DialogGymError, match=r"MultiWOZ_2\.2: the test dialogue sng0002 is missing"):
        load_corpus(data_22)


def as_22(dialogue, name):
    """A real 2.1 dialogue rewritten into the layout of 2.2, still tokenised: its own spans in characters."""
    turns, acts = [], {}
    for number, turn in enumerate(dialogue["log"]):
        words = turn["text"].split()
        starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
        acts[str(number)] = {
            "span_info": [
                [act, SLOTS[slot], value, starts[first], starts[last] + len(words[last])]
                for act, slot, value, first, last in turn["span_info"] if slot in SLOTS and last < len(words)
            ]
        }  # fmt: skip
        turns.append({"turn_id": str(number), "utterance": " ".join(words), "frames": []})
    for turn, answer in zip(turns[::2], dialogue["log"][1::2], strict=True):
        for domain, found in answer["metadata"].items():
            booking = {f"book{slot}": value for slot, value in found["book"].items() if slot != "booked"}
            known = {s: v for s, v in (found["semi"] | booking).items() if v not in EMPTY}
            slots = {f"{domain}-{slot}": [value] for slot, value in known.items()}
            turn["frames"].append({"service": domain, "state": {"slot_values": slots}})
    return {"dialogue_id": f"{name}.json", "turns": turns}, acts


EMPTY = ("", "none", "not mentioned")
SLOTS = {"Name": "name", "Area": "area", "Phone": "phone", "Ref": "ref", "Id": "trainid", "Leave": "leaveat",
         "Arrive": "arriveby", "Choice": "choice", "Post": "postcode", "Price": "pricerange", "Type": "type",
         "Food": "food", "Day": "day", "Dest": "destination", "Depart": "departure", "Ticket": "price",
         "Fee": "entrancefee", "Stars": "stars", "Car": "type", "Time": "booktime", "People": "bookpeople",
         "Stay": "bookstay", "Addr": "address"}  # fmt: skip


def test_real_dialogues_in_the_layout_of_2_2(real, real_folder, tmp_path):
    """Both readers give the same, apart from apostrophes (2.1 is tokenised) and addresses (several spans)."""
    root = tmp_path / "multiwoz"
    (root / "MultiWOZ_2.2" / "test").mkdir(parents=True)
    (root / "convlab2_multiwoz21").mkdir()
    (root / "db").symlink_to(real_folder / "db")
    for split in ("train", "val", "test"):
        name = f"convlab2_multiwoz21/{split}ListFile"
        (root / name).symlink_to(real_folder / name)
    with zipfile.ZipFile(real_folder / "convlab2_multiwoz21" / "test.json.zip") as packed:
        some = dict(list(json.loads(packed.read("test.json")).items())[:200])
    with zipfile.ZipFile(root / "convlab2_multiwoz21" / "test.json.zip", "w") as packed:
        packed.writestr("test.json", json.dumps(some))
    rewritten = {name: as_22(dialogue, name) for name, dialogue in some.items()}
    dialogues = [dialogue for dialogue, _ in rewritten.values()]
    (root / "MultiWOZ_2.2" / "test" / "dialogues_001.json").write_text(json.dumps(dialogues[:100]))
    (root / "MultiWOZ_2.2" / "test" / "dialogues_002.json").write_text(json.dumps(dialogues[100:]))
    acts = {dialogue["dialogue_id"]: acts for dialogue, acts in rewritten.values()}
    (root / "MultiWOZ_2.2" / "dialog_acts.json").write_text(json.dumps(acts))
    corpus = load_corpus(tmp_path)
    assert corpus.source == "2.2" and len(corpus.dialogues) == 200
    compared = equal = 0
    for name, again in corpus.dialogues.items():
        gold = real.dialogues[name]
        assert (again.goal, again.booked, list(again.states)) == (gold.goal, gold.booked, list(gold.states))
        for ours, theirs in zip(gold.references, again.references, strict=True):
            if "'" not in theirs and '"' not in theirs and theirs.count("ADDRESS") < 2:
                compared += 1
                equal += ours == theirs
    assert compared > 1000 and equal / compared > 0.995


def test_missing_data(tmp_path, monkeypatch, data):
    monkeypatch.setenv("DIALOG_GYM_DATA", str(tmp_path / "none"))
    for folder in (None, tmp_path):
        with pytest.raises(DialogGymError, match=r"the test split of MultiWOZ is not in .*; get it with: "):
            load_corpus(folder)
    archive = data / "multiwoz" / "convlab2_multiwoz21" / "test.json.zip"
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(DialogGymError, match=r"test\.json\.zip: cannot read test\.json"):
        load_corpus(data)
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("test.json", "{")
    with pytest.raises(DialogGymError, match=r"test\.json\.zip: not JSON"):
        load_corpus(data)
    archive.unlink()
    with pytest.raises(DialogGymError, match=r"the test split of MultiWOZ is not in"):
        load_corpus(data)
