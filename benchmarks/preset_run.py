"""A preset played out: agents are trained, everybody plays the suite, and the board is written.

The folder then holds ``agents/`` (a folder per trained agent), the dialogues of everybody, and the board.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dialog_gym.agents.learning import registry
from dialog_gym.benchmarks.board import Board
from dialog_gym.benchmarks.evaluate import RunConfig, default_store
from dialog_gym.benchmarks.jobs import Job, Reporter, Status, Stopped, run_jobs
from dialog_gym.benchmarks.leaderboard import play_agent, write_board
from dialog_gym.benchmarks.presets import START, Course, Learner, Preset
from dialog_gym.benchmarks.rows import Played
from dialog_gym.benchmarks.suite import Suite
from dialog_gym.core import DialogGymError


class Trainee(NamedTuple):
    """One agent to be trained."""

    course: Course
    learner: Learner
    seed: int

    @property
    def name(self) -> str:
        """Of its folder and its jobs."""
        return f"{self.learner.name}-{self.course.backbone}-seed{self.seed}"

    @property
    def start(self) -> "Trainee | None":
        """Whom it starts from: the agent of the same seed that every agent of the course starts from."""
        first = self.course.learners[0]
        return None if self.learner == first else self._replace(learner=first)


def trainees(preset: Preset) -> list[Trainee]:
    """Everybody who is to be trained, seed by seed, those that others start from first."""
    return [
        Trainee(course, learner, seed)
        for course in preset.courses
        for seed in range(course.seeds)
        for learner in course.learners
    ]


def check_preset(preset: Preset, suite: Suite) -> None:
    """Find out before hours are spent whether everybody can be trained.

    Raises:
        DialogGymError: PyTorch is missing, an algorithm, a backbone or an option is unknown or impossible.
    """
    if not preset.courses:
        return
    registry.require_torch()
    from dialog_gym.agents.learning.backbones import backbone
    from dialog_gym.agents.learning.run_options import RunOptions, make_config

    for course in preset.courses:
        if course.learners[0].algorithm != START:
            raise DialogGymError(
                f"preset {preset.name}: the first learner on {course.backbone} must be {START}"
            )
        for learner in course.learners:
            kind, back = registry.load(learner.algorithm), backbone(course.backbone)
            make_config(kind, back, RunOptions(learner.algorithm, Path(), config=learner.config))


def run_preset(
    preset: Preset,
    suite: Suite,
    folder: Path,
    *,
    episodes: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    resume: bool = False,
    on_status: Callable[[Status], None] = lambda _: None,
) -> Board:
    """Train, play, compare; what an earlier run finished is kept, what it began is gone on with.

    Args:
        preset: What is to be done.
        suite: Who is played against; agents are trained at its level, on other tasks.
        folder: Where everything goes.
        episodes: Dialogues per agent and seed instead of the preset's.
        seed: Of the played dialogues; training seeds count from 0.
        workers: Jobs at a time; default one per core.
        resume: Whether the folder may hold an earlier run, whose dialogues are kept.
        on_status: Told where all jobs are.

    Raises:
        DialogGymError: a mistake in the preset, or the folder holds a run that is not to be resumed.
        JobFailed: training or playing broke down.
        KeyboardInterrupt: stopped in order.
    """
    check_preset(preset, suite)
    learners, home = trainees(preset), folder / "agents"
    if not resume and (used := [one.name for one in learners if (home / one.name).exists()]):
        raise DialogGymError(f"{home / used[0]} exists: go on with --resume, or choose another --out")

    def playing(name: str, agent: str, after: tuple[str, ...] = ()) -> Job:
        config = RunConfig(suite, agent, episodes or preset.episodes, seed)
        store = folder / f"{default_store(config, name).name}.gz"
        return Job(f"play {name}", play_suite, (config, store), after)

    without = [playing(agent, agent) for agent in preset.agents]
    training = [_training(one, home, suite) for one in learners]
    after = [
        playing(one.name, str(home / one.name), (job.name,))
        for one, job in zip(learners, training, strict=True)
    ]
    learnt = [job for pair in zip(training, after, strict=True) for job in pair]
    found = run_jobs([*learnt, *without], workers=workers, on_status=on_status)
    players: list[Played] = [found[job.name] for job in without]
    players += [
        found[job.name]._replace(variant=one.learner.variant)
        for one, job in zip(learners, after, strict=True)
    ]
    return write_board(players, suite, folder, seed)


def _training(one: Trainee, home: Path, suite: Suite) -> Job:
    course, learner = one.course, one.learner
    options = {
        "algorithm": learner.algorithm, "backbone": course.backbone, "out": home / one.name, "seed": one.seed,
        "domain": suite.domain, "level": suite.level, "validate_every": course.validate_every, "threads": 1,
        "validation_episodes": course.validation_episodes, "model": course.model, "config": learner.config,
    }  # fmt: skip
    if one.start is None:
        return Job(f"train {one.name}", train_agent, (options,))
    options |= {"init": home / one.start.name, "steps": course.steps}
    return Job(f"train {one.name}", train_agent, (options,), after=(f"train {one.start.name}",))


def train_agent(options: Mapping[str, Any], reporter: Reporter) -> None:
    """Train an agent, or go on with training it; nothing is done where it is finished.

    Raises:
        Stopped: it was asked to stop and has saved.
    """
    registry.require_torch()
    from dialog_gym.agents.learning import checkpoint
    from dialog_gym.agents.learning.run_options import RunOptions
    from dialog_gym.agents.learning.runs import run

    begun = checkpoint.exists(options["out"])
    if not run(RunOptions(**options, resume=begun), _Watch(reporter)).finished:
        raise Stopped


class _Watch:
    """Follows a training run for a reporter."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter, self.stop = reporter, reporter.stop

    def progress(self, progress: Any) -> None:
        """An iteration is finished."""
        self.reporter.progress(progress.done, progress.total)

    def note(self, text: str) -> None:
        """Nobody reads the notes of many jobs at once."""


def play_suite(config: RunConfig, store: Path, reporter: Reporter) -> Played:
    """Let an agent play; dialogues that are finished already are kept.

    Raises:
        Stopped: it was asked to stop; what it has played is kept.
    """

    def follow(done: int, total: int) -> None:
        reporter.progress(done, total)
        if reporter.stop() and done < total:
            raise Stopped

    return play_agent(config, store=store, workers=1, resume=True, on_progress=follow)
