"""Dialogues as token ids in which the assistant's turns are known, and many of them as a `Rollout`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dialog_gym.agents.learning.rollout import Rollout
from dialog_gym.agents.lm.prompts import Dialect, content
from dialog_gym.core import DialogGymError, Turn
from dialog_gym.envs.episode import EMPTY_REPLY, Episode
from dialog_gym.envs.lanes import Desk
from dialog_gym.language import language_rewards
from dialog_gym.language_metrics import contexts
from dialog_gym.lm.chat import ChatFormat


class Spoken(NamedTuple):
    """The assistant's turn in a transcript: ids from ``start`` on, one for each log-probability."""

    start: int
    logprobs: Sequence[float]


@dataclass
class Transcript:
    """A dialogue's ids, prompt and both sides, and where the assistant speaks."""

    ids: list[int] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    desk: Desk | None = None
    """Notes what the shop's systems say, behind each of the customer's turns."""

    def speak(self, ids: Sequence[int], logprobs: Sequence[float]) -> None:
        """The assistant's next turn."""
        self.spoken.append(Spoken(len(self.ids), logprobs))
        self.ids.extend(ids)

    def noted(self, said: str, dialogue: Sequence[Turn]) -> str:
        """What the customer said, which ends the dialogue so far, and what the desk notes then."""
        note = self.desk.note(dialogue) if self.desk is not None else ""
        return f"{said} [{note}]" if note else said


def written(
    chat: ChatFormat, system: str, turns: Sequence[Turn], dialect: Dialect, desk: Desk | None = None
) -> Transcript:
    """The transcript of turns that were not sampled; after the customer's, the assistant may speak.

    What one side says in several turns is one turn; an assistant who spoke last was answered with silence.
    """
    found, place = Transcript(desk=desk), 0
    for role, side in groupby(turns, _role):
        said = [content(turn, dialect) for turn in side]
        first, place = not place, place + len(said)
        words = " ".join(said)
        if role == "user":
            words = found.noted(words, turns[:place])
            found.ids += chat.begin(system, words) if first else chat.answer(words)
        else:
            found.ids += chat.begin(system) if first else []
            ids = chat.turn(words)
            found.speak(ids, [0.0] * len(ids))
    found.ids = found.ids or chat.begin(system)
    return found


def _role(turn: Turn) -> str:
    return turn.role


class Shape(NamedTuple):
    """Sizes of a rollout's arrays, the same for all rollouts of a policy so that they can be joined."""

    turns: int
    decisions: int
    """Most tokens of a turn; those beyond are no decisions."""
    context: int
    """Most tokens of a dialogue."""


class Judge:
    """Named rewards of finished episodes, [turn] each."""

    def __init__(self, domain: Any, *, language: bool) -> None:
        """Takes the domain, whose wording of acts is ROUGE's reference, and whether to judge language."""
        self.domain, self.language = domain, language

    def __call__(self, episode: Episode) -> list[Mapping[str, float]]:
        """The rewards of each assistant turn."""
        if not self.language:
            return list(episode.rewards)
        judged = [language_rewards(one) for one in contexts(episode.trajectory("", 0, {}), self._reference)]
        return [{**given, **found} for given, found in zip(episode.rewards, judged, strict=True)]

    def _reference(self, acts: Any) -> str | None:
        try:
            return str(self.domain.word_assistant(acts, 0))
        except DialogGymError:  # an act read without one of its slots has no wording
            return None


def as_rollout(
    played: Sequence[tuple[Transcript, Episode]],
    group: np.ndarray,
    shape: Shape,
    judge: Callable[[Episode], list[Mapping[str, float]]],
) -> Rollout:
    """Finished dialogues as arrays; those whose simulator failed are void and left out.

    Args:
        played: Transcripts and what became of them.
        group: int64[D].
        shape: Sizes of the arrays; of longer dialogues, they hold the last turns.
        judge: Gives the rewards of an episode's turns, no more than the arrays hold.

    Raises:
        DialogGymError: the simulator failed in every dialogue.
    """
    valid = np.array([episode.ended_by != "error" for _, episode in played])
    if not valid.any():
        raise DialogGymError(f"the user simulator failed in every dialogue: {played[0][1].failure}")
    kept = [one for one, ok in zip(played, valid, strict=True) if ok]
    rewards = [judge(episode) for _, episode in kept]
    inputs, logprob, mask = decisions([transcript for transcript, _ in kept], shape)
    names = rewards[0][0]
    return Rollout(
        logprob=logprob,
        mask=mask,
        rewards={name: _by_turn([[r[name] for r in turns] for turns in rewards], shape) for name in names},
        cost=_by_turn([_violations(episode)[-shape.turns :] for _, episode in kept], shape),
        group=torch.from_numpy(np.asarray(group, np.int64)[valid]),
        outcome=_outcome([episode for _, episode in kept]),
        inputs=inputs,
    )


def _violations(episode: Episode) -> list[float]:
    """Rules broken in each turn."""
    return [sum(costs.values()) for costs in episode.costs]


def decisions(transcripts: Sequence[Transcript], shape: Shape) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """What a model needs to evaluate the decisions again, their log-probabilities, and which were made."""
    count = len(transcripts)
    ids = torch.zeros(count, shape.context, dtype=torch.long)
    starts = torch.zeros(count, shape.turns, dtype=torch.long)
    logprob = torch.zeros(count, shape.turns, shape.decisions)
    mask = torch.zeros(count, shape.turns, shape.decisions, dtype=torch.bool)
    for d, transcript in enumerate(transcripts):
        ids[d, : len(transcript.ids)] = torch.tensor(transcript.ids)
        for t, spoken in enumerate(transcript.spoken):
            made = min(len(spoken.logprobs), shape.decisions)
            starts[d, t], mask[d, t, :made] = spoken.start, True
            logprob[d, t, :made] = torch.tensor(spoken.logprobs[:made])
    lengths = torch.tensor([len(transcript.ids) for transcript in transcripts])
    return {"ids": ids, "lengths": lengths, "starts": starts}, logprob, mask


def _by_turn(values: Sequence[Sequence[float]], shape: Shape) -> Tensor:
    """float32[D, T]; 0 after the end."""
    found = torch.zeros(len(values), shape.turns)
    for row, turns in enumerate(values):
        found[row, : len(turns)] = torch.tensor(turns)
    return found


def _outcome(episodes: Sequence[Episode]) -> dict[str, Tensor]:
    """Facts about finished dialogues, the same as on the net backbone."""
    facts = [
        episode.domain.dynamics.facts(episode.dialogue.state) | {"truncated": episode.ended_by == "max_turns"}
        for episode in episodes
    ]
    return {name: torch.from_numpy(np.array([fact[name] for fact in facts])) for name in facts[0]}


def heard(episode: Episode) -> str:
    """What the customer said last; silence when the assistant did."""
    last = episode.turns[-1] if episode.turns else None
    return last.text if last is not None and last.role == "user" else EMPTY_REPLY
