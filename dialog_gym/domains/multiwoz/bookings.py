"""Bookings and taxis. The databases know no vacancies: a booking fails exactly when the goal says it does."""

from collections.abc import Mapping
from typing import Final

from dialog_gym.core import Scalar
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, DAYS
from dialog_gym.domains.multiwoz.values import TIMES, clock, normal
from dialog_gym.noise import mix, text_key

COLOURS: Final = ("black", "white", "red", "yellow", "blue", "grey")
CARS: Final = (
    "toyota", "skoda", "bmw", "honda", "ford", "audi", "lexus", "volvo", "volkswagen", "tesla",
)  # fmt: skip
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_LENGTH: Final = 8
_PHONE: Final = 10**10
_TAXI: Final = text_key("taxi")


def reference(key: int, domain: str, entity: str) -> str:
    """A reference number: 8 letters and digits, the same for the same key, domain and entity."""
    bits = mix(key, text_key(domain), text_key(entity))
    letters = []
    for _ in range(_LENGTH):
        bits, letter = divmod(bits, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def taxi(key: int) -> dict[str, str]:
    """A car and its phone number (10 digits), the same for the same key."""
    bits = mix(key, _TAXI)
    bits, colour = divmod(bits, len(COLOURS))
    bits, car = divmod(bits, len(CARS))
    return {"type": f"{COLOURS[colour]} {CARS[car]}", "phone": f"{bits % _PHONE:010}"}


def problem(domain: str, details: Mapping[str, Scalar], refused: Mapping[str, str] | None = None) -> str:
    """Why a booking cannot be made; the empty text when it can.

    Args:
        domain: restaurant, hotel or train.
        details: The domain's `ontology.BOOKABLE` slots, in any spelling; others are ignored.
        refused: Values at which there is no vacancy, such as a goal's ``fail_book``; all must be met.

    Returns:
        One of ``"SLOT is missing"``, ``"SLOT is not understood"``, ``"SLOT is not available"``, or ``""``.
    """
    values = {slot: normal(domain, slot, details.get(slot)) for slot in BOOKABLE[domain]}
    for slot, value in values.items():
        if not value:
            return f"{slot} is missing"
        if not _understood(slot, value):
            return f"{slot} is not understood"
    if refused and all(values.get(slot) == value for slot, value in refused.items()):
        return f"{next(iter(refused))} is not available"
    return ""


def _understood(slot: str, value: str) -> bool:
    if slot == "bookday":
        return value in DAYS
    if slot in TIMES:
        return clock(value) == value
    return value.isdecimal() and int(value) > 0
