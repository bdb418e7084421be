"""Seeds of successive episodes, and the dialogues they start, prepared in growing batches.

A lane's key comes from its ``np_random``; episode k has the seed ``mix(key, k)``, from which the task is
drawn too. A vector environment does the same for all lanes at once, so episode k after ``reset(seed=s)`` is
the same dialogue alone and in a batch. Preparing one dialogue costs nearly as much as preparing a hundred,
hence the batches.
"""

from typing import Any, NamedTuple

import numpy as np

from dialog_gym.core import DialogGymError
from dialog_gym.noise import mix_array

LARGEST_BATCH = 256


class Prepared(NamedTuple):
    """One episode ready to begin: its seed, its task's index, and its row in the domain's starts."""

    seed: int
    task_index: int
    starts: Any
    row: int


def episode_seeds(keys: np.ndarray, episodes: np.ndarray) -> np.ndarray:
    """63-bit seeds of episodes, uint64[N], from lane keys and episode numbers."""
    return mix_array(keys, episodes.astype(np.uint64)) >> np.uint64(1)


def task_indices(seeds: np.ndarray, size: int) -> np.ndarray:
    """int64[N], the task each episode draws from a split of ``size`` tasks."""
    return (mix_array(seeds, 1) % np.uint64(size)).astype(np.int64)


class EpisodeQueue:
    """The successive episodes of one lane at one difficulty level."""

    def __init__(self, domain: Any, space: Any, key: int) -> None:
        """Nothing is prepared before the first `take`; ``key`` is the lane's."""
        self.domain, self.space = domain, space
        self._key = np.asarray([key], np.uint64)
        self._next = 0
        self._batch: list[Prepared] = []
        self._size = 1

    def take(self) -> Prepared:
        """The next episode."""
        if not self._batch:
            self._prepare()
        return self._batch.pop()

    def skip(self) -> int:
        """The seed of the next episode when its task is chosen by the caller."""
        if self._batch:
            return self._batch.pop().seed
        seed = int(episode_seeds(self._key, np.asarray([self._next]))[0])
        self._next += 1
        return seed

    def _prepare(self) -> None:
        numbers = np.arange(self._next, self._next + self._size)
        seeds = episode_seeds(np.repeat(self._key, self._size), numbers)
        index = task_indices(seeds, self.space.size)
        starts = self.domain.starts(self.space, index, seeds)
        ready = [
            Prepared(int(seed), int(i), starts, row)
            for row, (seed, i) in enumerate(zip(seeds, index, strict=True))
        ]
        self._batch = ready[::-1]
        self._next += self._size
        self._size = min(LARGEST_BATCH, 2 * self._size)


