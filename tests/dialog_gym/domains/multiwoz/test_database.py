"""The indexed databases against a linear scan, and against the release."""

import importlib.util
import random
import time
from pathlib import Path

import pytest

from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.database import Table, load_database, pack, unpack
from dialog_gym.domains.multiwoz.goal_sampling import load_goal_model

ROOT = Path(__file__).parents[4]
QUERIES = {
    "restaurant": 3500,
    "hotel": 3400,
    "attraction": 2300,
    "train": 500,
    "hospital": 200,
    "police": 100,
}
SLOTS = {
    "restaurant": ("area", "food", "pricerange", "name"),
    "hotel": ("area", "pricerange", "stars", "type", "parking", "internet", "name"),
    "attraction": ("area", "type", "name"),
    "train": ("departure", "destination", "day", "leaveat", "arriveby", "trainid"),
    "hospital": ("department",),
    "police": ("name",),
}
VARIANTS = {  # spellings of the corpus, written down here a second time
    "centre": ("center", "centre of town", "Centre"),
    "north": ("north side", "North part of town"),
    "moderate": ("moderately priced", "moderate price range"),
    "cheap": ("inexpensive", "cheaply priced"),
    "guesthouse": ("guest house", "guesthouses"),
    "multiple sports": ("mutliple sports",),
    "swimmingpool": ("swimming pool", "pools"),
    "nightclub": ("night clubs",),
    "portuguese": ("portugese",),
    "4": ("four", 4, "4 stars"),
    "yes": ("free", True),
    "sunday": ("Sunday", "sundays"),
    "stansted airport": ("Stansed Airport", "the airport"),
    "leicester": ("leichester", "Leicaster"),
    "london kings cross": ("London King 's Cross",),
}
INDIFFERENT = ("dontcare", "do n't care", "any", "", None)
NOWHERE = ("nowhere", "martian", "12 o'clock sharp", 99)


def clock(time):
    return int(time[:2]) * 60 + int(time[3:])


def scan(rows, constraints):
    """The numbers of the rows that fit: ``constraints`` are (slot, canonical value), None for nothing."""
    tests = [(s, clock(v) if s in ("leaveat", "arriveby") else v) for s, v in constraints]
    found = []
    for i, row in enumerate(rows):
        for slot, value in tests:
            if slot == "leaveat":
                fits = clock(row[slot]) >= value
            elif slot == "arriveby":
                fits = clock(row[slot]) <= value
            else:
                fits = row.get(slot) == value
            if not fits:
                break
        else:
            found.append(i)
    return found


def draw(rng, domain, rows):
    """Random constraints: as they are asked, and what they mean."""
    asked, meant = {}, []
    for slot in rng.sample(SLOTS[domain], rng.randint(0, len(SLOTS[domain]))):
        dice = rng.random()
        if dice < 0.12:
            asked[slot] = rng.choice(INDIFFERENT)
            continue
        if dice < 0.17 and slot not in ("leaveat", "arriveby"):
            asked[slot] = rng.choice(NOWHERE)
            meant.append((slot, "no such value"))
            continue
        value = rng.choice(rows)[slot]
        if slot in ("leaveat", "arriveby"):
            value = f"{rng.randint(0, 25):02}:{rng.randint(0, 59):02}" if dice < 0.6 else value
            spelling = rng.choice(
                (value, value, value.lstrip("0") if value[1] != "0" else value, f"at {value}")
            )
        elif slot == "name":
            spelling = rng.choice((value, value.upper(), f"the {value}", value.removeprefix("the ")))
        else:
            spelling = rng.choice((value, *VARIANTS.get(value, ())))
        asked[slot] = spelling
        meant.append((slot, value))
    return asked, meant


def test_an_indexed_query_is_a_linear_scan_on_10_000_random_constraints():
    database, rng, matched = load_database(), random.Random(20), 0
    assert sum(QUERIES.values()) == 10_000
    for domain, queries in QUERIES.items():
        table = database[domain]
        for _ in range(queries):
            asked, meant = draw(rng, domain, table.rows)
            wanted = scan(table.rows, meant)
            mask = table.mask(asked)
            assert mask == sum(1 << i for i in wanted), (domain, asked)
            assert table.count(asked) == len(wanted)
            assert list(table.rows_of(mask)) == [table.rows[i] for i in wanted]
            matched += bool(wanted)
    assert 3000 < matched < 9000, "queries must both match and miss"


def test_first_and_find():
    table = load_database()["train"]
    asked = {"departure": "cambridge", "destination": "ely", "day": "monday", "arriveby": "10:00"}
    assert table.first(asked) == table.find(asked)[0]
    assert all(row["arriveby"] <= "10:00" for row in table.find(asked))
    assert table.first({"day": "someday"}) is None and table.find({"day": "someday"}) == ()


def test_sizes_are_those_of_the_release():
    sizes = {domain: len(table.rows) for domain, table in load_database().tables.items()}
    assert sizes == {
        "restaurant": 110, "hotel": 33, "attraction": 79, "train": 2828, "hospital": 66, "police": 1,
    }  # fmt: skip


def test_mistakes_are_one_line():
    database = load_database()
    with pytest.raises(
        DialogGymError, match="hotel cannot be looked up by 'pricerang'; did you mean 'pricerange'"
    ):
        database["hotel"].mask({"pricerang": "cheap"})
    with pytest.raises(DialogGymError, match="no database of 'hotels'; did you mean 'hotel'"):
        database["hotels"]
    with pytest.raises(DialogGymError, match="no database of 'taxi'"):
        database["taxi"]


def test_rows_cannot_be_changed():
    with pytest.raises(TypeError):
        load_database()["hotel"].rows[0]["area"] = "west"


def test_what_agents_ask_for_is_not_kept():
    table = load_database()["train"]
    table.mask({"leaveat": "09:17"})
    before = [len(masks) for masks in table._masks.values()]
    for i in range(100):
        table.mask({"leaveat": f"soon {i}", "day": f"day {i}", "trainid": f"X{i}"})
    assert [len(masks) for masks in table._masks.values()] == before


def test_packing_loses_nothing():
    rows = [{"name": "a", "area": "north"}, {"name": "b"}]
    assert unpack(pack(rows)) == rows
    assert Table("hotel", rows).count({"area": "north"}) == 1


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("pack_multiwoz", ROOT / "scripts" / "pack_multiwoz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_statistics_are_those_of_the_data(data, script):
    assert script.goal_model(data / "multiwoz") == load_goal_model()


def test_what_is_shipped_is_the_release(data, script):
    release = script.read_release(data / "multiwoz" / "db")
    for domain, table in load_database().tables.items():
        assert [dict(row) for row in table.rows] == release[domain]


def test_a_query_is_fast():
    """Compared within one run: a train query against a scan of the 2,828 trains."""
    table = load_database()["train"]
    asked = {"departure": "cambridge", "destination": "ely", "day": "monday", "leaveat": "09:15"}
    meant = list(asked.items())

    def seconds(work, times):
        start = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - start) / times

    assert seconds(lambda: table.mask(asked), 2000) * 50 < seconds(lambda: scan(table.rows, meant), 20)
