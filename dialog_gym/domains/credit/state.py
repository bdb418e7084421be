"""The state of N running dialogues as plain attributes: arrays of length N, or scalars for one dialogue.

Sets (topics, products, slots, objections, acts) are bitmasks, positions as in `ontology.py`.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from dialog_gym.domains.credit.ontology import (
    ASSISTANT_INTENTS,
    NEED_SLOTS,
    OBJECTIONS,
    TOPICS,
    USER_INTENTS,
)
from dialog_gym.domains.credit.shoppers import SERVICE, Shoppers

Lane = Any
"""An array of length N, or one Python scalar."""

ACT = {name: 1 << i for i, name in enumerate(ASSISTANT_INTENTS)}
TOPIC = {name: 1 << i for i, name in enumerate(TOPICS)}
SLOT = {name: 1 << i for i, name in enumerate(NEED_SLOTS)}
OBJECTION = {name: 1 << i for i, name in enumerate(OBJECTIONS)}
USER = {name: i for i, name in enumerate(USER_INTENTS)}
NO_MAIN = -1

INFORM_TOPICS = tuple(f"inform_{topic}" for topic in TOPICS)
ACCOUNT_TOPICS = sum(TOPIC[t] for t in ("eligibility", "limit", "rate", "coupon", "reactivation"))
"""Answers that disclose data of the account: not before identity is confirmed."""
IDLE_ACTS = sum(ACT[a] for a in ("greet", "smalltalk", "acknowledge", "urge", "clarify"))
"""Acts that are not about the matter."""

FIELDS_FROM_SHOPPER = (
    "scenario", "reached", "buyer", "strength", "purpose", "timing", "amount", "new_amount", "change_turn",
    "fits", "suits", "solvable", "required", "questions", "objections", "problem", "fix_actions",
    "fix_topics", "style", "trust", "patience", "price_sensitivity", "knowledge", "typos", "missing_income",
)  # fmt: skip


@dataclass(slots=True)
class AgentTurn:
    """What one assistant turn says, already checked against the facts."""

    acts: Lane
    """Bitmask of intents."""
    count: Lane
    """Number of acts."""
    asked: Lane
    """NEED_SLOTS asked for."""
    right: Lane
    """TOPICS informed on rightly."""
    wrong: Lane
    """TOPICS on which a wrong claim was made."""
    said_eligible: Lane
    """Products called eligible, rightly or not."""
    said_ineligible: Lane
    said_rate: Lane
    """Products whose rate was stated, rightly or not."""
    said_fee: Lane
    eligible_right: Lane
    """Products rightly called eligible."""
    ineligible_right: Lane
    """Products rightly refused, with the right reason."""
    rate_right: Lane
    """Products whose rate was told rightly."""
    fee_right: Lane
    offers: Lane
    """Products offered."""
    product: Lane
    """Product offered or closed last, -1 none."""
    amount: Lane
    """Amount offered or closed, 0 when none is named."""
    addressed: Lane
    """Objections addressed."""
    solved: Lane
    """SOLUTIONS carried out."""
    advised: Lane
    """Bitmask of NEXT_STEPS."""


@dataclass(slots=True)
class Reply:
    """The user's reaction: answers first (identity, disclosed slots), then one main act."""

    confirm: Lane
    disclosed: Lane
    main: Lane
    """Index into USER_INTENTS, -1 when the answers are all."""
    topic: Lane
    """Index of the topic, objection or problem of the main act, else 0."""


@dataclass(slots=True)
class State:
    """Hidden user state and goal tracker."""

    # -- drawn with the shopper
    scenario: Lane
    reached: Lane
    buyer: Lane
    strength: Lane
    purpose: Lane
    timing: Lane
    amount: Lane
    new_amount: Lane
    change_turn: Lane
    fits: Lane
    suits: Lane
    solvable: Lane
    required: Lane
    questions: Lane
    objections: Lane
    problem: Lane
    fix_actions: Lane
    fix_topics: Lane
    style: Lane
    trust: Lane
    patience: Lane
    price_sensitivity: Lane
    knowledge: Lane
    typos: Lane
    # -- truth about the customer
    eligible: Lane
    limits: Lane
    rates: Lane
    coupon_ok: Lane
    has_coupon: Lane
    missing_income: Lane
    # -- conversation
    turn: Lane
    frustration: Lane
    identity: Lane
    known: Lane
    """NEED_SLOTS disclosed."""
    told: Lane
    """TOPICS answered rightly."""
    credited: Lane
    """TOPICS answered rightly and, where they concern the account, after identity was confirmed."""
    open_questions: Lane
    """TOPICS asked and not yet answered."""
    asked_topics: Lane
    voiced: Lane
    resolved: Lane
    verdicts: Lane
    """Products with a right verdict told after the need was known."""
    rate_told: Lane
    fee_told: Lane
    offered: Lane
    product: Lane
    quoted: Lane
    """Amount offered last."""
    benefit: Lane
    advised: Lane
    declined: Lane
    """How often the user has declined."""
    considered: Lane
    mind_changed: Lane
    problem_settled: Lane
    human_requests: Lane
    signature: Lane
    main: Lane
    topic: Lane
    garbled: Lane
    # -- what the agent itself has said, rightly or not
    said: Lane
    """TOPICS informed on."""
    said_eligible: Lane
    said_ineligible: Lane
    said_rate: Lane
    said_fee: Lane
    # -- what the agent has been able to read
    seen_known: Lane
    seen_open: Lane
    seen_voiced: Lane
    heard_amount: Lane
    """The wanted amount as last read by the agent, 0 if never."""
    # -- tracker
    margin: Lane
    """Systematic utility of the product on the table, in logits."""
    propensity: Lane
    """How near a buyer is to accepting, 0 to 1."""
    nearer: Lane
    """Change of propensity in the last turn."""
    progress: Lane
    gain: Lane
    """Stage weight completed in the last turn."""
    dcg: Lane
    ideal: Lane
    violations: Lane
    """Bitmask of violations in the last turn."""
    all_violations: Lane
    violation_count: Lane
    right_claims: Lane
    wrong_claims: Lane
    wrong_verdicts: Lane
    right_verdicts: Lane
    ended: Lane
    """Index into END_REASONS, -1 while running."""
    converted: Lane
    mis_sold: Lane
    decided: Lane
    accepted_amount: Lane