class EpisodeSource:
    """One lane's episodes at every difficulty level.

    All levels share the lane's key: the k-th episode at level d is the one that an environment made with
    ``level=d`` plays as its k-th.
    """

    def __init__(self, domain: Any, space: Any) -> None:
        """Takes the tasks of the usual level; there are no episodes before the first `restart`."""
        self.domain, self.space = domain, space
        self._spaces: dict[int, Any] = {space.level: space}
        self._queues: dict[int, EpisodeQueue] = {}
        self._key: int | None = None

    def restart(self, np_random: np.random.Generator) -> None:
        """Begin new sequences of episodes from a key drawn from ``np_random``."""
        self._key = int(np_random.integers(2**63))
        self._queues = {}

    @property
    def started(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def space_at(self, level: Any) -> Any:
        """The tasks of a level; those of the usual level for None.

        Raises:
            DialogGymError: there is no such level.
        """
        level = self.space.level if level is None else level
        if isinstance(level, bool) or not isinstance(level, int | np.integer):
            raise DialogGymError(f"level must be an integer from 0 to 9, not {level!r}")
        if level not in self._spaces:
            usual = self.space
            self._spaces[int(level)] = self.domain.space(
                split=usual.split, scenario=usual.scenario, level=int(level)
            )
        return self._spaces[int(level)]

    def next(self, space: Any, index: int | None = None, seed: Any = None) -> Prepared:
        """The next episode of a level; `restart` must have been called.

        Args:
            space: The level's tasks.
            index: A task index; None draws the task from the episode's seed.
            seed: The episode's seed; None takes the lane's next.

        Raises:
            DialogGymError: the index or the seed is out of range.
        """
        if index is None and seed is None:
            return self._queue(space).take()
        return self.at(space, index, self.skip(space) if seed is None else seed)

    def skip(self, space: Any) -> int:
        """The seed of a level's next episode when its task is chosen by the caller."""
        return self._queue(space).skip()

    def at(self, space: Any, index: int | None, seed: Any) -> Prepared:
        """The episode of a task index with a seed; without an index the seed draws the task.

        Raises:
            DialogGymError: the index or the seed is out of range.
        """
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**64:
            raise DialogGymError(f"an episode's seed must be an integer from 0 to 2**64 - 1, not {seed!r}")
        seeds = np.asarray([seed], np.uint64)
        indices = task_indices(seeds, space.size) if index is None else np.asarray([index])
        return Prepared(int(seed), int(indices[0]), self.domain.starts(space, indices, seeds), 0)

    def _queue(self, space: Any) -> EpisodeQueue:
        assert self._key is not None
        if space.level not in self._queues:
            self._queues[space.level] = EpisodeQueue(self.domain, space, self._key)
        return self._queues[space.level]


class TaskTable:
    """The starts of a split's tasks, drawn when first needed and kept: lanes play a task many times."""

    def __init__(self, domain: Any, space: Any) -> None:
        """Nothing is drawn yet."""
        self.act_level, self.space = domain.act_level, space
        self._ready = np.zeros(space.size, bool)
        self.drawn = np.empty(0)
        """What starts differ in (`ActLevel.prepare`), by task index."""

    def has(self, index: np.ndarray) -> bool:
        """Whether some tasks are all drawn."""
        return bool(self._ready[index].all())

    def prepare(self, index: np.ndarray) -> None:
        """Draw those of some tasks that are not drawn yet, all together."""
        wanted = np.zeros(self.space.size, bool)
        wanted[index] = True
        missing = np.flatnonzero(wanted & ~self._ready)
        drawn = self.act_level.prepare(self.space, missing)
        if not self._ready.any():
            self.drawn = np.zeros(self.space.size, drawn.dtype)
        self.drawn[missing] = drawn
        self._ready[missing] = True


class EpisodeBank:
    """The successive episodes of N lanes."""

    def __init__(self, domain: Any, space: Any, lanes: int) -> None:
        """Nothing is prepared before the first `restart`."""
        self.domain, self.space, self.lanes = domain, space, lanes
        self.tasks = TaskTable(domain, space)
        self.ahead = 16 if lanes <= 1024 else 8

    def restart(self, keys: np.ndarray) -> None:
        """Begin new sequences of episodes from lane keys, uint64[lanes]."""
        self._keys = keys
        self._episode = np.zeros(self.lanes, np.int64)

    def take(self, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The next episodes of some lanes: task indices, int64, which are prepared, and keys, uint64."""
        seeds = episode_seeds(self._keys[lanes], self._episode[lanes])
        tasks = task_indices(seeds, self.space.size)
        if not self.tasks.has(tasks):
            self._prepare()
        self._episode[lanes] += 1
        return tasks, self.domain.noise_keys(self.space, tasks, seeds)

    def _prepare(self) -> None:
        """Draw the tasks of all lanes' next episodes: one draw costs nearly as much as a hundred."""
        episodes = self._episode[:, None] + np.arange(self.ahead)
        seeds = episode_seeds(self._keys[:, None], episodes)
        self.tasks.prepare(task_indices(seeds.ravel(), self.space.size))
