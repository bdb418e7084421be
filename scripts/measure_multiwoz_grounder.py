"""Measure the MultiWOZ readers on the corpus: precision, recall and F1 against its annotated acts.

    python scripts/measure_multiwoz_grounder.py [--split validation|test] [--role user|assistant] [--json]

Every turn is read with the turns before it as they were read, never as they were annotated. Three levels:
labels (``hotel_inform``, a request with its slot), values (the domain, slot, value of any act), and informs
(the same of inform acts alone). Values are compared in one spelling: names and addresses by their words,
numbers without units; a hotel's parking and internet count as mentioned, since the corpus says no more.
``--errors`` prints what was misread, for the validation split only, so that test stays unseen.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogueAct, Role, Turn
from dialog_gym.domains.multiwoz.corpus import CorpusDialogue, load_dialogues
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.grounder import read_assistant
from dialog_gym.domains.multiwoz.mentions import number
from dialog_gym.domains.multiwoz.names import key
from dialog_gym.domains.multiwoz.user_reader import read_user
from dialog_gym.domains.multiwoz.values import normal

SPLITS = ("validation", "test")
READERS = {"user": read_user, "assistant": read_assistant}
MENTIONED = ("parking", "internet")
"""The corpus says of a hotel's parking and internet only that they were mentioned (``null``)."""
_DIGITS = re.compile(r"\d+(?:\.\d+)?")
Facts = Counter[tuple[str, ...]]


def labels(acts: Iterable[DialogueAct]) -> Facts:
    """The set of act labels of a turn; requests with their slot."""
    return Counter({(act.intent, str(act.slots.get("slot", ""))): 1 for act in acts})


def values(acts: Iterable[DialogueAct], role: str) -> Facts:
    """The set of (domain, slot, value) of a turn, whatever the act that says it."""
    found: Facts = Counter()
    for act in acts:
        domain, _, kind = act.intent.partition("_")
        for slot, value in act.slots.items():
            if kind == "request" or (value is None and not (role == "assistant" and slot in MENTIONED)):
                continue
            for part in str(value).split(",") if slot == "address" else (str(value),):
                found[domain, slot, _spelt(domain, slot, part, role)] = 1
    return found


def _spelt(domain: str, slot: str, value: str, role: str) -> str:
    if role == "assistant" and slot in MENTIONED:
        return "mentioned"
    if slot in ("price", "duration", "entrancefee") and (amount := _DIGITS.search(value)):
        return f"{float(amount[0]):g}"
    if slot == "entrancefee":
        return "free" if re.search(r"\b(free|no)\b", value) else "?"
    if slot == "choice":
        return number(value.lower()) or re.sub(r"\b(an?|of|the|so|such)\b", "", value.lower()).strip()
    if slot in ("phone", "postcode", "ref", "trainid"):
        return re.sub(r"[^a-z0-9]", "", value.lower())
    if slot == "name" or (domain == "taxi" and slot in ("departure", "destination")):
        return load_database().places.find(value) or normal("train", "departure", key(value))
    if slot == "address":
        return key(value)
    return normal(domain, slot, value)


class Tally:
    """Counts of annotated, read and rightly read facts."""

    def __init__(self) -> None:
        self.gold, self.read, self.hit = Facts(), Facts(), Facts()

    def add(self, gold: Facts, read: Facts) -> None:
        """Count one turn, by the first two parts of each fact."""
        for counter, facts in ((self.gold, gold), (self.read, read), (self.hit, gold & read)):
            counter.update(fact[:2] for fact in facts)

    def figures(self, name: str) -> dict[str, float]:
        """Precision, recall and F1 over all facts."""
        gold, read, hit = self.gold.total(), self.read.total(), self.hit.total()
        return {
            f"{name}_precision": ratio(hit, read),
            f"{name}_recall": ratio(hit, gold),
            f"{name}_f1": ratio(2 * hit, gold + read),
            f"{name}s": gold,
        }

    def by_kind(self) -> dict[str, dict[str, float]]:
        """Counts and F1 per label or (domain, slot)."""
        return {
            " ".join(kind).strip(): {
                "gold": self.gold[kind],
                "read": self.read[kind],
                "f1": ratio(2 * self.hit[kind], self.gold[kind] + self.read[kind]),
            }
            for kind in sorted(self.gold | self.read)
        }


def ratio(part: float, whole: float) -> float:
    """``part / whole`` to four decimals, NaN when there is nothing."""
    return round(part / whole, 4) if whole else float("nan")


def measure(dialogues: Iterable[CorpusDialogue], role: Role) -> dict[str, Any]:
    """Figures over all turns of a role that are annotated; ``misses`` lists the turns that differ."""
    acts, facts, informs = Tally(), Tally(), Tally()
    misses: list[dict[str, Any]] = []
    turns = 0
    for dialogue in dialogues:
        before: list[Turn] = []
        for turn in dialogue.turns:
            read = READERS[turn.role](turn.text, before)
            before.append(Turn(role=turn.role, text=turn.text, acts=read))
            if turn.role != role:
                continue
            turns += 1
            a, b = values(turn.acts, role), values(read, role)
            acts.add(labels(turn.acts), labels(read))
            facts.add(a, b)
            informs.add(values(_informing(turn.acts), role), values(_informing(read), role))
            if a != b or labels(turn.acts) != labels(read):
                misses.append({"id": dialogue.id, "text": turn.text, "gold": turn.acts, "read": read})
    return {
        "turns": turns,
        **acts.figures("label"),
        **facts.figures("value"),
        **informs.figures("inform"),
        "by_label": acts.by_kind(),
        "by_slot": facts.by_kind(),
        "misses": misses,
    }


def _informing(acts: Iterable[DialogueAct]) -> list[DialogueAct]:
    return [act for act in acts if act.intent.endswith("_inform")]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the MultiWOZ readers on the corpus.")
    parser.add_argument("--split", choices=SPLITS, default="validation")
    parser.add_argument("--role", choices=("user", "assistant"), action="append", help="default: both")
    parser.add_argument("--data-dir", help="default: $DIALOG_GYM_DATA")
    parser.add_argument("--errors", action="store_true", help="print what was misread (validation only)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    dialogues = list(load_dialogues(options.split, options.data_dir))
    figures = {role: measure(dialogues, role) for role in options.role or ("user", "assistant")}
    misses = {role: one.pop("misses") for role, one in figures.items()}
    if options.json:
        print(json.dumps({"split": options.split, **figures}))
        return 0
    for role, one in figures.items():
        print(f"{role}, {options.split}")
        for name, value in one.items():
            if isinstance(value, dict):
                for kind, counts in value.items():
                    print(f"    {kind:34} {counts['gold']:6} {counts['read']:6}  {counts['f1']:.3f}")
            else:
                print(f"  {name:16} {value}")
        for miss in misses[role] if options.errors and options.split == "validation" else ():
            print(f"\n{miss['id']} {miss['text']}")
            print(f"   gold {format_acts(miss['gold'])}\n   read {format_acts(miss['read'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
