import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym import metrics, plugins, stats
from dialog_gym.core import (
    DialogGymError,
    DialogueAct,
    EndReason,
    Goal,
    Metric,
    Task,
    Trajectory,
    Turn,
    UserProfile,
)
from dialog_gym.metrics import METRICS, pass_k, rows_matrix, score_all

FACTS: dict[str, Any] = {
    "scenario": "proactive_sale", "level": 3, "style": "default", "reached": True, "buyer": True,
    "solvable": True, "converted": False, "mis_sold": False, "resolved": False, "refused": False,
    "success": False, "handed_over": False, "tse": 0.5, "esndcg": 0.25, "satisfaction": 3.0, "violations": "",
    "violation_count": 0, "right_claims": 0, "wrong_claims": 0, "right_verdicts": 0, "wrong_verdicts": 0,
    "declined": 0, "human_requests": 0, "offered": 0, "turns": 1, "simulator_audited": 0,
    "simulator_errors": 0,
}  # fmt: skip


def act(intent: str, **slots: Any) -> DialogueAct:
    return DialogueAct(intent=intent, slots=slots)


def said(role: Any, *acts: DialogueAct, text: str = "Hello there, how are you?") -> Turn:
    return Turn(role=role, text=text, acts=acts)


def episode(
    task: str = "t0",
    trial: int = 0,
    turns: Sequence[Turn] = (said("assistant"),),
    ended_by: EndReason = "user_hung_up",
    outcome: dict[str, Any] | None = None,
    level: int = 3,
    domain: str = "toy",
    **facts: Any,
) -> Trajectory:
    found = {**FACTS, **facts} if outcome is None else outcome
    return Trajectory(
        task=Task(
            id=task, domain=domain, scenario=str(found.get("scenario", "chat")), split="test", level=level,
            profile=UserProfile(id="u", attributes={}), goal=Goal(need="loan"),
        ),
        agent="a", seed=0, trial=trial, turns=tuple(turns), rewards=(), costs=(), ended_by=ended_by,
        outcome=found,
    )  # fmt: skip


def service(task: str = "s0", **facts: Any) -> Trajectory:
    return episode(task, **{"scenario": "customer_service", **facts})


def value(name: str, *episodes: Trajectory) -> float:
    return score_all(episodes, resamples=10, names=[name])[name].value


UNREACHED = episode("t9", ended_by="not_reached", reached=False)
SHOPS = (
    episode("t0", converted=True, success=True, offered=2, tse=1.0, right_claims=3, right_verdicts=1),
    episode(
        "t1", mis_sold=True, violations="mis_sale,wrong_limit", violation_count=3, wrong_claims=1, offered=1
    ),
    episode("t2", solvable=False, refused=True, success=True, buyer=False, tse=0.0, wrong_verdicts=1),
    episode(
        "t3",
        solvable=False,
        violations="pressure,early_data,undisclosed_terms,false_promise",
        violation_count=5,
    ),
    UNREACHED,
    service("s0", resolved=True, success=True, satisfaction=5.0, simulator_audited=4, simulator_errors=1),
    service("s1", handed_over=True, violations="wrong_rate", violation_count=1, simulator_audited=4),
    episode("t8", ended_by="error", outcome={}),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conversion", 1 / 5), ("reached_conversion", 1 / 4), ("net_conversion", 0.0), ("resolution", 1 / 2),
        ("success", 3 / 6), ("tse", (1 + 0.5 + 0 + 0.5 + 0.5 + 0.5) / 6), ("esndcg", 0.25),
        ("violation_rate", 3 / 6), ("violations_per_dialogue", 9 / 6), ("mis_sale_rate", 1 / 4),
        ("wrong_claim_rate", 2 / 6), ("undisclosed_terms_rate", 1 / 6), ("pressure_rate", 1 / 6),
        ("early_data_rate", 1 / 6),
        ("false_promise_rate", 1 / 6), ("eligibility_accuracy", 1 / 2), ("numeric_accuracy", 3 / 4),
        ("satisfaction", (4 * 3 + 5 + 3) / 6), ("handover_rate", 1 / 6), ("turns", 1.0),
        ("honest_refusal", 1 / 2), ("buyer_conversion", 1 / 2), ("non_buyer_acceptance", 0.0),
        ("ended_user_hung_up", 6 / 7),
        ("ended_not_reached", 1 / 7), ("ended_accepted", 0.0), ("voided", 1 / 8),
        ("simulator_error_rate", 1 / 8), ("concession", 3 / 4), ("level", 3.0), ("pass_1", 3 / 6),
    ],
)  # fmt: skip
def test_definitions_by_hand(name: str, expected: float) -> None:
    assert value(name, *SHOPS) == pytest.approx(expected)


