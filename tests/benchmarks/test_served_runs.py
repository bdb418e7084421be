"""Evaluations of served models: faults, outages and kills lose nothing and score nothing twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from dialog_gym import cli
from dialog_gym.store import read_store

QUICK_FAULTS = ("busy", "error", "broken", "empty", "reset")
"""Those that nobody has to wait for; the client's own tests have all."""
QUICK = "timeout=20&backoff=0.001"


@pytest.fixture
def served(chat_server, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
    monkeypatch.chdir(tmp_path)
    with chat_server.served() as found:
        yield found


def evaluate(url, out, *more, episodes=20, options=QUICK, agent="openai:tiny", concurrency=32):
    arguments = [
        "evaluate", "--agent", f"{agent}?{options}", "--base-url", url, "--episodes", str(episodes),
        "--out", str(out), "--concurrency", str(concurrency),
    ]  # fmt: skip
    return cli.run([*arguments, *more])


def once_each(path, episodes):
    """Every episode is in the store, once, and none is void."""
    played = read_store(path).trajectories
    keys = Counter((one.task.id, one.trial) for one in played)
    assert len(keys) == len(played) == episodes and set(keys.values()) == {1}
    assert not [one for one in played if one.ended_by == "error"]


def scores(path, capsys):
    capsys.readouterr()
    assert cli.run(["grade", str(path), "--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return found["scores"]


def same_with_faults(chat_server, served, tmp_path, capsys, share, episodes, concurrency, **faults):
    """Play without faults and with them; the proxy's account of them."""
    calm, rough = tmp_path / "calm.jsonl", tmp_path / "rough.jsonl"
    patient = "timeout=60"
    assert evaluate(served.url, calm, episodes=episodes, concurrency=concurrency, options=patient) == 0
    needed = len(served.asked)
    with chat_server.faulty(served, share, **faults) as proxy:
        hasty = "timeout=10&backoff=0.001&attempts=12"
        assert evaluate(proxy.url, rough, episodes=episodes, concurrency=concurrency, options=hasty) == 0
    assert set(proxy.made) == set(proxy.kinds)
    assert len(proxy.seen) == needed  # as many different requests as without faults
    assert calm.read_bytes() == rough.read_bytes()
    once_each(rough, episodes)
    assert scores(calm, capsys) == scores(rough, capsys)
    return proxy


def test_faults_change_nothing(chat_server, served, tmp_path, capsys):
    same_with_faults(
        chat_server, served, tmp_path, capsys, 0.4, episodes=20, concurrency=32, most=2, kinds=QUICK_FAULTS
    )


@pytest.mark.slow
def test_two_hundred_dialogues_at_once_with_faults(chat_server, served, tmp_path, capsys):
    """Nobody is answered before two hundred are under way: the first scenario has 200 of the 230 tasks."""
    model, all_there = served.model, threading.Event()

    def together(asked):
        if served.busy >= 200:
            all_there.set()
        assert all_there.wait(50)
        return model(asked)

    served.model = together
    kinds = (*chat_server.FAULTS, *3 * QUICK_FAULTS)
    faults = same_with_faults(
        chat_server, served, tmp_path, capsys, 0.05, episodes=230, concurrency=200, most=9, kinds=kinds
    )
    assert served.most_busy == 200
    assert 0.04 < sum(faults.made.values()) / sum(faults.seen.values()) < 0.06


def test_with_cache_and_seed_a_second_run_sends_nothing(served, tmp_path):
    first, second, other = (tmp_path / f"{name}.jsonl" for name in "abc")
    cache = ["--chat-cache", str(tmp_path / "replies.sqlite"), "--temperature", "0.9"]
    assert evaluate(served.url, first, *cache) == 0
    asked = len(served.asked)
    served.model = lambda asked: "The model has changed."
    assert evaluate(served.url, second, *cache) == 0
    assert len(served.asked) == asked > 0 and first.read_bytes() == second.read_bytes()
    assert evaluate(served.url, other, "--temperature", "0.9") == 0  # without the cache it is asked again
    assert len(served.asked) > asked and other.read_bytes() != first.read_bytes()


def test_an_outage_pauses_and_the_same_run_goes_on(chat_server, served, tmp_path, capsys):
    whole, store = tmp_path / "whole.jsonl", tmp_path / "run.jsonl"
    with chat_server.faulty(served, 0.0) as proxy:
        assert evaluate(proxy.url, whole, options=f"{QUICK}&attempts=2") == 0
        needed = len(served.asked)
        served.asked.clear()
        proxy.seen.clear()
        proxy.after = needed // 2
        assert evaluate(proxy.url, store, options=f"{QUICK}&attempts=2") == 1
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith("dialog-gym: paused: the server at http://127.0.0.1:")
        assert "is busy or down: down (503) (2 attempts)" in told and "--resume" in told
        assert not [one for one in read_store(store).trajectories if one.ended_by == "error"]
        done = len(served.asked)
        assert done == needed // 2
        proxy.after = None
        assert evaluate(proxy.url, store, "--resume", options=f"{QUICK}&attempts=2") == 0
    assert len(served.asked) == needed  # what was answered is not asked again
    assert store.read_bytes() == whole.read_bytes()
    usage = [json.loads(line) for line in store.with_name("run.jsonl.usage.jsonl").read_text().splitlines()]
    assert sum(not one["cached"] for one in usage) == needed
    assert not list(tmp_path.glob("*.replies.sqlite*"))


def test_a_killed_run_goes_on(served, tmp_path, capsys):
    whole, store = tmp_path / "whole.jsonl", tmp_path / "run.jsonl"
    assert evaluate(served.url, whole, concurrency=4, episodes=24) == 0
    needed, model = len(served.asked), served.model
    served.asked.clear()
    reached = threading.Event()

    def counting(asked):
        if len(served.asked) > needed // 2:
            reached.set()
        return model(asked)

    served.model = counting
    arguments = [
        "evaluate", "--agent", f"openai:tiny?{QUICK}", "--base-url", served.url, "--episodes", "24", "--out",
        str(store), "--concurrency", "4",
    ]  # fmt: skip
    with subprocess.Popen([sys.executable, "-m", "dialog_gym.cli", *arguments], env=os.environ) as running:
        assert reached.wait(120)
        os.kill(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL
    assert evaluate(served.url, store, "--resume", concurrency=4, episodes=24) == 0
    assert len(served.asked) <= needed + 4  # but for those that were under way
    assert store.read_bytes() == whole.read_bytes()
    once_each(store, 24)
    assert scores(store, capsys) == scores(whole, capsys)


def test_a_run_is_not_resumed_with_other_settings(served, tmp_path, capsys):
    store = tmp_path / "run.jsonl"
    assert evaluate(served.url, store, episodes=2) == 0
    assert evaluate(served.url, store, "--resume", "--max-tokens", "9", episodes=2) == 2
    assert "cannot be resumed" in capsys.readouterr().err
    header = read_store(store).header
    assert header.agent == "openai:tiny"
    assert header.config["settings"] == {
        "model": "tiny", "temperature": 0.0, "top_p": None, "max_tokens": 400, "tools": False, "prompt": "",
    }  # fmt: skip


def test_the_key_is_in_no_file_and_no_output(chat_server, served, tmp_path, capsys):
    board = ["leaderboard", "--agents", f"openai:tiny?base_url={served.url}&{QUICK},silent"]
    assert evaluate(served.url, tmp_path / "a.jsonl", "--prices", "1,2", episodes=6) == 0
    with chat_server.faulty(served, 1.0, kinds=("error",), most=99) as proxy:
        assert evaluate(proxy.url, tmp_path / "b.jsonl", options=f"{QUICK}&attempts=2", episodes=6) == 1
    assert cli.run([*board, "--episodes", "6", "--out", "board", "--workers", "2"]) == 0
    assert cli.run(["report", "a.jsonl", "--out", "report.html"]) in (0, 2)  # 2: an optional dependency
    shown = capsys.readouterr()
    assert "cost 0.00" in shown.err and "no luck with Bearer ***" in shown.err
    assert served.keys == {chat_server.KEY}
    assert chat_server.KEY not in shown.out + shown.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if chat_server.KEY.encode() in path.read_bytes()]


def test_usage_is_in_the_result(served, tmp_path, capsys):
    more = ["--simulator", f"openai:tiny?base_url={served.url}&retries=0", "--prices", "1,2", "--json"]
    assert evaluate(served.url, tmp_path / "a.jsonl", *more, episodes=20) == 0
    usage = json.loads(capsys.readouterr().out)["usage"]
    assert list(usage) == ["agent", "user"]
    assert usage["agent"]["requests"] + usage["user"]["requests"] == len(served.asked)
    assert usage["agent"]["cost"] > 0 and usage["user"]["input_tokens"] > 0
    assert usage["agent"]["latency_mean"] > 0 and "cost" not in usage["user"]


def test_a_served_user_alone_is_counted_cached_and_replayed(served, tmp_path, capsys):
    cache = ["--chat-cache", str(tmp_path / "replies.sqlite")]
    user = f"openai:tiny?base_url={served.url}&retries=1"
    arguments = ["evaluate", "--agent", "scripted", "--simulator", user, "--episodes", "20", "--workers", "2"]
    assert cli.run([*arguments, "--out", "a.jsonl", *cache, "--json"]) == 0
    asked = len(served.asked)
    assert json.loads(capsys.readouterr().out)["usage"]["user"]["requests"] == asked > 0
    served.model = lambda asked: "The model has changed."
    assert cli.run(["replay", "a.jsonl", *cache]) == 0
    assert "all the same" in capsys.readouterr().out
    assert len(served.asked) == asked


def test_an_agent_can_be_watched(served, capsys):
    agent = f"openai:tiny?base_url={served.url}"
    assert cli.run(["play", "--agent", agent, "--seed", "1", "--scenario", "customer_service"]) == 0
    assert served.asked and served.model(served.asked[0]) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--agent", "silent", "--temperature", "1"], "--temperature goes with --agent openai:MODEL"),
        (["--agent", "openai:tiny", "--prices", "cheap"], "--prices is 'cheap'; give two numbers"),
        (["--agent", "openai:tiny", "--prompt", "nowhere.txt"], "cannot read nowhere.txt: No such file"),
        (["--agent", "openai:tiny", "--requests-per-minute", "0"], "requests_per_minute is 0"),
    ],
)
def test_mistakes_are_one_line(more, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["evaluate", *more]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and line in told[0]
    assert not list(tmp_path.iterdir())
