"""Two backends for one set of formulas: numpy arrays over N dialogues, and Python scalars for one.

Dynamics written with these few functions and the operators ``+ - * / & | ^ < <= ==`` give bit-identical
results in both, because each is a single IEEE or integer operation per dialogue. The scalar backend exists
because numpy costs about a microsecond per operation whatever the length, and a step has a few hundred of
them. Logical
"not" is written ``x ^ True``, the one spelling that Python booleans and numpy arrays share.
"""

from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any, Protocol

import numpy as np


class Ops(Protocol):
    """What the formulas may use beside operators. `ScalarOps` and `ArrayOps` are the two backends."""

    where: Callable[[Any, Any, Any], Any]
    """``where(condition, yes, no)``."""
    maximum: Callable[[Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    table: Callable[[Sequence[Any]], Any]
    """A lookup table indexed by `take`."""
    take: Callable[[Any, Any], Any]
    """``take(table, index)``."""
    lane: Callable[[Any, Any], Any]
    """``lane(field, index)``: each dialogue's own row of ``field`` at ``index``."""


def _choose(condition: Any, yes: Any, no: Any) -> Any:
    return yes if condition else no


def _own_row(field: Any, index: Any) -> Any:
    return field[np.arange(len(field)), index]


class ScalarOps:
    """One dialogue: plain Python numbers, tuples as tables."""

    where: Callable[[Any, Any, Any], Any] = staticmethod(_choose)
    maximum: Callable[[Any, Any], Any] = staticmethod(max)
    minimum: Callable[[Any, Any], Any] = staticmethod(min)
    table: Callable[[Sequence[Any]], Any] = staticmethod(tuple)
    take: Callable[[Any, Any], Any] = staticmethod(getitem)
    lane: Callable[[Any, Any], Any] = staticmethod(getitem)


class ArrayOps:
    """N dialogues: numpy arrays of length N; per-dialogue tables have shape ``[N, k]``."""

    where: Callable[[Any, Any, Any], Any] = staticmethod(np.where)
    maximum: Callable[[Any, Any], Any] = staticmethod(np.maximum)
    minimum: Callable[[Any, Any], Any] = staticmethod(np.minimum)
    table: Callable[[Sequence[Any]], Any] = staticmethod(np.asarray)
    take: Callable[[Any, Any], Any] = staticmethod(getitem)
    lane: Callable[[Any, Any], Any] = staticmethod(_own_row)


SCALAR: Ops = ScalarOps()
ARRAYS: Ops = ArrayOps()

_POPCOUNT = [bin(i).count("1") for i in range(1 << 15)]
_LOWEST = [max(0, (i & -i).bit_length() - 1) for i in range(1 << 10)]


class BitTables:
    """Lookup tables over bitmasks: number of bits (below 2**15), position of the lowest (below 2**10)."""

    def __init__(self, ops: Ops) -> None:
        """Builds the tables in the backend's own form."""
        self.count = ops.table(_POPCOUNT)
        self.lowest = ops.table(_LOWEST)
