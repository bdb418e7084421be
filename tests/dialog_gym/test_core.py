"""The records: what is written to disk comes back exactly, and nothing unknown gets in."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import dialog_gym
from dialog_gym import core
from dialog_gym.core import DialogueAct, Goal, Observation, Result, Score, Task, Trajectory, Turn, UserProfile

NAN = float("nan")
RECORDS = (DialogueAct, Turn, UserProfile, Goal, Task, Trajectory, Score, Result)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
slots = st.dictionaries(texts, scalars, max_size=3)
acts = st.builds(DialogueAct, intent=texts, slots=slots)
turns = st.builds(
    Turn,
    role=st.sampled_from(["user", "assistant"]),
    text=texts,
    acts=st.lists(acts, max_size=2).map(tuple),
    thought=st.none() | texts,
)
tasks = st.builds(
    Task,
    id=texts,
    domain=texts,
    scenario=texts,
    split=texts,
    level=st.integers(0, 9),
    profile=st.builds(UserProfile, id=texts, attributes=slots),
    goal=st.builds(
        Goal, need=texts, constraints=slots, requests=st.lists(texts, max_size=2).map(tuple), persona=slots
    ),
    guidelines=texts,
    max_turns=st.integers(1, 99),
)
named = st.dictionaries(texts, st.floats(), max_size=3)
trajectories = st.builds(
    Trajectory,
    task=tasks,
    agent=texts,
    seed=st.integers(0, 2**63),
    trial=st.integers(0, 3),
    turns=st.lists(turns, max_size=3).map(tuple),
    rewards=st.lists(named, max_size=2).map(tuple),
    costs=st.lists(named, max_size=2).map(tuple),
    ended_by=st.sampled_from(core.EndReason.__args__),
    outcome=slots,
    states=st.lists(st.dictionaries(texts, st.lists(texts, max_size=2) | st.floats()), max_size=2).map(tuple),
    versions=st.dictionaries(texts, texts, max_size=2),
)
scores = st.builds(Score, value=st.floats(), low=st.floats(), high=st.floats(), n=st.integers(0, 10**6))
results = st.builds(
    Result,
    agent=texts,
    suite=texts,
    suite_version=st.integers(1, 9),
    simulator=texts,
    backbone=st.none() | st.sampled_from(["net", "lm"]),
    scores=st.dictionaries(texts, scores, max_size=3),
    higher_is_better=st.dictionaries(texts, st.booleans(), max_size=3),
    wall_seconds=st.floats(0, 1e9),
)


def same(a, b):
    """Equality that tells 1 from 1.0 and True, 0.0 from -0.0, and finds NaN equal to NaN."""
    if isinstance(a, core.Record):
        return type(a) is type(b) and same(dict(a), dict(b))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


@settings(max_examples=150)
@given(st.one_of(trajectories, results, tasks))
def test_json_round_trip_is_exact(record):
    text = record.model_dump_json()
    again = type(record).model_validate_json(text)
    assert same(again, record)
    assert again.model_dump_json() == text


@pytest.mark.parametrize(
    "value", [NAN, math.inf, -math.inf, -0.0, 0, 0.0, True, 1, 1.0, 2**70, 5e-324, None, "1", "NaN"]
)
def test_awkward_scalars_survive(value):
    act = DialogueAct(intent="x", slots={"value": value})
    assert same(DialogueAct.model_validate_json(act.model_dump_json()), act)
    assert same(DialogueAct.model_validate(json.loads(act.model_dump_json())), act)


def test_nan_is_written_as_a_constant():
    assert (
        Score(value=NAN, low=NAN, high=NAN, n=0).model_dump_json()
        == '{"value":NaN,"low":NaN,"high":NaN,"n":0}'
    )


def example(kind):
    """A small valid record of a kind, as plain data."""
    profile = {"id": "p", "attributes": {"age": 30}}
    task = {"id": "t", "domain": "credit", "scenario": "s", "split": "test", "level": 0, "profile": profile,
            "goal": {"need": "credit"}}  # fmt: skip
    return {
        DialogueAct: {"intent": "greet"},
        Turn: {"role": "user", "text": "hi"},
        UserProfile: profile,
        Goal: {"need": "credit"},
        Task: task,
        Trajectory: {"task": task, "agent": "a", "seed": 0, "turns": [], "rewards": [], "costs": [],
                     "ended_by": "accepted"},
        Score: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10},
        Result: {"agent": "a", "suite": "s", "suite_version": 1, "simulator": "agenda", "scores": {}},
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", RECORDS)
def test_unknown_keys_are_refused(kind):
    kind.model_validate(example(kind))
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind.model_validate({**example(kind), "surprise": 1})


@pytest.mark.parametrize("kind", RECORDS)
def test_records_are_frozen(kind):
    record = kind.model_validate(example(kind))
    for name in kind.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(record, name, None)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Turn, {"role": "system"}),
        (Turn, {"text": 5}),
        (Task, {"level": 10}),
        (Task, {"level": -1}),
        (Task, {"max_turns": 0}),
        (Trajectory, {"ended_by": "bored"}),
        (DialogueAct, {"slots": {"a": [1]}}),
        (Result, {"backbone": "cnn"}),
    ],
)
def test_wrong_values_are_refused(kind, change):
    with pytest.raises(ValidationError):
        kind.model_validate({**example(kind), **change})


def test_the_public_names_are_the_core_types():
    assert {name for name in dialog_gym.__all__ if name != "__version__"} <= set(vars(core))
    assert dialog_gym.__version__[0].isdigit()
    assert Observation(dialogue=(), profile={}, guidelines="").hidden is None


def test_agents_and_simulators_are_told_by_their_methods():
    from dialog_gym.agents.trivial import Silent
    from dialog_gym.simulators.agenda import AgendaSimulator

    assert isinstance(Silent(), core.AgentProtocol) and isinstance(AgendaSimulator(), core.UserSimulator)
    assert not isinstance(object(), core.AgentProtocol)
