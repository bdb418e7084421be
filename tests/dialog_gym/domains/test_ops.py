"""One set of formulas, two backends: whole dialogues agree bit for bit."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.core import RUNNING
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.dynamics import Dynamics, named_noise
from dialog_gym.domains.credit.moves import MOVE, action_array
from dialog_gym.domains.credit.shoppers import SCENARIOS
from dialog_gym.domains.credit.state import AgentTurn, Reply, State, one
from dialog_gym.domains.credit.strategies import StrategyBook
from dialog_gym.ops import ARRAYS, SCALAR, BitTables

DOMAIN = CreditDomain()
FIELDS = tuple(field.name for field in fields(State))


def rows(record, names):
    """Columns of a record of arrays, as lists of Python scalars; a constant stands for every dialogue."""
    return {name: np.asarray(getattr(record, name)).tolist() for name in names}


def same(column, row, value):
    got = column[row] if isinstance(column, list) else column
    return got == value


def random_actions(rng, count):
    """Random actions that seldom end the dialogue at once."""
    actions = rng.integers(0, DOMAIN.dynamics.moves.nvec, size=(count, 6))
    ends = np.isin(actions[:, 0], (MOVE["hand_over"], MOVE["goodbye"])) & (rng.random(count) < 0.8)
    actions[ends | (rng.random(count) < 0.2), 0] = MOVE["ask_identity"]
    return actions


@pytest.mark.parametrize("level", [0, 5, 9])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dialogues_agree_bit_for_bit(scenario, level):
    count = 300
    rng = np.random.default_rng(level)
    space = DOMAIN.space(split="test", scenario=scenario, level=level)
    starts = DOMAIN.starts(space, np.arange(count), rng.integers(2**62, size=count).astype(np.uint64))
    arrays, scalars = DOMAIN.array_dynamics, Dynamics(SCALAR, DOMAIN.rulebook, DOMAIN.max_turns)
    books = StrategyBook(ARRAYS), StrategyBook(SCALAR)
    state, singles = starts.state, [one(starts.columns, row) for row in range(count)]
    assert all(s.ideal == starts.state.ideal[i] for i, s in enumerate(singles))
    alive = list(range(count))
    while alive:
        actions = random_actions(rng, count)
        noise, turn = starts.noise, int(max(singles[row].turn for row in alive))
        facts = np.asarray(books[0].facts(state))
        said = arrays.moves.read(action_array(actions), state)
        gains = rows_of_gains(books[0].gains(facts, said.acts))
        reply = arrays.step(state, said, named_noise(noise[turn]))
        rewards = {name: np.broadcast_to(value, count) for name, value in arrays.rewards(state).items()}
        states = rows(state, FIELDS)
        turns, replies = rows(said, AgentTurn.__slots__), rows(reply, Reply.__slots__)
        for row in alive:
            s = singles[row]
            mine_facts = books[1].facts(s)
            mine = scalars.moves.read(actions[row].tolist(), s)
            assert mine_facts == facts[row] and books[1].gains(mine_facts, mine.acts) == gains[row]
            mine_reply = scalars.step(s, mine, named_noise(noise[turn, :, row].tolist()))
            for table, record in ((turns, mine), (replies, mine_reply), (states, s)):
                different = [n for n, column in table.items() if not same(column, row, getattr(record, n))]
                assert not different, (row, turn, different)
            assert scalars.rewards(s) == {name: value[row] for name, value in rewards.items()}
            assert scalars.satisfaction(s) == arrays.satisfaction(state)[row]
            assert scalars.tracker.tse(s) == arrays.tracker.tse(state)[row]
        alive = [row for row in alive if singles[row].ended == RUNNING]


def rows_of_gains(gains):
    chosen, best = (np.asarray(lane).tolist() for lane in gains)
    return list(zip(chosen, best, strict=True))


def test_scalar_states_hold_python_numbers_only():
    space = DOMAIN.space(split="test", scenario=SCENARIOS[0], level=3)
    starts = DOMAIN.starts(space, np.arange(5), np.zeros(5, np.uint64))
    for name in FIELDS:
        value = getattr(one(starts.columns, 2), name)
        assert isinstance(value, bool | int | float | list) and not isinstance(value, np.generic), name


@given(st.integers(0, (1 << 15) - 1))
def test_bit_tables(mask):
    for ops in (SCALAR, ARRAYS):
        tables = BitTables(ops)
        assert ops.take(tables.count, mask) == bin(mask).count("1")
        if mask & 1023:
            assert ops.take(tables.lowest, mask & 1023) == min(i for i in range(10) if mask >> i & 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(-9, 9), st.integers(-9, 9)), min_size=1))
def test_primitives_agree(cases):
    flags, first, second = (np.asarray(column) for column in zip(*cases, strict=True))
    table = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    fields_ = np.asarray([table] * len(cases))
    index = abs(first)
    together = (
        ARRAYS.where(flags, first, second), ARRAYS.maximum(first, second), ARRAYS.minimum(first, second),
        ARRAYS.take(ARRAYS.table(table), index), ARRAYS.lane(fields_, index),
    )  # fmt: skip
    for i, (flag, a, b) in enumerate(cases):
        alone = (SCALAR.where(flag, a, b), SCALAR.maximum(a, b), SCALAR.minimum(a, b),
                 SCALAR.take(SCALAR.table(table), abs(a)), SCALAR.lane(table, abs(a)))  # fmt: skip
        assert alone == tuple(lane[i] for lane in together)
