"""One step of N dialogues: tracker and user, and the only place where their order is written down."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from dialog_gym.core import END, RUNNING
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import NOISE, Agenda, Reaction
from dialog_gym.domains.multiwoz.search import Searcher
from dialog_gym.domains.multiwoz.state import LEAVES, AgentTurn, Lane, State
from dialog_gym.domains.multiwoz.tracker import Tracker
from dialog_gym.noise import mix_array, uniform_at
from dialog_gym.ops import Ops

DEFAULT_REWARD_WEIGHTS: Final[Mapping[str, float]] = {
    "conversion": 3.0, "progress": 2.0, "violation": 0.05, "satisfaction": 0.1, "turn": 0.01,
}  # fmt: skip
_STREAM: Final = 11


class Dynamics:
    """The dynamics of the booking desk for one backend (`dialog_gym.ops`)."""

    def __init__(self, ops: Ops, search: Searcher, max_turns: int) -> None:
        """Prepares the parts."""
        self.ops, self.search, self.max_turns = ops, search, max_turns
        self.agenda = Agenda(ops, search)
        self.tracker = Tracker(ops, search, self.agenda, max_turns)

    def open(self, s: State, u: tuple[Lane, ...]) -> None:
        """The user's first words; ``u`` is the noise of turn 0."""
        moved = s.domain >= 0  # always: the user turns to the first domain
        self.agenda.speak(s, Reaction(s.domain & 0, moved ^ True, moved ^ True), moved, u)
        self.look(s)

    def step(self, s: State, t: AgentTurn, u: tuple[Lane, ...]) -> None:
        """Advance by one assistant turn, in place; ``u`` is this turn's noise in the order of `NOISE`."""
        s.turn = s.turn + 1
        before, domain = s.booked, s.domain
        self.tracker.judge(s, t)
        s.proposed = s.proposed | t.propose
        r = self.agenda.react(s, t)
        self.tracker.judge_booking(s, t, before)
        moved = self.agenda.finished(s)
        self.tracker.leave(s, moved)
        self.agenda.move_on(s, moved)
        self.agenda.speak(s, r, moved, u)
        self.tracker.advance(s, t, r, domain, moved)
        hung_up = s.ended == END["user_hung_up"]
        s.manners = s.manners | self.ops.where(hung_up, LEAVES, 0)
        self.look(s)

    def look(self, s: State) -> None:
        """Search for what the user has told: what the assistant's systems show."""
        told, d = s.told & ~s.dontcare, s.domain
        row = self.agenda.row(s, d)
        s.count, s.best, s.next = self.search.find(s, d, told, s.differs, s.asked, row)
        s.fits = (row >= 0) & (self.search.misfit(s, d, row, told, s.differs) == 0)

    def rewards(self, s: State) -> dict[str, Lane]:
        """The named rewards of the last turn."""
        where, over = self.ops.where, s.ended != RUNNING
        return {
            "conversion": where(over & s.converted, 1.0, 0.0),
            "progress": s.gain,
            "violation": -1.0 * self.cost(s),
            "satisfaction": where(over, (self.tracker.satisfaction(s) - 3.0) / 2.0, 0.0),
            "turn": where(over, -1.0, -1.0),
        }

    def cost(self, s: State) -> Lane:
        """Number of violations in the last turn."""
        return 1.0 * bits.size(s.violations)

    def facts(self, s: State) -> dict[str, Lane]:
        """Facts about dialogues that ended, by name."""
        wanted = bits.size(s.asks)
        return {
            "reached": s.converted | True,
            "converted": s.converted,
            "mis_sold": s.converted & False,
            "resolved": s.ended == END["resolved"],
            "refused": s.ended == END["refused"],
            "complete": s.complete,
            "tse": self.tracker.tse(s),
            "satisfaction": self.tracker.satisfaction(s),
            "violation_count": s.violation_count,
            "requests_wanted": wanted,
            "requests_answered": bits.size(s.answered),
            "requests_spare": s.spare,
            "bookings_wanted": bits.size(s.bookings),
            "bookings_made": bits.size(s.booked & s.bookings),
            "turns": s.turn,
        }


def noise_streams(keys: np.ndarray) -> np.ndarray:
    """uint64[N] for `turn_noise`, from the keys of the users' randomness."""
    return mix_array(keys, _STREAM)


def turn_noise(streams: np.ndarray, turns: np.ndarray | int) -> np.ndarray:
    """One turn's noise of N dialogues, float64[len(NOISE), N]; turn 0 is the opening."""
    return uniform_at(streams, turns * len(NOISE) + np.arange(len(NOISE))[:, None])


def noise_blocks(keys: np.ndarray, max_turns: int) -> np.ndarray:
    """All the user's randomness of N dialogues: float64[N, max_turns + 1, len(NOISE)]."""
    counters = np.arange((max_turns + 1) * len(NOISE))
    block = uniform_at(noise_streams(keys)[:, None], counters)
    return block.reshape(len(keys), max_turns + 1, len(NOISE))
