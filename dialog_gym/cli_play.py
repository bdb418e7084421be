"""`dialog-gym play`: talk with a simulated customer, or watch an agent do it."""

import secrets
import shlex
import sys
from typing import Annotated, Any, Final

import typer

from dialog_gym.cli_output import Json, say_json
from dialog_gym.cli_table import Table
from dialog_gym.noise import mix, text_key

HUMAN: Final = "human"


def play(
    agent: Annotated[
        str, typer.Option(help="`human`: you are the agent. Else an agent to watch (see `list agents`).")
    ] = HUMAN,
    domain: Annotated[
        str, typer.Option(help="The shop: credit, or multiwoz (see `list domains`).", metavar="NAME")
    ] = "credit",
    scenario: Annotated[
        str | None,
        typer.Option(
            help="In credit, proactive_sale: you call them (the default). customer_service: they call you."
        ),
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=9, help="Difficulty, 0 (easy) to 9 (hard).")] = 3,
    simulator: Annotated[
        str, typer.Option(help="Who plays the customer (see `list simulators`).")
    ] = "agenda",
    split: Annotated[str, typer.Option(help="Tasks of: train, validation or test.")] = "train",
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Repeats a dialogue; default another each time.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="A task's number or id; default one whose customer answers.")
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the customer's hidden mood, acts and the rewards.")
    ] = False,
    json: Json = False,
) -> None:
    """Talk with a simulated customer, or watch an agent.

    Say it in words ("Hello, am I speaking with Mr Wagner?") or in acts ("greet(); ask_identity()").
    """
    from dialog_gym.agents.base import load_agent
    from dialog_gym.envs.dialogue_env import DialogueEnv

    service = None if agent == HUMAN else load_agent(agent)
    env = DialogueEnv(domain, scenario=scenario, simulator=simulator, split=split, level=level)
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    wanted = _drawn(env, chosen) if task is None else int(task) if task.isdecimal() else task
    table = Table(env, env.begin(wanted, chosen), reveal, sys.stderr if json else sys.stdout)
    repeat = {"domain": domain, "agent": agent, "scenario": env.scenario, "level": level}
    repeat |= {"simulator": simulator, "split": split}
    if task is not None:
        repeat["task"] = task
    table.open(service is None, " ".join(f"--{k} {shlex.quote(str(v))}" for k, v in repeat.items()), chosen)
    finished = table.human() if service is None else table.watch(service)
    if finished:
        table.close()
    if json:
        left = {} if finished else {"ended_by": None}
        say_json(table.episode.trajectory(agent, 0, {}).model_dump() | left)


def _drawn(env: Any, seed: int) -> int:
    """The first task from a drawn one on whose customer answers: most of those called do not."""
    size = env.space.size
    first = mix(text_key("play"), seed) % size
    for step in range(200):
        index = (first + step) % size
        task = env.domain.task(index, split=env.split, scenario=env.scenario, level=env.level)
        if task.goal.persona.get("reached", True):
            break
    return int(index)
