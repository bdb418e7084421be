"""Sets of slots as bitmasks: one bit per (domain, slot), the same in every dialogue.

``CONSTRAINTS`` are what a user can tell (informable and booking slots), ``REQUESTS`` what a user can ask. The
bits of a domain lie together, informable before booking slots, in the order of `ontology`. Sets of domains
have bit i for ``DOMAINS[i]``.
"""

from typing import Any, Final

import numpy as np

from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DOMAINS, ENTITY, INFORMABLE, REQUESTABLE

CONSTRAINTS: Final = tuple(
    (domain, slot) for domain in DOMAINS for slot in (*INFORMABLE[domain], *BOOKABLE.get(domain, ()))
)
REQUESTS: Final = tuple((domain, slot) for domain in DOMAINS for slot in REQUESTABLE[domain])
DOMAIN: Final = {name: i for i, name in enumerate(DOMAINS)}
NOBODY: Final = len(DOMAINS)
"""The domain of a dialogue whose agenda is empty; every table over domains has a last row for it."""
CONSTRAINT: Final = {pair: 1 << i for i, pair in enumerate(CONSTRAINTS)}
REQUEST: Final = {pair: 1 << i for i, pair in enumerate(REQUESTS)}


def constraints(domain: str, slots: tuple[str, ...]) -> int:
    """The mask of some slots of a domain."""
    return sum(CONSTRAINT[domain, slot] for slot in slots)


INFO: Final = (*(constraints(domain, INFORMABLE[domain]) for domain in DOMAINS), 0)
"""By domain, the mask of what can be searched for."""
BOOK: Final = (*(constraints(domain, BOOKABLE.get(domain, ())) for domain in DOMAINS), 0)
"""By domain, the mask of what a booking needs."""
ASKABLE: Final = (*(sum(REQUEST[domain, slot] for slot in REQUESTABLE[domain]) for domain in DOMAINS), 0)
"""By domain, the mask of what can be asked."""


def _start(masks: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(0, (mask & -mask).bit_length() - 1) for mask in masks)


FIRST_CONSTRAINT: Final = _start(tuple(info | book for info, book in zip(INFO, BOOK, strict=True)))
"""By domain, the position of its lowest constraint bit."""
FIRST_REQUEST: Final = _start(ASKABLE)
WIDTH: Final = 10
"""No domain has more constraint or request bits."""
REFERENCES: Final = (*(REQUEST.get((domain, "ref"), 0) for domain in DOMAINS), 0)
"""By domain, the request of the booking's reference."""
SELF: Final = (
    *(REQUEST.get((d, ENTITY[d]), 0) if d in ("train", "police") else 0 for d in DOMAINS),
    0,
)
"""By domain, the request that naming the entity answers."""
TAKES_BOOKINGS: Final = sum(1 << i for i, name in enumerate(DOMAINS) if name in BOOKABLE or name == "taxi")
NEEDED: Final = (
    *(constraints(d, ("departure", "destination", "day") if d == "train" else ()) for d in DOMAINS),
    0,
)
"""By domain, what must be known before something is offered; elsewhere any one constraint will do."""
ROUTE: Final = constraints("taxi", ("departure", "destination"))
TIMES: Final = constraints("taxi", ("leaveat", "arriveby"))
TAXI: Final = DOMAIN["taxi"]
ONE_OF_A_KIND: Final = 1 << DOMAIN["hospital"] | 1 << DOMAIN["police"]
"""Domains where nothing is chosen: users ask at once, and the first answer names the place."""
SEARCHED: Final = sum(1 << i for i, name in enumerate(DOMAINS) if name != "taxi")
"""Domains with a database."""


def names(mask: int, pairs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """The (domain, slot) pairs of a mask."""
    return [pairs[i] for i in positions(mask)]


def positions(mask: int) -> list[int]:
    """The bits of a mask, lowest first."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _some(local: int, count: int, highest: bool) -> int:
    positions = [i for i in range(WIDTH) if local >> i & 1]
    chosen = positions[::-1][:count] if highest else positions[:count]
    return sum(1 << i for i in chosen)


MOST: Final = 7
"""Nobody says more slots in one turn."""
SOME: Final = tuple(
    _some(local, count, highest)
    for highest in (False, True)
    for count in range(MOST + 1)
    for local in range(1 << WIDTH)
)
"""``SOME[((highest * (MOST + 1)) + count) << WIDTH | local]``: the lowest or highest ``count`` bits."""


def size(mask: Any) -> Any:
    """Number of bits of a mask, or of each of N masks."""
    return mask.bit_count() if isinstance(mask, int) else np.bitwise_count(mask).astype(np.int64)
