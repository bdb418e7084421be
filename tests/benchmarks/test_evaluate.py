"""Evaluation: what is played, stored, resumed and scored."""

import math

import pytest

from dialog_gym.agents.base import Agent
from dialog_gym.benchmarks import evaluate as module
from dialog_gym.benchmarks.evaluate import RunConfig, default_store, evaluate, grade
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError
from dialog_gym.metrics import HIGHER_IS_BETTER
from dialog_gym.store import key_of, read_store, write_store

SUITE = load_suite("credit-v1")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of the scripted agent: config, store, result, dialogues."""
    config = RunConfig(SUITE, "scripted", episodes=30, seed=1)
    store = tmp_path_factory.mktemp("run") / "scripted.jsonl"
    return config, store, *evaluate(config, store=store, workers=1)


def same_scores(first, second):
    return repr(sorted(first.items())) == repr(sorted(second.items()))  # a score may be NaN


def test_a_run_and_its_grading(run):
    _, store, result, played = run
    assert [key_of(one) for one in played] == sorted(key_of(one) for one in played)
    assert played == read_store(store).trajectories and len(played) == result.episodes == 30
    assert (result.agent, result.suite, result.seed, result.trials) == (
        "scripted",
        "credit-v1",
        1,
        SUITE.trials,
    )
    assert result.scores.keys() == result.higher_is_better.keys() == HIGHER_IS_BETTER.keys()
    assert not result.reference and result.trajectories == str(store) and result.wall_seconds > 0
    for name, score in result.scores.items():
        assert math.isnan(score.value) == (score.n == 0), name
        assert score.n == 0 or score.low <= score.value <= score.high, name
    graded = grade(store)
    assert same_scores(graded.scores, result.scores)
    assert (graded.agent, graded.suite, graded.simulator, graded.episodes) == (
        "scripted",
        "credit-v1",
        "agenda",
        30,
    )
    assert {"python", "numpy", "gymnasium", "domain", "dialog-gym"} == result.versions.keys()


def test_every_dialogue_is_its_episodes(run):
    config, _, _, played = run
    keys = {(module.task_id(config, key), key.trial): key.seed for key in SUITE.episodes(30, 1)}
    assert {key_of(one): one.seed for one in played} == keys
    for one in played:
        assert one.agent == "scripted" and one.task.split == "test" and one.task.level == SUITE.level
        assert len(one.rewards) == len(one.costs) == len(one.states) == one.outcome["turns"]
        assert one.ended_by != "error"


def test_the_header_says_what_was_run(run):
    config, store, _, _ = run
    header = read_store(store).header
    assert header == config.header("scripted") and header.config["episodes"] == 30
    assert header.config["domain_hash"] and header.simulator_hash
    others = [RunConfig(SUITE, "scripted", 30, 1, level=4), RunConfig(SUITE, "scripted", 31, 1)]
    others.append(RunConfig(SUITE, "scripted", 30, 1, domain_options={"max_turns": 5}))
    assert len({other.header("scripted").config_hash for other in [config, *others]}) == 4


class Counting(Agent):
    """Greets, and counts the dialogues it is given."""

    name = "counting"
    started = 0
    fails_at = None

    def begin(self):
        type(self).started += 1

    def reply(self, observation):
        if type(self).started == type(self).fails_at:
            raise RuntimeError("out of memory")
        return "goodbye()"


def test_a_killed_run_resumes_without_playing_again(tmp_path):
    config, store = RunConfig(SUITE, "counting", episodes=300), tmp_path / "run.jsonl"
    Counting.started, Counting.fails_at = 0, 150
    with pytest.raises(
        DialogGymError, match=r"the agent failed on task credit/.*: RuntimeError: out of memory"
    ):
        evaluate(config, agent=Counting(), store=store)
    finished = len(read_store(store).trajectories)
    assert 0 < finished < 150
    Counting.started, Counting.fails_at = 0, None
    seen = []
    _, played = evaluate(
        config, agent=Counting(), store=store, resume=True, on_progress=lambda *at: seen.append(at)
    )
    assert (Counting.started, len(played)) == (300 - finished, 300)
    assert seen[0] == (finished, 300) and seen[-1] == (300, 300) and seen == sorted(seen)
    whole = tmp_path / "whole.jsonl"
    evaluate(config, agent=Counting(), store=whole)
    assert whole.read_bytes() == store.read_bytes()


def test_only_the_same_run_is_resumed(run, tmp_path):
    _, store, _, played = run
    copy = tmp_path / "copy.jsonl"
    write_store(copy, read_store(store).header, played)
    before = copy.read_bytes()
    with pytest.raises(DialogGymError, match="cannot be resumed: seed is 1 in the file and 2 now"):
        evaluate(RunConfig(SUITE, "scripted", 30, 2), store=copy, resume=True, workers=1)
    with pytest.raises(
        DialogGymError, match="cannot be resumed: agent is 'scripted' in the file and 'stall' now"
    ):
        evaluate(RunConfig(SUITE, "stall", 30, 1), store=copy, resume=True, workers=1)
    assert copy.read_bytes() == before


def test_a_packed_store_holds_the_same_run(run, tmp_path):
    config, _, result, played = run
    packed = tmp_path / "scripted.jsonl.gz"
    again, dialogues = evaluate(config, store=packed, workers=1)
    assert dialogues == played and same_scores(again.scores, result.scores)
    assert [path.name for path in tmp_path.iterdir()] == [packed.name]
    assert evaluate(config, store=packed, workers=1, resume=True)[1] == played


class Peeping(Counting):
    """Sees hidden state, under a name nobody knows."""

    name = "innocent"
    sees_hidden_state = True

    def reply(self, observation):
        assert observation.hidden is not None
        return "goodbye()"


def test_whoever_sees_hidden_state_is_a_reference_for_ever(tmp_path):
    store = tmp_path / "run.jsonl"
    result, _ = evaluate(RunConfig(SUITE, "x", episodes=2), agent=Peeping(), store=store)
    assert result.reference and result.agent == "innocent" and grade(store).reference


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"agent": "scriptd"}, "did you mean 'scripted'"),
        ({"simulator": "agend"}, "did you mean 'agenda'"),
        ({"level": 10}, "from 0 to 9"),
        ({"episodes": 0}, "episodes must be from 1"),
        ({"domain_options": {"max_trns": 5}}, "did you mean 'max_turns'"),
    ],
)
def test_wrong_settings_are_named(tmp_path, change, hint):
    with pytest.raises(DialogGymError, match=hint):
        evaluate(
            RunConfig(**{"suite": SUITE, "agent": "silent", "episodes": 2, **change}),
            store=tmp_path / "x.jsonl",
        )


class Wrong(Agent):
    """Answers with no text."""

    name = "wrong"

    def reply(self, observation):
        return 5


def test_an_agent_that_returns_no_text(tmp_path):
    with pytest.raises(DialogGymError, match=r"the agent returned int, not a text"):
        evaluate(RunConfig(SUITE, "wrong", episodes=1), agent=Wrong(), store=tmp_path / "x.jsonl")


def test_an_empty_store_is_not_graded(run, tmp_path):
    empty = tmp_path / "empty.jsonl"
    write_store(empty, run[0].header("scripted"), [])
    with pytest.raises(DialogGymError, match="holds no dialogue"):
        grade(empty)


def test_default_stores_have_safe_names():
    path = default_store(RunConfig(SUITE, "x", seed=4), "../my agent.py:Bot")
    assert path.as_posix() == "runs/credit-v1/..-my-agent.py-Bot-seed4.jsonl"
