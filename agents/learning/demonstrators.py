"""Demonstrations of a population of mixed quality, like logged calls of human agents.

Half of the calls are made by the fixed script, a third by somebody who follows it but slips, the rest by
somebody who nearly always knows what this customer needs. The proportions are in `POPULATION`; supervised
fine-tuning on these calls is where every reinforcement learner starts.
"""

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any

import numpy as np

from dialog_gym.agents.base import Agent
from dialog_gym.agents.oracle import Oracle
from dialog_gym.agents.scripted import Scripted, act
from dialog_gym.core import DialogGymError, DialogueAct, Observation, Trajectory, Turn
from dialog_gym.domains.credit.ontology import NEED_SLOTS
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.episode import Episode
from dialog_gym.envs.seeding import episode_seeds, task_indices
from dialog_gym.noise import mix, text_key
from dialog_gym.plugins import nearest
from dialog_gym.rollout import agent_seed, play

POPULATION = {"scripted": 0.5, "noisy-scripted": 0.35, "near-oracle": 0.15}
"""Share of each demonstrator."""
SLIP = 0.15
"""Probability that a turn of ``noisy-scripted`` or ``near-oracle`` is a slip."""
_MAKERS: Mapping[str, tuple[str, str, str]] = {
    "credit": (
        "dialog_gym.agents.scripted:Scripted",
        "dialog_gym.agents.learning.demonstrators:NoisyScripted",
        "dialog_gym.agents.learning.demonstrators:NearOracle",
    ),
    "multiwoz": (
        "dialog_gym.agents.multiwoz_scripted:MultiWOZScripted",
        "dialog_gym.agents.learning.multiwoz_demonstrators:NoisyDesk",
        "dialog_gym.agents.learning.multiwoz_demonstrators:NearOracleDesk",
    ),
}
"""Who they are in each domain, in the order of `POPULATION`."""
_TASK, _WHO, _BATCH = text_key("demonstration task"), text_key("demonstrator"), 64


class NoisyScripted(Scripted):
    """The script with slips: pressing, small talk, a question asked again, a limit or rate made up."""

    name = "noisy-scripted"

    def reply(self, observation: Observation) -> Turn:
        """A turn of the script, or a slip."""
        turn = super().reply(observation)
        if self.rng.random() >= SLIP:
            return turn
        slips = self._slips()
        acts = (slips[int(self.rng.integers(len(slips)))],)
        text = self.word(acts, len(observation.dialogue))
        return Turn(role="assistant", text=text, acts=acts)

    def _slips(self) -> list[DialogueAct]:
        products = list(self.rulebook.products.items())
        name, product = products[int(self.rng.integers(len(products)))]
        slot = NEED_SLOTS[int(self.rng.integers(len(NEED_SLOTS)))]
        amount = self.rulebook.ladder[int(self.rng.integers(len(self.rulebook.ladder)))]
        rate = product.rates[int(self.rng.integers(len(product.rates)))]
        return [
            act("urge"), act("smalltalk"), act("acknowledge"), act("ask_need", slot=slot),
            act("inform_limit", product=name, amount=amount), act("inform_rate", product=name, rate=rate),
            act("close", product=name, amount=amount), act("goodbye"),
        ]  # fmt: skip


class NearOracle(Oracle):
    """The oracle, but now and then it only does what the script would do."""

    name = "near-oracle"

    def __init__(self) -> None:
        """Prepares the script to fall back on."""
        super().__init__()
        self.script = Scripted()

    def start(self, seed: int) -> Agent:
        """A session with a session of the script beside it."""
        session = super().start(seed)
        assert isinstance(session, NearOracle)
        session.script = self.script.start(mix(seed, 1))  # type: ignore[assignment]
        return session

    def reply(self, observation: Observation) -> Turn:
        """A turn of the oracle, or of the script."""
        if self.rng.random() < SLIP:
            return self.script.reply(observation)
        return super().reply(observation)


def demonstrator(seed: int, domain: str = "credit") -> Agent:
    """One member of a domain's population, drawn with its proportion.

    Raises:
        DialogGymError: nobody shows how to work in this domain.
    """
    if domain not in _MAKERS:
        raise DialogGymError(f"there are no demonstrators for domain {domain!r}; {nearest(domain, _MAKERS)}")
    makers = _MAKERS[domain]
    draw = np.random.default_rng(mix(_WHO, seed)).random()
    bounds = np.cumsum(list(POPULATION.values()))
    made: Agent = resolve_name(makers[int(np.searchsorted(bounds, draw * bounds[-1], side="right"))])()
    return made


def demonstrated_episodes(
    count: int,
    *,
    seed: int = 0,
    scenario: str | None = None,
    split: str = "train",
    level: int = 3,
    **options: Any,
) -> Iterator[tuple[Episode, int, Agent]]:
    """Fresh episodes whose customer answers the call, each with its task's index and a demonstrator.

    Calls that nobody answers are left out: there is nothing to learn from them.

    Args:
        count: Number of episodes.
        seed: Fixes tasks, customers and demonstrators.
        scenario: As in `DialogueEnv`.
        split: Split the tasks come from.
        level: Difficulty 0-9.
        options: Further options of `DialogueEnv`: ``domain``, and those of the domain.

    Yields:
        (episode, task index, demonstrator service).
    """
    env, found, number = DialogueEnv(scenario=scenario, split=split, level=level, **options), 0, 0
    while found < count:
        seeds = episode_seeds(
            np.full(_BATCH, mix(_TASK, seed), np.uint64), np.arange(number, number + _BATCH)
        )
        tasks = task_indices(seeds, env.space.size)
        for episode, index in zip(env.begin_many(tasks.tolist(), seeds.tolist()), tasks, strict=True):
            if found < count and episode.dialogue.outcome().get("reached", True):
                found += 1
                yield episode, int(index), demonstrator(episode.seed, env.domain.name)
        number += _BATCH


def demonstrate(
    count: int,
    *,
    seed: int = 0,
    scenario: str | None = None,
    split: str = "train",
    level: int = 3,
    **options: Any,
) -> Iterator[Trajectory]:
    """Finished demonstrations in words; see `demonstrated_episodes`."""
    chosen = {"seed": seed, "scenario": scenario, "split": split, "level": level, **options}
    for episode, _, agent in demonstrated_episodes(count, **chosen):
        yield play(episode, agent)


def demonstrator_session(agent: Agent, episode: Episode) -> Agent:
    """The session of a demonstrator in an episode, with the randomness that `play` gives it."""
    return agent.start(agent_seed(episode.task.id, episode.seed))
