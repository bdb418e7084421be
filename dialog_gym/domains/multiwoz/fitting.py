"""Dialogue acts as act-level actions: how demonstrations in acts, the corpus's too, become actions."""

from collections.abc import Iterator, Sequence, Set

from dialog_gym.acts import format_acts
from dialog_gym.core import DialogueAct
from dialog_gym.domains.multiwoz import bits
from dialog_gym.domains.multiwoz.moves import MOVE, NVEC, SLOTS
from dialog_gym.domains.multiwoz.ontology import DOMAINS, ENTITY
from dialog_gym.domains.multiwoz.search import Lexicon
from dialog_gym.domains.multiwoz.state import State
from dialog_gym.domains.multiwoz.user_turns import row_of

_KINDS = {
    "select": "select", "no_offer": "no_offer", "offer_book": "offer_book", "book": "book", "no_book": "book",
}  # fmt: skip


def fit(s: State, acts: Sequence[DialogueAct], said: Set[str], lexicon: Lexicon) -> list[int]:
    """The action that says the first one or two of some acts; what was said before is left to the end.

    Args:
        s: The state in which they are to be said.
        acts: What the agent would say, in its order.
        said: What it has said before in this dialogue, in act notation.
        lexicon: Knows the databases.

    Returns:
        Three indices, see `dialog_gym.domains.multiwoz.moves`. What no move can say is left out.
    """
    fresh = [act for act in acts if format_acts([act]) not in said]
    moves: list[int] = []
    entity = 0
    for act in fresh or acts:
        for name in _moves(s, act, lexicon):
            if MOVE[name] not in moves:
                moves.append(MOVE[name])
            if name == "offer" and _named(s, act, lexicon) == s.next != s.best:
                entity = 1
    first, second = [*moves, 0, 0][:2]
    return [first, second, entity][: len(NVEC)]


def _moves(s: State, act: DialogueAct, lexicon: Lexicon) -> Iterator[str]:
    if act.intent in MOVE:
        yield act.intent
        return
    domain, _, kind = act.intent.partition("_")
    if domain not in bits.DOMAIN:
        return
    if kind == "request":
        if act.slots.get("slot") in SLOTS:
            yield f"request:{act.slots['slot']}"
    elif kind in _KINDS:
        yield _KINDS[kind]
    else:
        row = _named(s, act, lexicon)
        if row >= 0 and row != row_of(s, bits.DOMAIN[domain]):
            yield "offer"
        elif set(act.slots) == {"choice"}:
            yield "select"
        if set(act.slots) - {ENTITY[domain], "choice"}:
            yield "answer"


def _named(s: State, act: DialogueAct, lexicon: Lexicon) -> int:
    """The row of the entity that an act names: one that fits what was told if there is one; -1 without."""
    domain = act.intent.partition("_")[0]
    table, name = lexicon.database.tables.get(domain), act.slots.get(ENTITY.get(domain, ""))
    if table is None or name in (None, ""):
        return -1
    mask = table.mask({ENTITY[domain]: name})
    for row in (s.best, s.next):
        if DOMAINS.index(domain) == s.domain and row >= 0 and mask >> row & 1:
            return int(row)
    return (mask & -mask).bit_length() - 1
