"""Domains, slots and dialogue acts of MultiWOZ, and how the corpus's act labels become `DialogueAct`.

Slots have the names of the MultiWOZ 2.2 schema without the domain: ``area``, ``leaveat``, ``bookpeople``.
The corpus writes one act as a label and a list of slot-value pairs. Here the domain is part of the intent,
so that each intent has a fixed set of slots that can be checked, listed and numbered:

======================================  ====================================================================
corpus                                  here
======================================  ====================================================================
Hotel-Inform [[Area, east]]             hotel_inform(area=east)
Hotel-Inform [[none, none]]             hotel_inform(): the user turns to hotels
Hotel-Inform [[Internet, none]]         hotel_inform(internet=null): mentioned without a value
Hotel-Request [[Area, ?], [Stars, ?]]   hotel_request(slot=area); hotel_request(slot=stars)
Hotel-Select, -Recommend, -NoOffer      hotel_select, hotel_recommend, hotel_no_offer
two values of one slot                  two acts of the same intent, since an act has one value per slot
Booking-Inform, Train-OfferBook         hotel_offer_book(), train_offer_book(): shall I book it?
Booking-Request [[Day, ?]]              hotel_request(slot=bookday)
Booking-Book, Train-OfferBooked         hotel_book(ref=...), train_book(ref=...): it is booked
Booking-NoBook                          hotel_no_book(): it could not be booked
Taxi-Inform [[Car, red ford], ...]      taxi_book(type=red ford, ...): naming the car is booking it
general-greet, -welcome, -reqmore       greet(), welcome(), reqmore()
general-bye, -thank                     goodbye(), thank(): as in the rest of the project
======================================  ====================================================================

``Booking`` has no domain of its own: it is the restaurant's or the hotel's, whichever the dialogue is about
(`corpus_acts.ActReader`). A system's acts are thus (domain, act) pairs, at most 7 x 9, times slots: a
fixed act-level action set picks the pair and lets the environment fill the slots from the database.
`ASSISTANT` and `USER` are what `dialog_gym.acts` parses and checks with.

The order of every tuple is part of the contract: positions may become indices of an action space.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dialog_gym.acts import Ontology

DOMAINS: Final = ("restaurant", "hotel", "attraction", "train", "taxi", "hospital", "police")
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
AREAS: Final = ("centre", "east", "north", "south", "west")
PRICES: Final = ("cheap", "moderate", "expensive")
HOTEL_TYPES: Final = ("guesthouse", "hotel")
ATTRACTION_TYPES: Final = (
    "architecture", "boat", "cinema", "college", "concerthall", "entertainment", "multiple sports", "museum",
    "nightclub", "park", "swimmingpool", "theatre",
)  # fmt: skip
STATIONS: Final = (
    "birmingham new street", "bishops stortford", "broxbourne", "cambridge", "ely", "kings lynn", "leicester",
    "london kings cross", "london liverpool street", "norwich", "peterborough", "stansted airport",
    "stevenage",
)  # fmt: skip
DONTCARE: Final = "dontcare"

INFORMABLE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "restaurant": ("area", "food", "pricerange", "name"),
        "hotel": ("area", "pricerange", "stars", "type", "parking", "internet", "name"),
        "attraction": ("area", "type", "name"),
        "train": ("departure", "destination", "day", "leaveat", "arriveby"),
        "taxi": ("departure", "destination", "leaveat", "arriveby"),
        "hospital": ("department",),
        "police": (),
    }
)
"""What a user may ask for, by domain."""

BOOKABLE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "restaurant": ("bookday", "booktime", "bookpeople"),
        "hotel": ("bookday", "bookstay", "bookpeople"),
        "train": ("bookpeople",),
    }
)
"""What a booking needs. A taxi is ordered with what it is asked for; the other domains take no bookings."""

REQUESTABLE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "restaurant": ("address", "phone", "postcode", "area", "food", "pricerange", "ref"),
        "hotel": (
            "address", "phone", "postcode", "area", "pricerange", "stars", "type", "parking", "internet",
            "ref",
        ),
        "attraction": ("address", "phone", "postcode", "area", "type", "entrancefee", "openhours"),
        "train": ("trainid", "price", "duration", "leaveat", "arriveby", "ref"),
        "taxi": ("type", "phone"),
        "hospital": ("address", "phone", "postcode"),
        "police": ("name", "address", "phone", "postcode"),
    }
)  # fmt: skip
"""What a user may ask about."""

ENTITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "restaurant": "name", "hotel": "name", "attraction": "name", "train": "trainid", "taxi": "type",
        "hospital": "department", "police": "name",
    }
)  # fmt: skip
"""The slot that names one thing of a domain."""

GENERAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"assistant": ("greet", "welcome", "reqmore", "goodbye"), "user": ("greet", "thank", "goodbye")}
)
"""Intents without a domain."""


def _union(*parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(slot for part in parts for slot in part))


def slots_of(domain: str) -> tuple[str, ...]:
    """Every slot of a domain: informable, bookable, requestable, and the entity's name."""
    return _union(
        INFORMABLE[domain], BOOKABLE.get(domain, ()), REQUESTABLE[domain], (ENTITY[domain],)
    )  # fmt: skip


def _optional(slots: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{slot}?" for slot in slots)


def _assistant_acts() -> dict[str, tuple[str, ...]]:
    acts: dict[str, tuple[str, ...]] = {}
    for domain in DOMAINS:
        everything = _optional((*slots_of(domain), "choice"))
        for act in ("inform", "recommend", "select", "no_offer"):
            acts[f"{domain}_{act}"] = everything
        acts[f"{domain}_request"] = ("slot",)
        if domain in BOOKABLE or domain == "taxi":
            for act in ("offer_book", "book", "no_book"):
                acts[f"{domain}_{act}"] = everything
    return acts | dict.fromkeys(GENERAL["assistant"], ())


def _user_acts() -> dict[str, tuple[str, ...]]:
    acts: dict[str, tuple[str, ...]] = {}
    for domain in DOMAINS:
        named = (ENTITY[domain],) if domain != "taxi" else ()
        acts[f"{domain}_inform"] = _optional(_union(INFORMABLE[domain], BOOKABLE.get(domain, ()), named))
        acts[f"{domain}_request"] = ("slot",)
    return acts | dict.fromkeys(GENERAL["user"], ())


_ANY_SLOT: Final = _union(*(slots_of(domain) for domain in DOMAINS))
CHOICES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "area": (*AREAS, DONTCARE),
        "pricerange": (*PRICES, DONTCARE),
        "day": (*DAYS, DONTCARE),
        "bookday": DAYS,
        "slot": _ANY_SLOT,
    }
)
"""Slots with closed values. Others are open: names, foods, times, or values that differ between domains."""

ASSISTANT: Final = Ontology(_assistant_acts(), CHOICES)
"""What the system may say."""
USER: Final = Ontology(_user_acts(), CHOICES)
"""What the user may say."""
