"""The act-level observation and action mask, made only of what the agent may know."""

from typing import Any

import numpy as np

from dialog_gym.domains.credit.moves import MOVES
from dialog_gym.domains.credit.ontology import (
    NEED_SLOTS,
    OBJECTIONS,
    PROBLEMS,
    PURPOSES,
    TIMINGS,
    TOPICS,
    USER_INTENTS,
)
from dialog_gym.domains.credit.profiles import ACTIVATIONS, TIER_RATES
from dialog_gym.domains.credit.shoppers import Shoppers
from dialog_gym.domains.credit.state import ACT, SLOT, USER, Lane, State
from dialog_gym.domains.credit.strategies import StrategyBook
from dialog_gym.ops import Ops

MONEY = 30_000.0
"""Amounts are divided by this."""


def _bit_table(width: int) -> np.ndarray:
    masks = np.arange(1 << width)
    return ((masks[:, None] >> np.arange(width)) & 1).astype(np.float32)


def _one_hot(size: int) -> np.ndarray:
    """Row i + 1 is one-hot i; row 0 (index -1 + 1) is all zero."""
    return np.vstack([np.zeros((1, size)), np.eye(size)]).astype(np.float32)


def profile_features(shoppers: Shoppers) -> np.ndarray:
    """float32[N, F], the visible profile scaled to about [0, 1]."""
    p = shoppers.profiles
    limit = np.maximum(p.limit, 1)
    left = np.maximum(p.limit - p.used, 0)
    income = np.where(shoppers.missing_income, 0, p.income)
    columns = [
        p.age / 100.0,
        p.tenure / 240.0,
        income / 10_000.0,
        shoppers.missing_income,
        p.limit / MONEY,
        p.used / limit,
        left / MONEY,
        np.minimum((p.today - p.granted) / 3650.0, 2.0),
        p.overdue[:, 0] / 4.0,
        p.overdue.max(axis=1) / 4.0,
        (p.overdue > 0).sum(axis=1) / 6.0,
        p.coupon_amount / 80.0,
        p.today > p.coupon_issued + p.coupon_valid,
        *(p.activation == i for i in range(len(ACTIVATIONS))),
        *(p.tier == i for i in range(len(TIER_RATES))),
    ]
    return np.stack([np.asarray(column, dtype=np.float32) for column in columns], axis=1)


class Features:
    """Fills observation rows from states. The same code serves one dialogue (1-D rows) and N (2-D)."""

    def __init__(self, products: int, max_turns: int) -> None:
        """Prepares lookup tables; ``size`` is the length of the conversation part."""
        self.max_turns = float(max_turns)
        self._bits = {
            width: _bit_table(width) for width in {len(TOPICS), len(OBJECTIONS), len(NEED_SLOTS), products}
        }
        self._products, self._topics = self._bits[products], self._bits[len(TOPICS)]
        self._hot = {
            size: _one_hot(size)
            for size in {
                len(USER_INTENTS),
                len(PURPOSES),
                len(TIMINGS),
                len(PROBLEMS),
                len(TOPICS),
                products,
                2,
            }
        }
        self.products = products
        self.size = self._count()

    def _groups(self, s: State) -> list[tuple[np.ndarray, Any]]:
        """Tables and row indices."""
        seen = np.where if isinstance(s.turn, np.ndarray) else _pick
        purpose = seen((s.seen_known & SLOT["purpose"]) != 0, s.purpose, -1)
        timing = seen((s.seen_known & SLOT["timing"]) != 0, s.timing, -1)
        main = seen(s.garbled, USER["unclear"], s.main)
        disputed = seen(main == USER["challenge"], s.topic, -1)
        return [
            (self._hot[2], s.scenario + 1),
            (self._bits[len(NEED_SLOTS)], s.seen_known),
            (self._hot[len(PURPOSES)], purpose + 1),
            (self._hot[len(TIMINGS)], timing + 1),
            (self._topics, s.seen_open),
            (self._topics, s.said),
            (self._hot[len(TOPICS)], disputed + 1),
            (self._bits[len(OBJECTIONS)], s.seen_voiced & ~s.resolved),
            (self._hot[len(USER_INTENTS)], main + 1),
            (self._products, s.said_eligible),
            (self._products, s.said_ineligible),
            (self._products, s.said_rate & s.said_fee),
            (self._products, s.offered),
            (self._hot[self.products], s.product + 1),
            (self._hot[len(PROBLEMS)], s.problem + 1),
        ]

    def _numbers(self, s: State) -> tuple[Any, ...]:
        return (
            s.turn / self.max_turns,
            s.identity,
            s.heard_amount / MONEY,
            s.quoted / MONEY,
            s.declined / 3.0,
            s.considered / 2.0,
            s.human_requests > 0,
            s.advised != 0,
        )

    def _count(self) -> int:
        widths = [2, 4, 5, 3, 10, 10, 10, 5, len(USER_INTENTS), *([self.products] * 5), 5]
        return sum(widths) + 8

    def fill(self, out: np.ndarray, s: State) -> None:
        """Write the conversation part into ``out`` (float32[..., size])."""
        at, many = 0, isinstance(s.turn, np.ndarray)
        for table, rows in self._groups(s):
            width = table.shape[1]
            # `take` picks rows twenty times as fast as an index array, and one row slower than an index
            out[..., at : at + width] = table.take(rows, axis=0) if many else table[rows]
            at += width
        for number in self._numbers(s):
            out[..., at] = number
            at += 1


