"""A trained network as an agent: it sees the act-level view and answers in act notation."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dialog_gym import plugins
from dialog_gym.act_view import ActView
from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.learning.memory import Memory, memory_of
from dialog_gym.agents.net.network import Network
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.agents.net.recall import preference
from dialog_gym.agents.net.strategy import StrategyNetwork, allowed_strategies, thought_of
from dialog_gym.core import DialogGymError, Observation, Turn

GREEDY, SAMPLED = 0.0, 1.0


class NetAgent(Agent):
    """Plays a network's likeliest decisions, or samples them when the temperature is 1."""

    sees_act_view = True
    backbone = "net"

    def __init__(
        self, network: Network, name: str, *, temperature: float = GREEDY, env_steps: int = 0,
        memory: Memory | None = None,
    ) -> None:  # fmt: skip
        """Takes a trained network, and the cases it remembers.

        Raises:
            DialogGymError: the temperature is neither 0 nor 1.
        """
        if temperature not in (GREEDY, SAMPLED):
            raise DialogGymError(f"agent {name}: the temperature of a network is 0 or 1, not {temperature}")
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.name, self.temperature, self.env_steps, self.memory = name, temperature, env_steps, memory

    @classmethod
    def load(cls, folder: Path, card: AgentCard) -> "NetAgent":
        """The agent of a run's folder.

        Raises:
            DialogGymError: its weights or its memory are missing or broken.
        """
        domain = plugins.load("domains", card.domain)()
        policy = NetPolicy.load(folder, domain, NetConfig(**card.model))
        return cls(
            policy.module, card.name, temperature=card.temperature, env_steps=card.env_steps,
            memory=memory_of(folder, card),
        )  # fmt: skip

    def reply(self, observation: Observation) -> Turn:
        """The next turn in act notation; the shop's templates put it into words."""
        return self.turns([observation], [self.rng])[0]

    def start_many(self, seeds: Sequence[int]) -> "Table":
        """A session for dialogues that are played together, row i with ``seeds[i]``."""
        return Table(self, [np.random.default_rng(seed) for seed in seeds])

    def turns(self, observations: Sequence[Observation], rngs: Sequence[np.random.Generator]) -> list[Turn]:
        """The next turn of several dialogues, each with its own generator.

        Raises:
            DialogGymError: this is another shop than the one the network was trained in.
        """
        views = [self._view(observation) for observation in observations]
        uniforms = None
        if self.temperature == SAMPLED:
            count = self.network.decisions
            uniforms = torch.from_numpy(np.stack([rng.random(count, np.float32) for rng in rngs]))
        vectors = torch.from_numpy(np.stack([view.vector for view in views]))
        allowed = torch.from_numpy(np.stack([view.mask[: self.network.sizes[0]] != 0 for view in views]))
        names = self.network.names if isinstance(self.network, StrategyNetwork) else ()
        if names:
            allowed = torch.cat([allowed, allowed_strategies(observations, names)], 1)
        with torch.inference_mode():
            liked = preference(self.network, self.memory, vectors)
            actions = self.network.decide(vectors, allowed, None, uniforms, liked).action.tolist()
        thoughts = [thought_of(names[action.pop(0)]) if names else None for action in actions]
        said = [view.acts(action) for view, action in zip(views, actions, strict=True)]
        return [
            Turn(role="assistant", text=format_acts(acts), acts=acts, thought=thought)
            for acts, thought in zip(said, thoughts, strict=True)
        ]

    def _view(self, observation: Observation) -> ActView:
        view = observation.act_view
        if view is None:
            raise DialogGymError(
                f"agent {self.name} needs the act-level view, which this domain does not have"
            )
        if len(view.vector) != self.network.inputs:
            raise DialogGymError(f"agent {self.name} was trained in a shop with other products")
        return view


class Table:
    """Dialogues that are played together: one pass through the network for all of them."""

    def __init__(self, agent: NetAgent, rngs: Sequence[np.random.Generator]) -> None:
        """One generator per dialogue."""
        self.agent, self.rngs = agent, rngs

    def reply_many(self, rows: Sequence[int], observations: Sequence[Observation]) -> list[Turn]:
        """The next turn in these dialogues."""
        return self.agent.turns(observations, [self.rngs[row] for row in rows])
