"""One step of N dialogues: tracker and user model, and the only place where their order is written down."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dialog_gym.core import END, RUNNING
from dialog_gym.domains.credit.moves import MoveReader
from dialog_gym.domains.credit.reasoning import basis_points
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.state import USER, AgentTurn, Lane, Reply, State
from dialog_gym.domains.credit.tracker import Tracker
from dialog_gym.domains.credit.user_model import NOISE, UserModel
from dialog_gym.noise import logistic, mix_array, uniform_at, uniform_block
from dialog_gym.ops import Ops

REWARDS = (
    "conversion", "resolution", "honest_refusal", "progress", "propensity", "mis_sale", "violation",
    "satisfaction", "turn",
)  # fmt: skip
DEFAULT_REWARD_WEIGHTS: Mapping[str, float] = {
    "conversion": 3.0, "resolution": 3.0, "honest_refusal": 1.5, "progress": 1.0, "propensity": 1.0,
    "mis_sale": 2.0, "violation": 0.01, "satisfaction": 0.1, "turn": 0.01,
}  # fmt: skip
_CHOICE = NOISE.index("choice")
_STREAM = 5


class Dynamics:
    """The dynamics of the credit shop for one backend (`dialog_gym.ops`)."""

    def __init__(
        self, ops: Ops, rulebook: Rulebook, max_turns: int, coefficients: Mapping[str, float] | None = None
    ) -> None:
        """Prepares the parts; ``coefficients`` overrides values of the user model."""
        self.ops, self.max_turns = ops, max_turns
        self.tracker = Tracker(ops, max_turns)
        self.users = UserModel(ops, basis_points(max(rulebook.rate_grid)), coefficients)
        self.moves = MoveReader(ops, rulebook)

    def step(self, s: State, t: AgentTurn, u: Mapping[str, Lane], override: Reply | None = None) -> Reply:
        """Advance by one assistant turn, in place.

        Args:
            s: State.
            t: What the assistant says.
            u: This turn's noise by name.
            override: Replaces the user model's choice when somebody else plays the user.
        """
        where = self.ops.where
        s.turn = s.turn + 1
        self.tracker.judge(s, t)
        r = self.users.react(s, t, u)
        if override is not None:
            r = override
            s.identity = s.identity | r.confirm
            s.known = s.known | r.disclosed
        self.tracker.advance(s, t, r)
        silent = s.ended == END["not_reached"]
        leaves = (s.ended != RUNNING) & (r.main != USER["accept"]) & (r.main != USER["confirm_solved"])
        parting = where(s.ended == END["user_hung_up"], USER["goodbye"], USER["thank"])
        r.main = where(silent, -1, where(leaves & (s.ended != END["max_turns"]), parting, r.main))
        r.confirm = r.confirm & (silent ^ True)
        r.disclosed = where(silent, 0, r.disclosed)
        self.users.speak(s, r, u)
        return r

    def rewards(self, s: State) -> dict[str, Lane]:
        """The named rewards of the last turn."""
        where = self.ops.where
        over = s.ended != RUNNING
        return {
            "conversion": where(over & s.converted, 1.0, 0.0),
            "resolution": where(s.ended == END["resolved"], 1.0, 0.0),
            "honest_refusal": where(s.ended == END["refused"], 1.0, 0.0),
            "progress": s.gain,
            "propensity": s.nearer,
            "mis_sale": where(over & s.mis_sold, -1.0, 0.0),
            "violation": -1.0 * self.ops.take(self.tracker.bits.count, s.violations),
            "satisfaction": where(over & s.reached, (self.satisfaction(s) - 3.0) / 2.0, 0.0),
            "turn": where(over, -1.0, -1.0),
        }

    def facts(self, s: State) -> dict[str, Lane]:
        """Facts about dialogues that ended, by name."""
        return {
            "reached": s.reached,
            "converted": s.converted,
            "mis_sold": s.mis_sold,
            "resolved": s.ended == END["resolved"],
            "refused": s.ended == END["refused"],
            "tse": self.tracker.tse(s),
            "satisfaction": self.satisfaction(s),
            "violation_count": s.violation_count,
            "turns": s.turn,
            "solvable": s.solvable != 0,
            "buyer": s.buyer,
        }

    def satisfaction(self, s: State) -> Lane:
        """1-5, from trust, calm and whether the matter was settled rightly."""
        settled = self.ops.where(s.decided & (s.mis_sold ^ True), 1.0, 0.0)
        return 1.0 + 4.0 * (0.45 * s.trust + 0.25 * (1.0 - s.frustration) + 0.3 * settled)


def noise_streams(keys: np.ndarray) -> np.ndarray:
    """uint64[N] for `turn_noise`, from the keys of `noise_block`."""
    return mix_array(keys, _STREAM)


def turn_noise(streams: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """One turn's noise of N dialogues, float64[len(NOISE), N].

    Column i is ``noise_block(keys, ...)[turns[i], :, i]``, bit by bit.
    """
    block = uniform_at(streams, turns * len(NOISE) + np.arange(len(NOISE))[:, None])
    block[_CHOICE] = logistic(block[_CHOICE])
    return block


def noise_block(keys: np.ndarray, max_turns: int) -> np.ndarray:
    """All the user's randomness of N dialogues: float64[max_turns, len(NOISE), N]."""
    flat = uniform_block(keys, max_turns * len(NOISE), _STREAM)
    block = np.ascontiguousarray(flat.reshape(len(keys), max_turns, len(NOISE)).transpose(1, 2, 0))
    block[:, _CHOICE] = logistic(block[:, _CHOICE])
    return block


def named_noise(row: Any) -> dict[str, Lane]:
    """One turn's noise by name."""
    return dict(zip(NOISE, row, strict=True))
