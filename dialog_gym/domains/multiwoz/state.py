"""The state of N running dialogues as plain attributes: arrays of length N, or scalars for one dialogue.

Sets are bitmasks: of constraints, of requests, of domains (`bits`).
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from dialog_gym.domains.multiwoz.bits import CONSTRAINTS, NOBODY
from dialog_gym.domains.multiwoz.ontology import DOMAINS

Lane = Any
"""An array of length N, or one Python scalar."""

GREET: Final = 1
WELCOME: Final = 2
REQMORE: Final = 4
GOODBYE: Final = 8
"""Bits of `AgentTurn.manners`."""
THANKS: Final = 1
LEAVES: Final = 2
REPEATS: Final = 4
CORRECTS: Final = 8
TURNS: Final = 16
"""Bits of `State.manners`: the user thanks, says goodbye, repeats, corrects, or turns to a domain."""

ROW_BITS: Final = 12
ROWS: Final = (1 << ROW_BITS) - 1
_STORED: Final = ("restaurant", "hotel", "attraction", "train", "hospital", "police")
_NO_ROW: Final = 62
ROW_SHIFT: Final = (*(ROW_BITS * _STORED.index(d) if d in _STORED else _NO_ROW for d in DOMAINS), _NO_ROW)
"""Where a domain's row lies in `State.rows`: row + 1 in 12 bits each, 0 for none; the police have but one."""


@dataclass(slots=True)
class AgentTurn:
    """What one assistant turn says, already checked against the databases."""

    requested: Lane
    """Constraints asked for."""
    offer: Lane
    """The domain of the entity offered, `NOBODY` without one."""
    row: Lane
    """Its row."""
    right: Lane
    """REQUESTS told rightly of the entity on the table after this turn."""
    wrong: Lane
    """REQUESTS told wrongly."""
    denied: Lane
    """Domains in which the assistant says that nothing fits."""
    nothing: Lane
    """Those of them in which nothing fits what the user has told."""
    select: Lane
    """Domains in which it says how many fit."""
    propose: Lane
    """Domains in which it offers to book."""
    book: Lane
    """Domains in which it says that it has booked."""
    false_book: Lane
    """Those of them where details or reference are not those of the booking."""
    no_book: Lane
    """Domains in which it says that the booking failed."""
    invented: Lane
    """Whether it speaks of an entity that does not exist, or claims a value that is not the entity's."""
    spare: Lane
    """How many attributes are told that the user's goal does not ask for."""
    manners: Lane


@dataclass(slots=True)
class State:
    """Hidden user state and goal tracker."""

    # -- drawn with the task
    value: Lane
    """int32[N, constraints], pointers of the goal's values."""
    first: Lane
    """The same of what the user says first."""
    info: Lane
    """Constraints of the goal."""
    book: Lane
    """Booking details of the goal."""
    differs: Lane
    """Constraints and details said at their first value first."""
    asks: Lane
    """REQUESTS of the goal."""
    failing: Lane
    """Domains in which the first search has no match."""
    refusing: Lane
    """Domains in which the first booking is refused."""
    bookings: Lane
    """Domains in which the goal has a booking; taxis too."""
    order: Lane
    """The goal's domains in their order, 3 bits each, lowest first."""
    domains: Lane
    """How many there are."""
    temper: Lane
    """Patience at the start, in turns without progress."""
    verbosity: Lane
    """How many slots the user says in a usual turn."""
    change: Lane
    """Probability per turn that a changed mind shows before it must."""
    ideal: Lane
    # -- conversation
    turn: Lane
    at: Lane
    """Position in `order`."""
    domain: Lane
    """What the conversation is about, `NOBODY` when the agenda is empty."""
    told: Lane
    """Constraints and details that the user has told."""
    stale: Lane
    """Those of them told at their first value."""
    dontcare: Lane
    """Those of them to which the user is indifferent."""
    relaxed: Lane
    """Domains whose failing search was given up."""
    rebooked: Lane
    """Domains whose refused booking was given up."""
    rows: Lane
    """The entity on the table in each domain; see `row_of`."""
    offered: Lane
    """Domains with an entity on the table."""
    accepted: Lane
    """Those of them where it is what the user wants."""
    asked: Lane
    """REQUESTS that the user has asked about the entity on the table."""
    heard: Lane
    """REQUESTS that the user was told about it, rightly or not."""
    answered: Lane
    """Those of the goal told rightly last."""
    booked: Lane
    proposed: Lane
    """Domains in which the assistant offered to book."""
    turned_down: Lane
    """Domains in which a booking failed."""
    patience: Lane
    # -- what the user said last
    said: Lane
    """Constraints and details."""
    questions: Lane
    """REQUESTS."""
    manners: Lane
    # -- the search that the assistant can see
    count: Lane
    """How many entities of the domain fit what was told."""
    best: Lane
    """The first of them, -1 without one."""
    next: Lane
    """The first of them after the entity on the table."""
    fits: Lane
    """Whether the entity on the table fits what was told."""
    # -- tracker
    share: Lane
    """Completed share of the present domain's stages."""
    gain: Lane
    """Stage weight completed in the last turn."""
    dcg: Lane
    violations: Lane
    all_violations: Lane
    violation_count: Lane
    right_claims: Lane
    wrong_claims: Lane
    spare: Lane
    """Attributes told that the goal does not ask for."""
    done: Lane
    """Domains that the user left with everything right."""
    converted: Lane
    complete: Lane
    ended: Lane
    """Index into `core.END_REASONS`, -1 while running."""


