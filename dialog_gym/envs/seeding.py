"""Seeds of successive episodes, and the dialogues they start, prepared in growing batches.

A lane's key comes from its ``np_random``; episode k has the seed ``mix(key, k)``, from which the task is drawn too.
A vector environment does the same for all lanes at once, so episode k after ``reset(seed=s)`` is the same dialogue
alone and in a batch. Preparing one dialogue costs nearly as much as preparing a hundred, hence the batches.
"""

from typing import Any, NamedTuple

import numpy as np

from dialog_gym.noise import mix_array

LARGEST_BATCH = 256


class Prepared(NamedTuple):
    """One episode ready to begin: its seed, its task's index, and its row in the domain's starts."""

    seed: int
    index: int
    starts: Any
    row: int


def episode_seeds(keys: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """63-bit seeds of episodes, uint64[N], from lane keys and episode numbers."""
    return mix_array(keys, episodes.astype(np.uint64)) >> np.uint64(1)


def task_indices(seeds: np.ndarray, size: int) -> np.ndarray:
    """int64[N], the task each episode draws from a split of ``size`` tasks."""
    return (mix_array(seeds, 1) % np.uint64(size)).astype(np.int64)


class EpisodeQueue:
    """The successive episodes of one lane."""

    def __init__(self, domain: Any, space: Any) -> None:
        """Nothing is prepared before the first `restart`."""
        self.domain, self.space = domain, space
        self._key: np.ndarray | None = None
        self._next = 0
        self._batch: list[Prepared] = []
        self._size = 1

    def restart(self, np_random: np.random.Generator) -> None:
        """Begin a new sequence of episodes from a key drawn from ``np_random``."""
        self._key = np.asarray([np_random.integers(2**63)], np.uint64)
        self._next, self._size = 0, 1
        self._batch = []

    @property
    def started(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def take(self) -> Prepared:
        """The next episode."""
        if not self._batch:
            self._prepare()
        return self._batch.pop()

    def skip(self) -> int:
        """The seed of the next episode when its task is chosen by the caller."""
        if self._batch:
            return self._batch.pop().seed
        assert self._key is not None
        seed = int(episode_seeds(self._key, np.asarray([self._next]))[0])
        self._next += 1
        return seed

    def _prepare(self) -> None:
        assert self._key is not None
        numbers = np.arange(self._next, self._next + self._size)
        seeds = episode_seeds(np.repeat(self._key, self._size), numbers)
        index = task_indices(seeds, self.space.size)
        starts = self.domain.starts(self.space, index, seeds)
        ready = [Prepared(int(seed), int(i), starts, row) for row, (seed, i) in enumerate(zip(seeds, index, strict=True))]
        self._batch = ready[::-1]
        self._next += self._size
        self._size = min(LARGEST_BATCH, 2 * self._size)
