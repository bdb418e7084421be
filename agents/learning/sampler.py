"""Which dialogues an iteration plays: a pure function of the run's seed and the iteration's number."""

from collections.abc import Mapping, Sequence

import numpy as np

from dialog_gym.agents.learning.rollout import Episodes
from dialog_gym.envs.seeding import episode_seeds, task_indices
from dialog_gym.noise import mix, text_key

SALE, SERVICE = "proactive_sale", "customer_service"
SERVICE_EVERY = 5
"""One in this many groups of dialogues is a customer-service one."""
_EPISODES = text_key("training episodes")


def demonstrated(count: int, scenarios: Sequence[str]) -> dict[str, int]:
    """Demonstrations by scenario: ``count`` of the main one, and a fifth as many of the other, if any."""
    main, *others = scenarios
    return {main: count} | dict.fromkeys(others, count // SERVICE_EVERY)


class EpisodeSampler:
    """Draws groups of dialogues; those of a group share task, customer and the customer's randomness."""

    def __init__(self, sizes: Mapping[str, int], *, dialogues: int, group: int = 1, seed: int = 0) -> None:
        """Nothing is drawn yet.

        Args:
            sizes: Tasks of the split by scenario: one, or the main one and one that is played less often.
            dialogues: D, dialogues per iteration; a multiple of ``group``.
            group: Dialogues per group.
            seed: Of the run.
        """
        self.sizes, self.groups, self.group, self.seed = sizes, dialogues // group, group, seed

    def episodes(self, iteration: int) -> list[Episodes]:
        """The dialogues of an iteration by scenario: in the shop four in five groups are sales calls.

        Few groups cannot be parted exactly, so what is over is carried on to later iterations.
        """
        main, *others = self.sizes
        before, after = iteration * self.groups, (iteration + 1) * self.groups
        service = after // SERVICE_EVERY - before // SERVICE_EVERY if others else 0
        counts = {main: self.groups - service} | dict.fromkeys(others, service)
        return [self._draw(name, count, iteration) for name, count in counts.items() if count]

    def _draw(self, scenario: str, count: int, iteration: int) -> Episodes:
        key = mix(_EPISODES, self.seed, iteration, text_key(scenario))
        seeds = episode_seeds(np.full(count, key, np.uint64), np.arange(count))
        tasks = task_indices(seeds, self.sizes[scenario])
        every = np.repeat(np.arange(count), self.group)
        return Episodes(scenario, tasks[every], seeds[every], every)
