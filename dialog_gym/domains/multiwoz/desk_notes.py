"""What the booking desk's systems say in the course of a dialogue: short notes for whoever answers in words.

A note is about the domain that the user speaks of: what was understood and how many entities fit, with the
first of them, or the one on the table; what was asked about it; what a booking lacks, or its reference. It is
made of what both sides said, read by the readers that everybody has, of the databases, and of the profile. A
model of a few million parameters can copy from it, but not search 2,828 trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.multiwoz.database import Database, Row
from dialog_gym.domains.multiwoz.grounder import read_assistant
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, ENTITY, INFORMABLE
from dialog_gym.domains.multiwoz.phrases import Draw, after_noun, label, said
from dialog_gym.domains.multiwoz.reading import act_domain
from dialog_gym.domains.multiwoz.user_reader import read_user

_ENDS: Final = ("departure", "destination")
_TIMES: Final = ("leaveat", "arriveby")
_OPEN: Final = 2
"""So many slots that could narrow a search are named."""


@dataclass
class _Case:
    """What was said of one domain."""

    told: dict[str, str] = field(default_factory=dict)
    """Constraints and booking details, as the user told them last."""
    asked: set[str] = field(default_factory=set)
    """What the assistant has asked for."""
    questions: list[str] = field(default_factory=list)
    """What the user has asked about and not been told."""
    shown: Row | None = None
    """The entity that the assistant named last."""
    booked: bool = False


class DeskNotes:
    """The desk's systems in one dialogue; a `dialog_gym.envs.lanes.Desk`."""

    def __init__(self, database: Database, profile: Mapping[str, Scalar]) -> None:
        """Nothing has been said yet.

        Args:
            database: What is searched.
            profile: What the desk gives out (`tasks.desk`, `tasks.booked_out`); what it lacks is not given.
        """
        self.database, self.profile = database, profile
        self._cases = {domain: _Case() for domain in DOMAINS}
        self._domain: str | None = None
        self._heard: list[Turn] = []

    def note(self, dialogue: Sequence[Turn]) -> str:
        """What the systems say now; "" before the user has turned to a domain.

        Args:
            dialogue: All turns so far, beginning with those of the last call. Only the words of the user's
                are read, whatever acts they carry.
        """
        for turn in dialogue[len(self._heard) :]:
            self._hear(turn)
        if self._domain is None:
            return ""
        domain, case = self._domain, self._cases[self._domain]
        found = self._taxi(case) if domain == "taxi" else self._entities(domain, case)
        wanted = [] if case.shown else _phrases(domain, case.told, INFORMABLE[domain])
        return f"{' '.join([domain, *wanted])}: {'; '.join(found)}."

    # -- listening

    def _read(self, turn: Turn) -> tuple[DialogueAct, ...]:
        """The acts of the next turn: of the user's, what the words say."""
        if turn.role == "user":
            return read_user(turn.text, self._heard)
        return turn.acts or read_assistant(turn.text, self._heard)

    def _hear(self, turn: Turn) -> None:
        acts = self._read(turn)
        if turn.role == "user":
            for act in acts:
                self._user(act)
            for domain, case in self._cases.items():
                if case.shown is not None and not (case.booked or self._fits(domain, case.shown)):
                    case.shown = None
        else:
            for act in acts:
                self._assistant(act)
        self._heard.append(Turn(role=turn.role, text=turn.text, acts=acts))

    def _user(self, act: DialogueAct) -> None:
        domain = act_domain(act)
        if domain is None:
            return
        self._domain, case = domain, self._cases[domain]
        if act.intent.endswith("_inform"):
            case.told |= {slot: str(value) for slot, value in act.slots.items() if value is not None}
        elif (slot := str(act.slots["slot"])) not in case.questions:
            case.questions.append(slot)

    def _assistant(self, act: DialogueAct) -> None:
        domain = act_domain(act)
        if domain is None:
            return
        case, kind = self._cases[domain], act.intent.removeprefix(f"{domain}_")
        if kind == "request":
            case.asked.add(str(act.slots.get("slot")))
        elif kind in ("inform", "recommend", "offer_book", "book"):
            case.booked |= kind == "book"
            case.questions = [slot for slot in case.questions if act.slots.get(slot) in (None, "")]
            if domain in self.database.tables and (name := act.slots.get(ENTITY[domain])):
                case.shown = self._named(domain, name) or case.shown

    def _named(self, domain: str, name: Scalar) -> Row | None:
        """The entity of a name, one that fits if there are several."""
        table = self.database[domain]
        mask = table.mask({ENTITY[domain]: name})
        return next(table.rows_of(mask & self._fitting(domain) or mask), None)

    # -- searching

    def _fitting(self, domain: str) -> int:
        """The mask of the rows that fit what the user has told."""
        told = self._cases[domain].told
        return self.database[domain].mask({s: v for s, v in told.items() if s in INFORMABLE[domain]})

    def _fits(self, domain: str, row: Row) -> bool:
        name = ENTITY[domain]
        return bool(self._fitting(domain) & self.database[domain].mask({name: row[name]}))

    def _entities(self, domain: str, case: _Case) -> list[str]:
        """What the database and the booking system say."""
        mask, name = self._fitting(domain), ENTITY[domain]
        count = mask.bit_count()
        entity = case.shown or self._first(domain, mask)
        if entity is None:
            return ["none fits"]
        found = [f"{'shown' if case.shown else f'{count} fit'} {said(name, entity[name])}"]
        asked = [slot for slot in case.questions if slot != "ref"]
        found += [f"{label(domain, slot)} {entity.get(slot, 'unknown')}" for slot in asked]
        if case.shown is None and count > 1:
            found += self._open(domain, case)
        return [*found, *self._booking(domain, case)]

    def _first(self, domain: str, mask: int) -> Row | None:
        """The first entity that has what was asked about, if any has."""
        asked = [slot for slot in self._cases[domain].questions if slot != "ref"]
        rows = tuple(self.database[domain].rows_of(mask))
        return next((row for row in rows if all(slot in row for slot in asked)), rows[0] if rows else None)

    def _open(self, domain: str, case: _Case) -> list[str]:
        known = {*case.told, *case.asked, "name"}
        slots = [slot for slot in INFORMABLE[domain] if slot not in known][:_OPEN]
        return [f"open {', '.join(label(domain, slot) for slot in slots)}"] if slots else []

    def _booking(self, domain: str, case: _Case) -> list[str]:
        """What is known of a booking, once the user has spoken of one."""
        slots = BOOKABLE.get(domain, ())
        details = _phrases(domain, case.told, slots)
        ref = f"ref {self.profile.get(f'{domain}_ref')}"
        if case.booked:
            return [f"booked, {ref}"]
        if not details:
            return []
        booking = f"book {' '.join(details)}"
        if missing := [label(domain, slot) for slot in slots if slot not in case.told]:
            return [booking, f"missing {', '.join(missing)}"]
        return [booking, "full" if self._is_full(domain, case) else ref]

    def _is_full(self, domain: str, case: _Case) -> bool:
        """Whether there is no vacancy for the details."""
        full = str(self.profile.get(f"{domain}_full") or "")
        pairs = dict(part.split("=", 1) for part in full.split(",") if "=" in part)
        return bool(pairs) and pairs.items() <= case.told.items()

    def _taxi(self, case: _Case) -> list[str]:
        missing = [slot for slot in _ENDS if slot not in case.told]
        if not any(slot in case.told for slot in _TIMES):
            missing += _TIMES
        if missing:
            return [f"missing {', '.join(label('taxi', slot) for slot in missing)}"]
        car = f"{self.profile.get('taxi_type')}, {self.profile.get('taxi_phone')}"
        return [f"booked {car}" if case.booked else car]


def _phrases(domain: str, told: Mapping[str, str], slots: Sequence[str]) -> list[str]:
    """Some of what was told, in the words in which it is said."""
    return [after_noun(domain, slot, told[slot], Draw(0)) for slot in slots if slot in told]
