"""The oracle of the booking desk: knows the goal, so it offers, answers and books before it is asked to."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from dialog_gym.agents.multiwoz_scripted import MultiWOZScripted
from dialog_gym.core import DialogueAct, Goal, Observation
from dialog_gym.domains.multiwoz.database import Row
from dialog_gym.domains.multiwoz.ontology import DOMAINS

Constraints: TypeAlias = dict[str, dict[str, dict[str, str]]]
"""Slots and values of a goal by domain and part (see `goals.DomainGoal`)."""
Requests: TypeAlias = dict[str, list[str]]
"""A goal's requests by domain."""


def no_goal() -> tuple[Constraints, Requests]:
    """The goal of somebody who wants nothing."""
    parts = ("info", "fail_info", "book", "fail_book")
    return {domain: {part: {} for part in parts} for domain in DOMAINS}, {domain: [] for domain in DOMAINS}


class MultiWOZOracle(MultiWOZScripted):
    """The script with the user's goal in hand; still talks through the same channel as everybody.

    What the user has told goes before the goal: an offer against it would be a mistake, even when the user
    is about to change their mind.
    """

    name = "oracle"
    sees_hidden_state = True
    at_once = 3

    def begin(self) -> None:
        """The goal is read at the first turn."""
        super().begin()
        self.goal: Constraints = {}
        self.requests: Requests = {}

    def acts(self, observation: Observation) -> list[DialogueAct]:
        """What serves this user best."""
        self.learn(observation)
        return super().acts(observation)

    def learn(self, observation: Observation) -> None:
        """Read the goal from the hidden state, once."""
        if self.goal:
            return
        dialogue: Any = observation.hidden
        goal: Goal = dialogue.task.goal
        self.goal, self.requests = no_goal()
        for name, value in goal.constraints.items():
            domain, part, slot = name.split(".")
            self.goal[domain][part][slot] = str(value)
        for name in goal.requests:
            domain, slot = name.split(".")
            self.requests[domain].append(slot)

    def constraints(self, domain: str) -> dict[str, str]:
        """What the user has told, and what they will tell; the first alone where nothing fits both."""
        told = super().constraints(domain)
        if self._in_vain(domain):
            return told
        both = {**self.goal[domain]["info"], **told}
        return both if self.database[domain].mask(both) else told

    def _in_vain(self, domain: str) -> bool:
        """Whether the user still insists on a first search that has no match."""
        goal, told = self.goal[domain], self.cases[domain].told
        given_up = [s for s, value in goal["fail_info"].items() if value != goal["info"].get(s)]
        return bool(given_up) and all(told.get(slot) != goal["info"].get(slot) for slot in given_up)

    def _open(self, domain: str) -> list[str]:
        """A search in vain must be told completely before it can be given up; nothing else need be asked."""
        first = self.goal[domain]["fail_info"] if self._in_vain(domain) else {}
        return [slot for slot in super()._open(domain) if slot in first]

    def choose(self, domain: str, rows: Sequence[Row]) -> Row:
        """An entity that answers all that the user wants to know; the answers go with it."""
        case = self.cases[domain]
        case.questions = list(dict.fromkeys([*case.questions, *self.requests[domain]]))
        return super().choose(domain, rows)

    def expects_booking(self, domain: str) -> bool:
        """The goal says so."""
        return bool(self.goal[domain]["book"])
