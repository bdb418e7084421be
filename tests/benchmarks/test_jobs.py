"""Jobs in processes of their own: order, values, failure, stopping."""

import os
import signal
import time
from pathlib import Path

import pytest

from dialog_gym.benchmarks.jobs import Job, JobFailed, Status, Stopped, run_jobs
from dialog_gym.core import DialogGymError


def write(path: Path, text: str, reporter) -> str:
    reporter.progress(1, 2)
    with path.open("a") as file:
        file.write(text)
    return text.upper()


def fail(reporter) -> None:
    raise DialogGymError("no such thing")


def die(reporter) -> None:
    os._exit(3)


def until_stopped(path: Path, reporter) -> None:
    path.write_text("begun")
    while not reporter.stop():
        time.sleep(0.01)
    path.write_text("saved")
    raise Stopped


def test_values_order_and_status(tmp_path):
    out, seen = tmp_path / "out", list[Status]()
    jobs = [
        Job("b", write, (out, "b"), after=("a",)),
        Job("a", write, (out, "a")),
        Job("c", write, (out, "c"), after=("a", "b")),
    ]
    assert run_jobs(jobs, workers=2, on_status=seen.append) == {"a": "A", "b": "B", "c": "C"}
    assert out.read_text() == "abc"
    assert seen[-1] == Status(("a", "b", "c"), {}, 3)
    assert any(0.5 in status.running.values() for status in seen)


@pytest.mark.parametrize(
    ("job", "line"), [(fail, "x: no such thing"), (die, "x: its process died (out of memory?)")]
)
def test_a_failure_stops_the_others_in_order(tmp_path, job, line):
    other = tmp_path / "other"
    jobs = [
        Job("other", until_stopped, (other,)), Job("x", job, ()), Job("never", write, (tmp_path / "n", "n")),
    ]  # fmt: skip
    with pytest.raises(JobFailed) as caught:
        run_jobs(jobs, workers=2)
    assert str(caught.value) == line
    assert not (tmp_path / "n").exists()
    assert not other.exists() or other.read_text() == "saved"  # it may not have come to its first line


def test_ctrl_c_lets_jobs_save(tmp_path):
    path = tmp_path / "job"
    jobs = [Job("job", until_stopped, (path,)), Job("quick", write, (tmp_path / "q", "q"))]

    def interrupt(status: Status) -> None:
        if "quick" in status.finished and not status.stopping:
            while not path.exists():
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, workers=2, on_status=interrupt)
    assert path.read_text() == "saved"