def test_non_buyers_and_levels() -> None:
    others = (
        episode(buyer=False, mis_sold=True, level=1),
        episode("t1", buyer=False, converted=True, level=4),
    )
    assert value("non_buyer_acceptance", *others, episode("t2", buyer=False, level=1)) == pytest.approx(2 / 3)
    assert value("level", *others) == 2.5


def test_every_metric_is_a_metric() -> None:
    reasons = {f"ended_{reason}" for reason in get_args(EndReason)} - {"ended_error"}
    assert reasons < set(METRICS)
    for name, metric in METRICS.items():
        checked: Metric = metric
        rows, weights = checked.rows(SHOPS)
        assert checked.name == name and rows.shape == weights.shape == (len(SHOPS),)
        assert np.isfinite(rows).all() and (weights >= 0).all()
        assert weights[-1] == (name == "voided")
    assert metrics.HIGHER_IS_BETTER["tse"] and metrics.HIGHER_IS_BETTER["ended_resolved"]
    for name in ("violation_rate", "voided", "turns", "false_close", "ended_user_hung_up"):
        assert not metrics.HIGHER_IS_BETTER[name]


def test_other_domains_have_weight_0_where_facts_are_missing() -> None:
    found = score_all([episode(outcome={}), episode("t1", outcome={"tse": None})], resamples=10)
    judged = {name for name, score in found.items() if score.n}
    assert {"turns", "level", "voided", "naturalness", "ended_user_hung_up"} <= judged
    assert not judged & {
        "conversion",
        "tse",
        "success",
        "pass_1",
        "violation_rate",
        "numeric_accuracy",
        "rouge",
    }


def test_false_closes_and_user_caused_turns() -> None:
    close, accepts = said("assistant", act("offer"), act("close")), said("user", act("accept"))
    unclear, corrects = said("user", act("unclear"), act("ask")), said("user", act("correct"))
    turns = [close, said("user", act("object")), close, accepts, said("assistant"), accepts, close]
    turns += [close, unclear, said("assistant"), corrects, close]
    assert value("false_close", episode(turns=turns)) == pytest.approx(4 / 5)
    assert value("user_caused_turns", episode(turns=turns)) == pytest.approx(2 / 5)
    assert math.isnan(value("false_close", episode()))


class TestPassK:
    def trials(self, task: str, *wins: bool) -> list[Trajectory]:
        return [episode(task, trial, success=won) for trial, won in enumerate(wins)]

    def test_by_hand(self) -> None:
        found = [*self.trials("a", True, True, True, False), *self.trials("b", True, True), UNREACHED]
        rows, weights = pass_k(found, 2)
        assert list(weights) == [1, 0, 0, 0, 1, 0, 0]
        assert rows[0] == pytest.approx(1 / 2) and rows[4] == 1.0
        assert [value(f"pass_{k}", *found) for k in (1, 3, 4)] == pytest.approx([(0.75 + 1) / 2, 0.25, 0.0])

    def test_value_stands_at_the_first_trial_whatever_the_order(self) -> None:
        found = self.trials("a", True, False, True)
        assert list(pass_k(found[::-1], 1)[1]) == [0, 0, 1]

    def test_void_trials_do_not_count(self) -> None:
        found = [episode("a", 0, ended_by="error"), *self.trials("a", True, True)[1:]]
        assert list(pass_k(found, 1)[1]) == [0, 1]
        assert pass_k(found, 2)[1].sum() == 0

    def test_bad_k_and_nothing(self) -> None:
        with pytest.raises(DialogGymError, match="k >= 1"):
            pass_k(self.trials("a", True), 0)
        assert pass_k([], 2)[0].shape == (0,)


