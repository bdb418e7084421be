"""Trained agents by the path of their folder."""

from pathlib import Path

from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.backbones import backbone
from dialog_gym.agents.learning.card import read_card
from dialog_gym.agents.learning.registry import require_torch


def load_trained(folder: Path) -> Agent:
    """The agent in a folder that `dialog-gym train` wrote.

    Raises:
        DialogGymError: the folder holds no agent, its card or weights are broken, or PyTorch is missing.
    """
    card = read_card(folder)
    require_torch()
    return backbone(card.backbone).agent(folder, card)
