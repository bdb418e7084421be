"""The learning algorithms by name: a line here, or an entry point in the group ``dialog_gym.algorithms``.

The command line, `list algorithms` and trained agents know of an algorithm through this table alone.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, NamedTuple, cast

from dialog_gym import plugins
from dialog_gym.core import DialogGymError

if TYPE_CHECKING:
    from dialog_gym.agents.learning.algorithm import Algorithm


class Entry(NamedTuple):
    """Where an algorithm is, and what it does in a few words."""

    path: str
    about: str


BUILT_IN: Mapping[str, Entry] = {
    "sft": Entry("dialog_gym.agents.learning.sft:SFT", "Supervised fine-tuning on demonstrations."),
    "ppo": Entry("dialog_gym.agents.learning.ppo:PPO", "Proximal policy optimisation with a value network."),
    "grpo": Entry("dialog_gym.agents.learning.grpo:GRPO", "Group-relative policy optimisation."),
    "gopo": Entry(
        "dialog_gym.agents.learning.gopo:GOPO", "An expert plans strategies, an agent follows them."
    ),
    "more": Entry(
        "dialog_gym.agents.learning.more:MORE", "Rewards weighted by their gradients, held by reasoning."
    ),
    "dpo": Entry("dialog_gym.agents.learning.dpo:DPO", "Direct preference optimisation on played pairs."),
    "memento": Entry(
        "dialog_gym.agents.learning.memento:Memento", "A frozen policy that remembers and reads past cases."
    ),
}


def names() -> list[str]:
    """All algorithms: the built-in ones, then those of other distributions."""
    return [*BUILT_IN, *(name for name in plugins.names("algorithms") if name not in BUILT_IN)]


def about(name: str) -> str:
    """What an algorithm does, or where a third-party one comes from; imports nothing of it."""
    return BUILT_IN[name].about if name in BUILT_IN else plugins.source("algorithms", name)


def load(name: str) -> "type[Algorithm]":
    """The class of an algorithm.

    Raises:
        DialogGymError: there is none of this name, it cannot be imported, or PyTorch is missing.
    """
    require_torch()
    if name not in names():
        raise DialogGymError(f"unknown algorithm {name!r}; {plugins.nearest(name, names())}")
    if name not in BUILT_IN:
        return cast("type[Algorithm]", plugins.load("algorithms", name))
    return cast("type[Algorithm]", resolve_name(BUILT_IN[name].path))


def require_torch() -> None:
    """Import PyTorch the way that training and trained agents need it.

    Raises:
        DialogGymError: it is not installed.
    """
    # threads that wait for work must not spin: beside a busy neighbour everything gets 20 times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import_module("torch")
    except ModuleNotFoundError:
        line = "learning agents need PyTorch: pip install 'dialog-gym[train]'"
        raise DialogGymError(line) from None