FIELDS: Final = tuple(field.name for field in fields(State))
_POINTERS: Final = ("value", "first")
DRAWN: Final = (
    *_POINTERS, "info", "book", "differs", "asks", "failing", "refusing", "bookings", "order", "domains",
    "temper", "verbosity", "change", "ideal",
)  # fmt: skip
"""Fields whose start differs between tasks; all others begin with the value in `_START`."""
_FLOATS: Final = ("share", "gain", "dcg", "patience")
_START: Final[dict[str, float | bool | int]] = (
    {name: 0 for name in FIELDS if name not in DRAWN}
    | dict.fromkeys(_FLOATS, 0.0)
    | dict.fromkeys(("fits", "converted", "complete"), False)
    | dict.fromkeys(("best", "next", "ended"), -1)
)
_DRAWN_FLOATS: Final = ("temper", "change", "ideal")
DRAWN_TYPE: Final = np.dtype(
    [
        (name, np.int32, (len(CONSTRAINTS),)) if name in _POINTERS
        else (name, np.float64 if name in _DRAWN_FLOATS else np.int64)
        for name in DRAWN
    ]
)  # fmt: skip
"""What the starts of tasks differ in, as a structured array has it."""
assert NOBODY < 1 << 3


def start_arrays(drawn: np.ndarray) -> State:
    """The state of N dialogues before anybody has spoken; ``drawn`` has `DRAWN_TYPE`."""
    values = {name: np.array(drawn[name]) for name in DRAWN}
    count = len(drawn)
    state = State(**values, **{name: np.full(count, value) for name, value in _START.items()})
    state.patience = state.temper.copy()
    state.domain = state.order & 7
    return state


def start_one(drawn: np.void) -> State:
    """The same of one dialogue in Python scalars."""
    values = dict(zip(DRAWN, drawn.item(), strict=True))
    for name in _POINTERS:
        values[name] = drawn[name].tolist()
    state = State(**values, **_START)
    state.patience = state.temper
    state.domain = state.order & 7
    return state


def put_rows(state: State, rows: np.ndarray, fresh: State) -> None:
    """Overwrite some rows of an array state, in place."""
    for name in FIELDS:
        getattr(state, name)[rows] = getattr(fresh, name)


def keep_rows(state: State, running: np.ndarray) -> State:
    """The rows of an array state where ``running`` is true."""
    return State(*[getattr(state, name)[running] for name in FIELDS])


def one(state: State, row: int) -> State:
    """One row of an array state in Python scalars: what a dialogue on its own must be equal to."""
    return State(*[getattr(state, name)[row].tolist() for name in FIELDS])


@dataclass(frozen=True)
class Starts:
    """N dialogues ready to begin."""

    drawn: np.ndarray
    """What they differ in, `DRAWN_TYPE`."""
    noise: np.ndarray
    """float64[N, max_turns + 1, len(agenda.NOISE)]."""

    @property
    def profile(self) -> np.ndarray:
        """float32[N, 0]: what the desk knows beforehand is not in the observation."""
        return np.empty((len(self.drawn), 0), np.float32)
