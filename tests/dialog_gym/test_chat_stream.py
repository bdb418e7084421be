"""Answers in pieces: the same as whole ones; a slow stream is waited for, one that fails asked for again."""

import pytest

from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_faults import ChatOutage
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.chat_records import chat_records
from dialog_gym.core import DialogGymError
from dialog_gym.speaking import load_simulator

LONG = "one two three four five six seven eight nine ten eleven twelve"


@pytest.fixture
def served(chat_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", chat_server.KEY)
    with chat_server.served() as found:
        yield found


def client(url, **options):
    quick = {"timeout": 30.0, "backoff": 0.001, "stream": True}
    return ChatClient(ChatOptions("tiny", base_url=url, **quick | options), "agent")


def requests(count, **more):
    return [ChatRequest([{"role": "user", "content": f"Hello {i}"}], i, **more) for i in range(count)]


def test_pieces_make_the_answer_that_would_have_come_whole(served):
    call = {"id": "1", "type": "function", "function": {"name": "greet", "arguments": '{"who": "you"}'}}
    for message in (
        LONG,
        "<think>hm</think> So be it.",
        {"role": "assistant", "content": "Yes  or\nno?", "reasoning_content": "which of the two"},
        {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "2"}]},
    ):
        served.model = lambda asked, said=message: said
        tools = [{"type": "function", "function": {"name": "greet", "parameters": {}}}]
        (streamed,) = client(served.url).ask(requests(1, tools=tools))
        (whole,) = client(served.url, stream=False).ask(requests(1, tools=tools))
        assert streamed == whole and not whole.empty and whole.output_tokens > 0
    assert [asked.get("stream", False) for asked in served.asked] == [True, False] * 4
    assert served.asked[0]["stream_options"] == {"include_usage": True}


def test_a_slow_stream_is_waited_for(served, chat_server):
    served.model = lambda asked: LONG
    with chat_server.faulty(served, 1.0, kinds=("slow",), most=99) as proxy:
        slow = client(proxy.url, timeout=2.0)  # for a piece; all of them take longer
        assert [reply.text for reply in slow.ask(requests(2))] == [LONG, LONG]
        assert proxy.made == {"slow": 2} and sum(proxy.seen.values()) == 2
        with pytest.raises(ChatOutage, match="in time"):
            client(proxy.url, timeout=0.1, attempts=2).ask(requests(1))


@pytest.mark.parametrize(
    "kind", ["stall", "cut", "unfinished", "late", "misfit", "hang", "busy", "reset", "broken", "strange"]
)
def test_a_stream_that_fails_is_asked_for_again(served, chat_server, kind):
    expected = client(served.url, stream=False).ask(requests(3))
    with chat_server.faulty(served, 1.0, kinds=(kind,), most=1) as proxy:
        replies = client(proxy.url, timeout=1.0 if kind in ("stall", "hang") else 30.0).ask(requests(3))
    assert replies == expected
    assert proxy.made == {kind: 3} and sum(proxy.seen.values()) >= 6


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("stall", r"gave no answer in time \(2 attempts\)"),
        ("cut", "cannot be reached: "),
        ("unfinished", "gave no usable answer: the stream ended in the middle"),
        ("late", r"gave no usable answer: no luck with Bearer \*\*\*"),
        ("misfit", "gave no usable answer: a piece that does not fit"),
        ("strange", "gave no usable answer: no piece: does the server stream?"),
    ],
)
def test_one_that_goes_on_failing_is_an_outage(served, chat_server, kind, line):
    with (
        chat_server.faulty(served, 1.0, kinds=(kind,), most=99) as proxy,
        pytest.raises(ChatOutage, match=line) as caught,
    ):
        client(proxy.url, attempts=2, timeout=0.5 if kind == "stall" else 30.0).ask(requests(1))
    assert "\n" not in str(caught.value) and chat_server.KEY not in str(caught.value)


def test_a_refused_stream_is_not_asked_for_again(served):
    with pytest.raises(DialogGymError, match=r"does not serve other: no model other \(404\)"):
        ChatClient(ChatOptions("other", base_url=served.url, stream=True), "agent").ask(requests(1))
    assert len(served.asked) == 1


def test_streamed_or_not_a_known_reply_is_not_asked_again(served, tmp_path):
    with chat_records(tmp_path / "a", resume=False, cache=tmp_path / "replies.sqlite"):
        streamed = client(served.url).ask(requests(2))
        whole = client(served.url, stream=False).ask(requests(2))
    assert streamed == whole and len(served.asked) == 2


def test_asked_for_by_name(served):
    users = load_simulator(f"openai:tiny?base_url={served.url}&stream=true")
    assert users.generator.client.options.stream is True
    said = users.generator.generate([[{"role": "user", "content": "Hello"}]], [1])
    assert said[0] and served.asked[0]["stream"] is True
    with pytest.raises(DialogGymError, match="stream is 'perhaps'; write true or false"):
        load_simulator("openai:tiny?stream=perhaps")
