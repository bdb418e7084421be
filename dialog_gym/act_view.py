"""What an agent that asks for it is shown beside the words: the present moment at act level."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dialog_gym.core import DialogueAct


class ActView(NamedTuple):
    """The act-level view of the present moment: what `EcomDialogActs-v0` shows, so nothing hidden."""

    vector: np.ndarray
    """float32[F], the visible profile and the conversation so far."""
    mask: np.ndarray
    """int8 over the concatenated action dimensions, 1 where a choice makes sense."""
    acts: "Callable[[Sequence[int]], tuple[DialogueAct, ...]]"
    """The dialogue acts that an act-level action says now."""
    sizes: tuple[int, ...]
    """Number of choices of each action dimension."""
    strategies: Callable[[], tuple[str, ...]] = tuple
    """The strategies that the hard rules allow now; none in domains without strategies."""
