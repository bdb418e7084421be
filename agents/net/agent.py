"""A trained network as an agent: it sees the act-level view and answers in act notation."""

import copy
from pathlib import Path

import numpy as np
import torch

from dialog_gym import plugins
from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.net.network import DECISIONS, Network
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.core import DialogGymError, Observation, Turn
from dialog_gym.domains.credit.moves import MOVES

GREEDY, SAMPLED = 0.0, 1.0


class NetAgent(Agent):
    """Plays a network's likeliest decisions, or samples them when the temperature is 1."""

    sees_act_view = True
    backbone = "net"

    def __init__(
        self, network: Network, name: str, *, temperature: float = GREEDY, env_steps: int = 0
    ) -> None:
        """Takes a trained network.

        Raises:
            DialogGymError: the temperature is neither 0 nor 1.
        """
        if temperature not in (GREEDY, SAMPLED):
            raise DialogGymError(f"agent {name}: the temperature of a network is 0 or 1, not {temperature}")
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.name, self.temperature, self.env_steps = name, temperature, env_steps

    @classmethod
    def load(cls, folder: Path, card: AgentCard) -> "NetAgent":
        """The agent of a run's folder.

        Raises:
            DialogGymError: its weights are missing or broken.
        """
        domain = plugins.load("domains", card.domain)()
        policy = NetPolicy.load(folder, domain, NetConfig(**card.model))
        return cls(policy.module, card.name, temperature=card.temperature, env_steps=card.env_steps)

    def reply(self, observation: Observation) -> Turn:
        """The next turn in act notation; the shop's templates put it into words."""
        view = observation.act_view
        if view is None:
            raise DialogGymError(
                f"agent {self.name} needs the act-level view, which only the credit shop has"
            )
        if len(view.vector) != self.network.inputs:
            raise DialogGymError(f"agent {self.name} was trained in a shop with other products")
        uniforms = None
        if self.temperature == SAMPLED:
            uniforms = torch.from_numpy(self.rng.random((1, len(DECISIONS)), np.float32))
        vector, allowed = torch.from_numpy(view.vector), torch.from_numpy(view.mask[: len(MOVES)] != 0)
        with torch.inference_mode():
            chosen = self.network.decide(vector[None], allowed[None], None, uniforms)
        acts = view.acts(chosen.action[0].tolist())
        return Turn(role="assistant", text=format_acts(acts), acts=acts)
