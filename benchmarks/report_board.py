"""The board part of the report: metrics, ranks with ties, paired differences and the facts of the header."""

import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, TypeAlias

from dialog_gym.benchmarks.board import row_name
from dialog_gym.core import DialogGymError, Result, Score
from dialog_gym.metrics import METRICS
from dialog_gym.paired import Paired
from dialog_gym.plugins import nearest
from dialog_gym.stats import ranks_with_ties

Pairs: TypeAlias = Mapping[str, Mapping[tuple[str, str], Paired]]
"""``pairs[metric][a, b]``: A minus B on the same episodes, by the names of the rows (`row_name`)."""

ALL = "all"
_ACRONYMS = {"tse": "TSE", "esndcg": "ESNDCG", "rouge": "ROUGE", "mrr": "MRR", "ndcg": "nDCG", "gre": "GRE"}
_QUANTILES = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(0.8)


def judged_metrics(results: Sequence[Result]) -> list[str]:
    """Every metric that some agent has a value of, in the order of first appearance."""
    return [
        name
        for name in _metrics(results)
        if any(name in result.scores and not math.isnan(result.scores[name].value) for result in results)
    ]


def label(metric: str) -> str:
    """A metric's name as people write it: ``reached_conversion`` becomes ``reached conversion``."""
    return " ".join(_ACRONYMS.get(word, word) for word in metric.split("_"))


def chosen_headline(results: Sequence[Result], asked: Sequence[str], default: Sequence[str]) -> list[str]:
    """The metrics shown as columns: those asked for, or else the default ones, that some agent is judged on.

    Raises:
        DialogGymError: a metric that was asked for does not exist, or no metric is judged at all.
    """
    _check_known(asked, _metrics(results), "headline metric")
    known = judged_metrics(results)
    if results and not known:
        raise DialogGymError("no agent is judged on any metric, so there is nothing to report")
    return [name for name in dict.fromkeys(asked or default) if name in known] or known[:5]


def board(
    results: Sequence[Result], pairs: Pairs, detectable: Mapping[str, float], explanations: Mapping[str, str]
) -> dict[str, Any]:
    """The board as plain data for the page.

    Args:
        results: one per agent.
        pairs: see `Pairs`.
        detectable: known smallest detectable differences; the others are derived.
        explanations: lines that replace or add to the built-in explanations.

    Returns:
        ``metrics``, ``agents`` (``scores[metric] = [value, low, high, n]``), ``scopes``,
        ``ranks[scope][metric][agent number] = [rank, shared]``, and
        ``pairs[metric] = [[a, b, difference, low, high, n, relative, p_superior], ...]``.

    Raises:
        DialogGymError: the results do not belong on one board, or a pair names an unknown metric or agent.
    """
    _check(results, pairs)
    higher = {name: up for result in reversed(results) for name, up in result.higher_is_better.items()}
    metrics = judged_metrics(results)
    number = {row_name(result): i for i, result in enumerate(results)}
    scopes = _scopes(results)
    return {
        "metrics": [
            {
                "name": name,
                "label": label(name),
                "higher": higher.get(name, True),
                "explanation": _sentence(
                    explanations.get(name) or str(getattr(METRICS.get(name), "about", ""))
                ),
                "detectable": detectable.get(name, detectable_difference(name, results, pairs)),
            }
            for name in metrics
        ],
        "agents": [_agent(result) for result in results],
        "scopes": list(scopes),
        "ranks": {
            scope: {name: _ranks(name, members, results, pairs, higher.get(name, True)) for name in metrics}
            for scope, members in scopes.items()
        },
        "pairs": {
            name: [
                [number[a], number[b], p.difference, p.low, p.high, p.n, p.relative, p.p_superior]
                for (a, b), p in table.items()
            ]
            for name, table in pairs.items()
            if name in metrics
        },
    }


def detectable_difference(metric: str, results: Sequence[Result], pairs: Pairs) -> float:
    """The smallest true difference found with 80 % power at the 5 % level between any two ranked agents.

    (z_0.975 + z_0.8) standard errors (Cohen, "Statistical Power Analysis", 1988). The standard error is read
    off the widest 95 % interval: of the paired differences, or without pairs of the scores, times sqrt 2.
    NaN when nothing is judged, or when no interval has a width.
    """
    ranked = {row_name(result) for result in results if not result.reference}
    table = pairs.get(metric, {})
    widths = [p.high - p.low for (a, b), p in table.items() if a in ranked and b in ranked]
    factor = 1.0
    if not any(width > 0 for width in widths):
        scores = [result.scores[metric] for result in results if metric in result.scores]
        widths, factor = [score.high - score.low for score in scores], math.sqrt(2)
    judged = [width for width in widths if width > 0]  # neither NaN nor the false certainty of equal episodes
    if not judged:
        return math.nan
    upper, power = _QUANTILES
    return factor * max(judged) / (2 * upper) * (upper + power)


