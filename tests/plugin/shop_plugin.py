"""A plug-in package, written against the documented API only."""

import numpy as np

from dialog_gym.agents.base import Agent
from dialog_gym.benchmarks.suite import Suite
from dialog_gym.simulators.agenda import AgendaSimulator


class Polite(Agent):
    """Greets, asks, and thanks."""

    name = "polite"

    def begin(self):
        self.turns = 0

    def reply(self, observation):
        self.turns += 1
        if self.turns == 1:
            return "Hello, am I speaking with the account holder?"
        if self.turns == 2:
            return "ask_need(slot=amount)"
        return "Thank you very much, goodbye."


class _Session:
    def __init__(self, session):
        self.session = session

    def say(self, acts, dialogue, *, garbled):
        return self.session.say(acts, dialogue, garbled=garbled).upper()


class Shouting:
    """The agenda simulator in capitals."""

    name = "shouting"

    def __init__(self):
        self.inner = AgendaSimulator()

    def start(self, task, seed):
        return _Session(self.inner.start(task, seed))


class Politeness:
    """Share of dialogues in which the agent thanks."""

    name = "politeness"
    higher_is_better = True

    def rows(self, trajectories):
        thanks = [
            any("thank" in t.text.lower() for t in x.turns if t.role == "assistant") for x in trajectories
        ]
        return np.array(thanks, dtype=float), np.ones(len(trajectories))


def tiny():
    """A suite of eight dialogues."""
    return Suite(
        name="tiny", version=1, domain="credit", split="validation", level=0, simulator="shouting", trials=2,
        scenarios={"proactive_sale": 2, "customer_service": 2}, headline=("tse", "turns"), rank_by="success",
    )  # fmt: skip
