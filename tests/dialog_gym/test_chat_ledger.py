"""Tokens, cost and latency by role."""

import pytest

from dialog_gym.chat_ledger import Entry, Ledger, cost_of, told, totals
from dialog_gym.chat_reply import ChatReply
from dialog_gym.core import DialogGymError

USUAL = {
    "role": "agent", "model": "m", "input_tokens": 10, "output_tokens": 5, "cost": 0.25, "seconds": 2.0,
    "attempts": 1, "cached": False, "empty": False,
}  # fmt: skip


def entry(**changes):
    return Entry(**USUAL | changes)


def test_totals_count_what_was_paid_for():
    entries = [entry(), entry(attempts=3, seconds=4.0), entry(empty=True, cost=0.5), entry(cached=True)]
    assert totals(entries) == {
        "requests": 3, "cached": 1, "retries": 2, "empty": 1, "input_tokens": 30, "output_tokens": 15,
        "cost": 1.0, "latency_mean": 2.6667, "latency_p95": 3.8,
    }  # fmt: skip
    assert "cost" not in totals([entry(), entry(cost=None)])
    assert "latency_mean" not in totals([entry(cached=True)])


def test_one_line_for_people():
    line = told("agent", totals([entry(), entry(cached=True)]))
    assert line == (
        "agent: 1 requests, 1 more from the cache, 10 tokens in and 5 out, cost 0.2500, 2.00 s each"
    )


def test_the_servers_own_figure_comes_first():
    assert cost_of(ChatReply(text="", input_tokens=10, cost=3.0), (1.0, 1.0)) == 3.0
    assert cost_of(ChatReply(text="", input_tokens=1_000_000, output_tokens=500_000), (2.0, 8.0)) == 6.0
    assert cost_of(ChatReply(text=""), None) is None


def test_a_killed_run_knows_what_it_spent(tmp_path):
    path = tmp_path / "run.usage.jsonl"
    first = Ledger(path)
    first.book(entry())
    first.book(entry(role="user"))
    with open(path, "a") as file:
        file.write('{"role": "agent", "mod')  # killed while writing
    second = Ledger(path, resume=True)
    second.book(entry(role="judge"))
    assert Ledger(path, resume=True).summary() == second.summary()
    assert list(second.summary()) == ["agent", "judge", "user"]
    assert Ledger(path).entries == [] and path.read_text() == ""


def test_no_entry_no_file(tmp_path):
    Ledger(tmp_path / "run.usage.jsonl")
    assert not list(tmp_path.iterdir())


def test_another_file_is_no_ledger(tmp_path):
    path = tmp_path / "run.usage.jsonl"
    path.write_text("hello\n")
    with pytest.raises(DialogGymError, match="is no ledger of served models: delete it"):
        Ledger(path, resume=True)
    assert path.read_text() == "hello\n"
