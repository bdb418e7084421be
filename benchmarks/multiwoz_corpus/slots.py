"""Names and values of slots, made comparable across systems.

Rules, from ``normalization.py`` of the published evaluator:

- A placeholder in brackets, whatever its style (``[hotel_name]``, ``[value_name]``, ``[name]``), becomes
  one of 19 words in capitals. Everything else is lower case, so a word in capitals can only be a
  placeholder. A name that is not in the list disappears: it counts for nothing.
- Slots of a state lose case and spaces; "arriveby" and "leaveat" become "arrive" and "leave".
- Values of states and goals: names, stations and foods get the spelling of the database where systems and
  annotators are known to differ from it; times become HH:MM; "free" parking or internet means "yes".
"""

import re
from collections.abc import Mapping

State = Mapping[str, Mapping[str, str]]
"""A dialogue state: domain -> slot -> value."""

_SPELLINGS_OF_PLACEHOLDERS = {
    "ADDRESS": "address, value_address, attraction_address, hospital_address, hotel_address, "
    "police_address, restaurant_address",
    "AREA": "area, value_area, attraction_area, hotel_area, restaurant_area",
    "COUNT": "value_count, choice, value_choice, attraction_choice, hotel_choice, restaurant_choice, "
    "train_choice, people, value_people, bookpeople, stay, value_stay, bookstay, stars, "
    "value_stars, hotel_stars",
    "DAY": "day, value_day, bookday, train_day",
    "DEPARTMENT": "department, value_department, hospital_department",
    "FOOD": "food, value_food, restaurant_food",
    "ID": "attraction_id, hospital_id, restaurant_id",
    "INTERNET": "internet, hotel_internet",
    "NAME": "name, value_name, attraction_name, hospital_name, hotel_name, police_name, restaurant_name",
    "OPEN": "openhours",
    "PARKING": "parking, hotel_parking",
    "PHONE": "phone, value_phone, attraction_phone, hospital_phone, hotel_phone, police_phone, "
    "restaurant_phone, taxi_phone",
    "PLACE": "value_place, departure, value_departure, taxi_departure, train_departure, destination, "
    "value_destination, taxi_destination, train_destination",
    "POST": "postcode, value_postcode, attraction_postcode, hospital_postcode, hotel_postcode, "
    "police_postcode, restaurant_postcode",
    "PRICE": "price, value_price, attraction_price, train_price, price range, pricerange, "
    "value_pricerange, attraction_pricerange, hotel_pricerange, restaurant_pricerange, "
    "entrance fee, entrancefee, attraction_entrancefee",
    "REFERENCE": "ref, reference, value_reference, attraction_reference, hotel_reference, "
    "restaurant_reference, train_reference",
    "TIME": "time, value_time, booktime, duration, value_duration, train_duration, arrive by, "
    "arriveby, value_arrive, taxi_arriveby, train_arrive, train_arriveby, leave at, leaveat, "
    "value_leave, taxi_leaveat, train_leave, train_leaveat",
    "TRAINID": "id, value_id, train, trainid, train_id, train_trainid",
    "TYPE": "type, value_type, attraction_type, hotel_type, restaurant_type, taxi_type, car, "
    "value_car, taxi_car",
}
_PLACEHOLDERS = {
    name: word for word, names in _SPELLINGS_OF_PLACEHOLDERS.items() for name in names.split(", ")
}

