"""The client of served models: against a server on loopback, and a proxy that spoils its answers."""

import copy
import json
import logging
import pickle
import socket
import subprocess
import sys
import threading

import pytest

from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.chat_records import chat_records
from dialog_gym.core import DialogGymError


@pytest.fixture
def served(chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
    with chat_server.served() as found:
        yield found


def client(url, **options):
    quick = {"timeout": 30.0, "backoff": 0.001}
    return ChatClient(ChatOptions("tiny", base_url=url, **quick | options), "agent")


def requests(count):
    return [ChatRequest([{"role": "user", "content": f"Hello {i}"}], seed=i) for i in range(count)]


def test_what_is_sent_and_what_comes_back(served, chat_server):
    (reply,) = client(served.url, temperature=0.5, max_tokens=7).ask(requests(1))
    assert reply.text in chat_server.Phrases.SAID
    assert (reply.input_tokens, reply.finish) == (100, "stop")
    assert served.asked == [
        {
            "model": "tiny", "messages": [{"role": "user", "content": "Hello 0"}], "seed": 0,
            "max_tokens": 7, "temperature": 0.5,
        }
    ]  # fmt: skip
    assert served.keys == {chat_server.KEY}


def test_replies_come_in_the_order_of_requests_and_so_many_at_once(served):
    gate = threading.Barrier(5, timeout=20)

    def slow(asked):
        gate.wait()  # passes only if five requests are under way at once
        return asked["messages"][0]["content"]

    served.model = slow
    replies = client(served.url, concurrency=5).ask(requests(20))
    assert [reply.text for reply in replies] == [f"Hello {i}" for i in range(20)]
    assert served.most_busy == 5


def test_it_works_inside_a_running_event_loop(served):
    import asyncio

    async def notebook():
        return client(served.url).ask(requests(2))

    assert len(asyncio.run(notebook())) == 2


@pytest.mark.parametrize("kind", ["busy", "error", "broken", "empty", "reset", "strange", "hang", "trickle"])
def test_what_passes_by_itself_is_tried_again(served, chat_server, kind):
    expected = client(served.url).ask(requests(4))
    with chat_server.faulty(served, 1.0, kinds=(kind,), most=1) as proxy:
        replies = client(proxy.url, timeout=0.5 if kind in ("hang", "trickle") else 30.0).ask(requests(4))
    assert replies == expected
    assert proxy.made == {kind: 4}
    assert len(proxy.seen) == 4 and sum(proxy.seen.values()) >= 8


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("busy", r"is busy or down: too many requests \(429\) \(3 attempts\)"),
        ("error", r"is busy or down: no luck with Bearer \*\*\* \(500\) \(3 attempts\)"),
        ("hang", r"gave no answer in time \(3 attempts\)"),
        ("broken", "gave no usable answer: "),
        ("strange", r"gave no usable answer: no choice in ChatCompletion \(3 attempts\)"),
        ("reset", "cannot be reached: "),
    ],
)
def test_what_does_not_pass_is_an_outage(served, chat_server, kind, line):
    timeout = 0.3 if kind == "hang" else 30.0
    with (
        chat_server.faulty(served, 1.0, kinds=(kind,), most=99) as proxy,
        pytest.raises(ChatOutage, match=line) as caught,
    ):
        client(proxy.url, attempts=3, timeout=timeout).ask(requests(1))
    assert "\n" not in str(caught.value) and chat_server.KEY not in str(caught.value)


def test_nobody_there_is_an_outage():
    with socket.socket() as bound:  # bound and not listening: connections are refused
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(ChatOutage, match=r"cannot be reached: .* \(2 attempts\)"):
            client(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", attempts=2).ask(requests(3))


def test_an_empty_reply_is_at_last_the_models(served):
    served.model = lambda asked: "<think>hm</think>"
    (reply,) = client(served.url).ask(requests(1))
    assert (reply.text, reply.thought, len(served.asked)) == ("", "hm", 3)


def test_refusals_are_one_line_and_not_repeated(served, chat_server, monkeypatch):
    with pytest.raises(DialogGymError, match=r"does not serve other: no model other \(404\)") as caught:
        ChatClient(ChatOptions("other", base_url=served.url), "agent").ask(requests(1))
    assert not isinstance(caught.value, ChatOutage)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with pytest.raises(DialogGymError, match=r"does not accept the API key in \$OPENAI_API_KEY") as caught:
        client(served.url).ask(requests(1))
    assert "sk-wrong" not in str(caught.value)
    assert len(served.asked) == 2


def test_one_refusal_stops_the_rest(served):
    served.model = lambda asked: 1 / 0  # the connection breaks
    with pytest.raises(ChatOutage):
        client(served.url, concurrency=1, attempts=2).ask(requests(50))
    assert len(served.asked) == 2


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"base_url": "localhost:8000"}, "is no base URL: write http://HOST:PORT/v1"),
        ({"base_url": "http://me:secret@host/v1"}, "a base URL holds no secrets"),
        ({"base_url": "http://host/v1?key=secret"}, "a base URL holds no secrets"),
        ({"concurrency": 0}, "concurrency is 0; it must be above 0"),
        ({"temperature": -1.0}, "temperature is -1.0; it must be 0 or more"),
        ({"temperature": "hot"}, "temperature is 'hot'; give a number"),
        ({"concurrency": None}, "concurrency is None; give a number"),
        ({"base_url": "me:secret@host/v1"}, "a base URL holds no secrets"),
        ({"max_tokens": True}, "max_tokens is True; give a number"),
        ({"prices": [1.0]}, r"prices is \[1.0\]; give two numbers"),
        ({"requests_per_minute": 0}, "requests_per_minute is 0; it must be above 0"),
        ({"temprature": 1.0}, "unknown option 'temprature' of openai; did you mean 'temperature'"),
    ],
)
def test_options_are_checked(options, line):
    with pytest.raises(DialogGymError, match=line) as caught:
        ChatOptions.of("tiny", options)
    assert "secret@" not in str(caught.value) and "key=secret" not in str(caught.value)


