"""A language model as an agent that sees the observation only, one dialogue at a time or many at once."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path

from dialog_gym import plugins
from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.agents.learning.card import AgentCard
from dialog_gym.agents.learning.memory import memory_of
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy
from dialog_gym.agents.lm.recall import reader_of
from dialog_gym.core import DialogGymError, Observation, Turn
from dialog_gym.envs.episode import EMPTY_REPLY

_SPACING = re.compile(r"[\s\"']+")


class LMAgent(Agent):
    """Plays with a policy's model. A turn is read on from the last one, as long as the dialogue goes on."""

    name = "lm"
    backbone = "lm"
    _table: "Table"

    def __init__(
        self, policy: LMPolicy, *, name: str = "lm", temperature: float = 0.0, env_steps: int = 0
    ) -> None:
        """Takes a policy.

        Args:
            policy: Whose model, dialect and prompt.
            name: Of the agent.
            temperature: 0 takes the likeliest token.
            env_steps: What it has learnt from.
        """
        self.policy, self.name, self.temperature, self.env_steps = policy, name, temperature, env_steps

    @classmethod
    def load(cls, folder: Path, card: AgentCard) -> "LMAgent":
        """The agent of a run's folder.

        Raises:
            DialogGymError: its weights are missing or damaged, or its card names unknown options.
        """
        try:
            config = LMConfig(**dict(card.model))
        except TypeError as error:
            raise DialogGymError(f"{folder}: the card's model has an unknown option: {error}") from None
        domain = plugins.load("domains", card.domain)()
        policy = LMPolicy.load(folder, domain, config)
        if memory := memory_of(folder, card):
            policy.reader = reader_of(policy, memory)
        return cls(policy, name=card.name, temperature=card.temperature, env_steps=card.env_steps)

    def start(self, seed: int) -> "LMAgent":
        """A session for one dialogue."""
        session = copy.copy(self)
        session._table = self.start_many([seed])
        return session

    def reply(self, observation: Observation) -> Turn:
        """The next turn: words, or act notation."""
        return self._table.reply_many([0], [observation])[0]

    def start_many(self, seeds: Sequence[int]) -> "Table":
        """A session for dialogues that are played together, row i with ``seeds[i]``."""
        return Table(self.policy, seeds, self.temperature)


class Table:
    """Dialogues that are played together; each is read once and then only read on."""

    def __init__(self, policy: LMPolicy, seeds: Sequence[int], temperature: float) -> None:
        """Nobody has begun yet."""
        self.policy, self.seats = policy, policy.seats(seeds, temperature)
        self._seen: dict[int, tuple[Turn, ...]] = {}
        """What each running dialogue was when the model last spoke in it."""
        self._said: dict[int, str] = {}

    def reply_many(self, rows: Sequence[int], observations: Sequence[Observation]) -> list[Turn]:
        """The next turn in these dialogues; those not named are taken to be over."""
        over = sorted(self._seen.keys() - set(rows))
        self.seats.leave(over)
        for row in over:
            del self._seen[row]
        for row, observation in zip(rows, observations, strict=True):
            self._read(row, observation)
        said = self.seats.speak(rows)
        self._said |= dict(zip(rows, said, strict=True))
        return [Turn(role="assistant", text=text) for text in said]

    def _read(self, row: int, observation: Observation) -> None:
        """Read on, or from the beginning where the dialogue is not the one that was left."""
        dialogue, seen = observation.dialogue, self._seen.get(row)
        self._seen[row] = dialogue
        if seen is None or dialogue[: len(seen)] != seen or not self._answered(row, dialogue[len(seen) :]):
            self.seats.begin(row, self.policy.transcript(observation))
        else:
            said = " ".join(turn.text for turn in dialogue[len(seen) + 1 :]) or EMPTY_REPLY
            self.seats.hear(row, said, dialogue)

    def _answered(self, row: int, turns: Sequence[Turn]) -> bool:
        """Whether these turns are what the model said and what the customer answered."""
        if not turns or any(turn.role != "user" for turn in turns[1:]):
            return False
        return turns[0].role == "assistant" and _is_said(self._said[row], turns[0])


def _is_said(said: str, turn: Turn) -> bool:
    """Whether a turn is what was said; what cannot be read is heard as silence, acts are put into words."""
    return turn.text in (said, EMPTY_REPLY) or _bare(said) == _bare(format_acts(turn.acts))


def _bare(notation: str) -> str:
    return _SPACING.sub("", notation)