_FIELDS = tuple(field.name for field in fields(State))
_FACT_FIELDS = ("eligible", "limits", "rates", "coupon_ok")
_OPENING = ("main", "topic", "open_questions", "asked_topics", "seen_open")
DRAWN = (*FIELDS_FROM_SHOPPER, *_FACT_FIELDS, "has_coupon", *_OPENING, "ideal")
"""Fields whose start differs between tasks; all others begin with the value in `_START`."""
_FLOATS = ("frustration", "margin", "propensity", "nearer", "progress", "gain", "dcg")
_FALSE = (
    "identity", "benefit", "mind_changed", "problem_settled", "garbled", "converted", "mis_sold", "decided",
)  # fmt: skip
_MINUS_ONE = ("product", "ended")
_START: dict[str, float | bool | int] = (
    {name: 0 for name in _FIELDS if name not in DRAWN}
    | dict.fromkeys(_FLOATS, 0.0)
    | dict.fromkeys(_FALSE, False)
    | dict.fromkeys(_MINUS_ONE, -1)
)


def start_arrays(shoppers: Shoppers) -> State:
    """The state of N fresh dialogues; in the service scenario the user has spoken already."""
    count = len(shoppers.scenario)
    values: dict[str, np.ndarray] = {name: getattr(shoppers, name).copy() for name in FIELDS_FROM_SHOPPER}
    values |= {name: getattr(shoppers.facts, name).copy() for name in _FACT_FIELDS}
    values["has_coupon"] = shoppers.facts.coupon_expires > 0
    values |= {name: np.full(count, value) for name, value in _START.items()}
    values |= {name: np.zeros(count, np.int64) for name in _OPENING}
    state = State(**values, ideal=np.zeros(count))
    _open(state)
    return state


def _open(state: State) -> None:
    """Service users speak first: they report their problem, else ask their first question."""
    service = state.scenario == SERVICE
    reports = service & (state.problem >= 0)
    asks = service & ~reports
    first = state.questions & -state.questions
    state.main = np.where(reports, USER["report"], np.where(asks, USER["ask"], NO_MAIN))
    lowest = np.maximum(0, np.int64(np.log2(np.maximum(first, 1))))
    state.topic = np.where(reports, state.problem, np.where(asks, lowest, 0))
    state.open_questions = np.where(asks, first, 0)
    state.asked_topics = state.open_questions.copy()
    state.seen_open = state.open_questions.copy()


def columns(arrays: State) -> list[list[Any]]:
    """Every field of an array state as a list of Python scalars (per-product fields: lists), for `one`."""
    return [getattr(arrays, name).tolist() for name in _FIELDS]


def one(lists: list[list[Any]], row: int) -> State:
    """Row ``row`` of `columns` as the scalar state of one dialogue."""
    return State(*[column[row] for column in lists])


def drawn_record(state: State, **more: np.ndarray) -> np.ndarray:
    """What the starts of N dialogues differ in, as one structured array [N]: quick to pick rows from.

    Args:
        state: The starts.
        more: Further fields, [N, ...] each.
    """
    values = {name: getattr(state, name) for name in DRAWN} | more
    record = np.empty(len(state.turn), [(name, v.dtype, v.shape[1:]) for name, v in values.items()])
    for name, value in values.items():
        record[name] = value
    return record


def begin_rows(state: State, rows: np.ndarray, drawn: np.ndarray) -> None:
    """Begin anew in some rows of an array state, in place; ``drawn`` is those rows' `drawn_record`."""
    for name in DRAWN:
        getattr(state, name)[rows] = drawn[name]
    for name, value in _START.items():
        getattr(state, name)[rows] = value


def empty_state(count: int, drawn: np.ndarray) -> State:
    """An array state of ``count`` dialogues to be filled by `begin_rows` with rows like ``drawn``."""
    values = {name: np.zeros((count, *drawn[name].shape[1:]), drawn[name].dtype) for name in DRAWN}
    return State(**values, **{name: np.full(count, value) for name, value in _START.items()})
