"""A server of chat completions on loopback, and a front of it in which things go wrong.

The server is real HTTP around a model: the shipped tiny one, or `Phrases`, which answers at once. The front
spoils a share of the answers, the same ones in every run, and never the same request for ever.
"""

import hashlib
import json
import re
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-tiny-0123456789abcdef-secret"
FAULTS = ("busy", "error", "hang", "broken", "empty", "reset", "trickle")


class Phrases:
    """Says something of a shop's, by what was said before and the seed: no model, but the same every time."""

    SAID = (
        "Hello, may I confirm that I am speaking with you, please?",
        "How much would you like to borrow, and what is it for?",
        "You are eligible for Pay Later, up to 500. The rate is 7.2% a year and there is no fee.",
        "Would you like to go ahead with Pay Later for 500?",
        "I understand. Thank you for your time, goodbye!",
    )

    def __call__(self, asked):
        seen = json.dumps([asked["messages"], asked.get("seed"), asked.get("temperature")], sort_keys=True)
        drawn = int.from_bytes(hashlib.sha256(seen.encode()).digest()[:4], "big")
        turn = sum(message["role"] == "assistant" for message in asked["messages"])
        return self.SAID[min(turn, 3) if drawn % 4 else drawn // 4 % len(self.SAID)]


class Tiny:
    """The shipped model, greedy."""

    def __init__(self):
        from dialog_gym.lm.chat import ChatFormat
        from dialog_gym.lm.engine import Sampling, make_engine
        from dialog_gym.lm.loading import load

        found = load("")
        self.chat = ChatFormat(found.tokenizer, stop=found.stop)
        self.engine, self.Sampling = make_engine(found.model), Sampling
        self.lock = threading.Lock()

    def __call__(self, asked):
        system, *turns = [message["content"] for message in asked["messages"]]
        ids = self.chat.begin(system[-600:], turns[0])
        for said, answer in zip(turns[1::2], turns[2::2], strict=True):
            ids += [*self.chat.turn(said), *self.chat.answer(answer)]
        with self.lock:
            longest = min(asked.get("max_tokens", 16), 16)
            session = self.engine.open(1, self.Sampling(self.chat.stop, longest, 0.0))
            session.append([0], [ids])
            (turn,) = session.sample([0], [asked["seed"]])
        return self.chat.text(turn.ids)


class Served:
    """A running server, what it was asked, and what its model says."""

    def __init__(self, model):
        self.model, self.asked, self.keys = model, [], set()
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status, content, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Completions(Quiet):
    """POST /v1/chat/completions."""

    def do_POST(self):
        body = self.body()
        self.deliver(body, *self.completed(body))

    def deliver(self, body, status, content):
        """Send an answer, in pieces if that was asked for."""
        if status == 200 and json.loads(body).get("stream"):
            return self.stream(pieces(content, json.loads(body)))
        return self.answer(status, content)

    def stream(self, events, end=True, after=lambda: False):
        """Send events; ``after`` is called after each, and whether it is true ends all."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            data = f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if after():
                break
        if end:
            self.wfile.write(b"0\r\n\r\n")

    def completed(self, body):
        """Status and content of the answer; what is asked and how much at once is kept account of."""
        served, asked = self.server.served, json.loads(body)
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with served.lock:
            served.keys.add(key)
            served.asked.append(asked)
            served.busy += 1
            served.most_busy = max(served.most_busy, served.busy)
        try:
            return self.reply(served, asked, key)
        finally:
            with served.lock:
                served.busy -= 1

    def reply(self, served, asked, key):
        if self.path != "/v1/chat/completions" or asked["model"] != "tiny":
            return 404, error(f"no model {asked['model']}")
        if key == "sk-wrong":
            return 401, error(f"incorrect API key provided: {key}")
        said = served.model(asked)
        message = said if isinstance(said, dict) else {"role": "assistant", "content": said}
        words = len(json.dumps(message).split())
        return 200, {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": words, "total_tokens": 100 + words},
        }  # fmt: skip


def pieces(content, asked):
    """The events of a stream with a completion, a word or half a tool call at a time."""
    (choice,), message = content["choices"], content["choices"][0]["message"]
    deltas = [{"role": "assistant", "content": ""}]
    for field in ("reasoning_content", "content"):
        deltas += [{field: word} for word in re.findall(r"\S+\s*|\s+", message.get(field) or "")]
    for index, call in enumerate(message.get("tool_calls") or ()):
        function, half = call["function"], len(call["function"]["arguments"]) // 2
        first = {**call, "index": index, "function": {**function, "arguments": function["arguments"][:half]}}
        rest = {"index": index, "function": {"arguments": function["arguments"][half:]}}
        deltas += [{"tool_calls": [first]}, {"tool_calls": [rest]}]
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    events = [shared | {"choices": [{"index": 0, "delta": d, "finish_reason": None}]} for d in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    events.append(shared | {"choices": [end]})
    if (asked.get("stream_options") or {}).get("include_usage"):
        events.append(shared | {"choices": [], "usage": content["usage"]})
    return [*events, "[DONE]"]


def error(message):
    return {"error": {"message": message, "type": "error", "code": None}}


class Proxy(Completions):
    """Lets the server answer, and spoils some of the answers."""

    def do_POST(self):
        body, proxy = self.body(), self.server.proxy
        fault = proxy.fault(body)
        if fault is not None:
            return getattr(self, fault)(body)
        return self.deliver(body, *self.completed(body))

    def forward(self, body):
        status, content = self.completed(body)
        return status, json.dumps(content).encode()

    def busy(self, body):
        self.answer(429, error("too many requests"), Retry_After="0.01")

    def error(self, body):
        self.answer(500, error(f"no luck with {self.headers['Authorization']}"))

    def down(self, body):
        self.answer(503, error("down"))

    def hang(self, body):
        self.server.proxy.over.wait()
        self.close_connection = True

    def broken(self, body):
        self.answer(200, self.forward(body)[1][:-40])

    def empty(self, body):
        content = json.loads(self.forward(body)[1])
        content["choices"][0]["message"]["content"] = ""
        self.answer(200, content)

    def strange(self, body):
        self.answer(200, {"detail": "ok"})

    def reset(self, body):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()  # with what is unread: the other side gets a reset
        self.close_connection = True

    def trickle(self, body):
        """An answer whose bytes keep coming, more slowly than anybody waits for."""
        content = self.forward(body)[1]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.proxy.over.wait(0.1):
                break
        self.close_connection = True

    # of streams only

    def events(self, body):
        return pieces(self.completed(body)[1], json.loads(body))

    def slow(self, body):
        """Every piece in time, all of them later than anybody waits for a piece."""
        self.stream(self.events(body), after=lambda: self.server.proxy.over.wait(0.2))

    def stall(self, body):
        """Half of the pieces, and then nothing."""
        events = self.events(body)
        self.stream(events[: len(events) // 2], end=False)
        self.hang(body)

    def cut(self, body):
        """Half of the pieces, and the connection is gone."""
        events = self.events(body)
        self.stream(events[: len(events) // 2], end=False)
        self.close_connection = True

    def unfinished(self, body):
        """Half of the pieces, as if these were all."""
        events = self.events(body)
        self.stream(events[: len(events) // 2])

    def late(self, body):
        """An error among the pieces."""
        self.stream([*self.events(body)[:3], error(f"no luck with {self.headers['Authorization']}")])

    def misfit(self, body):
        """A piece that belongs to nothing."""
        first, *rest = self.events(body)
        call = {"index": 3, "function": {"arguments": "{}"}}
        odd = {**first, "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
        self.stream([first, odd, *rest])


class Faults:
    """Which answers a proxy spoils."""

    def __init__(self, share, kinds=FAULTS, most=2):
        self.share, self.kinds, self.most = share, kinds, most
        self.seen, self.made = Counter(), Counter()
        self.after = None
        """From so many requests on, the server is down."""
        self.over = threading.Event()
        self.lock = threading.Lock()

    def fault(self, body):
        with self.lock:
            self.seen[body] += 1
            attempt = self.seen[body]
            if self.after is not None and sum(self.seen.values()) > self.after:
                return "down"
            digest = hashlib.sha256(body + bytes([attempt % 256])).digest()
            if attempt > self.most or int.from_bytes(digest[:4], "big") / 2**32 >= self.share:
                return None
            kind = self.kinds[digest[4] % len(self.kinds)]
            self.made[kind] += 1
            return kind


class Quick(ThreadingHTTPServer):
    """Takes many connections at once, and leaves no thread or socket behind."""

    daemon_threads = False
    request_queue_size = 512

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.open = set()

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        pass  # clients hang up: that is what is tested

    def stop(self):
        self.shutdown()
        for request in list(self.open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        self.server_close()


@contextmanager
def running(handler, **attributes):
    server = Quick(("127.0.0.1", 0), handler)
    for name, value in attributes.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.stop()
        thread.join()


@contextmanager
def served(model=None):
    """A server; its address is ``url``."""
    found = Served(model or Phrases())
    with running(Completions, served=found) as port:
        found.url = f"http://127.0.0.1:{port}/v1"
        yield found


@contextmanager
def faulty(found, share, **options):
    """A proxy in front of a server; its address is ``url``."""
    faults = Faults(share, **options)
    with running(Proxy, proxy=faults, served=found) as port:
        faults.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield faults
        finally:
            faults.over.set()
