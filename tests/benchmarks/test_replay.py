"""Replay: an honest store plays again to the letter; any change that matters is found."""

import pytest

from dialog_gym.benchmarks.evaluate import RunConfig, evaluate
from dialog_gym.benchmarks.replay import first_difference, replay_store
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError
from dialog_gym.store import read_store, write_store

SUITE = load_suite("credit-v1")
EPISODES = 40  # four trials a task, and at most tasks nobody answers


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """An honest store of the scripted agent."""
    path = tmp_path_factory.mktemp("replay") / "scripted.jsonl"
    evaluate(RunConfig(SUITE, "scripted", EPISODES, seed=2), store=path, workers=1)
    return path


def longest(trajectories):
    """The longest sale: figures are quoted in it."""
    sales = [i for i, one in enumerate(trajectories) if one.task.scenario == "proactive_sale"]
    return max(sales, key=lambda i: len(trajectories[i].turns))


EVERYWHERE = ("scripted", "random", "silent", "oracle")


@pytest.mark.parametrize(
    ("suite", "agent"),
    [
        *(("credit-v1", agent) for agent in (*EVERYWHERE, "parrot", "flood", "quote-first")),
        *(("multiwoz-v1", agent) for agent in EVERYWHERE),
    ],
)
def test_honest_stores_replay(suite, agent, tmp_path):
    path = tmp_path / "run.jsonl"
    config = RunConfig(load_suite(suite), agent, EPISODES, seed=2)
    _, played = evaluate(config, store=path, workers=1)
    seen = []
    report = replay_store(path, lambda *at: seen.append(at))
    assert report.ok, report.mismatches[:3]
    assert (report.dialogues, report.turns) == (EPISODES, sum(len(one.turns) for one in played))
    assert seen == [(number, EPISODES) for number in range(1, EPISODES + 1)]
    # its act notation is worded and may be read otherwise; what others say is read as it was
    assert report.as_acts == 0 or agent in ("random", "flood")


def test_a_run_with_domain_options_replays(tmp_path):
    config = RunConfig(
        SUITE,
        "scripted",
        6,
        level=8,
        domain_options={"max_turns": 5, "styles": ["sceptical"], "difficulty": {"trust": 0.4}},
    )
    evaluate(config, store=tmp_path / "run.jsonl", workers=1)
    assert replay_store(tmp_path / "run.jsonl").ok


def turn_changed(one, role, old, new):
    """The dialogue with the first ``old`` in a turn of a role replaced."""
    turns = list(one.turns)
    at = next(i for i, turn in enumerate(turns) if turn.role == role and old in turn.text)
    turns[at] = turns[at].model_copy(update={"text": turns[at].text.replace(old, new, 1)})
    return one.model_copy(update={"turns": tuple(turns)})


def digit_changed(one):
    """The dialogue with one digit of an assistant's figure changed."""
    turns = list(one.turns)
    at = next(
        i
        for i, turn in enumerate(turns)
        if turn.role == "assistant" and any(c in "123456789" for c in turn.text)
    )
    text = turns[at].text
    place = next(i for i, c in enumerate(text) if c in "123456789")
    digit = "1" if text[place] != "1" else "2"
    turns[at] = turns[at].model_copy(update={"text": text[:place] + digit + text[place + 1 :]})
    return one.model_copy(update={"turns": tuple(turns)})


def acts_changed(one):
    turns = list(one.turns)
    at = next(i for i, turn in enumerate(turns) if turn.role == "assistant" and turn.acts)
    turns[at] = turns[at].model_copy(update={"acts": turns[at].acts[:-1]})
    return one.model_copy(update={"turns": tuple(turns)})


def first_entry(rows, **change):
    return ({**rows[0], **change}, *rows[1:])


def outcome_changed(one, **change):
    return one.model_copy(update={"outcome": {**one.outcome, **change}})


def task_changed(one, **change):
    return one.model_copy(update={"task": one.task.model_copy(update=change)})


def goal_changed(one):
    goal = one.task.goal
    persona = {**goal.persona, "trust": float(goal.persona["trust"]) + 0.01}
    return task_changed(one, goal=goal.model_copy(update={"persona": persona}))


def profile_changed(one):
    profile = one.task.profile
    return task_changed(
        one, profile=profile.model_copy(update={"attributes": {**profile.attributes, "age": 99}})
    )


CHANGES = {
    "a figure the agent said": digit_changed,
    "a letter the user said": lambda one: turn_changed(one, "user", "e", "a"),
    "the acts of an agent's turn": acts_changed,
    "a last turn left out": lambda one: one.model_copy(update={"turns": one.turns[:-1]}),
    "a turn too many": lambda one: one.model_copy(update={"turns": (*one.turns, one.turns[-1])}),
    "a reward": lambda one: one.model_copy(update={"rewards": first_entry(one.rewards, progress=0.9)}),
    "a cost": lambda one: one.model_copy(update={"costs": first_entry(one.costs, mis_sale=1.0)}),
    "a state": lambda one: one.model_copy(update={"states": first_entry(one.states, trust=0.123)}),
    "an outcome": lambda one: outcome_changed(one, converted=not one.outcome["converted"]),
    "a simulator error hidden": lambda one: outcome_changed(one, simulator_audited=0),
    "the end": lambda one: one.model_copy(update={"ended_by": "handed_over"}),
    "the seed": lambda one: one.model_copy(update={"seed": one.seed + 1}),
    "the trial": lambda one: one.model_copy(update={"trial": one.trial + 50}),
    "the task's level": lambda one: task_changed(one, level=0),
    "the task's guidelines": lambda one: task_changed(one, guidelines=one.task.guidelines + " Be kind."),
    "the task's turns": lambda one: task_changed(one, max_turns=11),
    "the user's trust": goal_changed,
    "the customer's age": profile_changed,
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found(store, tmp_path, change):
    found = read_store(store)
    at = longest(found.trajectories)
    altered = list(found.trajectories)
    altered[at] = CHANGES[change](altered[at])
    path = tmp_path / "altered.jsonl"
    write_store(path, found.header, altered)
    report = replay_store(path)
    assert not report.ok and report.dialogues == EPISODES
    assert {line.split(" trial ")[0] for line in report.mismatches} == {altered[at].task.id}
    assert all("\n" not in line and len(line) < 400 for line in report.mismatches)


def test_where_two_records_differ_first(store):
    one = read_store(store).trajectories[0]
    assert first_difference(one, one) is None
    assert first_difference(one, one.model_copy(update={"ended_by": "error"})).startswith(
        "ended_by is 'error'"
    )
    assert "turns, stored" in first_difference(one, one.model_copy(update={"turns": one.turns[:-1]}))


def test_another_shop_is_refused_in_one_line(store, tmp_path):
    found = read_store(store)
    config = {**found.header.config, "domain_hash": "0" * 16}
    header = type(found.header)(**{**found.header.model_dump(exclude={"config_hash"}), "config": config})
    path = tmp_path / "other.jsonl"
    write_store(path, header, found.trajectories)
    with pytest.raises(
        DialogGymError, match=r"made with domain 0000000000000000, this is \w+; replay it"
    ) as caught:
        replay_store(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text("hello\n")
    with pytest.raises(DialogGymError, match="not a trajectory store"):
        replay_store(tmp_path / "x.jsonl")
    with pytest.raises(DialogGymError, match="no such file"):
        replay_store(tmp_path / "y.jsonl")
