"""`dialog-gym leaderboard --preset NAME`: agents are trained, everybody plays, with lines about the jobs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dialog_gym.cli_evaluate import again, put_aside
from dialog_gym.cli_output import Failed, Interrupted, note, progress

if TYPE_CHECKING:
    from dialog_gym.benchmarks.board import Board
    from dialog_gym.benchmarks.jobs import Status
    from dialog_gym.benchmarks.suite import Suite

PAUSE = 15.0
"""Seconds between lines about running jobs."""


def preset_board(
    name: str,
    suite: "Suite",
    own: list[str],
    *,
    lm: bool,
    only: list[str],
    episodes: int | None,
    seed: int,
    workers: int | None,
    folder: Path,
    resume: bool,
) -> "Board":
    """Play out a preset for the command line.

    Args:
        name: Of the preset.
        suite: Who is played against.
        own: Agents that play beside those of the preset.
        lm: Whether language models are trained.
        only: Those of the preset who play, see `Preset.only`; empty: all.
        episodes: Dialogues per agent instead of the preset's.
        seed: Of the played dialogues.
        workers: Jobs at a time.
        folder: Where everything goes.
        resume: Whether to go on with what is there.

    Raises:
        DialogGymError: a mistake in what was asked.
        Failed: a job broke down; the text says how to go on.
        Interrupted: stopped with Ctrl-C; the text says how to go on.
    """
    from dialog_gym.benchmarks.evaluate import RunConfig, default_store
    from dialog_gym.benchmarks.jobs import JobFailed
    from dialog_gym.benchmarks.preset_run import run_preset
    from dialog_gym.benchmarks.presets import load_preset
    from dialog_gym.cli_evaluate import check_run

    preset = load_preset(name) if lm else load_preset(name).without("lm")
    preset = preset.only(only) if only else preset
    preset = replace(preset, agents=tuple(dict.fromkeys((*preset.agents, *own))))
    for agent in preset.agents:
        config = RunConfig(suite, agent, episodes or preset.episodes, seed)
        check_run(config)
        if not resume:
            put_aside(folder / f"{default_store(config, agent).name}.gz")
            put_aside(folder / default_store(config, agent).name)
    if preset.takes:
        note(f"preset {name}: {preset.takes}; Ctrl-C stops in order, and --resume goes on")
    try:
        with job_progress() as on_status:
            board = run_preset(
                preset, suite, folder, episodes=episodes, seed=seed, workers=workers, resume=resume,
                on_status=on_status,
            )  # fmt: skip
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; what is finished is in {folder}; go on with: {again()}") from None
    except JobFailed as failure:
        without = " (or leave language models out: --no-lm)" if "-lm-" in str(failure) else ""
        raise Failed(f"{failure}; go on with: {again()}{without}") from failure
    note(f"agents, dialogues and board: {folder}")
    return board


@contextmanager
def job_progress() -> Iterator[Callable[["Status"], None]]:
    """Lines about jobs and, where stderr is a terminal, a bar over all of them."""
    lines = JobLines()
    if not sys.stderr.isatty():
        yield lines
        return
    with progress("all jobs, per cent") as update:

        def tell(status: "Status") -> None:
            lines(status)
            done = len(status.finished) + sum(status.running.values())
            update(int(100 * done / max(status.total, 1)), 100)

        yield tell


class JobLines:
    """Notes about jobs: one for each that ends, and now and then one about those that run."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.told, self.stopping = 0, False

    def __call__(self, status: "Status") -> None:
        """Something has changed."""
        now = time.monotonic()
        for job in status.finished[self.told :]:
            self.told += 1
            self.last = now
            note(f"[{self.told}/{status.total}] {job} done after {now - self.began:,.0f} s")
        if status.stopping and status.running and not self.stopping:
            self.stopping = True
            note("stopping when what runs has saved; Ctrl-C again stops at once")
        if status.running and now - self.last >= PAUSE:
            self.last = now
            shares = ", ".join(f"{job} {share:.0%}" for job, share in status.running.items())
            note(f"[{self.told}/{status.total}] {shares}")
