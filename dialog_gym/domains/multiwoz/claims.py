"""The claims check: a turn's dialogue acts against the databases and what the user has told.

Produces the same `AgentTurn` that `moves.py` makes from act-level actions, so text and act-level dialogues go
through one tracker and one user.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.agenda import Agenda
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, ENTITY, INFORMABLE, REQUESTABLE
from dialog_gym.domains.multiwoz.search import Lexicon
from dialog_gym.domains.multiwoz.state import GOODBYE, GREET, REQMORE, WELCOME, AgentTurn, State
from dialog_gym.domains.multiwoz.user_turns import row_of, told_value
from dialog_gym.domains.multiwoz.values import normal

_MANNERS: Final = {"greet": GREET, "welcome": WELCOME, "reqmore": REQMORE, "goodbye": GOODBYE}
_OFFERS: Final = ("inform", "recommend", "offer_book", "book")
"""Kinds of acts whose named entity is put on the table."""
_LETTERS: Final = re.compile(r"[^a-z0-9?.]")
_ACT: Final = re.compile(r"(.+?)_(inform|recommend|select|no_offer|request|offer_book|book|no_book)")

Slots = Mapping[str, Scalar]


def same(domain: str, slot: str, claimed: Scalar, true: str) -> bool:
    """Whether a claimed value is the true one, in any spelling and punctuation."""
    first, second = normal(domain, slot, claimed).lower(), normal(domain, slot, true).lower()
    if slot == "phone":
        return first.replace(" ", "") == second.replace(" ", "")
    return _LETTERS.sub("", first) == _LETTERS.sub("", second)


class TurnReader:
    """Reads the acts of one turn of one dialogue; made anew for each turn."""

    def __init__(self, s: State, lexicon: Lexicon, agenda: Agenda, desk: Mapping[str, Scalar]) -> None:
        """Takes the state before the turn and what the desk's systems show (`tasks.desk`)."""
        self.s, self.lexicon, self.agenda, self.desk = s, lexicon, agenda, desk
        self.turn = AgentTurn(
            requested=0, offer=bits.NOBODY, row=-1, right=0, wrong=0, denied=0, nothing=0, select=0,
            propose=0, book=0, false_book=0, no_book=0, invented=False, spare=0, manners=0,
        )  # fmt: skip
        self._rows = {d: row_of(s, d) for d in range(len(DOMAINS))}
        self._kinds: dict[str, Callable[[int, Slots], None]] = {
            "request": self._request, "no_offer": self._no_offer, "select": self._select,
            "offer_book": self._offer_book, "book": self._book, "no_book": self._no_book,
        }  # fmt: skip

    def read(self, acts: Sequence[DialogueAct]) -> AgentTurn:
        """What the acts say: entities first, because the other acts are about them."""
        for act in acts:
            found = _ACT.fullmatch(act.intent)
            if found and found[1] in bits.DOMAIN and found[2] in _OFFERS:
                self._entity(bits.DOMAIN[found[1]], act.slots)
        for act in acts:
            self.turn.manners |= _MANNERS.get(act.intent, 0)
            found = _ACT.fullmatch(act.intent)
            if found and found[1] in bits.DOMAIN:
                d = bits.DOMAIN[found[1]]
                if found[2] in _OFFERS or found[2] == "select":
                    self._attributes(d, act.slots)
                if found[2] in self._kinds:
                    self._kinds[found[2]](d, act.slots)
        claimed = (self.turn.right | self.turn.wrong) & ~self.s.asks & ~bits.SELF[self.turn.offer]
        pairs = bits.names(claimed, bits.REQUESTS)
        self.turn.spare = sum(not self.s.told & bits.CONSTRAINT.get(pair, 0) for pair in pairs)
        return self.turn

    # -- entities

    def _fitting(self, d: int) -> int:
        """The mask of the rows that fit what the user has told."""
        mask = self.lexicon.all[d]
        told = self.s.told & ~self.s.dontcare & bits.INFO[d]
        for at in bits.positions(told):
            pointer = self.s.first[at] if self.s.differs >> at & 1 else self.s.value[at]
            mask &= self.lexicon.masks[pointer]
        return mask

    def _entity(self, d: int, slots: Slots) -> None:
        """The entity that an act names, or the only one there is to speak of."""
        domain = DOMAINS[d]
        if domain not in self.lexicon.database.tables:
            return
        table = self.lexicon.database[domain]
        named = slots.get(ENTITY[domain])
        if named not in (None, ""):
            mask = table.mask({ENTITY[domain]: named})
            self.turn.invented |= mask == 0
            if mask:
                self._offer(d, mask & self._fitting(d) or mask)
        elif 1 << d & bits.ONE_OF_A_KIND and self._rows[d] < 0:
            self._offer(d, self._fitting(d))

    def _offer(self, d: int, mask: int) -> None:
        row = (
            self._rows[d]
            if self._rows[d] >= 0 and mask >> self._rows[d] & 1
            else (mask & -mask).bit_length() - 1
        )
        if row >= 0:
            self.turn.offer, self.turn.row = d, row
            self._rows[d] = row
            self.turn.right |= bits.SELF[d]

    # -- attributes

    def _attributes(self, d: int, slots: Slots) -> None:
        domain = DOMAINS[d]
        for slot, claimed in slots.items():
            if claimed in (None, "") or (slot in (ENTITY[domain], "choice") and domain != "taxi"):
                continue
            if slot == "ref" or domain == "taxi":
                self._of_booking(d, slot, claimed)
            elif slot not in BOOKABLE.get(domain, ()):
                self._attribute(d, slot, claimed)
        if isinstance(slots.get("choice"), int | str) and str(slots["choice"]).isdecimal():
            count = self.s.count if d == self.s.domain else self._fitting(d).bit_count()
            self.turn.invented |= int(str(slots["choice"])) != count

    def _attribute(self, d: int, slot: str, claimed: Scalar) -> None:
        """A claim about the entity on the table; without one, about what fits."""
        domain, row = DOMAINS[d], self._rows[d]
        table = self.lexicon.database[domain]
        if row >= 0:
            holds = slot in table.rows[row] and same(domain, slot, claimed, table.rows[row][slot])
            if slot in REQUESTABLE[domain]:
                self._check(d, slot, holds)
            else:
                self.turn.invented |= not holds
        elif slot in INFORMABLE[domain]:
            self.turn.invented |= not self._fitting(d) & table.mask({slot: claimed})

    def _check(self, d: int, slot: str, holds: bool) -> None:
        bit = bits.REQUEST.get((DOMAINS[d], slot), 0)
        if holds:
            self.turn.right |= bit
        else:
            self.turn.wrong |= bit

    def _of_booking(self, d: int, slot: str, claimed: Scalar) -> None:
        """What the desk gives out with a booking; told rightly only when there is one."""
        true = self.desk.get(f"{DOMAINS[d]}_{slot}")
        if true is None:
            return
        holds = same(DOMAINS[d], slot, claimed, str(true))
        if self.s.booked >> d & 1 or not holds:
            self._check(d, slot, holds)

    # -- kinds of acts

    def _request(self, d: int, slots: Slots) -> None:
        self.turn.requested |= bits.CONSTRAINT.get((DOMAINS[d], str(slots.get("slot"))), 0)

    def _no_offer(self, d: int, slots: Slots) -> None:
        if DOMAINS[d] not in self.lexicon.database.tables:
            return
        count = self.s.count if d == self.s.domain else self._fitting(d).bit_count()
        self.turn.denied |= 1 << d
        self.turn.nothing |= 0 if count else 1 << d

    def _select(self, d: int, slots: Slots) -> None:
        self.turn.select |= 1 << d & bits.SEARCHED

    def _offer_book(self, d: int, slots: Slots) -> None:
        self.turn.propose |= 1 << d

    def _book(self, d: int, slots: Slots) -> None:
        self.turn.book |= 1 << d
        domain = DOMAINS[d]
        details = BOOKABLE.get(domain) or INFORMABLE[domain]
        for slot in details:
            bit = bits.CONSTRAINT[domain, slot]
            if slots.get(slot) in (None, "") or not self.s.told & bit:
                continue
            told = told_value(self.s, bit.bit_length() - 1, self.lexicon)
            if not same(domain, slot, slots[slot], told):
                self.turn.false_book |= 1 << d
        if self.turn.wrong & bits.REFERENCES[d]:
            self.turn.false_book |= 1 << d

    def _no_book(self, d: int, slots: Slots) -> None:
        self.turn.no_book |= 1 << d


