"""A served model as the judge of the language measures."""

import json
import math

import pytest

from dialog_gym import cli
from dialog_gym.benchmarks.judge import judge_store, read_scores
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_options import ChatOptions
from dialog_gym.core import DialogGymError
from dialog_gym.language import LANGUAGE_REWARDS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("judged") / "run.jsonl"
    arguments = ["evaluate", "--agent", "scripted", "--episodes", "25", "--workers", "1", "--out", str(path)]
    assert cli.run(arguments) == 0
    return path


def opinion(asked):
    """Judges by the length of the turn: different for each, and the same every time."""
    turn = asked["messages"][1]["content"].split("Turn to judge:\nassistant: ")[1].split("\n\nReference")[0]
    scores = dict.fromkeys(LANGUAGE_REWARDS, (len(turn) % 50) / 50)
    return f"<think>hm</think>```json\n{json.dumps(scores | {'coverage': None})}\n```"


def options(found, **more):
    return ChatOptions("tiny", base_url=found.url, backoff=0.001, **more)


def test_turns_are_judged_and_compared(chat_server, store):
    with chat_server.served(opinion) as served:
        found = judge_store(store, options(served), turns=40)
        assert len(served.asked) == found.turns == 40 and not found.unread
        again = judge_store(store, options(served), turns=40)
    latency = ("latency_mean", "latency_p95")
    same = {name: value for name, value in found.usage.items() if name not in latency}
    assert found.measures == again.measures or str(found.measures) == str(again.measures)  # NaN
    assert same == {name: value for name, value in again.usage.items() if name not in latency}
    assert (found.usage["requests"], found.usage["input_tokens"]) == (40, 4000)
    new = found.measures["novelty"].spearman
    assert 20 <= new.n <= 40 and -1 <= new.low <= new.value <= new.high <= 1
    assert found.measures["coverage"].spearman.n == 0 and math.isnan(found.measures["coverage"].judge)
    shown = served.asked[0]["messages"][1]["content"]
    assert "Profile of the customer:" in shown and "Dialogue so far:" in shown


def test_a_judge_who_says_what_the_formula_says_agrees(chat_server, store, monkeypatch):
    from dialog_gym.benchmarks import judge

    asked = judge._drawn(judge.read_store(store).trajectories, "credit", 40, 0)
    known = {one.request.messages[1]["content"]: one.formula for one in asked}
    assert len(known) == 40

    def echo(sent):
        scores = known[sent["messages"][1]["content"]]
        return json.dumps({name: None if math.isnan(value) else value for name, value in scores.items()})

    with chat_server.served(echo) as served:
        found = judge_store(store, options(served), turns=40)
    for name, measure in found.measures.items():
        assert measure.judge == pytest.approx(measure.formula, nan_ok=True), name
        assert math.isnan(measure.spearman.value) or measure.spearman.value == pytest.approx(1.0)
    assert found.measures["novelty"].spearman.value == pytest.approx(1.0)


def test_what_is_judged_is_kept_when_the_judge_goes_down(chat_server, store):
    with chat_server.served(opinion) as served, chat_server.faulty(served, 0.0) as proxy:
        proxy.after = 10
        with pytest.raises(ChatOutage):
            judge_store(store, options(proxy, attempts=2, concurrency=2), turns=30)
        done = len(served.asked)
        proxy.after = None
        found = judge_store(store, options(proxy), turns=30)
        assert 0 < done < 30 == len(served.asked)
    assert found.usage["requests"] == 30 and not found.unread


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ('{"naturalness": 1, "novelty": 0.25}', {"naturalness": 1.0, "novelty": 0.25}),
        ('Sure! {"naturalness": true, "rouge": 7, "fidelity": 0}', {"fidelity": 0.0}),
        ('{"naturalness": "high"}', {}),
    ],
)
def test_scores_are_read_out_of_answers(text, scores):
    found = read_scores(text)
    assert list(found) == list(LANGUAGE_REWARDS)
    assert {name: value for name, value in found.items() if not math.isnan(value)} == scores


@pytest.mark.parametrize("text", ["", "I would say 0.7", "{", "[1, 2]", '{"other": 1}', "{" * 100_000])
def test_answers_without_scores_are_counted_not_guessed(text):
    assert read_scores(text) == {}


def test_the_command(chat_server, store, capsys):
    with chat_server.served(lambda asked: "no idea") as served:
        arguments = ["judge", str(store), "--model", "tiny", "--base-url", served.url, "--turns", "5"]
        assert cli.run([*arguments, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["turns"], found["unread"]) == (5, 5)
        assert found["measures"]["rouge"]["spearman"] == {"value": None, "low": None, "high": None, "n": 0}
        assert cli.run(arguments) == 0
    shown = capsys.readouterr()
    assert "tiny on 5 assistant turns" in shown.out and "not judged" in shown.out
    assert "5 answers held no scores" in shown.err


def test_an_empty_store_is_no_work(tmp_path, store):
    path = tmp_path / "empty.jsonl"
    path.write_text(store.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    with pytest.raises(DialogGymError, match="there is no assistant turn to judge"):
        judge_store(path, ChatOptions("tiny"))
