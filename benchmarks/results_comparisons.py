"""Comparisons on the page of results: claims of papers, the oracle's lift, ablations, reasoning.

All of them read a stored board, and say *not run* where something is not on it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from dialog_gym.benchmarks.board import Board, Row, cell
from dialog_gym.benchmarks.curves import Spread, mean_spread
from dialog_gym.benchmarks.presets import FULL
from dialog_gym.benchmarks.training_runs import REASONING
from dialog_gym.language import LANGUAGE_REWARDS
from dialog_gym.paired import Paired

NOT_RUN: Final = "not run"


class Claim(NamedTuple):
    """Two rows of the board, the metrics that they are compared on, and the lift that a paper reports."""

    a: str
    b: str
    metrics: tuple[str, ...]
    lift: float | None = None
    """Relative, of the first metric."""


_OUTCOMES: Final = ("success", "conversion", "reached_conversion", "violation_rate")
CLAIMS: Final = (
    Claim("ppo (net)", "sft (net)", ("conversion", "violation_rate")),
    Claim("grpo (net)", "sft (net)", ("conversion", "violation_rate")),
    Claim("grpo (lm)", "sft (lm)", _OUTCOMES),
    Claim("more (net)", "scripted", ("conversion",), 0.1653),
    Claim("more (net)", "scripted", ("reached_conversion",), 0.3009),
    Claim("more (net)", "sft (net)", ("violation_rate", *_OUTCOMES[:3])),
    Claim("more (net)", "grpo (net)", (*_OUTCOMES, *LANGUAGE_REWARDS)),
    Claim("more (net)", "more [sum-then-normalise] (net)", (*_OUTCOMES, *LANGUAGE_REWARDS)),
    Claim("more (net)", "more [normalise-then-sum] (net)", (*_OUTCOMES, *LANGUAGE_REWARDS)),
    Claim("gopo (net)", "ppo (net)", ("tse",), 0.077),
    Claim("gopo (net)", "memento (net)", ("tse",), 0.103),
    Claim("gopo (net)", "gopo [no-expert] (net)", ("tse", *_OUTCOMES)),
    Claim("more (lm)", "sft (lm)", _OUTCOMES),
    Claim("more (lm)", "grpo (lm)", (*_OUTCOMES, *LANGUAGE_REWARDS)),
)
"""The papers' own lifts, and the control arms."""
LIFTED: Final = ("conversion", "reached_conversion", "success")
ABLATED: Final = ("success", "conversion", "reached_conversion", "violation_rate", "tse")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def claims(board: Board) -> str:
    """The papers' claims and the control arms in paired differences, with what became of each."""
    head = ("agents", "metric", "difference", "lift", "the paper's lift", "reached")
    rows = []
    there = {row.name for row in board.rows}
    for claim in CLAIMS:
        agents = f"{claim.a} − {claim.b}"
        if not there.issuperset((claim.a, claim.b)):
            rows.append([agents, ", ".join(claim.metrics), NOT_RUN, "", _percent(claim.lift), ""])
            continue
        for metric in claim.metrics:
            lift = claim.lift if metric == claim.metrics[0] else None
            rows.append([agents, metric, *_compared(board.pair(metric, claim.a, claim.b), lift)])
    return markdown_table(head, rows)


def _compared(pair: Paired | None, lift: float | None) -> list[str]:
    if pair is None:
        return ["not compared", "", _percent(lift), ""]
    reached = "" if lift is None else _reached(pair, lift)
    return [_difference(pair), _lift(pair), _percent(lift), reached]


def _percent(lift: float | None) -> str:
    return "" if lift is None else f"{lift:+.2%}"


def _reached(pair: Paired, lift: float) -> str:
    if math.isnan(pair.relative) or pair.relative < lift:
        return "no"
    return "yes" if pair.relative_low >= lift else "yes, but the interval reaches below"


def _difference(pair: Paired) -> str:
    if math.isnan(pair.difference):
        return "not judged"
    return f"{pair.difference:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}]"


def _lift(pair: Paired) -> str:
    if math.isnan(pair.relative):
        return "-"
    return f"{pair.relative:+.1%} [{pair.relative_low:+.1%}, {pair.relative_high:+.1%}]"


def recovered(board: Board) -> str:
    """How much of the oracle's lift over the scripted agent learners reach."""
    rows = []
    for row in board.rows:
        if not row.runs or row.variant:
            continue
        rows.append([row.name, *(_share(board, row.name, metric) for metric in LIFTED)])
    if not rows:
        return ""
    text = (
        "Share of the oracle's lift over *scripted* that is recovered; intervals are of the learner's lift:"
    )
    return f"{text}\n\n{markdown_table(('learner', *LIFTED), rows)}"


def _share(board: Board, name: str, metric: str) -> str:
    own, whole = board.pair(metric, name, "scripted"), board.pair(metric, "oracle", "scripted")
    if own is None or whole is None or not whole.difference > 0:
        return "-"
    value, low, high = (lift / whole.difference for lift in (own.difference, own.low, own.high))
    return f"{value:.0%} [{low:.0%}, {high:.0%}]"


def ablations(board: Board) -> str:
    """Every arm beside the learner it is a variant of."""
    by_name = {row.name: row for row in board.rows}
    rows = []
    for course in FULL.courses:
        for algorithm in dict.fromkeys(one.algorithm for one in course.learners if one.variant):
            base = f"{algorithm} ({course.backbone})"
            rows.append(_arm(board, by_name.get(base), base, base))
            for one in course.learners:
                if one.variant and one.algorithm == algorithm:
                    name = f"{algorithm} [{one.variant}] ({course.backbone})"
                    rows.append(_arm(board, by_name.get(name), name, base))
    head = ("arm", *ABLATED, "success, arm − whole")
    return markdown_table(head, rows)


def _arm(board: Board, row: Row | None, name: str, base: str) -> list[str]:
    if row is None:
        return [name, NOT_RUN, *[""] * len(ABLATED)]
    pair = board.pair("success", name, base)
    return [name, *(cell(row.result, metric) for metric in ABLATED), _difference(pair) if pair else "-"]


def reasoning(board: Board) -> str:
    """Accuracy at the end and its standard deviation over the second half of training, means over seeds."""
    asked = [row for row in board.rows if row.runs and any(run.reasoning for run in row.runs)]
    if not asked:
        return f"{NOT_RUN.capitalize()}."
    rows = [
        [
            row.name,
            str(len(row.runs)),
            *(_spread(mean_spread([r.reasoning.get(m) for r in row.runs])) for m in REASONING),
        ]
        for row in asked
    ]
    return "\n\n".join([
        "Share of exact answers of agents that are asked reasoning tasks, at the end of training, and in "
        "brackets its standard deviation over the second half of training; means over seeds. *unseen*: on "
        "combinations kept out of training. For runs at hand: `dialog-gym curves RUN... --metric mac`.",
        markdown_table(("learner", "seeds", *REASONING), rows),
    ])  # fmt: skip


def _spread(found: Spread | None) -> str:
    return f"{found.end:.3f} ({found.std:.3f})" if found else "-"
