"""A competent act-level policy that sees what the agent sees: what to do now, in arrays or for one dialogue.

Demonstrations and tests use it. It asks for what narrows the search, offers as soon as few entities fit,
answers, books, and says when nothing fits.
"""

from typing import Final

import numpy as np

from dialog_gym.domains.multiwoz.features import ActionMask
from dialog_gym.domains.multiwoz.moves import MOVE
from dialog_gym.domains.multiwoz.state import Lane, State
from dialog_gym.ops import Ops

_REQUESTS: Final = (1 << MOVE["offer"]) - 2
"""The moves that ask for a slot."""


class Reference:
    """Chooses actions from states."""

    def __init__(self, ops: Ops, mask: ActionMask) -> None:
        """Uses the action mask's tables."""
        self.ops, self.mask = ops, mask
        masks = np.arange(1 << (MOVE["offer"] - 1))
        lowest = np.bitwise_count((masks & -masks) - 1).astype(np.int64) + 1
        lowest[0] = 0
        self.low = ops.table(lowest.tolist())

    def choose(self, s: State, seen: dict[str, Lane]) -> tuple[Lane, Lane, Lane]:
        """First move, second move and entity; ``seen`` is `features.View.numbers`."""
        where = self.ops.where
        requests = self.mask.moves(s, seen) & _REQUESTS
        first = self.ops.take(self.low, requests >> 1)
        rest = requests & (requests - where(requests != 0, 1, 0))
        second = self.ops.take(self.low, rest >> 1)
        settled = seen["shown"] & seen["fits"]
        some = seen["enough"] & ((seen["none"] | settled) ^ True)
        offers = some & ((requests == 0) | (seen["many"] ^ True))
        move = where(requests != 0, first, MOVE["reqmore"])
        other = where(requests != 0, second, 0)
        nothing = seen["none"] & (settled ^ True)
        for condition, name in (
            (offers, "offer"),
            (nothing, "no_offer"),
            (seen["unanswerable"], "offer"),
            (seen["answerable"], "answer"),
            (seen["ready"], "book"),
        ):
            move, other = where(condition, MOVE[name], move), where(condition, 0, other)
        answers_too = seen["ready"] & seen["answerable"]
        proposes = seen["answerable"] & seen["bookable"] & settled & (seen["ready"] ^ True)
        other = where(answers_too, MOVE["answer"], other)
        other = where(proposes, where(requests != 0, first, MOVE["offer_book"]), other)
        return move, other, other & 0
