"""Servers of the shipped language model: one of the tests' own, and `transformers serve`."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.base import load_agent
from dialog_gym.chat_client import ChatClient
from dialog_gym.chat_options import ChatOptions, ChatRequest
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.lm.shipped import shipped_model
from dialog_gym.rollout import play_many

SHIPPED = shipped_model()
SAID = ("Hi", "Is there a fee?", "I need 500 for a new fridge.")
SYSTEM = "The customer wrote. Reply in words."


def test_a_real_model_talks_with_customers(chat_server, monkeypatch):
    env = DialogueEnv(scenario="customer_service", level=2, simulator="agenda")
    with chat_server.served(chat_server.Tiny()) as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.url)
        played = play_many(env.begin_many([0], [0]), load_agent("openai:tiny?max_tokens=16"))
    assert all(one.ended_by != "error" and one.outcome["turns"] >= 1 for one in played)
    assert any(turn.acts for one in played for turn in one.turns if turn.role == "assistant")


@pytest.fixture(scope="module")
def transformers_serve():
    """`transformers serve` with the shipped model; its address."""
    for needed in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is missing: pip install 'transformers[serving]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [str(Path(sys.executable).with_name("transformers")), "serve", str(SHIPPED), "--device", "cpu"]
    program += ["--host", "127.0.0.1", "--port", str(port)]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(program, env=env, stderr=subprocess.PIPE, text=True) as running:
        try:
            lines = []
            for line in running.stderr:
                lines.append(line)
                if "Uvicorn running" in line:
                    break
            assert running.poll() is None, "".join(lines)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.terminate()
            running.communicate()


@pytest.mark.slow
def test_another_server_of_the_same_model_says_the_same(transformers_serve, chat_server):
    requests = [
        ChatRequest([{"role": "system", "content": SYSTEM}, {"role": "user", "content": said}], seed=3)
        for said in SAID
    ]
    options = {"max_tokens": 16, "timeout": 300.0}
    theirs = ChatClient(ChatOptions(str(SHIPPED), base_url=transformers_serve, **options), "agent")
    found = theirs.ask(requests)
    with chat_server.served(chat_server.Tiny()) as served:
        expected = ChatClient(ChatOptions("tiny", base_url=served.url, **options), "agent").ask(requests)
    assert [reply.text for reply in found] == [reply.text for reply in expected]
    assert all(reply.text and reply.input_tokens and reply.output_tokens for reply in found)


@pytest.mark.slow
def test_it_plays_whole_dialogues(transformers_serve):
    env = DialogueEnv(scenario="customer_service", level=2)
    agent = load_agent(
        f"openai:{SHIPPED}", {"base_url": transformers_serve, "max_tokens": 24, "timeout": 300.0}
    )
    played = play_many(env.begin_many([0, 1, 2], [0, 1, 2]), agent)
    assert all(one.ended_by != "error" and one.outcome["turns"] >= 1 for one in played)
