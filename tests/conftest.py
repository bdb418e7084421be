"""What holds for all tests: a slow machine is no failure. And servers that several of them talk to."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(scope="session")
def chat_server():
    """The module `tests/chat_server.py`: servers of chat completions, and proxies that spoil answers."""
    pytest.importorskip("openai", reason="an optional dependency is missing")
    spec = importlib.util.spec_from_file_location("chat_server", Path(__file__).with_name("chat_server.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