def facts(
    results: Sequence[Result],
    suite: str,
    metrics: Sequence[Mapping[str, Any]],
    headline: Sequence[str],
    reproduce: str,
) -> dict[str, Any]:
    """What the header states: suite, simulator, seeds, episodes, versions, detectable differences, command.

    Raises:
        DialogGymError: ``suite`` is not the results' suite.
    """
    first = results[0]
    if suite != first.suite:
        raise DialogGymError(f"the report is for suite {suite!r}, but the results are of {first.suite!r}")
    versions: dict[str, set[str]] = {}
    for result in results:
        for package, version in result.versions.items():
            versions.setdefault(package, set()).add(version)
    return {
        "suite": suite,
        "suite_version": first.suite_version,
        "simulator": first.simulator,
        "agents": sum(not result.reference for result in results),
        "references": sum(result.reference for result in results),
        "seed": _distinct(result.seed for result in results),
        "episodes": _distinct(result.episodes for result in results),
        "trials": _distinct(result.trials for result in results),
        "detectable": {m["label"]: m["detectable"] for m in metrics if m["name"] in headline},
        "versions": {package: sorted(found) for package, found in sorted(versions.items())},
        "python": platform.python_version(),
        "reproduce": reproduce or _command(first),
    }


def _metrics(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.scores))


def _sentence(text: str) -> str:
    """``a line`` as ``A line.``, since it stands among others."""
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _command(result: Result) -> str:
    return f"dialog-gym evaluate --suite {result.suite} --seed {result.seed} --agent NAME"


def _agent(result: Result) -> dict[str, Any]:
    return {
        "name": row_name(result),
        "backbone": result.backbone,
        "reference": result.reference,
        "episodes": result.episodes,
        "seeds": result.seeds,
        "env_steps": result.env_steps,
        "scores": {name: [s.value, s.low, s.high, s.n] for name, s in result.scores.items()},
    }


def _scopes(results: Sequence[Result]) -> dict[str, list[int]]:
    """Who is ranked against whom: everybody, and each backbone by itself if there are several."""
    ranked = [i for i, result in enumerate(results) if not result.reference]
    scopes = {ALL: ranked}
    backbones = sorted({results[i].backbone or "none" for i in ranked})
    if len(backbones) > 1:
        for name in backbones:
            scopes[name] = [i for i in ranked if (results[i].backbone or "none") == name]
    return scopes


def _ranks(
    metric: str, members: Sequence[int], results: Sequence[Result], pairs: Pairs, higher: bool
) -> dict[int, tuple[int, bool]]:
    """Rank and whether it is shared, of the members that have a value."""
    scored: list[tuple[int, Score]] = [
        (i, results[i].scores[metric])
        for i in members
        if metric in results[i].scores and not math.isnan(results[i].scores[metric].value)
    ]
    place = {row_name(results[i]): k for k, (i, _) in enumerate(scored)}
    table = {
        (place[a], place[b]): pair
        for (a, b), pair in pairs.get(metric, {}).items()
        if a in place and b in place
    }
    ranks = ranks_with_ties([score for _, score in scored], table, higher)
    return {i: (rank, ranks.count(rank) > 1) for (i, _), rank in zip(scored, ranks, strict=True)}


def _check(results: Sequence[Result], pairs: Pairs) -> None:
    if not results:
        raise DialogGymError("a report needs at least one run")
    for name, values in (
        ("suite", {result.suite for result in results}),
        ("suite version", {result.suite_version for result in results}),
        ("simulator", {result.simulator for result in results}),
    ):
        if len(values) > 1:
            found = ", ".join(sorted(map(str, values)))
            raise DialogGymError(f"a report needs one {name}, got {found}; write one report for each")
    agents = [row_name(result) for result in results]
    if twice := [name for name in agents if agents.count(name) > 1]:
        raise DialogGymError(f"two results are named {twice[0]!r}; give each agent its own name")
    _check_known(pairs, _metrics(results), "metric in pairs")
    paired = {name for table in pairs.values() for pair in table for name in pair}
    _check_known(paired, agents, "agent in pairs")


def _check_known(asked: Iterable[str], known: Sequence[str], what: str) -> None:
    if unknown := sorted(set(asked) - set(known)):
        raise DialogGymError(f"unknown {what} {unknown[0]!r}; {nearest(unknown[0], known)}")


def _distinct(values: Iterable[int]) -> str:
    return ", ".join(f"{value:,}" for value in sorted(set(values)))
