"""The desk's strategies and hard SOP rules, declared in `strategies.toml`, and their facts (all *ours*)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np

from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.moves import DEEDS, MOVES
from dialog_gym.domains.multiwoz.ontology import BOOKABLE
from dialog_gym.domains.multiwoz.state import GOODBYE, GREET, REQMORE, WELCOME, AgentTurn, Lane, State
from dialog_gym.domains.strategies import Playbook, Strategy, read_strategies
from dialog_gym.ops import Ops

KINDS: Final = ("request_info", "request_book", *DEEDS)
"""Kinds of acts: questions for what to search by and for what a booking needs, and the deeds of `moves`."""
KIND: Final = {name: 1 << i for i, name in enumerate(KINDS)}
FACTS: Final = (
    "constraints_open", "search_open", "enough", "some_fit", "many_fit", "none_fit", "shown", "misfit",
    "question_open", "details_open", "ready", "turned_down", "booked", "idle",
)  # fmt: skip
_INFO, _BOOK, _SELF = sum(bits.INFO), sum(bits.BOOK), sum(bits.SELF)
_NAMES: Final = sum(bit for (_, slot), bit in bits.CONSTRAINT.items() if slot == "name")


@lru_cache(maxsize=1)
def load_strategies() -> dict[str, Strategy]:
    """The declared strategies by name, in file order.

    Raises:
        ValueError: the file names an unknown fact or kind of act.
    """
    return read_strategies("dialog_gym.domains.multiwoz", FACTS, KINDS)


class StrategyBook(Playbook):
    """The strategies over dialogue states. Arrays or scalars."""

    def __init__(self, ops: Ops, agenda: Agenda) -> None:
        """Compiles the declared rules into bitmasks; uses the agenda's tables."""
        super().__init__(ops, load_strategies(), FACTS, KIND)
        self.agenda = agenda

    def facts(self, s: State, seen: Mapping[str, Lane]) -> Lane:
        """Bitmask of FACTS as the agent can see them; ``seen`` is `features.View.numbers`."""
        untold = self.ops.take(self.agenda.info, s.domain) & ~s.told & ~_NAMES
        settled = seen["shown"] & seen["fits"]
        constraints_open = (settled ^ True) & (untold != 0)
        choice = (seen["few"] | seen["many"]) & (seen["shown"] ^ True)
        held = {
            "constraints_open": constraints_open, "search_open": constraints_open | choice,
            "enough": seen["enough"], "some_fit": seen["one"] | seen["few"] | seen["many"],
            "many_fit": seen["many"], "none_fit": seen["none"], "shown": seen["shown"],
            "misfit": seen["shown"] & ((seen["fits"] ^ True) | seen["unanswerable"]),
            "question_open": seen["answerable"],
            "details_open": seen["bookable"] & settled & (seen["ready"] ^ True),
            "ready": seen["ready"], "turned_down": seen["turned_down"], "booked": seen["booked"],
            "idle": (seen["questions"] == 0) & ((s.offered | s.booked) != 0),
        }  # fmt: skip
        return self.held(held)

    def kinds(self, t: AgentTurn) -> Lane:
        """Bitmask of the KINDS of acts in a turn."""
        where = self.ops.where
        offers = (t.offer != bits.NOBODY) & (t.row >= 0)
        told = (t.right | t.wrong) & ~where(offers, _SELF, 0)  # naming an entity answers nothing else
        done = {
            "request_info": (t.requested & _INFO) != 0, "request_book": (t.requested & _BOOK) != 0,
            "offer": offers, "select": t.select != 0, "answer": told != 0, "no_offer": t.denied != 0,
            "offer_book": t.propose != 0, "book": (t.book | t.no_book) != 0,
            "greet": (t.manners & GREET) != 0, "welcome": (t.manners & WELCOME) != 0,
            "reqmore": (t.manners & REQMORE) != 0, "goodbye": (t.manners & GOODBYE) != 0,
        }  # fmt: skip
        total: Lane = 0
        for name, holds in done.items():
            total = total | where(holds, KIND[name], 0)
        return total

    def carried(self) -> np.ndarray:
        """bool[strategies, moves], which moves carry a strategy out."""
        kinds = [_kind(move) for move in MOVES]
        return np.asarray([[bool(acts & kind) for kind in kinds] for acts in self.intents])


def _kind(move: str) -> int:
    """The kind of a move, 0 for none."""
    name, _, slot = move.partition(":")
    booking = any(slot in slots for slots in BOOKABLE.values())
    return KIND["request_book" if booking else "request_info"] if slot else KIND.get(name, 0)