_NAMES = {
    "acorn house": "acorn guest house",
    "arbury guesthouse": "arbury lodge guesthouse",
    "arbury guesthouse and lodge": "arbury lodge guesthouse",
    "bridge house": "bridge guest house",
    "broughton gallery": "broughton house gallery",
    "cafe jello museum": "cafe jello gallery",
    "cafe uno": "caffe uno",
    "caffee uno": "caffe uno",
    "cambridge botanic gardens": "cambridge university botanic gardens",
    "christ college": "christ's college",
    "christs": "christ's college",
    "city center b and b": "city center north b and b",
    "cityrooms": "cityroomz",
    "history of science museum": "whipple museum of the history of science",
    "holiday inn exlpress, cambridge": "express by holiday inn cambridge",
    "hotel du vin bistro": "hotel du vin and bistro",
    "huntingdon hotel": "huntingdon marriott hotel",
    "lime house": "limehouse",
    "nando's": "nandos",
    "nandos in the city centre": "nandos city centre",
    "parkside pools": "parkside swimming pool",
    "restaurant 1 7": "restaurant one seven",
    "restaurant 17": "restaurant one seven",
    "restaurant 2 2": "restaurant two two",
    "restaurant 2 two": "restaurant two two",
    "restaurant called two two": "restaurant two two",
    "restaurant two 2": "restaurant two two",
    "rosa's": "rosas bed and breakfast",
    "scudamores punt co": "scudamores punting co",
    "the botanical gardens at cambridge university": "cambridge university botanic gardens",
    "the junction": "junction theatre",
    "the river bar and grill": "the river bar steakhouse and grill",
    "trinity street college": "trinity college",
    "university hotel": "university arms hotel",
    "whale of time": "whale of a time",
}
_FOODS = {
    "americas": "north american",
    "asian or oriental": "asian",
    "australasian": "australian",
    "brazilian": "portuguese",
    "bristish": "british",
    "brutish": "british",
    "english": "british",
    "eriterean": "mediterranean",
    "europeon": "european",
    "gastropod": "gastropub",
    "intalian": "italian",
    "italain": "italian",
    "modern american": "north american",
    "portugese": "portuguese",
    "sea food": "seafood",
}
_TYPES = {
    "guest house": "guesthouse",
    "mutliple sports": "multiple sports",
    "night club": "nightclub",
    "swimming pool": "swimmingpool",
}
_TIMES = {
    "afternoon": "13:00",
    "around lunch time": "12:00",
    "eight thirty": "08:30",
    "lunch": "12:00",
    "mid-day": "12:00",
    "morning": "08:00",
    "noon": "12:00",
    "one thirty p.m.": "13:30",
    "seven o'clock tomorrow evening": "07:00",  # as published
    "six fourty five": "06:45",
    "three forty five p.m": "15:45",
}
_TIMES_BY_START = {"one o'clock p.m": "13:00", "ten o'clock a.m": "10:00"}
_CLOCK = re.compile(r"\d\d:\d\d", re.ASCII)


def placeholder(name: str) -> str:
    """The word in capitals for a slot name in brackets; empty when nobody knows it."""
    return _PLACEHOLDERS.get(name.lower(), "")


def normalized_state(state: State) -> dict[str, dict[str, str]]:
    """A state with the spellings of the database; domains and slots keep their order."""
    return {domain: normalized_slots(slots) for domain, slots in state.items()}


def normalized_slots(slots: Mapping[str, str]) -> dict[str, str]:
    """The slots of one domain with the spellings of the database."""
    named = ((normalized_slot(slot), value) for slot, value in slots.items())
    return {slot: normalized_value(slot, value) for slot, value in named}


def normalized_slot(slot: str) -> str:
    """A slot of a state, or a column of the database, under its common name."""
    plain = slot.lower().replace(" ", "")
    return {"arriveby": "arrive", "leaveat": "leave"}.get(plain, plain)


def normalized_value(slot: str, value: str) -> str:
    """A value with the spelling of the database; ``slot`` is normalised."""
    if slot in ("name", "departure", "destination"):
        name = value.strip().lower().replace(" & ", " and ").replace("&", " and ").replace(" '", "'")
        return _NAMES.get(name, name)
    if slot == "food":
        food = value.strip().lower()
        return _FOODS.get(food, food)
    if slot == "type":
        return _TYPES.get(value, value)
    if slot in ("arrive", "leave", "time"):
        return _time(value)
    if slot in ("parking", "internet") and value == "free":
        return "yes"
    return value


def minutes(time: str) -> int:
    """Minutes since midnight of a text that begins with HH:MM; 0 for any other text."""
    if not _CLOCK.match(time):
        return 0
    return 60 * int(time[:2]) + int(time[3:5])


def _time(text: str) -> str:
    """A time as HH:MM where it can be read; noon with "pm" becomes 24:00, as published."""
    time = text.strip().lower()
    if time in _TIMES:
        return _TIMES[time]
    for start, found in _TIMES_BY_START.items():
        if time.startswith(start):
            return found
    if time.startswith("by"):
        time = time[3:]
    for start in ("after", "afer"):
        if time.startswith(start):
            time = time[len(start) :].strip()
    for end in ("am", "a.m."):
        time = time.removesuffix(end).strip() if time.endswith(end) else time
    if time.endswith(("pm", "p.m.")):
        time = time.removesuffix("pm").removesuffix("p.m.").strip()
        if afternoon := re.fullmatch(r"(\d+)\s*(:[^:]*)?", time):
            return f"{int(afternoon[1]) + 12}{afternoon[2] or ':00'}"
    return _digits(time)


def _digits(time: str) -> str:
    if not time:
        return "00:00"
    time = time[:-1] if time[-1] in ".,?" else time
    if time.isdigit():
        return f"{time[:2]}:{time[2:]}" if len(time) == 4 else f"{time.zfill(2)}:00"
    if ":" in time:
        time = time.replace(" ", "")
    return f"0{time}" if len(time) == 4 and time[1] == ":" else time
