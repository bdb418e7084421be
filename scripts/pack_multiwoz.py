"""Pack what the MultiWOZ domain ships: the databases, the goal statistics, and the goals that suites play.

    python scripts/pack_multiwoz.py --data-dir DATA [--output DIR]

Reads ``DATA/multiwoz/db/*.json`` (or ``.json.gz``), ``derived/goal_model.json`` and the validation goals of
the corpus; no dialogue goes into the package. ``databases.json.gz`` has the rows of each domain with values
in one spelling. ``goal_model.json`` has ConvLab-2's goal statistics (slot combinations, values, order of
domains) and, counted on the validation goals, what those lack: how often and how constraints fail first,
bookings are refused, and values are shared between domains. ``goals.json.gz`` has the goals of validation
and test.
"""

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from dialog_gym.domains.multiwoz import database, shipped_goals
from dialog_gym.domains.multiwoz.corpus import load_goals
from dialog_gym.domains.multiwoz.goals import DomainGoal, MultiWozGoal
from dialog_gym.domains.multiwoz.ontology import INFORMABLE, slots_of
from dialog_gym.domains.multiwoz.slots import slot_name
from dialog_gym.domains.multiwoz.values import normal

# the release's databases have no address of these two; the corpus's wizards knew them
ADDENDA: Final = {
    "hospital": {"address": "Hills Rd, Cambridge", "postcode": "cb20qq"},
    "police": {"postcode": "cb11jg"},
}


def read_json(path: Path) -> Any:
    """A JSON file, or its gzipped twin."""
    packed = path.with_name(f"{path.name}.gz")
    data = path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    return json.loads(data)


def rows_of(domain: str, release: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows of the release with our slot names and spellings; slots nobody can ask for are dropped.

    "?", an entrance fee or opening hours that nobody knows, stays: that is what wizards could answer.
    """
    kept = set(slots_of(domain))
    rows = []
    for row in release:
        named = {slot_name(domain, slot): value for slot, value in row.items() if isinstance(value, str)}
        known = {s: v for s, v in named.items() if s in kept and v}
        row_values = {
            s: normal(domain, s, v) if s in INFORMABLE[domain] or s == "name" else v for s, v in known.items()
        }
        rows.append(row_values | ADDENDA.get(domain, {}))
    return rows


def read_release(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of every domain with a table, from the release's ``db`` folder."""
    domains = ("restaurant", "hotel", "attraction", "train", "hospital", "police")
    return {domain: rows_of(domain, read_json(folder / f"{domain}_db.json")) for domain in domains}


def shares(counts: Mapping[str, float]) -> dict[str, float]:
    """Counts as shares, rounded, most frequent first."""
    total = sum(counts.values())
    return {
        name: round(n / total, 5) for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    }


def spelt(domain: str, slot: str, values: Mapping[str, float]) -> dict[str, float]:
    """A distribution of values in one spelling."""
    merged: Counter[str] = Counter()
    for value, share in values.items():
        merged[normal(domain, slot, value)] += share  # type: ignore[assignment]
    return shares(merged)


def convlab_statistics(model: Mapping[str, Any]) -> dict[str, Any]:
    """ConvLab-2's statistics under our names."""
    orders = [[domains, round(share, 5)] for domains, share in model["domain_ordering_dist"] if domains]
    found: dict[str, Any] = {"domains": orders, "domain": {}}
    for domain, parts in model["slots_combination_dist"].items():
        entry: dict[str, Any] = {}
        for ours, theirs in (("info_slots", "info"), ("request_slots", "reqt")):
            entry[ours] = [
                [[slot_name(domain, slot) for slot in slots], count] for slots, count in parts[theirs]
            ]
        values: dict[str, Any] = {}
        for part in ("info", "book"):
            for slot, table in model["ind_slot_value_dist"][domain].get(part, {}).items():
                name = slot_name(domain, slot, booking=part == "book")
                values[name] = spelt(domain, name, table)
        book = model["ind_slot_dist"][domain].get("book", {})
        entry |= {"values": values, "book": round(min(book.values(), default=0.0), 5)}
        found["domain"][domain] = entry
    return found


def failures(goals: Iterable[DomainGoal], domain: str) -> dict[str, Any]:
    """How often a domain's constraints and bookings fail first, in which slot, and with which value."""
    goals = list(goals)
    searched = [goal for goal in goals if "name" not in goal.info and goal.info]
    changed: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {}
    for goal in searched:
        for slot, value in goal.fail_info.items():
            if goal.info.get(slot) != value:
                changed[slot] += 1
                values.setdefault(slot, Counter())[value] += 1
    booked = [goal for goal in goals if goal.book]
    refused = Counter(slot for goal in booked for slot in goal.fail_book)
    share = sum(bool(goal.fail_info) for goal in searched) / max(len(searched), 1)
    return {
        "fail": round(share, 5),
        "fail_slots": shares(changed) if changed else {},
        "fail_values": {slot: shares(counts) for slot, counts in sorted(values.items())},
        "fail_book": round(sum(bool(g.fail_book) for g in booked) / max(len(booked), 1), 5),
        "fail_book_slots": shares(refused) if refused else {},
    }


def shared_values(goals: Iterable[MultiWozGoal]) -> dict[str, float]:
    """How often two domains of one goal that both have a slot have the same value in it."""
    same: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for goal in goals:
        for one, other in combinations(goal.domains.values(), 2):
            for slot in ("area", "pricerange", "bookpeople", "day"):
                a, b = (part.info.get(slot) or part.book.get(slot) or part.book.get(f"book{slot}")
                        for part in (one, other))  # fmt: skip
                if a and b:
                    pairs[slot] += 1
                    same[slot] += a == b
    return {slot: round(same[slot] / pairs[slot], 5) for slot in sorted(pairs)}


def goal_model(data: Path) -> dict[str, Any]:
    """The shipped statistics."""
    model = convlab_statistics(read_json(data / "derived" / "goal_model.json"))
    goals = list(load_goals("validation", data.parent).values())
    for domain, entry in model["domain"].items():
        entry |= failures((goal.domains[domain] for goal in goals if domain in goal.domains), domain)
    return (
        {"source": "ConvLab-2 (Apache-2.0) and MultiWOZ 2.1 validation goals (MIT)"}
        | model
        | {"shared": shared_values(goals)}
    )


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with multiwoz/")
    parser.add_argument("--output", type=Path, default=Path(database.__file__).parent)
    arguments = parser.parse_args()
    data = arguments.data_dir / "multiwoz"
    tables = {domain: database.pack(rows) for domain, rows in read_release(data / "db").items()}
    text = json.dumps(tables, separators=(",", ":"), ensure_ascii=False)
    (arguments.output / "databases.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    statistics = json.dumps(goal_model(data), ensure_ascii=False)
    (arguments.output / "goal_model.json").write_text(statistics + "\n", encoding="utf-8")
    splits = {split: load_goals(split, data.parent).values() for split in shipped_goals.SPLITS}
    goals = {split: shipped_goals.pack(found) for split, found in splits.items()}
    text = json.dumps(goals, separators=(",", ":"), ensure_ascii=False)
    (arguments.output / "goals.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
