"""Measure the grounder on the hand-made utterances: act F1, claim accuracy and precision, F1 per intent.

    python scripts/measure_grounder.py [--split dev|validation|test|all] [--file NAME] [--errors] [--json]

A claim is an (intent, slot, value) of an act that states or proposes something; it counts as read when it is
found exactly. Misses are printed for the dev split only, so that validation and test stay unseen.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.grounder import read_assistant
from dialog_gym.domains.credit.rulebook import load_rulebook

SETS = Path(__file__).resolve().parents[1] / "tests/dialog_gym/domains"
FILES = ("grounder_utterances.jsonl", "grounder_dev_b.jsonl", "grounder_dev_c.jsonl")
SPLITS = ("dev", "validation", "test", "all")
CLAIMS = ("offer", "close", "advise", "solve", "address_objection", "ask_need")
UNANNOTATED = ("inform_interest", "inform_instalment")  # their product became a slot after the annotation
_ACT = re.compile(r"(\w+)\((.*)\)")


def parse_act(notation: str) -> DialogueAct:
    """An act in notation, e.g. ``offer(product=pay_later, amount=5000)``; numbers become numbers."""
    match = _ACT.fullmatch(notation.strip())
    if match is None:
        raise ValueError(f"not an act: {notation!r}")
    slots = dict(pair.strip().split("=", 1) for pair in match[2].split(",") if pair.strip())
    return DialogueAct(intent=match[1], slots={name: _scalar(value) for name, value in slots.items()})


def _scalar(value: str) -> Scalar:
    try:
        return float(value)
    except ValueError:
        return value


def claims(acts: Iterable[DialogueAct]) -> Counter[tuple[str, str, Scalar]]:
    """The multiset of (intent, slot, value) of all acts that make a claim; numbers to six decimals."""
    return Counter(
        (act.intent, name, round(float(value), 6) if isinstance(value, int | float) else value)
        for act in acts
        if act.intent.startswith("inform_") or act.intent in CLAIMS
        for name, value in act.slots.items()
        if not (name == "product" and act.intent in UNANNOTATED)
    )


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN when there is nothing."""
    return part / whole if whole else float("nan")


def measure(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures over annotated utterances; ``misses`` lists every row that was not read exactly."""
    rulebook = load_rulebook()
    gold_acts: Counter[str] = Counter()
    read_acts: Counter[str] = Counter()
    hit_acts: Counter[str] = Counter()
    gold_claims = read_claims = hit_claims = exact = 0
    misses = []
    for row in rows:
        gold = [parse_act(act) for act in row["acts"]]
        read = read_assistant(row["text"], rulebook)
        a, b = Counter(act.intent for act in gold), Counter(act.intent for act in read)
        gold_acts, read_acts, hit_acts = gold_acts + a, read_acts + b, hit_acts + (a & b)
        c, d = claims(gold), claims(read)
        gold_claims, read_claims = gold_claims + c.total(), read_claims + d.total()
        hit_claims += (c & d).total()
        if a == b and c == d:
            exact += 1
        else:
            misses.append(
                {
                    "id": row["id"],
                    "text": row["text"],
                    "gold": row["acts"],
                    "read": [notation(x) for x in read],
                }
            )
    per_intent = {
        intent: round(ratio(2 * hit_acts[intent], gold_acts[intent] + read_acts[intent]), 3)
        for intent in sorted(gold_acts | read_acts)
    }
    return {
        "utterances": len(rows),
        "exact": round(ratio(exact, len(rows)), 4),
        "act_f1": round(ratio(2 * hit_acts.total(), gold_acts.total() + read_acts.total()), 4),
        "claim_accuracy": round(ratio(hit_claims, gold_claims), 4),
        "claim_precision": round(ratio(hit_claims, read_claims), 4),
        "claims": gold_claims,
        "per_intent_f1": per_intent,
        "misses": misses,
    }


def notation(act: DialogueAct) -> str:
    """An act in notation."""
    return f"{act.intent}({', '.join(f'{name}={value}' for name, value in act.slots.items())})"


def load(split: str, files: Sequence[str] = FILES) -> list[dict[str, Any]]:
    """The annotated utterances of a split ("all" for every one) in some of the `FILES`."""
    rows = [
        json.loads(line)
        for name in files
        if (SETS / name).exists()
        for line in (SETS / name).read_text("utf-8").splitlines()
        if line.strip()
    ]
    return [row for row in rows if split in ("all", row["split"])]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the grounder on the annotated utterances.")
    parser.add_argument("--split", choices=SPLITS, default="dev")
    parser.add_argument("--file", choices=FILES, help="one set only")
    parser.add_argument("--errors", action="store_true", help="print what was misread (dev split only)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    figures = measure(load(options.split, (options.file,) if options.file else FILES))
    misses = figures.pop("misses")
    if options.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        if name != "per_intent_f1":
            print(f"{name:16} {value}")
    for intent, value in figures["per_intent_f1"].items():
        print(f"  {intent:22} {value}")
    if options.errors and options.split == "dev":
        for miss in misses:
            print(f"\n{miss['id']} {miss['text']}\n   gold {miss['gold']}\n   read {miss['read']}")
    elif options.errors:
        print("misses are shown for --split dev only", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
