"""Replay: verify a stored run by playing it again from its seeds with the stored assistant turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dialog_gym import plugins
from dialog_gym.benchmarks.evaluate import simulator_settings
from dialog_gym.benchmarks.suite import trial_seed
from dialog_gym.core import DialogGymError, Trajectory, Turn
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import Episode, Said
from dialog_gym.store import read_store


@dataclass
class ReplayReport:
    """What a replay found."""

    dialogues: int = 0
    turns: int = 0
    as_acts: int = 0
    """Assistant turns whose acts cannot be read from their text: they were sent as acts."""
    mismatches: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything matches."""
        return not self.mismatches


def replay_store(path: Path, on_progress: Any = None) -> ReplayReport:
    """Play every stored dialogue again.

    Raises:
        DialogGymError: the file is no store, or was made with another version of the domain or simulator.
    """
    found = read_store(path)
    header, report = found.header, ReplayReport()
    domain = plugins.load("domains", str(header.config.get("domain", "credit")))(
        **header.config.get("domain_options", {})
    )
    if header.config.get("domain_hash") != domain.config_hash:
        raise DialogGymError(
            f"{path}: made with domain {header.config.get('domain_hash')}, this is {domain.config_hash}; "
            f"replay it with dialog-gym {header.package_version}"
        )
    envs: dict[tuple[str, str, int], DialogueEnv] = {}
    for number, stored in enumerate(found.trajectories, 1):
        if stored.seed != (seed := trial_seed(header.suite, header.seed, stored.trial)):
            report.mismatches.append(
                f"{stored.task.id} trial {stored.trial}: seed {stored.seed}, the suite's is {seed}"
            )
        key = (stored.task.scenario, stored.task.split, stored.task.level)
        if key not in envs:
            envs[key] = DialogueEnv(
                domain, scenario=key[0], split=key[1], level=key[2], simulator=header.simulator
            )
            _check_simulator(path, header.config, envs[key].simulator)
        replay_one(envs[key], stored, report)
        if on_progress:
            on_progress(number, len(found.trajectories))
    return report


def _check_simulator(path: Path, config: Mapping[str, Any], simulator: Any) -> None:
    made, here = config.get("simulator_settings"), simulator_settings(simulator).get("simulator_settings")
    if made != here:
        raise DialogGymError(f"{path}: made with another version of the simulator: {made}, this is {here}")


def replay_one(env: DialogueEnv, stored: Trajectory, report: ReplayReport) -> None:
    """Play one stored dialogue again and note every difference."""
    report.dialogues += 1
    label = f"{stored.task.id} trial {stored.trial}"
    if env.domain.task_by_id(stored.task.id) != stored.task:
        report.mismatches.append(f"{label}: the task differs from the one its id names")
        return
    episode = env.begin(stored.task, stored.seed)
    for number, turn in enumerate(stored.turns, 1):
        if turn.role == "assistant" and episode.ended_by is None:
            if env.domain.read_assistant(turn.text, episode.turns) != turn.acts:
                report.as_acts += 1
                if not _sent_as_acts(episode, turn):
                    report.mismatches.append(f"{label}: turn {number} does not say the acts stored with it")
                    return
            episode.assistant(Said(turn.text, turn.acts, None), turn.thought)
    report.turns += len(stored.turns)
    again = episode.trajectory(stored.agent, stored.trial, stored.versions)
    if difference := first_difference(stored, again):
        report.mismatches.append(f"{label}: {difference}")


def _sent_as_acts(episode: Episode, turn: Turn) -> bool:
    """Whether a turn's text is how the environment words its acts: then the agent sent acts, not text."""
    try:
        return bool(turn.acts) and episode.worded(turn.acts) == turn.text
    except DialogGymError:
        return False


def first_difference(stored: Trajectory, again: Trajectory) -> str | None:
    """Where two records of a dialogue differ first, or None."""
    for number, (old, new) in enumerate(zip(stored.turns, again.turns, strict=False), 1):
        if old != new:
            return f"turn {number} is {_short(new)}, stored {_short(old)}"
    if len(stored.turns) != len(again.turns):
        return f"{len(again.turns)} turns, stored {len(stored.turns)}"
    for name in ("ended_by", "rewards", "costs", "outcome", "states"):
        old, new = getattr(stored, name), getattr(again, name)
        if plain(old) != plain(new):
            return f"{name} is {_short(new)}, stored {_short(old)}"
    return None


def plain(value: Any) -> Any:
    """A value as JSON keeps it: tuples and lists are the same."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _short(value: object) -> str:
    text = f"{value.role} {value.text!r}" if isinstance(value, Turn) else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
