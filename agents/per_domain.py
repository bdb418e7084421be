"""Agents that are somebody else in each domain: what the names `scripted`, `oracle` and `random` mean."""

import copy
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, ClassVar

from dialog_gym import plugins
from dialog_gym.agents.base import Agent
from dialog_gym.core import DialogGymError, Observation, Turn

EVERYWHERE = "*"
"""Stands for all domains that are not named."""


class PerDomain(Agent):
    """Becomes the agent of the dialogue's domain at the first turn; that one is loaded once."""

    agents: ClassVar[Mapping[str, str]]
    """``module:Class`` by domain."""

    def __init__(self) -> None:
        """Nobody is loaded yet."""
        self._loaded: dict[str, Agent] = {}

    def start(self, seed: int) -> Agent:
        """A session for one dialogue of any domain."""
        session = copy.copy(self)
        session._seed, session._inner = seed, None
        return session

    _seed: int
    _inner: Any

    def reply(self, observation: Observation) -> str | Turn:
        """What the domain's agent says.

        Raises:
            DialogGymError: there is none for this domain.
        """
        if self._inner is None:
            self._inner = self._agent(observation.domain).start(self._seed)
        answer: str | Turn = self._inner.reply(observation)
        return answer

    def _agent(self, domain: str) -> Agent:
        if domain not in self._loaded:
            path = self.agents.get(domain, self.agents.get(EVERYWHERE))
            if path is None:
                known = plugins.nearest(domain, self.agents)
                raise DialogGymError(f"agent {self.name} does not know the domain {domain!r}; {known}")
            self._loaded[domain] = resolve_name(path)()
        return self._loaded[domain]


class Scripted(PerDomain):
    """The fixed rules of each domain."""

    name = "scripted"
    agents: ClassVar[Mapping[str, str]] = {
        "credit": "dialog_gym.agents.scripted:Scripted",
        "multiwoz": "dialog_gym.agents.multiwoz_scripted:MultiWOZScripted",
    }


class Oracle(PerDomain):
    """Sees what is hidden. A reference, never ranked."""

    name = "oracle"
    sees_hidden_state = True
    agents: ClassVar[Mapping[str, str]] = {
        "credit": "dialog_gym.agents.oracle:Oracle",
        "multiwoz": "dialog_gym.agents.multiwoz_oracle:MultiWOZOracle",
    }


class Random(PerDomain):
    """Random well-formed acts; where there are no others, those of random act-level actions."""

    name = "random"
    sees_act_view = True
    agents: ClassVar[Mapping[str, str]] = {
        "credit": "dialog_gym.agents.trivial:Random",
        EVERYWHERE: "dialog_gym.agents.trivial:RandomActions",
    }
