"""The training loop: what an iteration learns from, and how iterations follow one another."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

import torch

from dialog_gym.agents.learning.advantages import mix_rewards
from dialog_gym.agents.learning.algorithm import WEIGHTS, Algorithm, TrainingError
from dialog_gym.agents.learning.rollout import Episodes, Policy, Rollout, join
from dialog_gym.agents.learning.sampler import SALE, SERVICE, EpisodeSampler, demonstrated
from dialog_gym.noise import mix, text_key

_ITERATION, _DEMONSTRATIONS = text_key("training iteration"), text_key("demonstrations")
Parts = Mapping[str, Rollout]
"""Rollouts by scenario."""


@dataclass(frozen=True)
class Position:
    """How far a run is. With the run's seed it fixes all that is still to come."""

    iteration: int = 0
    """Finished iterations."""
    env_steps: int = 0
    seconds: float = 0.0
    """Spent in finished iterations."""


class Experience(Protocol):
    """What iterations learn from."""

    def rollouts(self, iteration: int, generator: torch.Generator) -> Parts:
        """The dialogues of an iteration."""
        ...

    def after(self, position: Position, parts: Parts, seconds: float) -> Position:
        """The position after an iteration that learnt from ``parts``."""
        ...

    def progress(self, position: Position) -> tuple[int, int]:
        """(done, total) in the unit in which this run is measured: environment steps, or passes."""
        ...


class Played:
    """Dialogues that the policy plays itself, until a budget of environment steps is used."""

    def __init__(self, policy: Policy, sampler: EpisodeSampler, steps: int) -> None:
        """Takes who plays, which dialogues, and the budget."""
        self.policy, self.sampler, self.steps = policy, sampler, steps

    def rollouts(self, iteration: int, generator: torch.Generator) -> Parts:
        """Freshly played dialogues."""
        return play(self.policy, self.sampler.episodes(iteration), generator)

    def after(self, position: Position, parts: Parts, seconds: float) -> Position:
        """One iteration and its environment steps further."""
        steps = sum(part.env_steps for part in parts.values())
        return Position(position.iteration + 1, position.env_steps + steps, position.seconds + seconds)

    def progress(self, position: Position) -> tuple[int, int]:
        """Environment steps."""
        return min(position.env_steps, self.steps), self.steps


class Demonstrated:
    """Demonstrations, made once and gone through several times."""

    def __init__(
        self,
        policy: Policy,
        count: int,
        passes: int,
        seed: int,
        scenarios: Sequence[str] = (SALE, SERVICE),
    ) -> None:
        """Takes the number of dialogues (see `sampler.demonstrated`). None is made yet."""
        self.policy, self.passes, self.key = policy, passes, mix(_DEMONSTRATIONS, seed)
        self.counts = demonstrated(count, scenarios)

    @cached_property
    def parts(self) -> Parts:
        """The demonstrations."""
        return {name: self.policy.demonstrations(n, self.key, name) for name, n in self.counts.items() if n}

    def rollouts(self, iteration: int, generator: torch.Generator) -> Parts:
        """All demonstrations."""
        return self.parts

    def after(self, position: Position, parts: Parts, seconds: float) -> Position:
        """One pass further; demonstrations are no steps of the learner in the environment."""
        return Position(position.iteration + 1, position.env_steps, position.seconds + seconds)

    def progress(self, position: Position) -> tuple[int, int]:
        """Passes."""
        return position.iteration, self.passes


def play(policy: Policy, episodes: list[Episodes], generator: torch.Generator | None) -> Parts:
    """Dialogues by scenario; without a generator the likeliest decisions are taken."""
    return {one.scenario: policy.collect(one, generator) for one in episodes}


def train(
    algorithm: Algorithm,
    experience: Experience,
    *,
    seed: int,
    position: Position | None = None,
    on_iteration: Callable[[Position, dict[str, Any]], None],
    stop: Callable[[], bool] = lambda: False,
) -> Position:
    """Play and learn until the experience is used up.

    Everything random in iteration k derives from (seed, k): a run that goes on from a position ends with the
    same weights as one that was never stopped.

    Args:
        algorithm: What learns.
        experience: What it learns from.
        seed: Of the run.
        position: Where to go on; default the beginning.
        on_iteration: Told after each iteration where the run is and what to log.
        stop: Asked before each iteration whether to end early.

    Returns:
        Where the run ended.

    Raises:
        TrainingError: the loss is not finite; the iteration is named.
    """
    position = position or Position()
    while True:
        done, total = experience.progress(position)
        if done >= total or stop():
            return position
        began = time.perf_counter()
        generator = torch.Generator().manual_seed(mix(_ITERATION, seed, position.iteration) >> 1)
        parts = experience.rollouts(position.iteration, generator)
        played = time.perf_counter()
        try:
            logs = algorithm.update(join(list(parts.values())), generator, done / total)
        except TrainingError as error:
            at = f"iteration {position.iteration + 1}, after {position.env_steps:,} environment steps"
            raise TrainingError(f"{at}: {error}") from error
        facts = describe(parts, getattr(algorithm.config, "weights", WEIGHTS))
        ended = time.perf_counter()
        position = experience.after(position, parts, ended - began)
        steps = sum(part.env_steps for part in parts.values())
        speed = {"steps_per_second": steps / (ended - began), "playing_seconds": played - began}
        on_iteration(position, asdict(position) | speed | facts | logs)


OUTCOMES = {
    "conversion": ("converted", False), "mis_sales": ("mis_sold", False), "complete": ("complete", False),
    "resolution": ("resolved", True),
}  # fmt: skip
"""What is logged of outcomes: the fact, and whether of customer service or of all other scenarios."""


def describe(parts: Parts, weights: Mapping[str, float]) -> dict[str, float]:
    """What happened in dialogues: means over the customers who were reached, NaN where there are none.

    Args:
        parts: Finished dialogues by scenario.
        weights: Of the named rewards in ``reward``, the sum over a dialogue.
    """
    reached = {name: part.outcome["reached"].bool() for name, part in parts.items()}
    sums = {
        "reward": {name: mix_rewards(part.rewards, weights).sum(1) for name, part in parts.items()},
        "violations": {name: part.cost.sum(1) for name, part in parts.items()},
        "turns": {name: part.turns.sum(1) for name, part in parts.items()},
    }
    if all("tse" in part.outcome for part in parts.values()):
        sums["tse"] = {name: part.outcome["tse"] for name, part in parts.items()}
    found = {
        what: _mean(torch.cat([values[reached[name]] for name, values in of.items()]))
        for what, of in sums.items()
    }
    for what, (fact, service) in OUTCOMES.items():
        for name, part in parts.items():
            if fact in part.outcome and (name == SERVICE) == service:
                found[what] = _mean(part.outcome[fact][reached[name]])
    return found


def _mean(values: torch.Tensor) -> float:
    return float(values.float().mean())
