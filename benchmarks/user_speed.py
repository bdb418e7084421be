"""Dialogues per second with a language model as the user: together, against one call per dialogue.

    python -m dialog_gym.benchmarks.user_speed [--simulator lm] [--batch 64]

Both play the same dialogues in one process and must give the same words; times are CPU times.
"""

import time
from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from dialog_gym.agents.base import load_agent
from dialog_gym.core import DialogGymError, Trajectory
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play, play_many


class Speed(NamedTuple):
    """What was measured."""

    alone: float
    """Dialogues per CPU second, one after the other."""
    together: float
    alike: bool
    """Whether both gave the same dialogues."""

    @property
    def ratio(self) -> float:
        """How many times as fast together is."""
        return self.together / self.alone


def measure(simulator: str = "lm", *, batch: int = 64, scenario: str = "customer_service") -> Speed:
    """Play ``batch`` dialogues of the test split both ways with the scripted agent.

    Raises:
        DialogGymError: the simulator is unknown or cannot be had.
    """
    env = DialogueEnv(scenario=scenario, simulator=simulator, split="test")
    agent, tasks = load_agent("scripted"), list(range(batch))
    play(env.begin(batch, 0), agent)  # loads the model

    def alone() -> list[Trajectory]:
        return [play(env.begin(task, 0), agent) for task in tasks]

    def together() -> list[Trajectory]:
        return play_many(env.begin_many(tasks, [0] * batch, greet=False), agent)

    (first, slow), (second, fast) = _timed(alone), _timed(together)
    return Speed(batch / slow, batch / fast, first == second)


def _timed(run: Callable[[], list[Trajectory]]) -> tuple[list[Trajectory], float]:
    began = time.process_time()
    return run(), time.process_time() - began


def main(
    simulator: Annotated[str, typer.Option(help="The user.")] = "lm",
    batch: Annotated[int, typer.Option(help="Dialogues.")] = 64,
) -> None:
    """Measure."""
    found = measure(simulator, batch=batch)
    typer.echo(f"one call per dialogue: {found.alone:.2f} dialogues per CPU second")
    typer.echo(
        f"{batch} together: {found.together:.2f} dialogues per CPU second, {found.ratio:.1f} times that"
    )
    typer.echo("the same dialogues" if found.alike else "the dialogues differ")


if __name__ == "__main__":
    try:
        typer.run(main)
    except DialogGymError as error:
        raise SystemExit(f"error: {error}") from None
