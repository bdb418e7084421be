"""Logged users: their words come from a store of dialogues, what they mean from the domain as ever.

A user who repeats a log whatever the agent says is no user. So the domain chooses the acts, and the log gives
the words: those of the same dialogue at the same turn if they said just this, else those of any logged turn
with the same acts, of the same task, manner or at all; acts that no log has are said by a template.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogGymError, DialogueAct, Task, Turn
from dialog_gym.noise import mix, text_key
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.simulators.prompts import manner
from dialog_gym.speaking import session_seed
from dialog_gym.store import read_store

_DRAW: Final = text_key("which logged turn")
OWN: Final = ("confirm_identity",)
"""Acts that tell who speaks: another customer's words for them are never borrowed."""


class Log:
    """User turns by what they say."""

    def __init__(self, path: Path) -> None:
        """Reads a store.

        Raises:
            DialogGymError: the file is no store, or nobody says anything in it.
        """
        self.by_place: dict[tuple[int, int], tuple[str, str]] = {}
        self.by_task: dict[tuple[str, str], list[str]] = {}
        self.by_manner: dict[tuple[str, str], list[str]] = {}
        self.by_acts: dict[str, list[str]] = {}
        for trajectory in read_store(path).trajectories:
            how = manner(trajectory.task.goal.persona)
            seed = session_seed(trajectory.task, trajectory.seed)
            for place, turn in enumerate(trajectory.turns):
                if turn.role == "user" and turn.acts:
                    acts = format_acts(turn.acts)
                    self.by_place[seed, place] = acts, turn.text
                    self.by_task.setdefault((trajectory.task.id, acts), []).append(turn.text)
                    self.by_manner.setdefault((how, acts), []).append(turn.text)
                    self.by_acts.setdefault(acts, []).append(turn.text)
        if not self.by_acts:
            raise DialogGymError(f"{path}: no user says anything in this store")

    def here(self, seed: int, place: int, acts: Sequence[DialogueAct]) -> str | None:
        """The words of the same dialogue at the same turn, if they say these acts."""
        said, text = self.by_place.get((seed, place), ("", ""))
        return text if said == format_acts(acts) else None

    def options(self, task: Task, acts: Sequence[DialogueAct]) -> Sequence[str]:
        """Logged words for some acts, those of the nearest users."""
        said = format_acts(acts)
        own = self.by_task.get((task.id, said), [])
        if own or any(act.intent in OWN for act in acts):
            return own
        return self.by_manner.get((manner(task.goal.persona), said)) or self.by_acts.get(said, [])


@lru_cache(maxsize=4)
def _log(path: Path) -> Log:
    return Log(path)


class ReplaySession:
    """The user side of one dialogue.

    Attributes:
        audited: Turns said.
        fallbacks: Turns whose acts no logged user had said.
        errors: Of the template in those; logged words are not read again, they were recorded with their acts.
    """

    def __init__(self, log: Log, template: Any, task: Task, seed: int) -> None:
        """Prepares a session."""
        self.log, self.template, self.task, self.seed = log, template, task, seed
        self.audited = self.reworded = self.fallbacks = 0

    @property
    def errors(self) -> int:
        """See the class."""
        return int(self.template.errors)

    def say(self, acts: Sequence[DialogueAct], dialogue: Sequence[Turn], *, garbled: bool) -> str:
        """Logged words for the acts; a template's where there are none, or the turn must be badly typed."""
        self.audited += 1
        text = self.log.here(self.seed, len(dialogue), acts)
        if text is not None:
            return text
        options = () if garbled else self.log.options(self.task, acts)
        if options:
            return options[mix(_DRAW, self.seed, len(dialogue)) % len(options)]
        self.fallbacks += not garbled
        return str(self.template.say(acts, dialogue, garbled=garbled))


class ReplaySimulator:
    """Plays users with the words of a store that `dialog-gym evaluate` wrote: ``replay:FILE``."""

    def __init__(self, path: "str | Path") -> None:
        """Reads the store.

        Raises:
            DialogGymError: the file is no store, or nobody says anything in it.
        """
        self.log = _log(Path(path))
        self.name = f"replay:{path}"
        self.template = AgendaSimulator()

    def start(self, task: Task, seed: int) -> ReplaySession:
        """A session for one dialogue; the same task and seed give the same words."""
        return ReplaySession(self.log, self.template.start(task, seed), task, seed)
