"""How a network reads and writes cases: states are its trunk's features, actions its first moves."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dialog_gym.agents.learning.casebank import Cases, unit_rows
from dialog_gym.agents.learning.memory import Memory, Reading
from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.net.network import Network
from dialog_gym.domains.credit.moves import MOVES


def new_memory(network: Network, reading: Reading, seed: int) -> Memory:
    """An empty memory for a network's states and moves."""
    return Memory(reading, network.stages.in_features, network.sizes[0], seed=seed)


@torch.no_grad()
def states(network: Network, observation: Tensor) -> Tensor:
    """State vectors of act-level observations: float32[R, hidden] from float32[R, F], rows of length 1.

    The trunk's features, because there the frozen policy has what its choice depends on.
    """
    return unit_rows(network.trunk(observation))


def preference(network: Network, memory: Memory | None, observation: Tensor) -> Tensor | None:
    """What a memory adds to the logits of the first move, see `Memory.preference`."""
    return memory.preference(states(network, observation)) if memory is not None else None


def cases_of(network: Network, rollout: Rollout, success: Tensor) -> Cases:
    """One case per turn of some dialogues, bool[D] of which ended well."""
    rows, turns = rollout.inputs["taken"].nonzero(as_tuple=True)
    moves = rollout.inputs["action"][rows, turns, 0]
    actions = one_hot(moves, network.sizes[0]).float()
    texts = tuple(MOVES[move].name for move in moves.tolist())
    return Cases(states(network, rollout.inputs["observation"][rows, turns]), actions, success[rows], texts)
