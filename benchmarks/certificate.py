"""What is certified of a user simulator, as a record, a page and a verdict."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dialog_gym.core import DialogGymError
from dialog_gym.simulators.audit import KINDS

LIMITS: Final[Mapping[str, tuple[str, float]]] = {
    "error_rate": ("at most", 0.02),
    "leaked": ("at most", 0.005),
    "premature_stop": ("at most", 0.005),
    "consistency": ("at least", 1.0),
    "voided": ("at most", 0.0),
    "fallback": ("at most", 0.1),
}
"""What a certified simulator keeps to; nearly all words must be its own. Other measures are reported."""


@dataclass(frozen=True)
class Certificate:
    """What was found; rates are shares of user turns unless said otherwise."""

    simulator: str
    domain: str
    settings: dict[str, Any]
    """What the simulator says that its words depend on."""
    dialogues: int
    turns: int
    error_rate: float
    """Turns whose final words the audit of `dialog_gym.simulators.audit` rejects; garbled ones aside."""
    errors: dict[str, float]
    """The same by kind."""
    fallback: float
    """Turns in which the simulator gave its words up for a template's or the domain's choice."""
    rejected: dict[str, float]
    """Samples per turn that its own audit rejected, by kind; zeros where it has none."""
    consistency: float
    """Turns said alike when the same dialogues are played again by a new instance, one at a time."""
    variety: float
    """Turns said otherwise with another seed of the words, the acts being the same."""
    distinct_1: float
    distinct_2: float
    """Distinct words and pairs of words among all."""
    words: float
    """Per turn."""
    voided: float
    """Share of dialogues in which the simulator failed."""
    seconds_per_turn: float
    """Spent in the simulator, all dialogues speaking together, loading included."""
    usage: dict[str, float]
    """Requests, tokens and cost of a served model; empty for others."""
    decisions: dict[str, dict[str, float]]
    """Of buyers and of those who will not buy; see `dialog_gym.benchmarks.certify.decisions`."""

    @property
    def failures(self) -> list[str]:
        """The limits it does not keep to, one line each; empty for a certified simulator."""
        values = {**asdict(self), **self.errors}
        lines = []
        for name, (side, limit) in LIMITS.items():
            if (values[name] > limit) if side == "at most" else (values[name] < limit):
                lines.append(f"{name} is {values[name]:.4f}, must be {side} {limit:g}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Everything, the verdict included."""
        return {"certified": not self.failures, **asdict(self), "failures": self.failures}

    def to_markdown(self) -> str:
        """A page for people."""
        verdict = "certified" if not self.failures else f"not certified: {'; '.join(self.failures)}"
        rows = [
            ("error rate after the audit", self.error_rate),
            *((f"  {kind}", self.errors[kind]) for kind in KINDS),
            ("fallbacks", self.fallback),
            *((f"  samples rejected as {kind}", self.rejected[kind]) for kind in KINDS),
            ("the same words again", self.consistency),
            ("other words with another seed", self.variety),
            ("distinct words", self.distinct_1),
            ("distinct pairs of words", self.distinct_2),
            ("words per turn", self.words),
            ("void dialogues", self.voided),
            ("seconds per turn", self.seconds_per_turn),
            *((f"served: {name}", value) for name, value in self.usage.items()),
            *(
                (f"{who}: {what}", value)
                for who, told in self.decisions.items()
                for what, value in told.items()
            ),
        ]
        lines = [f"| {name} | {value:.4f} |" for name, value in rows]
        played = f"{self.dialogues:,} dialogues, {self.turns:,} turns"
        head = f"# {self.simulator} on {self.domain}\n\n{verdict}; {played}"
        settings = f"\n\n`{json.dumps(self.settings, sort_keys=True)}`" if self.settings else ""
        return "\n".join((f"{head}{settings}\n", "| measure | value |", "|---|---:|", *lines)) + "\n"


def write(certificate: Certificate, path: Path) -> None:
    """Write a certificate as Markdown (.md) or JSON (.json).

    Raises:
        DialogGymError: the name ends in neither.
    """
    if path.suffix not in (".md", ".json"):
        raise DialogGymError(f"{path}: a certificate is written as .md or .json")
    told = certificate.to_markdown() if path.suffix == ".md" else json.dumps(certificate.to_json(), indent=2)
    working = path.with_name(f"{path.name}.part")
    working.write_text(told, encoding="utf-8")
    os.replace(working, path)
