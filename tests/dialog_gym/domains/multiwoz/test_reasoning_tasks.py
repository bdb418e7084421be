"""MAC and PNR at the booking desk: the right answers are those of a plain reading of goals and databases."""

from itertools import pairwise

import numpy as np
import pytest

from dialog_gym.domains.multiwoz.bits import DOMAIN
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.ontology import DOMAINS, DONTCARE, INFORMABLE
from dialog_gym.domains.multiwoz.reasoning_tasks import COMPLETED, COUNTS, ELSE, INDIFFERENT, SEARCHES

DESK = MultiWOZDomain()
TASKS = DESK.closed_tasks
SPACE = DESK.space(split="validation", scenario="booking", level=9)
CUSTOMERS = np.arange(400)
FOUND = TASKS.of(DESK, SPACE, CUSTOMERS)
_PARTS = np.cumsum([0, *(3 + len(TASKS.values[slot]) for d in SEARCHES for slot in INFORMABLE[d]
                         if slot != "name")])  # fmt: skip


def shown(row):
    """What a query says of (domain, slot): the class first said, and that of the correction or 0."""
    pairs = [(d, slot) for d in SEARCHES for slot in INFORMABLE[d] if slot != "name"]
    said = {}
    for i, pair in enumerate(pairs):
        start, end = _PARTS[i], _PARTS[i + 1]
        first, again = (FOUND.asked[row, at + start : at + end] for at in (0, _PARTS[-1]))
        said[pair] = int(first.argmax()), int(again.argmax())
    return said


def test_answers_lie_within_the_classes_and_queries_are_as_long_as_declared():
    assert FOUND.asked.shape == (400, TASKS.asked) and FOUND.profile.shape == (400, DESK.act_level.size)
    for kind in ("mac", "pnr"):
        answers = getattr(FOUND, kind)
        assert (answers >= 0).all() and (answers < TASKS.sizes[kind]).all()
        assert all(len(np.unique(column)) > 1 for column in answers.T)


def test_mac_reads_back_what_holds_now_in_the_domain_that_the_observation_shows():
    corrected = 0
    for row in CUSTOMERS:
        domain = DOMAINS[FOUND.mac[row, 0]]
        assert FOUND.profile[row, : len(DOMAINS)].argmax() == DOMAIN[domain]
        said = shown(row)
        for slot, answer in zip(COMPLETED, FOUND.mac[row, 1:], strict=True):
            first, again = said.get((domain, slot), (0, 0))
            assert answer == (again or first)
            corrected += again > 0
    assert corrected > 5


def value_of(slot, wanted):
    return DONTCARE if wanted == INDIFFERENT else TASKS.values[slot][wanted - ELSE - 1]


def test_counts_are_those_of_the_database():
    """Looked up anew from the classes that the query shows, where all of them are known values."""
    checked = 0
    for row in CUSTOMERS:
        domain = DOMAINS[FOUND.mac[row, 0]]
        if domain not in SEARCHES:
            assert FOUND.pnr[row, 0] == 0
            continue
        now = {slot: again or first for (d, slot), (first, again) in shown(row).items() if d == domain}
        if ELSE in now.values():
            continue
        count = DESK.database[domain].count({slot: value_of(slot, c) for slot, c in now.items() if c})
        assert FOUND.pnr[row, 0] == 1 + sum(count >= start for start in COUNTS)
        checked += 1
    assert checked > 250


def test_totals_and_arrivals_are_exact():
    fares, clock = TASKS.fares, (3, 10, 6, 10, 3, 6, 10, len(TASKS.fares), 8)
    starts = np.cumsum([2 * _PARTS[-1], *clock])
    trains = {(row["leaveat"], row["duration"].split()[0]) for row in DESK.database["train"].rows}
    for row in CUSTOMERS:
        h, hh, m, mm, hours, tens, units, fare, people = (
            int(FOUND.asked[row, a:b].argmax()) for a, b in pairwise(starts)
        )
        leave, lasts = 60 * (10 * h + hh) + 10 * m + mm, 60 * hours + 10 * tens + units
        assert (f"{h}{hh}:{m}{mm}", str(lasts)) in trains
        assert TASKS.totals[FOUND.pnr[row, 1]] == fares[fare] * (people + 1)
        a, b, c, d = FOUND.pnr[row, 2:]
        assert 60 * (10 * a + b) + 10 * c + d == leave + lasts


def test_a_fifth_of_departures_and_durations_is_kept_out_and_the_same_everywhere():
    assert 0.1 < FOUND.unseen.mean() < 0.3
    keys = [tuple(row) for row in FOUND.asked[:, 2 * _PARTS[-1] : 2 * _PARTS[-1] + 48].astype(int)]
    by_key = dict(zip(keys, FOUND.unseen.tolist(), strict=True))
    assert [by_key[key] for key in keys] == FOUND.unseen.tolist()
    train = TASKS.of(DESK, DESK.space(split="train", scenario="booking", level=3), CUSTOMERS)
    others = [tuple(row) for row in train.asked[:, 2 * _PARTS[-1] : 2 * _PARTS[-1] + 48].astype(int)]
    met = [(by_key[k], u) for k, u in zip(others, train.unseen.tolist(), strict=True) if k in by_key]
    assert len(met) > 50 and all(a == b for a, b in met)


def test_the_observation_does_not_show_how_many_fit():
    """Two moments that differ in nothing but their values look alike to the trunk."""
    rows = {}
    for row in CUSTOMERS:
        rows.setdefault(FOUND.profile[row].tobytes(), set()).add(int(FOUND.pnr[row, 0]))
    assert max(map(len, rows.values())) >= 4


@pytest.mark.parametrize("customers", [np.zeros(0, np.int64), np.asarray([7])])
def test_some_customers_have_the_tasks_that_they_have_among_all(customers):
    alone = TASKS.of(DESK, SPACE, customers)
    for name in ("profile", "asked", "mac", "pnr", "unseen"):
        assert (getattr(alone, name) == getattr(FOUND, name)[customers]).all()
