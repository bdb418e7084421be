"""Runs are reproducible to the byte: over processes, hash seeds, and a kill in the middle."""

import os
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "dialog_gym.cli"]


def evaluate(tmp_path, name, *arguments, episodes=200, **environment):
    path = tmp_path / f"{name}.jsonl"
    run = ["evaluate", "--agent", "random", "--episodes", str(episodes), "--out", str(path), *arguments]
    done = subprocess.run(
        [*COMMAND, *run], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return evaluate(tmp_path_factory.mktemp("runs"), "one", "--workers", "1", PYTHONHASHSEED="0")


def test_one_and_two_workers_write_the_same_bytes(tmp_path, expected):
    assert evaluate(tmp_path, "two", "--workers", "2", PYTHONHASHSEED="1") == expected


def test_the_hash_seed_changes_nothing(tmp_path, expected):
    assert evaluate(tmp_path, "other", "--workers", "1", PYTHONHASHSEED="1") == expected


def test_another_seed_changes_something(tmp_path, expected):
    assert evaluate(tmp_path, "other", "--workers", "1", "--seed", "1") != expected


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_and_resumed_gives_the_same_bytes(tmp_path, expected):
    path = tmp_path / "killed.jsonl"
    run = ["evaluate", "--agent", "random", "--episodes", "200", "--workers", "1", "--out", str(path)]
    process = subprocess.Popen([*COMMAND, *run], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    patience = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < patience:
        if path.exists() and path.stat().st_size > 10_000:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate()
    with open(path, "ab") as file:
        file.write(b'{"task":{"id":"cut off')  # what a kill in the middle of a write leaves
    assert evaluate(tmp_path, "killed", "--workers", "1", "--resume") == expected


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_interrupted_run_says_how_to_go_on(tmp_path, expected):
    path = tmp_path / "stopped.jsonl"
    run = ["evaluate", "--agent", "random", "--episodes", "200", "--workers", "1", "--out", str(path)]
    process = subprocess.Popen(
        [*COMMAND, *run], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    patience = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < patience and not path.exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    if process.returncode == 0:
        pytest.skip("the run was faster than the signal")
    assert process.returncode == 130 and len(err.splitlines()) == 1
    assert err.startswith("dialog-gym: stopped") and err.rstrip().endswith("--resume")
    assert evaluate(tmp_path, "stopped", "--workers", "1", "--resume") == expected
