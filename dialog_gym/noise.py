"""Counter-based random numbers: every draw is a pure function of a key and a counter.

Nothing here has a state: a dialogue's randomness does not depend on how many dialogues run beside it, in
which order they advance, or on which machine, and two agents are compared on common random numbers by
giving both the same keys. The scalar functions (plain Python integers) and the array functions (numpy
``uint64``) give identical bits.

The hash is SplitMix64's finaliser f in counter mode (Steele, Lea & Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014): one step is ``f(f(key) + GOLDEN * (word + 1))``, a bijection of the word
for a given key. It is not cryptographic. Only integer arithmetic and correctly rounded IEEE operations are
used; distributions are looked up in rounded tables, because ``log`` and ``exp`` differ in the last bit
between machines.
"""

import hashlib
import math
from statistics import NormalDist
from typing import Any, Final, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dialog_gym.core import DialogGymError

Keys: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

MASK: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E3779B97F4A7C15
TABLE_BINS: Final = 4096
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB


def _table(values: list[float]) -> Floats:
    """A read-only table, rounded to 6 decimals so that it is the same on every machine."""
    table = np.array([round(value, 6) for value in values])
    table.setflags(write=False)
    return table


_MIDPOINTS: Final = [(i + 0.5) / TABLE_BINS for i in range(TABLE_BINS)]
NORMAL_QUANTILES: Final = _table([NormalDist().inv_cdf(p) for p in _MIDPOINTS])
"""Standard normal quantiles at the midpoints of 4096 equal bins of (0, 1)."""
LOGISTIC_QUANTILES: Final = _table([math.log(p / (1 - p)) for p in _MIDPOINTS])
"""Standard logistic quantiles at the midpoints of 4096 equal bins of (0, 1)."""


def _finalise(z: int) -> int:
    z = ((z ^ (z >> 30)) * _FIRST) & MASK
    z = ((z ^ (z >> 27)) * _SECOND) & MASK
    return z ^ (z >> 31)


def _finalise_array(z: Keys) -> Keys:
    z = z ^ (z >> np.uint64(30))
    z *= np.uint64(_FIRST)
    z ^= z >> np.uint64(27)
    z *= np.uint64(_SECOND)
    z ^= z >> np.uint64(31)
    return z


def _as_uint64(values: ArrayLike | int, name: str) -> Keys:
    """Integers of any width as ``uint64``, negative ones modulo 2**64."""
    array: NDArray[Any] = np.asarray(values & MASK if isinstance(values, int) else values)
    if array.dtype.kind not in "iu":
        raise DialogGymError(f"{name} has dtype {array.dtype}; give integers, e.g. an array of dtype uint64")
    return array.astype(np.uint64)


def mix(key: int, *words: int) -> int:
    """Derive a sub-key; use it wherever a seed is needed.

    Args:
        key: Any integer; taken modulo 2**64, so big and negative ones are fine.
        *words: Any integers, taken modulo 2**64, mixed in one after the other:
            ``mix(key, a, b) == mix(mix(key, a), b)``.

    Returns:
        A key in [0, 2**64); ``key`` modulo 2**64 when there are no words.
    """
    key &= MASK
    for word in words:
        key = _finalise((_finalise(key) + GOLDEN * (word + 1)) & MASK)
    return key


@np.errstate(over="ignore")
def mix_array(keys: Keys, word: ArrayLike | int) -> Keys:
    """Derive a sub-key of each key: elementwise identical to ``mix(key, word)``.

    Args:
        keys: Integer keys of any shape.
        word: One integer for all keys, or integers that broadcast against ``keys``.

    Returns:
        ``uint64`` keys of the broadcast shape.

    Raises:
        DialogGymError: If keys or words are not integers.
    """
    steps = (_as_uint64(word, "word") + np.uint64(1)) * np.uint64(GOLDEN)
    return _finalise_array(_finalise_array(_as_uint64(keys, "keys")) + steps)


