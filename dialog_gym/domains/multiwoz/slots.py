"""Slot names of every release in one form: ``Post``, ``postcode`` and ``hotel-postcode`` are ``postcode``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dialog_gym.domains.multiwoz.ontology import BOOKABLE

_ABBREVIATED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "addr": "address", "post": "postcode", "price": "pricerange", "fee": "entrancefee",
        "entrance fee": "entrancefee", "open": "openhours", "leave": "leaveat", "arrive": "arriveby",
        "depart": "departure", "dest": "destination", "id": "trainid", "ticket": "price", "time": "duration",
        "car": "type", "car type": "type", "price range": "pricerange", "reference": "ref",
    }
)  # fmt: skip
_BOOKING: Final = ("day", "people", "stay", "time")


def slot_name(domain: str, name: str, *, booking: bool = False) -> str:
    """The name of a slot as in `ontology`.

    Args:
        domain: One of `ontology.DOMAINS`.
        name: As in an act (``Addr``, ``leaveat``), a goal (``entrance fee``, ``leaveAt``), a belief state
            (``book day``), a database (``trainID``) or the 2.2 schema without its domain (``bookday``).
        booking: The name stands under ``book`` in a goal or a belief state.

    Returns:
        A name of `ontology`; an unknown name comes back in lower case without blanks.
    """
    name = name.lower().strip()
    bare = name.removeprefix("book").strip()
    if bare in _BOOKING and (booking or f"book{bare}" in BOOKABLE.get(domain, ())):
        return f"book{bare}"
    if domain == "train" and name == "price":
        return name
    return _ABBREVIATED.get(name, name).replace(" ", "")