class TestMatrix:
    def test_shape_labels_and_order(self) -> None:
        found = rows_matrix(SHOPS, ["tse", "voided"])
        assert found.names == ("tse", "voided") and found.values.shape == found.weights.shape == (8, 2)
        assert list(found.strata)[:2] == ["proactive_sale"] * 2 and found.clusters[5] == "s0"
        assert (found.values[found.weights == 0] == 0).all()

    def test_columns_are_the_metrics_rows(self) -> None:
        found = rows_matrix(SHOPS, metrics=METRICS)
        assert found.names == tuple(METRICS)
        for i, (name, metric) in enumerate(METRICS.items()):
            rows, weights = metric.rows(SHOPS)
            assert np.array_equal(found.weights[:, i], weights), name
            assert np.array_equal(found.values[:, i], np.where(weights > 0, rows, 0.0)), name

    def test_unknown_name_suggests(self) -> None:
        with pytest.raises(
            DialogGymError, match=r"unknown metric 'conversions'; did you mean 'conversion'\?"
        ):
            rows_matrix(SHOPS, ["conversions"])

    def test_nothing(self) -> None:
        found = score_all([], resamples=10)
        assert set(found) == set(METRICS) and all(score.n == 0 for score in found.values())


def test_scores_have_intervals_by_task_inside_scenario() -> None:
    found = rows_matrix(SHOPS)
    direct = stats.scores(found.values, found.weights, found.strata, found.clusters, 200, 1)
    assert list(score_all(SHOPS, 200, 1).values())[:20] == direct[:20]
    score = score_all(SHOPS, resamples=200)["success"]
    assert score.n == 6 and score.low <= score.value <= score.high


def test_detectable_difference_shrinks_with_the_dialogues() -> None:
    few = [episode(f"t{i}", tse=float(i % 2)) for i in range(20)]
    many = [episode(f"t{i}", tse=float(i % 2)) for i in range(80)]
    assert metrics.detectable_difference(many, "tse") < metrics.detectable_difference(few, "tse")
    assert math.isnan(metrics.detectable_difference(few, "pass_4"))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_outcome_gives_finite_rows(data: st.DataObject) -> None:
    scalars = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=3)
    facts = {
        name: data.draw(st.sampled_from([FACTS[name]]) | scalars)
        for name in data.draw(st.sets(st.sampled_from(list(FACTS))))
    }
    found = rows_matrix([episode(outcome=facts)], metrics=METRICS)
    assert np.isfinite(found.values).all() and np.isfinite(found.weights).all()


class Loud:
    name = "exclamations"
    higher_is_better = False

    def rows(self, trajectories: Sequence[Trajectory]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([t.turns[0].text.count("!") for t in trajectories]), np.ones(len(trajectories))


class TestPlugins:
    def install(self, monkeypatch: pytest.MonkeyPatch, plugin: Any) -> None:
        names, load = plugins.names, plugins.load
        monkeypatch.setattr(plugins, "names", lambda kind: ["extra"] if kind == "metrics" else names(kind))
        monkeypatch.setattr(
            plugins, "load", lambda kind, name: plugin if kind == "metrics" else load(kind, name)
        )

    @pytest.mark.parametrize("plugin", [Loud, Loud()])
    def test_join_the_set(self, monkeypatch: pytest.MonkeyPatch, plugin: Any) -> None:
        self.install(monkeypatch, plugin)
        assert list(metrics.all_metrics()) == [*METRICS, "exclamations"]
        assert value("exclamations", episode(turns=[said("assistant", text="No!!")])) == 2.0

    def test_bad_ones_are_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, object())
        with pytest.raises(DialogGymError, match="metric plug-in 'extra' has no 'name'"):
            metrics.all_metrics()
        taken = Loud()
        taken.name = "tse"
        self.install(monkeypatch, taken)
        with pytest.raises(DialogGymError, match="'tse' is taken"):
            metrics.all_metrics()
        short = Loud()
        short.rows = lambda trajectories: (np.zeros(1), np.zeros(1))  # type: ignore[method-assign]
        with pytest.raises(DialogGymError, match=r"'exclamations' gave rows of shapes \(1,\)"):
            rows_matrix(SHOPS, metrics={"exclamations": short})
