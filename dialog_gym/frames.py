"""Trajectories as tables: a pandas frame, or a Hugging Face dataset for training language models."""

import importlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from dialog_gym.core import DialogGymError, Trajectory

if TYPE_CHECKING:  # slow to import
    import pandas


def to_frame(
    trajectories: Iterable[Trajectory], level: Literal["turn", "episode"] = "episode"
) -> "pandas.DataFrame":
    """A pandas table: one row per dialogue, or per turn.

    Episode rows hold the outcome's facts as ``outcome.NAME`` and the summed rewards and costs (NaN turns left
    out; NaN when none was judged) as ``reward.NAME`` and ``cost.NAME``. Turn rows hold speaker, text, thought
    and intents; an assistant's turn also has its own ``reward.NAME`` and ``cost.NAME``.

    Raises:
        DialogGymError: when pandas is not installed, or on an unknown level.
    """
    if level not in ("turn", "episode"):
        raise DialogGymError(f"level must be 'turn' or 'episode', got {level!r}")
    try:
        import pandas
    except ImportError as error:
        raise _needs_data("pandas") from error
    if level == "episode":
        return pandas.DataFrame([_episode_row(trajectory) for trajectory in trajectories])
    return pandas.DataFrame([row for trajectory in trajectories for row in _turn_rows(trajectory)])


def to_dataset(trajectories: Iterable[Trajectory]) -> Any:
    """A Hugging Face ``datasets.Dataset`` for training language models, one row per dialogue.

    ``messages`` is the chat format, guidelines as the system message. ``rewards`` maps each name to one float
    per assistant turn (NaN: not judged). ``profile`` and ``outcome`` are JSON texts: their values mix types,
    which Arrow columns do not allow.

    Raises:
        DialogGymError: when `datasets` is not installed.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise _needs_data("datasets") from error
    rows = list(trajectories)
    names = sorted({name for row in rows for turn in row.rewards for name in turn})
    return datasets.Dataset.from_list([_dataset_row(row, names) for row in rows])


def _identity(trajectory: Trajectory) -> dict[str, Any]:
    task = trajectory.task
    return {
        "task_id": task.id,
        "trial": trajectory.trial,
        "agent": trajectory.agent,
        "seed": trajectory.seed,
        "domain": task.domain,
        "scenario": task.scenario,
        "split": task.split,
        "level": task.level,
        "ended_by": trajectory.ended_by,
    }


def _episode_row(trajectory: Trajectory) -> dict[str, Any]:
    row = _identity(trajectory) | {"turns": len(trajectory.turns)}
    row |= {f"outcome.{name}": value for name, value in trajectory.outcome.items()}
    for prefix, per_turn in (("reward", trajectory.rewards), ("cost", trajectory.costs)):
        for name in sorted({name for turn in per_turn for name in turn}):
            judged = [turn[name] for turn in per_turn if name in turn and not math.isnan(turn[name])]
            row[f"{prefix}.{name}"] = math.fsum(judged) if judged else math.nan
    return row


def _turn_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    identity, spoken = _identity(trajectory), 0
    for number, turn in enumerate(trajectory.turns):
        row = identity | {"turn": number, "role": turn.role, "text": turn.text, "thought": turn.thought}
        row["intents"] = " ".join(act.intent for act in turn.acts)
        if turn.role == "assistant":
            for prefix, per_turn in (("reward", trajectory.rewards), ("cost", trajectory.costs)):
                if spoken < len(per_turn):
                    row |= {f"{prefix}.{name}": value for name, value in per_turn[spoken].items()}
            spoken += 1
        yield row


def _dataset_row(trajectory: Trajectory, names: list[str]) -> dict[str, Any]:
    guidelines = trajectory.task.guidelines
    messages = [{"role": "system", "content": guidelines}] if guidelines else []
    messages += [{"role": turn.role, "content": turn.text} for turn in trajectory.turns]
    return _identity(trajectory) | {
        "messages": messages,
        "rewards": {name: [turn.get(name, math.nan) for turn in trajectory.rewards] for name in names},
        "profile": json.dumps(dict(trajectory.task.profile.attributes)),
        "outcome": json.dumps(dict(trajectory.outcome)),
    }


def _needs_data(package: str) -> DialogGymError:
    return DialogGymError(f'{package} is not installed: pip install "dialog-gym[data]"')
