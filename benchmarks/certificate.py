"""What is certified of a user simulator, as a record, a page and a verdict."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dialog_gym.benchmarks.certify_decisions import PUBLISHED_BIAS
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

CHOOSES: Final[Mapping[str, str]] = {"worded": "the domain (worded)", "free": "the model (free)"}
PUBLISHED: Final = f"{PUBLISHED_BIAS:+.2f} for those who did not buy, arXiv 2606.20708"


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
    decisions: dict[str, dict[str, dict[str, float]]]
    """By who chooses (``worded``: the domain's user model; ``free``: a language model), then by whether the
    customer is a buyer; see `dialog_gym.benchmarks.certify_decisions.decisions`."""
    buying_bias: dict[str, dict[str, float]]
    """Acceptances that a language model adds when it chooses, by whether the customer is a buyer; empty for
    simulators that have no modes. See `dialog_gym.benchmarks.certify_decisions.buying_bias`."""
    realism: dict[str, Any] | str
    """Figures of `dialog_gym.benchmarks.user_realism.realism`, or why there are none."""

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
        ]
        lines = [f"| {name} | {value:.4f} |" for name, value in rows]
        played = f"{self.dialogues:,} dialogues, {self.turns:,} turns"
        head = f"# {self.simulator} on {self.domain}\n\n{verdict}; {played}"
        settings = f"\n\n`{json.dumps(self.settings, sort_keys=True)}`" if self.settings else ""
        measures = [f"{head}{settings}\n", "| measure | value |", "|---|---:|", *lines]
        return "\n".join((*measures, *self._decisions(), *self._realism())) + "\n"

    def _decisions(self) -> list[str]:
        """The lines about buyers and those who will not buy."""
        lines = ["", "## Decisions", ""]
        if not self.decisions:
            return [*lines, f"not measured: nobody was reached by a sales call on {self.domain}"]
        told = [(mode, who, one) for mode, groups in self.decisions.items() for who, one in groups.items()]
        names = list(told[0][2])
        lines += [f"| who chooses | customers | {' | '.join(names)} |", f"|---|---|{'---:|' * len(names)}"]
        for mode, who, one in told:
            figures = (f"{one[name]:.0f}" if name == "dialogues" else f"{one[name]:.3f}" for name in names)
            lines.append(f"| {CHOOSES[mode]} | {who} | {' | '.join(figures)} |")
        bias = [f"{who} {one['value']:+.3f} {_interval(one)}" for who, one in self.buying_bias.items()]
        if bias:
            lines += ["", f"Bias of the model towards buying: {'; '.join(bias)} (published: {PUBLISHED})"]
        return lines

    def _realism(self) -> list[str]:
        """The lines about likeness to real users."""
        lines = ["", "## Realism: users of MultiWOZ, talking with the scripted agent, against people", ""]
        found = self.realism
        if isinstance(found, str):
            return [*lines, found]
        lines += ["| measure | people | simulated |", "|---|---:|---:|"]
        sides = found["real"], found["simulated"]
        lines += [f"| {name} | {sides[0][name]:.4g} | {sides[1][name]:.4g} |" for name in sides[0]]
        test = found["classifier"]
        return [
            *lines,
            f"| total variation of acts | | {found['acts_total_variation']:.3f} |",
            f"| total variation of lengths | | {found['length_total_variation']:.3f} |",
            f"| accuracy of a classifier (0.5: alike) | | {test['accuracy']:.3f} {_interval(test)} |",
        ]


def _interval(bounds: Mapping[str, float]) -> str:
    return f"[{bounds['low']:.3f}, {bounds['high']:.3f}]"


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