class ActWindow:
    """Act-level observation and mask of one dialogue at a time."""

    def __init__(self, features: "Features", mask: "ActionMask") -> None:
        """Takes what fills the observation's conversation part and the mask."""
        self.features, self.mask = features, mask

    def look(self, profile: np.ndarray, s: State) -> tuple[np.ndarray, np.ndarray]:
        """float32[F], the observation, and int8[sum of the action's sizes], the mask."""
        vector = np.empty(len(profile) + self.features.size, np.float32)
        vector[: len(profile)] = profile
        self.features.fill(vector[len(profile) :], s)
        mask = np.empty(sum(self.mask.sizes), np.int8)
        self.mask.fill(mask, s)
        return vector, mask


def _pick(condition: Any, yes: Any, no: Any) -> Any:
    return yes if condition else no


_FREE = ("greet", "empathise", "acknowledge", "smalltalk", "urge")


def _moves_of(intent: str, value: str | None = None) -> int:
    """Bitmask of the moves with an intent (and closed slot value)."""
    return sum(1 << i for i, m in enumerate(MOVES) if m.intent == intent and value in (None, m.value))


_GREET, _ASK_IDENTITY, _URGE = _moves_of("greet"), _moves_of("ask_identity"), _moves_of("urge")


class ActionMask:
    """Which index of each action dimension makes sense now, by the SOP rules and by what is already known.

    Works on bitmasks over MOVES: the moves of all strategies that the SOP allows, less what is pointless now.
    """

    def __init__(self, ops: Ops, sizes: tuple[int, ...]) -> None:
        """Prepares the bitmasks; ``sizes`` are those of the action dimensions."""
        self.ops, self.book, self.sizes = ops, StrategyBook(ops), sizes
        carried = [
            sum(_moves_of(intent) for i, intent in enumerate(ACT) if intents >> i & 1)
            for intents in self.book.intents
        ]
        self._by_strategy = carried
        self._free = sum(_moves_of(intent) for intent in _FREE)
        asks = [_moves_of("ask_need", slot) for slot in NEED_SLOTS]
        replies = [_moves_of("address_objection", objection) for objection in OBJECTIONS]
        self._known = ops.table([sum(m for i, m in enumerate(asks) if mask >> i & 1) for mask in range(16)])
        self._closed = ops.table(
            [sum(m for i, m in enumerate(replies) if not mask >> i & 1) for mask in range(32)]
        )

    def moves(self, s: State) -> Lane:
        """Bitmask over MOVES of what is sensible now."""
        where = self.ops.where
        facts = self.book.facts(s)
        open_moves: Lane = self._free
        for bits, allowed in zip(self._by_strategy, self.book.allowed(facts), strict=True):
            open_moves = open_moves | where(allowed, bits, 0)
        pointless = self.ops.take(self._known, s.seen_known)
        pointless = pointless | self.ops.take(self._closed, s.seen_voiced & ~s.resolved)
        pointless = pointless | where(s.turn > 0, _GREET, 0)
        pointless = pointless | where(s.identity, _ASK_IDENTITY, 0)
        pointless = pointless | where(s.declined > 0, _URGE, 0)
        return open_moves & ~pointless

    def flags(self, s: State) -> np.ndarray:
        """The same as uint8[N, len(MOVES)]; N is 1 for scalars."""
        rows = np.atleast_1d(np.asarray(self.moves(s), np.uint64)).view(np.uint8).reshape(-1, 8)
        return np.unpackbits(rows, axis=1, count=self.sizes[0], bitorder="little")

    def fill(self, out: np.ndarray, s: State) -> None:
        """Write the mask, int8[..., sum(sizes)]: first move, second move, then the slot values (all open)."""
        count = self.sizes[0]
        flags = self.flags(s).reshape(*out.shape[:-1], count)
        out[...] = 1
        out[..., :count] = flags
        out[..., count : 2 * count] = flags
        out[..., count] = 1  # no second move
