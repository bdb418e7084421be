"""The corpus's act labels read into dialogue acts; see `ontology` for the mapping."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, CHOICES, DOMAINS, INFORMABLE, slots_of
from dialog_gym.domains.multiwoz.slots import slot_name
from dialog_gym.domains.multiwoz.values import TIMES, normal

Labels = Mapping[str, Sequence[Sequence[Any]]]
"""``{"Hotel-Inform": [["Area", "east"]]}``."""

_ACTS: Final = {
    "inform": "inform", "request": "request", "recommend": "recommend", "select": "select",
    "nooffer": "no_offer", "offerbook": "offer_book", "offerbooked": "book", "book": "book",
    "nobook": "no_book",
}  # fmt: skip
_GENERAL: Final = {
    "greet": "greet", "bye": "goodbye", "welcome": "welcome", "reqmore": "reqmore", "thank": "thank",
}  # fmt: skip
_TABLES: Final = ("restaurant", "hotel")
"""The two domains that the label ``Booking`` may mean."""
_KNOWN: Final = {domain: {*slots_of(domain), "choice"} for domain in DOMAINS}
_ONLY: Final = {"bookstay": "hotel", "booktime": "restaurant"}


class ActReader:
    """Reads the labels of one dialogue, turn by turn, and keeps which domain a ``Booking`` is about."""

    def __init__(self, services: Sequence[str] = ()) -> None:
        """``services`` are the domains the dialogue is known to have, if any."""
        self._tables = [domain for domain in services if domain in _TABLES] or list(_TABLES)
        self._booking = self._tables[0]

    def read(self, labels: Labels, *, of_user: bool) -> tuple[DialogueAct, ...]:
        """The acts of the next turn. Unknown labels and slots are left out: the corpus has a few."""
        for label in labels:
            domain = label.partition("-")[0].lower()
            if domain in self._tables:
                self._booking = domain
        acts: list[DialogueAct] = []
        for label, pairs in labels.items():
            acts += self._acts(label, pairs, of_user)
        return tuple(acts)

    def _acts(self, label: str, pairs: Sequence[Sequence[Any]], of_user: bool) -> list[DialogueAct]:
        domain, _, name = label.lower().partition("-")
        if domain == "general":
            return [DialogueAct(intent=_GENERAL[name])] if name in _GENERAL else []
        act = _ACTS.get(name)
        if domain == "booking":
            domain = self._booking_domain(pairs)
            act = "offer_book" if act == "inform" else act
        if act is None or domain not in DOMAINS:
            return []
        slots = [(_slot(domain, slot), str(value)) for slot, value, *_ in pairs]
        named = [(slot, value) for slot, value in slots if slot in _KNOWN[domain]]
        if act == "request":
            return [DialogueAct(intent=f"{domain}_request", slots={"slot": slot}) for slot, _ in named]
        if domain == "taxi" and act == "inform" and not of_user and any(slot == "type" for slot, _ in named):
            act = "book"
        return _with_values(domain, f"{domain}_{act}", named)

    def _booking_domain(self, pairs: Sequence[Sequence[Any]]) -> str:
        for slot, *_ in pairs:
            for domain in self._tables:
                if _ONLY.get(_slot(domain, slot)) == domain:
                    self._booking = domain
        return self._booking


def _slot(domain: str, name: Any) -> str:
    slot = slot_name(domain, str(name))
    return "entrancefee" if (domain, slot) == ("attraction", "pricerange") else slot


def _with_values(domain: str, intent: str, pairs: Sequence[tuple[str, str]]) -> list[DialogueAct]:
    """One act, or as many as the slot with most values has; each is one that `ontology` has."""
    acts: list[dict[str, Scalar]] = [{}]
    for slot, text in pairs:
        value = _value(domain, slot, text)
        if slot in CHOICES and value not in CHOICES[slot]:  # "that area": nothing that an act could hold
            continue
        taken = next((act for act in acts if slot not in act), None)
        if taken is None:
            taken = {}
            acts.append(taken)
        taken[slot] = value
    return [DialogueAct(intent=intent, slots=slots) for slots in acts]


def _value(domain: str, slot: str, value: str) -> Scalar:
    if value.lower() in ("none", "?", ""):
        return None
    if slot in INFORMABLE[domain] or slot in BOOKABLE.get(domain, ()) or slot in TIMES:
        return normal(domain, slot, value)
    return value
