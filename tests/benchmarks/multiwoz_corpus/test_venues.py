"""Which venues match: an index that equals a plain scan of the rows."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.benchmarks.multiwoz_corpus.slots import minutes, normalized_slot, normalized_value
from dialog_gym.benchmarks.multiwoz_corpus.venues import load_venues, partial_similarity
from dialog_gym.core import DialogGymError


@pytest.mark.parametrize(
    ("domain", "constraints", "ids"),
    [
        ("restaurant", {"food": "indian", "area": "centre"}, "1 2"),
        ("restaurant", {"food": "indian", "area": "dontcare"}, "1 2 3"),
        ("restaurant", {"food": "indian", "area": "do n't care"}, "1 2 3"),
        ("restaurant", {"name": "gandhi"}, "2"),
        ("restaurant", {"name": "curry gardens"}, "1"),
        ("restaurant", {"name": ""}, ""),
        ("restaurant", {"area": ""}, ""),
        ("restaurant", {"bookday": "monday"}, "1 2 3 4"),
        ("restaurant", {"food": "brazilian"}, "4"),
        ("hotel", {"stars": "4"}, "1"),
        ("hotel", {"price": "100"}, "1 2"),
        ("attraction", {"entrancefee": "free", "area": "centre"}, "1 2"),
        ("attraction", {"entrancefee": "5 pounds"}, "2"),
        ("train", {"arrive": "08:07"}, "TR1 TR2 TR3"),
        ("train", {"arrive": "08:06"}, "TR1"),
        ("train", {"leave": "07:50", "day": "monday"}, "TR1 TR2"),
        ("train", {"leave": "07:51"}, "TR1"),
        ("train", {"arrive": "early"}, ""),
        ("train", {"leave": "late"}, "TR1 TR2 TR3"),
        ("train", {"departure": "the cambridge station"}, "TR1 TR2 TR3"),
        ("train", {"departure": "cambritge"}, ""),
        ("taxi", {"departure": "ely"}, ""),
        ("hospital", {}, ""),
    ],
)
def test_matching(venues, domain, constraints, ids):
    assert venues.matching(domain, constraints) == frozenset(ids.split())


def scanned(rows, domain, constraints):
    """The same by reading row after row."""
    found = set()
    for row in rows:
        named = {normalized_slot(name): value for name, value in row.items()}
        columns = {normalized_slot(name) for name in rows[0]} - {"price"}
        for column, wanted in constraints.items():
            value = named.get(column)
            if column not in columns or wanted == "dontcare" or value == "?":
                continue
            normal = normalized_value(column, wanted)
            similar = column in ("name", "food", "departure", "destination")
            if (
                (column == "arrive" and minutes(value) > minutes(normal))
                or (column == "leave" and minutes(value) < minutes(normal))
                or (similar and partial_similarity(value, normal) < 90)
                or (column not in ("arrive", "leave") and not similar and value != normal)
            ):
                break
        else:
            found.add(row["trainID" if domain == "train" else "id"])
    return found


@settings(max_examples=300)
@given(st.data())
def test_the_index_equals_a_scan(databases, venues, data):
    domain = data.draw(st.sampled_from(sorted(databases)))
    rows = [{normalized_slot(name): value for name, value in row.items()} for row in databases[domain]]
    slots = sorted({slot for slot in rows[0] if slot not in ("id", "trainid", "price")})
    values = sorted({row[slot] for row in rows for slot in slots if slot in row})
    wanted = st.sampled_from([*values, "dontcare", "", "8:00", "christs"])
    constraints = data.draw(st.dictionaries(st.sampled_from(slots), wanted))
    assert venues.matching(domain, constraints) == scanned(databases[domain], domain, constraints)


@pytest.mark.parametrize(
    ("first", "second", "similarity"),
    [
        ("cambridge", "cambridge", 100),
        ("london kings cross", "london", 100),
        ("abc", "", 0),
        ("", "", 100),
        ("stevenage", "stevenege", 89),
        ("peterborough", "petersborough", 92),
        ("ely", "cambridge", 33),
    ],
)
def test_partial_similarity(first, second, similarity):
    assert partial_similarity(first, second) == partial_similarity(second, first) == similarity


def test_broken_databases(data, databases):
    root = data / "multiwoz"
    assert load_venues(root / "db").matching("hotel", {"area": "east"}) == {"1"}
    path = root / "db" / "hotel_db.json"
    for content in ("{}", "[]", "[1]", "nonsense"):
        path.write_text(content)
        with pytest.raises(DialogGymError, match=r"hotel_db\.json: no MultiWOZ database"):
            load_venues(root / "db")
    path.write_text(json.dumps(databases["hotel"]))
    (root / "db" / "hotel_db.json.gz").write_bytes(b"not gzip")
    with pytest.raises(DialogGymError, match=r"hotel_db\.json\.gz: no MultiWOZ database"):
        load_venues(root / "db")