def test_a_model_must_be_named():
    with pytest.raises(DialogGymError, match="no model is named: write openai:MODEL"):
        ChatOptions("")


def test_the_package_is_asked_for_when_it_is_needed(monkeypatch):
    program = "import dialog_gym.chat_client, sys; print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(DialogGymError, match=r"need the openai package: pip install 'dialog-gym\[openai\]'"):
        client("http://127.0.0.1:9/v1").ask(requests(1))


# -- cache and ledger


def test_what_is_known_is_not_asked_again(served, tmp_path):
    cache = tmp_path / "replies.sqlite"
    with chat_records(tmp_path / "a", resume=False, cache=cache) as first:
        told = client(served.url).ask(requests(5))
    with chat_records(tmp_path / "b", resume=False, cache=cache) as second:
        again = client(served.url).ask(requests(5))
        client(served.url, temperature=0.3).ask(requests(1))
    assert told == again and len(served.asked) == 6
    assert first.ledger.summary()["agent"]["requests"] == 5
    usage = second.ledger.summary()["agent"]
    assert (usage["requests"], usage["cached"], usage["input_tokens"]) == (1, 5, 100)
    assert cache.exists() and not list(tmp_path.glob("*.replies.sqlite*"))


def test_an_outage_keeps_what_has_come(served, chat_server, tmp_path):
    with chat_server.faulty(served, 0.0) as proxy:
        proxy.after = 3
        ask = client(proxy.url, attempts=2, concurrency=1).ask
        with pytest.raises(ChatOutage), chat_records(tmp_path / "run", resume=False):
            ask(requests(8))
        proxy.after = None
        with chat_records(tmp_path / "run", resume=True) as records:
            replies = ask(requests(8))
    assert len(replies) == 8 and len(served.asked) == 8  # none was answered twice
    usage = records.ledger.summary()["agent"]
    assert (usage["requests"], usage["cached"], usage["input_tokens"]) == (8, 3, 800)
    assert [path.name for path in tmp_path.iterdir()] == ["run.usage.jsonl"]


def test_costs_are_counted_by_role(served, tmp_path):
    with chat_records(tmp_path / "run", resume=False) as records:
        client(served.url, prices=(2.0, 10.0)).ask(requests(2))
        ChatClient(ChatOptions("tiny", base_url=served.url), "user").ask(requests(3)[2:])
    usage = records.ledger.summary()
    assert list(usage) == ["agent", "user"]
    out = usage["agent"]["output_tokens"]
    assert usage["agent"]["cost"] == pytest.approx((200 * 2.0 + out * 10.0) / 1e6)
    assert "cost" not in usage["user"] and usage["user"]["latency_p95"] > 0


# -- keys


def test_the_key_is_nowhere(served, chat_server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    with chat_server.faulty(served, 0.5, kinds=("error", "broken"), most=1) as proxy:
        one = client(proxy.url)
        with chat_records(tmp_path / "run", resume=False, cache=tmp_path / "cache") as records:
            one.ask(requests(10))
            told = [repr(one), repr(one.options), str(one.options.settings()), repr(records.ledger.entries)]
    assert served.keys == {chat_server.KEY}
    secret = chat_server.KEY
    assert caplog.text and secret not in caplog.text
    assert all(secret not in text for text in told)
    assert secret.encode() not in pickle.dumps(one)
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_key_that_is_none_is_not_shown(served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one\nsk-two")
    with pytest.raises(
        DialogGymError, match=r"\$OPENAI_API_KEY holds characters that no API key has"
    ) as caught:
        client(served.url).ask(requests(1))
    assert "sk-" not in str(caught.value)


def test_copies_have_connections_of_their_own(served):
    one = client(served.url)
    one.ask(requests(1))
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other._link is None and other.options == one.options
        assert other.ask(requests(1)) == one.ask(requests(1))


def test_thoughts_and_calls_are_told_apart(served):
    call = {"id": "1", "type": "function", "function": {"name": "greet", "arguments": "{}"}}
    served.model = lambda asked: {
        "role": "assistant", "content": None, "reasoning_content": "greet first", "tool_calls": [call],
    }  # fmt: skip
    tools = [{"type": "function", "function": {"name": "greet", "parameters": {}}}]
    (reply,) = client(served.url).ask([requests(1)[0]._replace(tools=tools)])
    assert json.loads(reply.model_dump_json())["calls"] == [{"name": "greet", "arguments": "{}"}]
    assert (reply.text, reply.thought) == ("", "greet first")
    assert served.asked[0]["tools"] == tools
