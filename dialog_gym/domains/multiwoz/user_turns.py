"""User turns as dialogue acts: what the agenda chose, put into acts."""

from collections.abc import Mapping
from typing import Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.ontology import DOMAINS, DONTCARE
from dialog_gym.domains.multiwoz.search import LINKED, Lexicon
from dialog_gym.domains.multiwoz.state import LEAVES, ROW_SHIFT, ROWS, THANKS, State
from dialog_gym.domains.multiwoz.tasks import STATION

_PLACES: Final = ("restaurant", "hotel", "attraction")
_ARRIVE_BY: Final = bits.CONSTRAINT["taxi", "arriveby"]

_ASKS: Final = tuple(
    DialogueAct(intent=f"{domain}_request", slots={"slot": slot}) for domain, slot in bits.REQUESTS
)
_TURNS_TO: Final = tuple(DialogueAct(intent=f"{domain}_inform") for domain in DOMAINS)
_THANK, _GOODBYE = DialogueAct(intent="thank"), DialogueAct(intent="goodbye")


def row_of(s: State, domain: int) -> int:
    """The row on the table in a domain of one dialogue, -1 without one."""
    return int((s.rows >> ROW_SHIFT[domain]) & ROWS) - 1


def linked_place(s: State, slot: str, lexicon: Lexicon) -> str:
    """The end of a taxi ride between the dialogue's places: from the first to the second, or the station.

    Who has to be somewhere in time goes to the restaurant.
    """
    order = [DOMAINS[(s.order >> (3 * i)) & 7] for i in range(s.domains)]
    places: list[str | None] = [domain for domain in order if domain in _PLACES]
    if s.info & _ARRIVE_BY and "restaurant" in places:
        places.remove("restaurant")
        places = [*(places[:1] or [None]), "restaurant"]
    domain: str | None = [*places, None, None][slot == "destination"]
    row = -1 if domain is None else row_of(s, bits.DOMAIN[domain])
    if domain is None or row < 0:
        return STATION
    return lexicon.database[domain].rows[row]["name"]


def told_value(s: State, at: int, lexicon: Lexicon) -> str:
    """The value that the user tells, or has told, for the constraint at a position."""
    bit = 1 << at
    if s.dontcare & bit:
        return DONTCARE
    pointer = s.first[at] if s.differs & bit else s.value[at]
    if pointer == LINKED:
        return linked_place(s, bits.CONSTRAINTS[at][1], lexicon)
    value: str = lexicon.values[pointer]
    return value


def told_values(s: State, mask: int, lexicon: Lexicon) -> dict[str, Mapping[str, Scalar]]:
    """By domain, slots and values of some constraints."""
    found: dict[str, dict[str, Scalar]] = {}
    for at in bits.positions(mask):
        domain, slot = bits.CONSTRAINTS[at]
        found.setdefault(domain, {})[slot] = told_value(s, at, lexicon)
    return dict(found)


def user_acts(s: State, lexicon: Lexicon) -> tuple[DialogueAct, ...]:
    """The user's last turn as dialogue acts: statements, then questions, then manners."""
    said = told_values(s, s.said, lexicon)
    acts = [DialogueAct(intent=f"{domain}_inform", slots=slots) for domain, slots in said.items()]
    if s.domain != bits.NOBODY and not acts and not s.questions:
        acts.append(_TURNS_TO[s.domain])
    acts += [_ASKS[at] for at in bits.positions(s.questions)]
    if s.manners & THANKS:
        acts.append(_THANK)
    if s.manners & LEAVES:
        acts.append(_GOODBYE)
    return tuple(acts)
