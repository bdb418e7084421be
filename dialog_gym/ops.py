"""Two backends for one set of formulas: numpy arrays over N dialogues, and Python scalars for one.

Dynamics written with these few functions and the operators ``+ - * / & | ^ < <= ==`` give bit-identical results
in both, because each is a single IEEE or integer operation per dialogue. The scalar backend exists because numpy
costs about a microsecond per operation whatever the length, and a step has a few hundred of them. Logical "not"
is written ``x ^ True``, the one spelling that Python booleans and numpy arrays share.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


class ScalarOps:
    """One dialogue: plain Python numbers, tuples as tables."""

    @staticmethod
    def where(condition: Any, yes: Any, no: Any) -> Any:
        """``yes`` where the condition holds, else ``no``."""
        return yes if condition else no

    maximum = staticmethod(max)
    minimum = staticmethod(min)

    @staticmethod
    def table(values: Sequence[Any]) -> Any:
        """A lookup table indexed by `take`."""
        return tuple(values)

    @staticmethod
    def take(table: Any, index: Any) -> Any:
        """``table[index]``."""
        return table[index]

    @staticmethod
    def lane(field: Any, index: Any) -> Any:
        """Each dialogue's own row of ``field`` at ``index``."""
        return field[index]


class ArrayOps:
    """N dialogues: numpy arrays of length N; per-dialogue tables have shape ``[N, k]``."""

    where = staticmethod(np.where)
    maximum = staticmethod(np.maximum)
    minimum = staticmethod(np.minimum)

    @staticmethod
    def table(values: Sequence[Any]) -> Any:
        """A lookup table indexed by `take`."""
        return np.asarray(values)

    @staticmethod
    def take(table: Any, index: Any) -> Any:
        """``table[index]``."""
        return table[index]

    @staticmethod
    def lane(field: Any, index: Any) -> Any:
        """Each dialogue's own row of ``field`` at ``index``."""
        return field[np.arange(len(field)), index]


SCALAR = ScalarOps()
ARRAYS = ArrayOps()
Ops = ScalarOps | ArrayOps

_POPCOUNT = [bin(i).count("1") for i in range(1 << 15)]
_LOWEST = [max(0, (i & -i).bit_length() - 1) for i in range(1 << 10)]


class BitTables:
    """Lookup tables over bitmasks: number of bits (below 2**15) and position of the lowest bit (below 2**10)."""

    def __init__(self, ops: Ops) -> None:
        """Builds the tables in the backend's own form."""
        self.count = ops.table(_POPCOUNT)
        self.lowest = ops.table(_LOWEST)
