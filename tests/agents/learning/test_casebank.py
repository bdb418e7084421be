import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.agents.learning.casebank import (
    ARRAYS,
    LINES,
    Cases,
    balanced,
    join_cases,
    load_cases,
    nearest,
    no_cases,
    packed_texts,
    save_cases,
    unit_rows,
    unpacked_texts,
)
from dialog_gym.core import DialogGymError


def cases(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    states = unit_rows(torch.randn(count, 5, generator=generator))
    actions = torch.eye(3)[torch.arange(count) % 3]
    texts = tuple(f'said "{n}"\nin two lines, ü' for n in range(count))
    return Cases(states, actions, torch.arange(count) % 2 == 0, texts)


def same(first, second):
    assert first.texts == second.texts
    for name in ("states", "actions", "outcomes"):
        assert getattr(first, name).equal(getattr(second, name))


def test_nearest_are_those_of_the_highest_cosine():
    # angles of 0, 60, 90 and 180 degrees to the first query
    states = torch.tensor([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0], [0.5, math.sqrt(0.75)]])
    queries = unit_rows(torch.tensor([[7.0, 0.0], [0.0, -2.0]]))
    assert nearest(queries[:1], states, 3).tolist() == [[1, 3, 0]]
    assert nearest(queries[1:], states, 4)[0, 2:].tolist() == [3, 0]
    assert nearest(queries, states, 9).shape == (2, 4)
    assert nearest(queries[:0], states, 2).shape == (0, 2)


def test_a_row_of_zeros_stays_one():
    assert unit_rows(torch.zeros(1, 3)).equal(torch.zeros(1, 3))


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 30))
def test_the_newest_of_each_outcome_stay(outcomes, capacity):
    flags = torch.tensor(outcomes, dtype=torch.bool)
    kept = balanced(flags, capacity)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert len(kept) == min(capacity, len(flags))
    for outcome in (True, False):
        rows = [row for row, good in enumerate(outcomes) if good is outcome]
        chosen = [row for row in kept.tolist() if outcomes[row] is outcome]
        assert chosen == rows[len(rows) - len(chosen) :]
        assert len(chosen) >= min(len(rows), capacity // 2)


def test_a_bank_is_stored_and_read_exactly(tmp_path):
    bank, more = cases(), {"scorer.weight": torch.randn(2, 2)}
    save_cases(tmp_path, bank, {"tau": 0.1}, more)
    found, facts, arrays = load_cases(tmp_path)
    same(found, bank)
    assert facts == {"tau": 0.1} and arrays["scorer.weight"].equal(more["scorer.weight"])
    assert len((tmp_path / LINES).read_text("utf-8").splitlines()) == len(bank)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LINES, ARRAYS]


def test_an_empty_bank_too(tmp_path):
    save_cases(tmp_path, no_cases(5, 3), {}, {})
    same(load_cases(tmp_path)[0], no_cases(5, 3))


def test_joining_and_selecting():
    first, second = cases(2), cases(3, seed=1)
    both = join_cases(first, second)
    same(both.select(torch.tensor([0, 1])), first)
    same(both.select(torch.tensor([2, 3, 4])), second)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_as_bytes(texts):
    assert unpacked_texts(packed_texts(texts)) == tuple(texts)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda f: (f / ARRAYS).unlink(), r"cases\.safetensors"),
        (lambda f: (f / LINES).unlink(), r"cases\.jsonl: No such file"),
        (lambda f: (f / ARRAYS).write_bytes((f / ARRAYS).read_bytes()[:-9]), "cannot be read"),
        (lambda f: (f / LINES).write_text(""), "is not of the same case bank as .*: it is damaged"),
    ],
)
def test_damaged_banks(damage, line, tmp_path):
    save_cases(tmp_path, cases(), {}, {})
    damage(tmp_path)
    with pytest.raises(DialogGymError, match=line) as caught:
        load_cases(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind(tmp_path):
    from safetensors.torch import save_file

    save_cases(tmp_path, cases(), {}, {})
    save_file({"weight": torch.zeros(1)}, tmp_path / ARRAYS)
    with pytest.raises(DialogGymError, match="is no case bank of this version"):
        load_cases(tmp_path)
