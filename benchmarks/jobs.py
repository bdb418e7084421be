"""Jobs that depend on each other, each in a process of its own: as many at a time as there are cores.

A process per job, because the most memory that a process has held is then that of the job, and a job that
breaks down takes no other with it. Stopping is in order: running jobs are asked to save what they have.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple, Protocol

from dialog_gym.core import DialogGymError


class Stopped(Exception):
    """Raised by a job that was asked to stop and has saved what it had."""


class JobFailed(DialogGymError):
    """A job broke down; the text names it."""


class Reporter(Protocol):
    """How a job tells how far it is, and learns that it is to stop."""

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` are finished, in any unit."""
        ...

    def stop(self) -> bool:
        """Whether to save and raise `Stopped`."""
        ...


class Job(NamedTuple):
    """A piece of work."""

    name: str
    run: Callable[..., Any]
    """A function of a module, called with ``arguments`` and a `Reporter`; its value travels back."""
    arguments: tuple[Any, ...]
    after: tuple[str, ...] = ()
    """Names of the jobs that must be finished first."""


class Status(NamedTuple):
    """Where all jobs are."""

    finished: tuple[str, ...]
    """In the order in which they ended."""
    running: Mapping[str, float]
    """Share from 0 to 1 that each running job has done."""
    total: int
    stopping: bool = False
    """Whether running jobs have been asked to stop."""


def run_jobs(
    jobs: Sequence[Job], *, workers: int | None = None, on_status: Callable[[Status], None] = lambda _: None
) -> dict[str, Any]:
    """Run jobs in the order given, as far as what they depend on allows.

    Args:
        jobs: Their names differ; what a job comes after is among them.
        workers: Jobs at a time; default one per core.
        on_status: Told whenever something has changed.

    Returns:
        The value of every job by its name.

    Raises:
        JobFailed: one broke down; the others were stopped in order.
        KeyboardInterrupt: Ctrl-C; running jobs were stopped in order first. A second one ends them at once.
    """
    crew = _Crew(jobs, workers or os.cpu_count() or 1, on_status)
    try:
        try:
            crew.work()
        except KeyboardInterrupt:
            crew.wind_up()
            raise
    finally:
        crew.end()
    if crew.failure:
        raise JobFailed(crew.failure)
    return crew.values


class _Crew:
    """The processes of `run_jobs`."""

    def __init__(self, jobs: Sequence[Job], workers: int, on_status: Callable[[Status], None]) -> None:
        self.context = get_context("spawn")
        self.stop = self.context.Event()
        self.waiting, self.workers, self.on_status, self.total = list(jobs), workers, on_status, len(jobs)
        self.running: dict[Connection, tuple[str, Any]] = {}
        self.shares: dict[str, float] = {}
        self.values: dict[str, Any] = {}
        self.failure = ""

    def work(self) -> None:
        """Until all jobs are done, or those that run have stopped."""
        while self.running or (self.waiting and not self.stop.is_set()):
            while not self.stop.is_set() and len(self.running) < self.workers and (job := self._next()):
                self._start(job)
            for connection in wait(list(self.running)):
                assert isinstance(connection, Connection)
                self._hear(connection)
            self._tell()

    def wind_up(self) -> None:
        """Ask all jobs to stop, and wait until they have."""
        self.stop.set()
        self._tell()
        self.work()

    def end(self) -> None:
        """Leave no process behind."""
        for _, process in self.running.values():
            process.terminate()
            process.join()

    def _tell(self) -> None:
        self.on_status(Status(tuple(self.values), dict(self.shares), self.total, self.stop.is_set()))

    def _next(self) -> Job | None:
        ready = (job for job in self.waiting if all(name in self.values for name in job.after))
        return next(ready, None)

    def _start(self, job: Job) -> None:
        self.waiting.remove(job)
        here, there = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=_work, args=(there, self.stop, job.run, job.arguments), name=job.name, daemon=True
        )
        with _deaf():
            process.start()
        there.close()
        self.running[here], self.shares[job.name] = (job.name, process), 0.0

    def _hear(self, connection: Connection) -> None:
        name, process = self.running[connection]
        try:
            kind, value = connection.recv()
        except EOFError:
            kind, value = "failed", "its process died (out of memory?)"
        if kind == "progress":
            self.shares[name] = value
            return
        process.join()
        connection.close()
        del self.running[connection], self.shares[name]
        if kind == "done":
            self.values[name] = value
        if kind == "failed" and not self.failure:
            self.failure = f"{name}: {value}"
            self.stop.set()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes begun in here leave Ctrl-C to this one from their first moment on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Wire:
    """The `Reporter` of a job's process; tells of whole per cents only."""

    def __init__(self, connection: Connection, stop: Any) -> None:
        self.connection, self.stop, self.told = connection, stop.is_set, -1

    def progress(self, done: int, total: int) -> None:
        """See `Reporter`."""
        percent = 100 * done // total if total else 0
        if percent != self.told:
            self.told = percent
            self.connection.send(("progress", percent / 100))


def _work(connection: Connection, stop: Any, run: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """The whole life of a job's process."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, which nothing has done yet
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        connection.send(("done", run(*arguments, _Wire(connection, stop))))
    except Stopped:
        connection.send(("stopped", None))
    except DialogGymError as error:
        connection.send(("failed", str(error)))
    except BrokenPipeError:  # whoever waited is gone, so nobody wants to know
        return
    except Exception as error:
        connection.send(("failed", f"internal error: {type(error).__name__}: {error}"))
        if os.environ.get("DIALOG_GYM_DEBUG"):
            raise
