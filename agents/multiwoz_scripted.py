"""A rule policy for the booking desk of MultiWOZ that lives on text alone.

It reads what the user says, keeps the values by domain, asks while many entities fit, offers one, answers
from its entry, and books. It knows the databases and what the profile shows, and nothing hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dialog_gym.agents.base import Agent
from dialog_gym.core import DialogueAct, Observation, Scalar, Turn
from dialog_gym.domains.multiwoz.agent_wording import word_assistant
from dialog_gym.domains.multiwoz.database import Row, load_database
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, ENTITY, INFORMABLE
from dialog_gym.domains.multiwoz.user_reader import read_user

FEW: Final = 5
"""So many entities need no further question: one is offered."""
_ROUTE: Final = ("departure", "destination")
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {"train": (*_ROUTE, "day"), "taxi": _ROUTE}
"""What must be known before there is something to offer; elsewhere one constraint will do."""


@dataclass
class Case:
    """What is known of one domain in one dialogue."""

    told: dict[str, str] = field(default_factory=dict)
    """Constraints and booking details as the user told them last."""
    asked: set[str] = field(default_factory=set)
    """What the assistant has asked for."""
    questions: list[str] = field(default_factory=list)
    """What the user has asked and not been told."""
    entity: Row | None = None
    """What was offered last."""
    booked: bool = False
    refused: bool = False
    """Whether a booking has failed."""


class MultiWOZScripted(Agent):
    """The rules, one dialogue at a time."""

    name = "scripted"
    at_once = 2
    """Questions in one turn."""

    def __init__(self) -> None:
        """Loads the databases."""
        self.database = load_database()

    def begin(self) -> None:
        """A blank memory, and a key for the wording of this dialogue."""
        self.wording = int(self.rng.integers(2**31))
        self.cases = {domain: Case() for domain in DOMAINS}
        self.domain: str | None = None
        self.heard: list[Turn] = []

    def reply(self, observation: Observation) -> Turn:
        """The next turn in words."""
        acts = tuple(self.acts(observation))
        text = word_assistant(acts, self.wording + len(observation.dialogue))
        return Turn(role="assistant", text=text, acts=acts)

    def acts(self, observation: Observation) -> list[DialogueAct]:
        """What to say now."""
        self._listen(observation.dialogue)
        if self.domain is None:
            return [DialogueAct(intent="greet")] if len(self.heard) < 2 else [DialogueAct(intent="reqmore")]
        if self.domain == "taxi":
            return self._taxi(observation.profile)
        return self._serve(self.domain, observation.profile)

    # -- listening

    def _listen(self, dialogue: Sequence[Turn]) -> None:
        for turn in dialogue[len(self.heard) :]:
            if turn.role == "user":
                acts = read_user(turn.text, self.heard)
                for act in acts:
                    self._hear(act)
                self.heard.append(turn.model_copy(update={"acts": acts}))
            else:
                self.heard.append(turn)

    def _hear(self, act: DialogueAct) -> None:
        domain, _, kind = act.intent.rpartition("_")
        if domain not in self.cases:
            return
        self.domain, case = domain, self.cases[domain]
        if kind == "inform":
            told = {slot: str(value) for slot, value in act.slots.items() if value is not None}
            if told and told.items() <= case.told.items() and not case.booked:
                case.entity = None  # who repeats it is not content with what was offered
            case.told |= told
        elif (slot := str(act.slots["slot"])) not in case.questions:
            case.questions.append(slot)

    # -- serving

    def _serve(self, domain: str, profile: Mapping[str, Scalar]) -> list[DialogueAct]:
        """A domain with a database: offer, answer, book, in this order; ask for what is missing."""
        case = self.cases[domain]
        wanted = self.constraints(domain)
        rows = list(self.database[domain].find(wanted))
        acts = []
        if not case.booked and case.entity not in rows:
            case.entity = None
        if not rows:
            return [_act(domain, "no_offer", {s: v for s, v in wanted.items() if v != "dontcare"})]
        if self._to_offer(domain, rows):
            case.entity = self.choose(domain, rows)
            name = ENTITY[domain]
            kind = "inform" if domain in ("train", "hospital", "police") else "recommend"
            acts.append(_act(domain, kind, {name: case.entity[name]}))
        if case.entity is not None:
            acts += self._answer(domain, case.entity, profile)
            acts += self._book(domain, profile)
        return acts or self._ask(domain)

    def constraints(self, domain: str) -> dict[str, str]:
        """What an entity has to fit."""
        return {s: v for s, v in self.cases[domain].told.items() if s in INFORMABLE[domain]}

    def choose(self, domain: str, rows: Sequence[Row]) -> Row:
        """The entity to offer: the first that answers what was asked."""
        asked = [slot for slot in self.cases[domain].questions if slot != "ref"]
        return next((row for row in rows if all(row.get(slot) for slot in asked)), rows[0])

    def _to_offer(self, domain: str, rows: Sequence[Row]) -> bool:
        """Whether there is something to offer that is not on the table yet."""
        case, needed = self.cases[domain], _NEEDED.get(domain, ())
        if case.booked:
            return False
        if case.entity is not None:
            answers = all(case.entity.get(slot) for slot in case.questions if slot != "ref")
            return not answers and self.choose(domain, rows) != case.entity
        if domain in ("hospital", "police"):
            return True
        if not all(slot in case.told for slot in needed) or not (needed or case.told):
            return False
        return len(rows) <= FEW or not self._open(domain)

    def _open(self, domain: str) -> list[str]:
        """Constraints that may still be asked for."""
        case = self.cases[domain]
        return [s for s in INFORMABLE[domain] if s not in case.told and s not in case.asked and s != "name"]

    def _answer(self, domain: str, entity: Row, profile: Mapping[str, Scalar]) -> list[DialogueAct]:
        """Answers to what was asked about the entity on the table, in one act."""
        case = self.cases[domain]
        known = {**entity, **({"ref": str(profile[f"{domain}_ref"])} if case.booked else {})}
        answers = {slot: known[slot] for slot in case.questions if known.get(slot)}
        case.questions = [slot for slot in case.questions if slot == "ref" and not case.booked]
        return [_act(domain, "inform", answers)] if answers else []

    def _book(self, domain: str, profile: Mapping[str, Scalar]) -> list[DialogueAct]:
        """Book as soon as the details are known; ask for those that are missing."""
        case, details = self.cases[domain], BOOKABLE.get(domain, ())
        told = {slot: case.told[slot] for slot in details if slot in case.told}
        if case.booked or not (told or self.expects_booking(domain)):
            return []
        if missing := [slot for slot in details if slot not in told]:
            return [_act(domain, "request", {"slot": slot}) for slot in missing[: self.at_once]]
        full = dict(part.split("=") for part in str(profile[f"{domain}_full"] or "").split(",") if part)
        if full and not case.refused and full.items() <= told.items():
            case.refused = True
            return [_act(domain, "no_book", told)]
        case.booked = True
        return [_act(domain, "book", {**told, "ref": profile[f"{domain}_ref"]})]

    def expects_booking(self, domain: str) -> bool:
        """Whether the user is known to want a booking before they say so."""
        return False

    def _ask(self, domain: str) -> list[DialogueAct]:
        """Nothing to tell: ask for what is needed, then for what narrows the search, then whether to book."""
        case = self.cases[domain]
        needed = [slot for slot in _NEEDED.get(domain, ()) if slot not in case.told]
        wanted = needed or ([] if case.entity is not None else self._open(domain))
        if wanted:
            case.asked |= set(wanted[: self.at_once])
            return [_act(domain, "request", {"slot": slot}) for slot in wanted[: self.at_once]]
        if case.entity is not None and domain in BOOKABLE and not case.booked:
            return [_act(domain, "offer_book", {})]
        return [DialogueAct(intent="reqmore")]

    def _taxi(self, profile: Mapping[str, Scalar]) -> list[DialogueAct]:
        """A taxi needs both ends and a time; the car is the profile's."""
        case = self.cases["taxi"]
        timed = any(case.told.get(slot, "dontcare") != "dontcare" for slot in ("leaveat", "arriveby"))
        missing = [slot for slot in _ROUTE if slot not in case.told]
        if not missing and not timed:
            missing = [slot for slot in ("leaveat", "arriveby") if slot not in case.told]
        if missing:
            return [_act("taxi", "request", {"slot": slot}) for slot in missing[: self.at_once]]
        car = {"type": profile["taxi_type"], "phone": profile["taxi_phone"]}
        if case.booked:
            return [_act("taxi", "inform", car)]
        case.booked, case.questions = True, []
        details = {slot: case.told[slot] for slot in INFORMABLE["taxi"] if slot in case.told}
        return [_act("taxi", "book", {**{s: v for s, v in details.items() if v != "dontcare"}, **car})]


def _act(domain: str, kind: str, slots: Mapping[str, Scalar]) -> DialogueAct:
    return DialogueAct(intent=f"{domain}_{kind}", slots=dict(slots))
