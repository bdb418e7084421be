"""The corpus's dialogues as whoever answers in words sees them: turns, the desk's profile, and its notes."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from dialog_gym.core import DialogGymError, DialogueAct, Observation, Scalar, Turn
from dialog_gym.domains.multiwoz.corpus import CorpusDialogue, CorpusTurn, find_source, load_dialogues
from dialog_gym.domains.multiwoz.database import Database
from dialog_gym.domains.multiwoz.desk_notes import DeskNotes
from dialog_gym.domains.multiwoz.guidelines import guidelines
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS
from dialog_gym.domains.multiwoz.releases import folder_of
from dialog_gym.domains.multiwoz.tasks import booked_out
from dialog_gym.domains.multiwoz.values import normal
from dialog_gym.noise import text_key

HELD_OUT: Final = 99
"""So many of validation's 999 dialogues are kept apart where there is no train split to learn from."""
_BEFORE: Final = re.compile(r"\s+(?=[.,!?;:)%]|n't\b|'(?:s|m|d|ll|re|ve)\b)", re.IGNORECASE)
_AFTER: Final = re.compile(r"(?<=[(£$])\s+")
_GIVEN: Final = {**{f"{domain}_book": ("ref",) for domain in BOOKABLE}, "taxi_book": ("type", "phone")}
"""What the desk's systems gave out with a booking."""


class HumanDialogue(NamedTuple):
    """A dialogue between two people."""

    id: str
    observation: Observation
    """All turns; the profile is what the desk's systems gave out in them."""
    desk: DeskNotes
    """Its notes, which follow the annotation."""


class AnnotatedNotes(DeskNotes):
    """Notes made of a dialogue's annotated acts and belief states instead of what is read in its words."""

    def __init__(
        self, database: Database, profile: Mapping[str, Scalar], annotated: Sequence[CorpusTurn]
    ) -> None:
        """Takes the dialogue whose turns will be noted, one after the other."""
        super().__init__(database, profile)
        self._annotated = annotated

    def _read(self, turn: Turn) -> tuple[DialogueAct, ...]:
        there = self._annotated[len(self._heard)]
        if turn.role == "user":
            for domain in DOMAINS:
                self._cases[domain].told.clear()
            for name, values in there.state.items():
                domain, _, slot = name.partition("-")
                self._cases[domain].told[slot] = normal(domain, slot, values[0])
        return there.acts


def human_dialogues(
    database: Database, data_dir: str | None = None, *, held_out: bool = False
) -> list[HumanDialogue]:
    """The dialogues to learn from: the train split where it is there, else validation but for `HELD_OUT`.

    Args:
        database: What the notes are made of.
        data_dir: Where the corpus is; default $DIALOG_GYM_DATA.
        held_out: Those that are kept apart instead: none where there is a train split.

    Raises:
        DialogGymError: the corpus is not there, or damaged.
    """
    try:
        find_source("train", folder_of(data_dir))
    except DialogGymError:
        found = sorted(load_dialogues("validation", data_dir), key=lambda one: text_key(one.id))
        chosen = found[-HELD_OUT:] if held_out else found[:-HELD_OUT]
    else:
        chosen = [] if held_out else list(load_dialogues("train", data_dir))
    return [_seen(one, database) for one in chosen]


def _seen(dialogue: CorpusDialogue, database: Database) -> HumanDialogue:
    turns = tuple(Turn(role=turn.role, text=written(turn.text), acts=turn.acts) for turn in dialogue.turns)
    given = {
        f"{act.intent.removesuffix('_book')}_{slot}": act.slots[slot]
        for turn in turns
        if turn.role == "assistant"
        for act in turn.acts
        for slot in _GIVEN.get(act.intent, ())
        if act.slots.get(slot)
    }
    profile = given | booked_out(dialogue.goal) if dialogue.goal else given
    seen = Observation(turns, profile, guidelines(), domain="multiwoz")
    return HumanDialogue(dialogue.id, seen, AnnotatedNotes(database, profile, dialogue.turns))


def written(text: str) -> str:
    """Text whose punctuation and clitics are apart, as ConvLab-2's release has it, as people write it."""
    return _AFTER.sub("", _BEFORE.sub("", " ".join(text.split())))
