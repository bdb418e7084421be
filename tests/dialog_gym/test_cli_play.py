"""`dialog-gym play`: a person or an agent at the table."""

import io
import json
import sys
import warnings

import pytest

from dialog_gym import cli


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def typed(monkeypatch, capsys):
    """Plays with lines from a stdin that is no terminal; returns what was shown."""

    def run(text, *arguments):
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        assert cli.run(["play", "--seed", "5", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_a_dialogue_by_hand(typed):
    out = typed("Hello, am I speaking with the account holder?\ngoodbye()\n")
    assert "agent: Hello, am I speaking with the account holder?" in out
    assert "read as: greet(); ask_identity()" in out
    assert out.count("customer: ") >= 1
    assert "agent_ended: the agent said goodbye" in out and "\ntse " in out and "\nrewards: " in out


def test_same_seed_same_dialogue(typed):
    assert typed("Hello.\n") == typed("Hello.\n")


def test_the_user_opens_in_customer_service(typed):
    out = typed("", "--scenario", "customer_service")
    assert "customer: " in out and "left before the end" in out


def test_commands(typed):
    out = typed("/rules\n/hint\n/state\n/nonsense\n/quit\nHello.\n")
    assert "Rules: no account data before identity is confirmed" in out
    assert "  offer(product=pay_later|instalment|" in out
    assert "  patience: " in out and "  need: " in out
    assert "unknown command '/nonsense'" in out
    assert out.endswith("left before the end\n") and "agent: " not in out


def test_another_shop(typed):
    """In MultiWOZ the desk's systems are looked up for a person, once a turn and not after a command."""
    out = typed("Hello.\n/state\n/hint\n/hint taxi_book\n/hint foo\n", "--domain", "multiwoz")
    assert out.startswith("booking, level 3, task multiwoz/booking/train/3/")
    assert "dialog-gym play --domain multiwoz --agent human --scenario booking" in out
    assert out.count("\ncustomer: ") == out.count("\ndesk: ") == 2
    assert "\n  restaurant_full  -\n" in out and "  booked: none\n" in out
    assert "  taxi_book(departure?=..., destination?=...," in out
    assert ", taxi_book, " in out and "/hint restaurant_inform shows" in out
    assert "no act begins with 'foo'" in out


def test_every_shop_can_be_watched(capsys):
    assert cli.run(["play", "--domain", "multiwoz", "--agent", "scripted", "--seed", "3", "--reveal"]) == 0
    out = capsys.readouterr().out
    assert "resolved: everything" in out and "meant: " in out and "hidden: patience " in out
    assert "desk: " not in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--domain", "multiwos"), "unknown domain 'multiwos'; did you mean 'multiwoz'?"),
        (("--domain", "bank"), "unknown domain 'bank'; known: credit, multiwoz"),
        (
            ("--domain", "multiwoz", "--scenario", "customer_service"),
            "unknown scenario 'customer_service'; known: booking",
        ),
    ],
)
def test_no_such_shop(capsys, arguments, line):
    assert cli.run(["play", "--agent", "scripted", *arguments]) == 2
    assert capsys.readouterr().err == f"dialog-gym: {line}\n"


def test_what_cannot_be_read_costs_no_turn(typed):
    out = typed("offer(product=paylater)\n\n   \n")
    assert "action_error: act offer: product='paylater'; did you mean 'pay_later'?" in out
    assert "agent: " not in out


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00\n", b"\x1b[2J\x07\n", b"Hello\r\n", "\U0001f600\n".encode(), b"x" * 50_000]
)
def test_odd_input(typed, text):
    out = typed(text)
    assert "\x1b" not in out and "left before the end" in out


def test_too_long_a_turn(typed):
    assert "action_error: action has 150,001 characters" in typed("x" * 150_000 + "\n")


def test_rules_broken_and_hidden_things_are_shown(typed):
    out = typed("Pay Later has a limit of 900000.\n", "--reveal")
    assert "rule broken: " in out and "meant: " in out and "hidden: trust " in out


@pytest.mark.parametrize("agent", ["scripted", "oracle", "random", "silent"])
@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_watching_an_agent(capsys, agent, scenario):
    assert cli.run(["play", "--agent", agent, "--seed", "7", "--scenario", scenario]) == 0
    out = capsys.readouterr().out
    assert out.count("agent: ") >= 1 and "\nrewards: " in out
    assert ("action_error: empty action" in out) == (agent == "silent")


def test_a_given_task_is_played_as_it_is(capsys):
    """Without --task a customer is chosen who answers; a task asked for by name may well not."""
    shown = []
    for task in ("3", "credit/proactive_sale/train/3/3"):
        assert cli.run(["play", "--agent", "scripted", "--task", task, "--seed", "3"]) == 0
        shown.append(capsys.readouterr().out.partition("dim")[0].splitlines()[2:])
    assert shown[0] == shown[1]


def test_json_is_the_record(capsys):
    assert cli.run(["play", "--agent", "scripted", "--seed", "7", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["agent"] == "scripted" and found["turns"] and found["ended_by"]
    assert "customer: " in err


def test_left_early_is_not_called_an_end(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.run(["play", "--seed", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ended_by"] is None
