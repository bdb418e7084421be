"""Rollouts on a server: against a small one of the test's own that speaks vLLM's completions format."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")
pytest.importorskip("openai", reason="an optional dependency is missing")

from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig  # noqa: E402
from dialog_gym.agents.learning.rollout import Episodes  # noqa: E402
from dialog_gym.agents.lm import server as server_module  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.agents.lm.server import ServerEngine  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.lm.engine import Sampling  # noqa: E402
from dialog_gym.lm.loading import load  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
DOMAIN = CreditDomain(max_turns=3)


class Served:
    """What the server serves, and what it was asked."""

    def __init__(self, model, base):
        self.model, self.base = model, base
        self.adapters, self.asked, self.adapted = {}, [], []
        self.failures, self.without = [], ()
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    def complete(self, asked):
        ids, sampled, logprobs = list(asked["prompt"]), [], []
        generator = torch.Generator().manual_seed(asked["seed"])
        with torch.inference_mode():
            while len(sampled) < asked["max_tokens"] and not {*sampled[-1:]} & {*asked["stop_token_ids"]}:
                logits = self.model(torch.tensor([ids + sampled])).logits[0, -1].log_softmax(-1)
                draw = torch.multinomial(logits.exp(), 1, generator=generator)
                token = int(draw if asked["temperature"] else logits.argmax())
                sampled.append(token)
                logprobs.append(float(logits[token]))
        stopped = sampled[-1] in asked["stop_token_ids"]
        words = [
            f"token_id:{token}" if asked.get("return_tokens_as_token_ids") else "word" for token in sampled
        ]
        choice = {
            "index": 0,
            "text": "...",
            "logprobs": {"text_offset": [], "token_logprobs": logprobs, "tokens": words, "top_logprobs": []},
            "finish_reason": "stop" if stopped else "length",
            "stop_reason": None,
            "token_ids": sampled if asked.get("return_token_ids") else None,
            "prompt_token_ids": ids,
        }
        for name in self.without:
            choice[name] = None
        return {
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": asked["model"],
            "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """The part of vLLM's API that rollouts use."""

    protocol_version = "HTTP/1.1"

    @property
    def served(self):
        return self.server.served

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        models = [self.served.base, *self.served.adapters]
        self.answer(200, {"object": "list", "data": [self.card(name) for name in models]})

    def card(self, name):
        return {"id": name, "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 600}

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            self.served.adapters[asked["lora_name"]] = asked["lora_path"]
            self.served.adapted.append(sorted(p.name for p in Path(asked["lora_path"]).iterdir()))
            return self.answer(200, "Success: LoRA adapter added successfully.")
        if self.path == "/v1/unload_lora_adapter":
            del self.served.adapters[asked["lora_name"]]
            return self.answer(200, "Success: LoRA adapter removed successfully.")
        with self.served.lock:
            self.served.asked.append(asked)
            self.served.busy += 1
            self.served.most_busy = max(self.served.most_busy, self.served.busy)
            failure = self.served.failures.pop() if self.served.failures else None
        if failure is None:
            self.answer(200, self.served.complete(asked))
        else:
            self.answer(failure, {"object": "error", "message": "not\nnow", "code": failure})
        with self.served.lock:
            self.served.busy -= 1

    def answer(self, status, content):
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served(model_folder):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.served = Served(load(str(model_folder("llama"))).model, "shop/llama")
    server.served.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def engine(served, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)
    made = []

    def make(**options):
        made.append(ServerEngine(served.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


SAMPLING = Sampling(stop=(2,), max_new_tokens=5)


def test_a_dialogue_is_sampled_as_ids(served, engine):
    session = engine().open(2, SAMPLING)
    session.append([0, 1], [[1, 30, 31], [1, 40]])
    first = session.sample([0, 1], [7, 7])
    assert [session.length(row) for row in (0, 1)] == [3 + len(first[0].ids), 2 + len(first[1].ids)]
    assert session.room(0) == 600 - session.length(0)
    session.append([0], [[50, 51]])
    session.sample([0], [7])
    asked = served.asked[-1]
    assert asked["prompt"] == [1, 30, 31, *first[0].ids, 50, 51]
    assert asked["model"] == "shop/llama"
    assert (asked["top_p"], asked["top_k"], asked["repetition_penalty"]) == (1.0, -1, 1.0)
    assert first[0].stopped == (first[0].ids[-1] == 2)
    assert len({one["seed"] for one in served.asked if one["prompt"][:2] == [1, 30]}) == 2
    session.drop([0])
    with pytest.raises(DialogGymError, match=r"row 0 is not in this session; there are \[1\]"):
        session.sample([0], [7])


def test_the_same_keys_give_the_same_turns(engine):
    def turn(key):
        session = engine().open(1, SAMPLING)
        session.append([0], [[1, 30, 31]])
        return session.sample([0], [key])

    assert turn(3) == turn(3)
    assert turn(3) != turn(4)


def test_ids_among_the_tokens_will_do(served, engine):
    session = engine().open(1, SAMPLING)
    session.append([0], [[1, 30, 31]])
    served.without = ("token_ids",)
    (turn,) = session.sample([0], [3])
    served.without = ()
    other = engine().open(1, SAMPLING)
    other.append([0], [[1, 30, 31]])
    assert other.sample([0], [3]) == [turn]


def test_a_server_without_token_ids_is_told_apart(served, engine):
    session = engine().open(1, SAMPLING)
    session.append([0], [[1, 30]])
    for without in (("token_ids", "logprobs"), ("logprobs",)):
        served.without = without
        with pytest.raises(DialogGymError, match="returns no token ids with log-probabilities"):
            session.sample([0], [3])
    assert session.length(0) == 2


def test_failures_that_pass_are_tried_again(served, engine):
    session = engine(retries=3).open(1, SAMPLING)
    session.append([0], [[1, 30]])
    served.failures = [500, 429, 503]
    session.sample([0], [3])
    assert len(served.asked) == 4
    served.failures = [400]
    with pytest.raises(DialogGymError, match=r"refuses: .*not now"):
        session.sample([0], [3])


def test_requests_under_way_are_bounded(served, engine):
    session = engine(concurrency=3).open(12, SAMPLING)
    session.append(range(12), [[1, 30 + i] for i in range(12)])
    assert len(session.sample(range(12), range(12))) == 12
    assert 1 <= served.most_busy <= 3


def test_a_server_that_cannot_be_used(served, engine, monkeypatch):
    with pytest.raises(DialogGymError, match="does not serve other; served: shop/llama"):
        engine(model="other")
    with pytest.raises(DialogGymError, match=r"at http://127\.0\.0\.1:9/v1 cannot be reached"):
        ServerEngine("http://127.0.0.1:9/v1", retries=0)
    with pytest.raises(DialogGymError, match=r"the temperature is 0\.5, but servers report"):
        engine().open(1, Sampling(stop=(2,), temperature=0.5))
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(DialogGymError, match="need the openai package: pip install"):
        server_module.ServerEngine(served.url)


def test_rows_that_are_full_or_empty(engine):
    session = engine().open(2, SAMPLING)
    with pytest.raises(DialogGymError, match="has room for 600 more tokens, not 601"):
        session.append([0], [[1] * 601])
    session.append([0], [[1] * 600])
    assert session.sample([0], [1])[0] == ([], [], False)
    with pytest.raises(DialogGymError, match="row 1 is empty"):
        session.sample([1], [1])
    with pytest.raises(DialogGymError, match="named twice"):
        session.drop([0, 0])


def episodes():
    group = np.repeat(np.arange(2), 3)
    return Episodes("customer_service", group, group.astype(np.uint64), group)


def test_a_policy_plays_on_the_server_and_learns_here(served, model_folder):
    config = LMConfig(
        model=str(model_folder("llama")), precision="fp32", max_new_tokens=6, server=served.url, lora=2
    )
    playing = LMPolicy(DOMAIN, config)
    rollout = playing.collect(episodes(), torch.Generator().manual_seed(0))
    assert served.asked
    assert list(served.adapters) == ["llama-lora-1"]
    assert "adapter_config.json" in served.adapted[0]
    assert torch.allclose(playing.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    GRPO(playing, GRPOConfig(drop_equal=False, entropy=0.1)).update(rollout, torch.Generator().manual_seed(0))
    playing.collect(episodes(), torch.Generator().manual_seed(1))
    assert list(served.adapters) == ["llama-lora-2"]
    assert served.asked[-1]["model"] == "llama-lora-2"
    playing.engine().client.close()


def test_weights_that_the_server_does_not_have(engine):
    one = engine()
    session = one.open(1, SAMPLING)
    with pytest.raises(DialogGymError, match="only LoRA adapters can follow the training; train with --lora"):
        one.refresh()
    one.version += 1
    with pytest.raises(DialogGymError, match="this session is of the old weights"):
        session.append([0], [[1]])
