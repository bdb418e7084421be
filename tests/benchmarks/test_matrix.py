"""The cross-simulator matrix: every agent against every user, and what agents keep when the users change."""

import math

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.benchmarks import matrix, matrix_kept
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play_many


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    names = ("agenda", "agenda?verbosity=terse")
    return matrix.run_matrix(
        ["scripted", "always-close"], names, load_suite("credit-v1"), folder, episodes=60, workers=1
    ), folder


def test_every_agent_meets_every_user(found):
    table, folder = found
    assert len(table.cells) == 4 and len(list(folder.glob("*.jsonl"))) == 4
    assert table.metrics[0] == load_suite("credit-v1").rank_by
    assert {"buyer_conversion", "non_buyer_acceptance", "simulator_error_rate"} <= set(table.metrics)
    assert table.score("scripted", "agenda", "simulator_error_rate").value == 0
    with pytest.raises(KeyError):
        table.score("scripted", "nobody", "success")


def test_tables_and_heat_map(found):
    table, folder = found
    for path in matrix.write_matrix(table, folder):
        assert path.stat().st_size > 500
    page = (folder / "matrix.html").read_text("utf-8")
    assert page.count("<table>") == len(table.metrics) and "http" not in page
    assert page.count("<td style") == 4 * len(table.metrics)
    stored = matrix.Matrix.model_validate_json((folder / "matrix.json").read_text("utf-8"))
    assert stored.model_dump_json() == table.model_dump_json()
    assert "| scripted |" in (folder / "matrix.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("agents", "users", "line"),
    [
        (["scripted", "scriptd"], ["agenda"], "did you mean 'scripted'"),
        (["scripted"], ["agenda", "agendo"], "did you mean 'agenda'"),
        (["scripted", "no/such/run"], ["agenda"], "no such folder"),
    ],
)
def test_names_are_checked_before_anything_is_played(agents, users, line, tmp_path):
    with pytest.raises(DialogGymError, match=line):
        matrix.run_matrix(agents, users, load_suite("credit-v1"), tmp_path, episodes=2)
    assert not list(tmp_path.iterdir())


# -- what agents keep


def test_what_is_kept_is_relative_to_the_first_users(found):
    table, folder = found
    assert [(one.agent, one.simulator, one.before) for one in table.kept] == [
        (agent, "agenda?verbosity=terse", "agenda") for agent in ("scripted", "always-close")
    ]
    (one, _) = table.kept
    assert one.metric == "buyer_conversion"
    before, after = (table.score("scripted", name, one.metric) for name in table.simulators)
    assert one.n == before.n == after.n
    if not math.isnan(one.ratio):
        assert one.ratio == pytest.approx(after.value / before.value)
        assert one.low <= one.ratio <= one.high
    for page in ("matrix.md", "matrix.html"):
        text = (folder / page).read_text("utf-8")
        assert text.count("scripted: agenda?verbosity=terse") == 1
        assert "buyer_conversion relative to agenda" in text


@pytest.mark.parametrize(
    ("low", "ratio", "high", "verdict"),
    [
        (0.8, 0.9, 1.0, "does not collapse"),
        (0.1, 0.2, 0.4, "collapses"),
        (0.3, 0.6, 0.9, "not known, the interval is too wide"),
        (math.nan, math.nan, math.nan, "not known, too few conversions with a to compare"),
    ],
)
def test_the_verdict_is_the_intervals(low, ratio, high, verdict):
    one = matrix_kept.Kept(
        agent="x", simulator="b", before="a", metric="m", ratio=ratio, low=low, high=high, n=9
    )
    assert one.verdict == verdict and str(one).endswith(f": {verdict}") and str(one).startswith("b")
    head, line = matrix_kept.lines([one])
    assert head.startswith("m relative to a ") and line == f"x: {one}"
    assert matrix_kept.lines([]) == []


def test_an_agent_that_fails_with_other_users_collapses():
    """By hand: 60 sales that all convert, of which a tenth is left."""
    env = DialogueEnv(split="test", level=0)
    found = play_many(env.begin_many(range(60), range(60)), load_agent("oracle"))
    won = [
        one.outcome | {"converted": True, "reached": True, "buyer": True, "solvable": True} for one in found
    ]
    lost = [one | {"converted": number % 10 == 0} for number, one in enumerate(won)]
    sides = tuple(
        [one.model_copy(update={"outcome": outcome}) for one, outcome in zip(found, side, strict=True)]
        for side in (won, lost)
    )
    one = matrix_kept.kept("x", ("a", "b"), "buyer_conversion", sides)
    assert (one.n, one.ratio, one.verdict) == (60, pytest.approx(0.1), "collapses")
    same = matrix_kept.kept("x", ("a", "b"), "buyer_conversion", (sides[0], sides[0]))
    assert (same.low, same.ratio, same.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("agents", "users"), [([], ["agenda"]), (["scripted"], ["agenda", "agenda"])])
def test_names_are_given_once(agents, users, tmp_path):
    with pytest.raises(DialogGymError, match="once"):
        matrix.run_matrix(agents, users, load_suite("credit-v1"), tmp_path, episodes=2)