@np.errstate(over="ignore")
def uniform_block(keys: Keys, count: int, stream: int = 0) -> Floats:
    """Uniform draws in (0, 1), both ends excluded.

    Args:
        keys: Integer keys, shape ``[N]``.
        count: How many draws per key; column ``j`` is counter ``j``.
        stream: Separates independent uses of the same keys.

    Returns:
        ``[N, count]``; element ``[i, j]`` is ``uniform(keys[i], j, stream)`` whatever the other keys are.

    Raises:
        DialogGymError: If keys are not integers.
    """
    return uniform_at(mix_array(keys, stream)[:, None], np.arange(count, dtype=np.uint64))


def uniform_at(streams: Keys, counters: ArrayLike) -> Floats:
    """Uniform draws in (0, 1) at any counters: what `uniform_block` has in the columns of these numbers.

    Args:
        streams: Keys mixed with the number of their stream, ``mix_array(keys, stream)``.
        counters: Integers that broadcast against ``streams``.

    Raises:
        DialogGymError: If keys or counters are not integers.
    """
    bits = mix_array(streams, counters)
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def uniform(key: int, counter: int = 0, stream: int = 0) -> float:
    """One uniform draw in (0, 1): the scalar path of `uniform_block`, identical bits."""
    return ((mix(key, stream, counter) >> 12) + 0.5) * 2.0**-52


def text_key(text: str) -> int:
    """A 64-bit key of a string, the same in every process (unlike ``hash``), on every machine."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@overload
def normal(u: float) -> float: ...
@overload
def normal(u: Floats) -> Floats: ...
def normal(u: float | Floats) -> float | Floats:
    """Standard normal deviates from uniform draws ``u`` in [0, 1); a scalar gives a float, an array an array.

    The 4096 possible values lie within +-3.67 and have a standard deviation of 0.9998.
    """
    return _look_up(NORMAL_QUANTILES, u)


@overload
def logistic(u: float) -> float: ...
@overload
def logistic(u: Floats) -> Floats: ...
def logistic(u: float | Floats) -> float | Floats:
    """Standard logistic deviates from uniform draws ``u`` in [0, 1); a scalar gives a float."""
    return _look_up(LOGISTIC_QUANTILES, u)


def _look_up(table: Floats, u: float | Floats) -> float | Floats:
    if isinstance(u, np.ndarray):
        return table[(u * TABLE_BINS).astype(np.int64)]
    return float(table[int(u * TABLE_BINS)])


def normal_share(z: Floats) -> Floats:
    """Standard normal distribution function, in (0, 1): the quantile table inverted, linear in between."""
    above = np.clip(np.searchsorted(NORMAL_QUANTILES, z), 1, TABLE_BINS - 1)
    low, high = NORMAL_QUANTILES[above - 1], NORMAL_QUANTILES[above]
    share: Floats = (above - 0.5 + np.clip((z - low) / (high - low), 0, 1)) / TABLE_BINS
    return share


def copula(u: Floats, factor: Floats) -> list[Floats]:
    """Gaussian copula (Nelsen, "An Introduction to Copulas", 2006): dependent from independent uniform draws.

    Args:
        u: Independent draws in (0, 1), shape ``[N, D]``.
        factor: Lower triangular factor of the latent correlation matrix, shape ``[D, D]``.

    Returns:
        D arrays of shape ``[N]``, each uniform in (0, 1).
    """
    noise = [normal(column) for column in u.T]
    shares = []
    for i, row in enumerate(factor):
        # products and sums in a fixed order: a matrix product may round differently on another machine
        latent = row[0] * noise[0]
        for j in range(1, i + 1):
            latent = latent + row[j] * noise[j]
        shares.append(normal_share(latent))
    return shares


def pick(u: Floats, size: int | Ints) -> Ints:
    """A whole number in 0..size-1 from uniform draws in (0, 1); ``size`` may be an array that broadcasts."""
    return (u * size).astype(np.int64)


def pick_counted(u: Floats, cumulative: Ints) -> Ints:
    """An index drawn in proportion to counts, given as cumulative sums, from uniform draws in (0, 1)."""
    index: Ints = np.searchsorted(cumulative, u * cumulative[-1], side="right")
    return index
