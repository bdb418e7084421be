"""Dialogues of a language model in lock-step: their token ids, and an engine that has read them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dialog_gym.acts import STOP_MARKERS
from dialog_gym.agents.lm.transcript import Transcript, heard
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.envs.episode import Episode
from dialog_gym.lm.chat import ChatFormat
from dialog_gym.lm.engine import Engine, Sampling

LEAVE: Final = STOP_MARKERS[-1]
"""What an agent says whose context is full: goodbye, because it cannot read on."""


class Seats:
    """Where N dialogues are played by one model. A row begins, then speaks and hears in turn, then leaves."""

    def __init__(
        self, engine: Engine, chat: ChatFormat, sampling: Sampling, keys: Sequence[int], context: int
    ) -> None:
        """Opens a batch.

        Args:
            engine: Samples the model.
            chat: The model's chat template.
            sampling: How turns are sampled.
            keys: Each dialogue's randomness.
            context: Most tokens of a dialogue.
        """
        self.engine, self.chat, self.sampling, self.keys, self.context = engine, chat, sampling, keys, context
        self.transcripts = [Transcript() for _ in keys]
        self._cut = [False] * len(keys)
        self._full = [False] * len(keys)
        self._here: set[int] = set()
        self._used: set[int] = set()
        self._session = engine.open(len(keys), sampling)

    def begin(self, row: int, transcript: Transcript) -> None:
        """Take up a dialogue in which it is the assistant's turn; also one that began otherwise before.

        Raises:
            DialogGymError: no turn fits behind the prompt.
        """
        if row in self._used:
            self._here.discard(row)
            self._read_again()
        self._full[row] = not self._fits(len(transcript.ids))
        if self._full[row] and not transcript.spoken:
            raise DialogGymError(
                f"a prompt of {len(transcript.ids)} and a turn of {self.sampling.max_new_tokens} tokens do "
                f"not fit into {self.context}: use the compact prompt, or a longer context"
            )
        self.transcripts[row], self._cut[row] = transcript, False
        self._here.add(row)
        self._used.add(row)
        if not self._full[row]:
            self._session.append([row], [transcript.ids])

    def speak(self, rows: Sequence[int]) -> list[str]:
        """The assistant's next turn in these dialogues; `LEAVE` where no further one fits."""
        speaking = [row for row in rows if not self._full[row]]
        turns = self._session.sample(speaking, [self.keys[row] for row in speaking])
        said = {}
        for row, turn in zip(speaking, turns, strict=True):
            self.transcripts[row].speak(turn.ids, turn.logprobs)
            self._cut[row] = not turn.stopped
            said[row] = self.chat.text(turn.ids)
        return [said.get(row, LEAVE) for row in rows]

    def hear(self, row: int, said: str, dialogue: Sequence[Turn]) -> None:
        """What the customer said; the dialogue must leave if no turn of the assistant fits behind that.

        Args:
            row: Which dialogue.
            said: Since the assistant's last turn.
            dialogue: All turns so far, for the desk's notes.
        """
        words = self.transcripts[row].noted(said, dialogue)
        ids = self.chat.answer(words, closed=not self._cut[row])
        self._full[row] = not self._fits(len(self.transcripts[row].ids) + len(ids))
        if not self._full[row]:
            self.transcripts[row].ids += ids
            self._session.append([row], [ids])

    def leave(self, rows: Sequence[int]) -> None:
        """Dialogues that are over; the engine forgets them."""
        if rows:
            self._session.drop(rows)
        self._here.difference_update(rows)

    def _read_again(self) -> None:
        """A row of the engine cannot begin twice: a new session reads the dialogues that go on."""
        self._session = self.engine.open(len(self.keys), self.sampling)
        self._used = set(self._here)
        rows = sorted(row for row in self._here if not self._full[row])
        self._session.append(rows, [self.transcripts[row].ids for row in rows])

    def _fits(self, length: int) -> bool:
        return length + self.sampling.max_new_tokens <= self.context


def play_all(episodes: Sequence[Episode], seats: Seats) -> None:
    """Play episodes to their ends, all at once; row i of the seats has begun as episode i."""
    running = list(range(len(episodes)))
    while running:
        for row, said in zip(running, seats.speak(running), strict=True):
            episodes[row].assistant(episodes[row].understand(said))
        seats.leave([row for row in running if episodes[row].ended_by is not None])
        running = [row for row in running if episodes[row].ended_by is None]
        for row in running:
            seats.hear(row, heard(episodes[row]), episodes[row].turns)


def speak_once(
    policy: Any,
    transcripts: Sequence[Transcript],
    keys: Sequence[int],
    temperature: float,
    longest: int | None = None,
) -> list[str]:
    """The assistant's next turn, no more than one, in each of some dialogues.

    Args:
        policy: An `LMPolicy`, which speaks with its present weights.
        transcripts: Dialogues; the turns become part of them.
        keys: Each dialogue's randomness.
        temperature: 0 takes the likeliest token.
        longest: Most tokens of a turn; default as in dialogues.
    """
    policy.read_weights()
    sampling, said = policy.sampling(temperature, longest), list[str]()
    for first in range(0, len(keys), policy.config.lockstep):
        part = slice(first, first + policy.config.lockstep)
        seats = Seats(policy.engine(), policy.chat, sampling, keys[part], policy.shape.context)
        for row, transcript in enumerate(transcripts[part]):
            seats.begin(row, transcript)
        said += seats.speak(range(len(keys[part])))
    return said


def places_in_groups(group: np.ndarray) -> list[int]:
    """Which dialogue of its group each one is."""
    seen: dict[int, int] = {}
    found = []
    for number in group.tolist():
        found.append(seen.get(number, 0))
        seen[number] = found[-1] + 1
    return found