def acts_of(
    t: AgentTurn, s: State, lexicon: Lexicon, agenda: Agenda, desk: Mapping[str, Scalar]
) -> tuple[DialogueAct, ...]:
    """The dialogue acts of what an act-level action says; `TurnReader` reads the same turn out of them."""
    d = s.domain
    if d == bits.NOBODY:
        return _manners(t)
    domain = DOMAINS[d]
    acts: list[tuple[str, dict[str, Scalar]]] = []
    row = t.row if t.row >= 0 else row_of(s, d)
    entry = lexicon.database[domain].rows[row] if row >= 0 else {}
    told = {slot: told_value(s, at, lexicon) for at, (owner, slot) in enumerate(bits.CONSTRAINTS)
            if owner == domain and (s.told & ~s.dontcare) >> at & 1}  # fmt: skip
    if t.row >= 0:
        kind = "inform" if domain in ("train", "hospital", "police") else "recommend"
        acts.append((kind, {ENTITY[domain]: entry[ENTITY[domain]]}))
    answers = bits.names(t.right & ~(bits.SELF[d] if t.row >= 0 else 0), bits.REQUESTS)
    if answers:
        acts.append(("inform", {slot: entry[slot] for _, slot in answers}))
    if t.denied:
        acts.append(("no_offer", {slot: told[slot] for slot in INFORMABLE[domain] if slot in told}))
    if t.select:
        acts.append(("select", {"choice": s.count}))
    if t.book:
        acts.append(("book", _booking(s, agenda, domain, told, desk)))
    if t.no_book:
        acts.append(("no_book", {slot: told[slot] for slot in BOOKABLE[domain]}))
    if t.propose:
        acts.append(("offer_book", {}))
    acts += [("request", {"slot": slot}) for _, slot in bits.names(t.requested, bits.CONSTRAINTS)]
    return (*(DialogueAct(intent=f"{domain}_{kind}", slots=slots) for kind, slots in acts), *_manners(t))


def _manners(t: AgentTurn) -> tuple[DialogueAct, ...]:
    return tuple(DialogueAct(intent=name) for name, bit in _MANNERS.items() if t.manners & bit)


def _booking(
    s: State, agenda: Agenda, domain: str, told: Mapping[str, str], desk: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """What is said of a booking; while something is missing there is no reference to give."""
    d = bits.DOMAIN[domain]
    details: dict[str, Scalar] = {
        slot: told[slot] for slot in BOOKABLE.get(domain) or INFORMABLE[domain] if slot in told
    }
    if not agenda.ready_to_book(s, d, True):
        return details
    if domain == "taxi":
        return {**details, "type": desk["taxi_type"], "phone": desk["taxi_phone"]}
    return {**details, "ref": desk[f"{domain}_ref"]}
