"""Counter-based random numbers: scalar and array paths agree, and the numbers never change."""

import hashlib
import os
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym import noise
from dialog_gym.core import DialogGymError
from dialog_gym.noise import mix, mix_array, uniform_block

INTEGERS = st.integers(-(2**80), 2**80)
KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8)


def keys(values):
    return np.array(values, dtype=np.uint64)


def test_finaliser_is_splitmix64():
    # first outputs of SplitMix64 seeded with 1234567, a widely published check of implementations
    state, outputs = 1234567, []
    for _ in range(3):
        state = (state + noise.GOLDEN) & noise.MASK
        outputs.append(noise._finalise(state))
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_golden_values_never_change():
    assert mix(0, 0) == 0xE220A8397B1DCDAF  # first output of SplitMix64 seeded with 0
    assert (mix(42), mix(42, 7)) == (42, 2820384354626331986)
    assert noise.text_key("train") == 13394367940604039246
    digest = hashlib.blake2b(
        noise.NORMAL_QUANTILES.tobytes() + noise.LOGISTIC_QUANTILES.tobytes(), digest_size=8
    )
    assert digest.hexdigest() == "441a8df12e6bdfcd"


@given(INTEGERS, INTEGERS, INTEGERS)
def test_mix_masks_and_composes(key, a, b):
    assert 0 <= mix(key, a) < 2**64
    assert mix(key, a, b) == mix(mix(key, a), b) == mix(key % 2**64, a % 2**64, b % 2**64)


@given(KEYS, INTEGERS)
def test_mix_array_equals_mix(values, word):
    assert mix_array(keys(values), word).tolist() == [mix(value, word) for value in values]


@given(KEYS)
def test_mix_array_takes_an_array_of_words(values):
    words = np.arange(len(values)) - 2
    expected = [mix(value, int(word)) for value, word in zip(values, words, strict=True)]
    assert mix_array(keys(values), words).tolist() == expected


def test_mix_array_takes_a_single_key():
    assert int(mix_array(np.uint64(2**63), 5)) == mix(2**63, 5)


@pytest.mark.parametrize("wrong", [np.array([0.5]), np.array(["a"]), np.array([True])])
def test_keys_must_be_integers(wrong):
    with pytest.raises(DialogGymError, match=r"keys has dtype .*; give integers"):
        mix_array(wrong, 1)


@given(KEYS, st.integers(0, 5), INTEGERS)
def test_uniform_block_equals_the_scalar_path(values, count, stream):
    block = uniform_block(keys(values), count, stream)
    assert block.tolist() == [[noise.uniform(v, j, stream) for j in range(count)] for v in values]
    assert ((block > 0) & (block < 1)).all()


def test_ends_are_excluded():
    lowest, highest = (0 + 0.5) * 2.0**-52, (2**52 - 1 + 0.5) * 2.0**-52
    assert 0 < lowest < highest < 1


def test_a_row_does_not_depend_on_the_batch():
    block = uniform_block(mix_array(np.arange(64, dtype=np.uint64), 3), 7, 2)
    alone = np.concatenate([uniform_block(mix_array(keys([i]), 3), 7, 2) for i in range(64)])
    assert np.array_equal(block, alone)
    assert np.array_equal(block[:, :4], uniform_block(mix_array(np.arange(64, dtype=np.uint64), 3), 4, 2))


def test_uniforms_are_uniform_and_uncorrelated():
    # raw small keys are the hardest case
    block = uniform_block(np.arange(40_000, dtype=np.uint64), 6)
    other = uniform_block(np.arange(40_000, dtype=np.uint64), 6, stream=1)
    for column in block.T:
        counts = np.histogram(column, 100, (0, 1))[0]
        assert ((counts - 400) ** 2 / 400).sum() < 160  # chi-square, 99 degrees: p < 1e-4 above
    correlations = np.corrcoef(np.concatenate([block[1:].T, block[:-1].T, other[1:].T]))
    assert np.abs(correlations - np.eye(18)).max() < 5 / np.sqrt(40_000)


def test_keys_do_not_collide():
    grid = mix_array(np.arange(500, dtype=np.uint64)[:, None], np.arange(-200, 200))
    assert len(np.unique(grid)) == grid.size


def test_text_key_does_not_depend_on_the_process():
    code = "from dialog_gym.noise import text_key; print(text_key('gr\\u00fc\\u00df'), text_key('\\ud800'))"
    command = [sys.executable, "-c", code]
    seen = {
        subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": s}
        ).stdout
        for s in "12"
    }
    assert seen == {f"{noise.text_key('grüß')} {noise.text_key(chr(0xD800))}\n"}


@pytest.mark.parametrize(
    ("function", "table", "spread"),
    [
        (noise.normal, noise.NORMAL_QUANTILES, 1.0),
        (noise.logistic, noise.LOGISTIC_QUANTILES, np.pi / np.sqrt(3)),
    ],
)
def test_deviates(function, table, spread):
    u = uniform_block(keys([9]), 5000)[0]
    values = function(u)
    assert [function(float(x)) for x in u] == values.tolist()
    assert isinstance(function(0.5), float)
    assert function(0.0) == table[0] and function(1 - 2**-53) == table[-1]
    assert np.all(np.diff(table) > 0) and np.array_equal(table, -table[::-1])
    assert table.std() == pytest.approx(spread, rel=1e-3)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_normal_share_inverts_the_table():
    z = np.linspace(-4.5, 4.5, 301)
    exact = np.array([NormalDist().cdf(x) for x in z])
    assert np.abs(noise.normal_share(z) - exact).max() < 2e-4
    assert (noise.normal_share(z) > 0).all() and (noise.normal_share(z) < 1).all()


def test_copula_has_the_wanted_dependence():
    factor = np.array([[1.0, 0.0], [0.6, 0.8]])
    first, second = noise.copula(uniform_block(np.arange(20_000, dtype=np.uint64), 2), factor)
    expected = 6 / np.pi * np.arcsin(0.3)  # Spearman of a Gaussian copula, Pearson 1907
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(expected, abs=0.02)
    assert np.abs(np.sort(second) - (np.arange(20_000) + 0.5) / 20_000).max() < 0.015


def test_pick_and_pick_counted():
    u = np.array([1e-9, 0.25, 0.5, 0.999999])
    assert noise.pick(u, 4).tolist() == [0, 1, 2, 3]
    assert noise.pick(u, np.array([1, 8, 3, 10])).tolist() == [0, 2, 1, 9]
    assert noise.pick_counted(u, np.array([1, 1, 4])).tolist() == [0, 2, 2, 2]
