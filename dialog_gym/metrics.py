"""The metric set: scores of stored dialogues, with intervals. All boards are computed here and nowhere else.

A metric is a ratio of sums over dialogues (`dialog_gym.core.Metric`), so that it can be bootstrapped. They
come from `dialog_gym.dialogue_metrics` (outcomes, acts, ends), `dialog_gym.language_metrics`, pass^k below,
and plug-ins (entry points of the group ``dialog_gym.metrics``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dialog_gym import plugins, stats
from dialog_gym.core import DialogGymError, DialogueAct, Metric, Score, Trajectory
from dialog_gym.dialogue_metrics import DIALOGUE_METRICS
from dialog_gym.language_metrics import LANGUAGE_METRICS, LanguageMetric, Reference, language_rows

Floats: TypeAlias = NDArray[np.float64]
Metrics: TypeAlias = Mapping[str, Metric]
Rows: TypeAlias = tuple[Floats, Floats]

MAX_K: Final = 4
"""pass^k is reported for k from 1 to this."""


def pass_k(trajectories: Sequence[Trajectory], k: int) -> Rows:
    """pass^k per task: the probability that k fresh trials of the task all succeed (`stats.pass_hat_k`).

    Returns:
        ``(value, weight)`` of shape ``[len(trajectories)]``: the task's value, with weight 1, at its first
        trial; weight 0 elsewhere and for tasks with fewer than k trials. Trials that ``success`` leaves out
        (void, nobody reached) do not count.

    Raises:
        DialogGymError: k is below 1.
    """
    success, counted = DIALOGUE_METRICS["success"].rows(trajectories)
    by_task: dict[str, list[int]] = {}
    for row in np.flatnonzero(counted).tolist():
        by_task.setdefault(trajectories[row].task.id, []).append(row)
    first = [min(rows, key=lambda row: trajectories[row].trial) for rows in by_task.values()]
    wins = [success[rows].sum() for rows in by_task.values()]
    values, weights = np.zeros(len(trajectories)), np.zeros(len(trajectories))
    found = stats.pass_hat_k(wins, [len(rows) for rows in by_task.values()], k)
    values[first], weights[first] = np.nan_to_num(found), ~np.isnan(found)
    return values, weights


@dataclass(slots=True)
class PassK:
    """`pass_k` as a metric: its mean over tasks."""

    name: str
    about: str
    k: int
    higher_is_better: bool = True

    def rows(self, trajectories: Sequence[Trajectory]) -> Rows:
        """Arrays ``(value, weight)`` of shape ``[len(trajectories)]``; see `dialog_gym.core.Metric`."""
        return pass_k(trajectories, self.k)


class Matrix(NamedTuple):
    """m metrics of n dialogues in the shape that `dialog_gym.stats` takes.

    Attributes:
        names: Names of the metrics.
        values: ``float[n, m]`` numerators; 0 where the weight is.
        weights: ``float[n, m]`` denominators; 0 leaves the dialogue out.
        strata: ``[n]`` scenarios.
        clusters: ``[n]`` task ids.
    """

    names: tuple[str, ...]
    values: Floats
    weights: Floats
    strata: NDArray[np.str_]
    clusters: NDArray[np.str_]

    def only(self, names: Sequence[str]) -> "Matrix":
        """Some of the metrics; values and weights may have an axis of training seeds before the others."""
        index = [self.names.index(name) for name in names]
        values, weights = self.values[..., index], self.weights[..., index]
        return self._replace(names=tuple(names), values=values, weights=weights)


def metric_set(domain: str | None = None) -> dict[str, Metric]:
    """The built-in metrics by name, in board order.

    Args:
        domain: Name of the domain whose own wording of the agent's acts is the reference of ROUGE. Without
            it, or when the domain has no wording, ``rouge`` is judged nowhere and missing from ``gre``.

    Raises:
        DialogGymError: the domain is unknown.
    """
    reference = None if domain is None else reference_of(domain)
    spoken = [
        LanguageMetric(name, f"{name} of assistant turns, 0 to 1", reference) for name in LANGUAGE_METRICS
    ]
    trials = [PassK(f"pass_{k}", f"{k} of {k} trials of a task succeed", k) for k in range(1, MAX_K + 1)]
    metrics: list[Metric] = [*DIALOGUE_METRICS.values(), *trials, *spoken]
    return {metric.name: metric for metric in metrics}


@lru_cache(maxsize=8)
def reference_of(domain: str) -> Reference | None:
    """A domain's own words for the acts of an assistant turn; None if it has no wording.

    Raises:
        DialogGymError: the domain is unknown.
    """
    loaded: Any = plugins.load("domains", domain)()
    if not hasattr(loaded, "word_assistant"):
        return None

    def reference(acts: Sequence[DialogueAct]) -> str | None:
        try:
            return str(loaded.word_assistant(acts, 0))
        except DialogGymError:  # an act read without one of its slots has no wording
            return None

    return reference


METRICS: Final[Metrics] = metric_set()
HIGHER_IS_BETTER: Final[Mapping[str, bool]] = {
    name: metric.higher_is_better for name, metric in METRICS.items()
}


def all_metrics(domain: str | None = None) -> dict[str, Metric]:
    """The built-in metrics and those of installed plug-ins, which are imported now.

    Raises:
        DialogGymError: a plug-in fails to load, is no metric, or takes a name that is in use.
    """
    found = metric_set(domain)
    for entry in plugins.names("metrics"):
        loaded = plugins.load("metrics", entry)
        metric: Metric = loaded() if isinstance(loaded, type) else loaded
        missing = [name for name in ("name", "higher_is_better", "rows") if not hasattr(metric, name)]
        if missing:
            raise DialogGymError(
                f"metric plug-in {entry!r} has no {missing[0]!r}; see dialog_gym.core.Metric"
            )
        if metric.name in found:
            raise DialogGymError(
                f"metric plug-in {entry!r}: the name {metric.name!r} is taken; choose another"
            )
        found[metric.name] = metric
    return found


def rows_matrix(
    trajectories: Sequence[Trajectory], names: Sequence[str] | None = None, metrics: Metrics | None = None
) -> Matrix:
    """All metrics of all dialogues; the language measures are computed once.

    Args:
        trajectories: Dialogues of one agent.
        names: Which metrics, in this order; default all.
        metrics: The set to choose from; default `all_metrics` of the dialogues' domain if they share one,
            and it is registered, else without a domain.

    Raises:
        DialogGymError: a name is unknown, or a plug-in's rows have another shape.
    """
    known = all_metrics(_shared_domain(trajectories)) if metrics is None else metrics
    chosen = tuple(known if names is None else names)
    for name in chosen:
        if name not in known:
            raise DialogGymError(f"unknown metric {name!r}; {plugins.nearest(name, known)}")
    n, spoken = len(trajectories), dict[Reference | None, Mapping[str, Rows]]()
    values, weights = np.zeros((n, len(chosen))), np.zeros((n, len(chosen)))
    for column, name in enumerate(chosen):
        metric = known[name]
        if isinstance(metric, LanguageMetric):
            if metric.reference not in spoken:
                spoken[metric.reference] = language_rows(trajectories, metric.reference)
            value, weight = spoken[metric.reference][name]
        else:
            value, weight = _checked(metric, trajectories)
        kept = (weight > 0) & ~np.isnan(value)
        values[:, column], weights[:, column] = np.where(kept, value, 0.0), np.where(kept, weight, 0.0)
    strata = np.array([t.task.scenario for t in trajectories], dtype=np.str_)
    return Matrix(chosen, values, weights, strata, np.array([t.task.id for t in trajectories], dtype=np.str_))


def _shared_domain(trajectories: Sequence[Trajectory]) -> str | None:
    domains = {trajectory.task.domain for trajectory in trajectories}
    return next(iter(domains)) if len(domains) == 1 and domains <= set(plugins.names("domains")) else None


def _checked(metric: Metric, trajectories: Sequence[Trajectory]) -> Rows:
    value, weight = (np.asarray(rows, dtype=np.float64) for rows in metric.rows(trajectories))
    if value.shape != (len(trajectories),) or weight.shape != value.shape:
        raise DialogGymError(
            f"metric {metric.name!r} gave rows of shapes {value.shape} and {weight.shape} "
            f"for {len(trajectories)} dialogues"
        )
    return value, weight


def score_all(
    trajectories: Sequence[Trajectory],
    resamples: int = 10_000,
    seed: int = 0,
    names: Sequence[str] | None = None,
    metrics: Metrics | None = None,
) -> dict[str, Score]:
    """Every metric's value with its 95 % interval: tasks resampled inside their scenario (`stats.scores`).

    Arguments as in `rows_matrix` and `stats.scores`. A metric judged nowhere has the value NaN and ``n=0``.
    """
    found = rows_matrix(trajectories, names, metrics)
    scores = stats.scores(found.values, found.weights, found.strata, found.clusters, resamples, seed)
    return dict(zip(found.names, scores, strict=True))


def detectable_difference(trajectories: Sequence[Trajectory], metric: str) -> float:
    """The difference between two agents, each run on this many dialogues, that is found with probability 0.8.

    In units of the metric, at the 5 % level; NaN where the metric is judged nowhere. See
    `stats.smallest_detectable_difference`.
    """
    found = rows_matrix(trajectories, [metric])
    return stats.smallest_detectable_difference(
        found.values[:, 0], found.weights[:, 0], found.strata, found.clusters
    )
