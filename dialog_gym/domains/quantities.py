"""Amounts, percentages, durations and dates in free English text, and how to write them back.

The patterns hold no unbounded repetition next to another one, so a scan is linear in the text's length;
values that
make no sense (a 13th month, a number of 5,000 digits) are left out rather than raised.
"""

import re
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

from dialog_gym.domains.quantity_patterns import MONTHS, ORDINALS, SCALES, SCAN, SMALL, START, VALUES

QuantityKind: TypeAlias = Literal["amount", "percent", "days", "months", "date"]


class Quantity(NamedTuple):
    """A value found in a text.

    Attributes:
        kind: "amount" (plain number or money), "percent", "days", "months" or "date".
        value: the number (a fraction for "percent": 0.198), or an ISO string for "date".
        start: first character of the words it was read from, unit and currency included.
        end: one past their last character.
    """

    kind: QuantityKind
    value: int | float | str
    start: int
    end: int


_RATE_BEFORE = re.compile(
    r"\b(?:apr|(?:annual|yearly|interest|percentage) rate)(?: (?:of|is|at|stays at|will be|would be))?:? ?$"
)
_SPLIT_BEFORE = re.compile(r"\b(?:split|spread|divide|break)\w*(?: \w+){0,3} (?:into|over|across|in) $")
_REFERENCE = re.compile(r"\b(?:order|invoice|ticket|reference|ref|code|case)(?: number| no\.?)?:? $")
# "two options" counts things; it is no amount
_THINGS = re.compile(
    r" (?:(?:quick|more|other|different|good|great|short|simple|easy|last|separate) )?(?:options?|things"
    r"|questions?|products?|ways?|choices|customers?|people|points|plans|steps|offers?|reasons|requests"
    r"|accounts?|checks|details|ones|others|digits|routes|possibilities|alternatives|boxes)\b"
)
_TIME = {"f": ("days", 14), "d": ("days", 1), "w": ("days", 7), "m": ("months", 1), "y": ("months", 12)}
_NUMBER = re.compile(r"[0-9]+|\.")
_CONTINENTAL = re.compile(
    r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{2}|[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]+,[0-9]{1,2}"
)
_GROUPED = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_CURRENCY = re.compile(r" ?(?:[€£$]|euro|dollar|pound|eur|usd|gbp)")
_TAIL = re.compile(r" and (?:an? )?(half|quarter|three quarters)$")
_PARTS = {"half": 0.5, "quarter": 0.25, "three quarters": 0.75}


def find_quantities(text: str) -> list[Quantity]:
    """All quantities in a text, in order of appearance, not overlapping.

    Numbers may be written in digits ("5,000.00", "3.5k") or words ("two thousand five hundred"). Dates with
    digits and slashes or dots are read day first; dates without a year are left out. Two weeks are 14
    days, two
    years 24 months, "a year" 12 months; "a day" 1 day. A bare "one" is not a quantity (it is usually a
    pronoun).

    Args:
        text: anything; linear time, never raises.
    """
    low = text.lower()
    if len(low) != len(text):  # a few letters grow when lowered, and positions would be off
        low = "".join(c if len(c.lower()) != 1 else c.lower() for c in text)
    found = []
    start = START.search(low)
    while start is not None:
        match = SCAN.match(low, start.start())
        if match is not None and (quantity := _quantity(low, match)) is not None:
            found.append(quantity)
        start = START.search(low, start.end() if match is None else match.end())
    return found


def _quantity(low: str, match: re.Match[str]) -> Quantity | None:
    start, end = match.span()
    before = low[start - 1] if start else " "
    group = match.lastgroup
    if before.isalnum() or before in "*•#_":  # part of a word, or of a masked number
        return None
    if group == "half":
        return Quantity("months", 6 if low[start] == "h" else 18, start, end)
    if match["part"]:
        share = {"h": 0.5, "a": 0.25}.get(low[start], 0.75)
        scale = SCALES.get(match["of"])
        if scale is None:
            return Quantity("percent", round(share / 100, 8), start, end)
        return Quantity("amount", _trim(share * scale), start, end)
    if match["price"]:
        return Quantity("amount", _trim(_price(match["price"])), start, end)
    if match["digits"] is None and match["words"] is None:
        iso = _iso_date(match)
        return None if iso is None else Quantity("date", iso, start, end)
    number = _number(match)
    return None if number is None else _with_unit(low, match, number)


def _number(match: re.Match[str]) -> float | None:
    digits = match["digits"]
    if digits is None:
        return _spoken(match["words"]) * SCALES.get(match["times"] or "", 1)
    if _CONTINENTAL.fullmatch(digits) or (
        _GROUPED.fullmatch(digits) and (match["sign"] or _CURRENCY.match(match["unit"] or ""))
    ):
        digits = digits.replace(".", "").replace(",", ".")
    plain = "".join(_NUMBER.findall(digits))
    if len(plain) > 15:
        return None
    extra = 0.0 if not match["plus"] else 0.25 if "quarter" in match["plus"] else 0.5
    return round((float(plain) + extra) * SCALES.get(match["scale"] or "", 1), 6)


def _price(words: str) -> float:
    """Read "eighty-nine ninety-five" as 89.95: the last two-digit number is the cents."""
    parts = words.replace("-", " ").split()
    cut = len(parts) - (2 if len(parts) > 2 and parts[-1] in SMALL[1:10] else 1)
    return _spoken(" ".join(parts[:cut])) + _spoken(" ".join(parts[cut:])) / 100


def _spoken(words: str) -> float:
    whole, _, decimals = words.partition(" point")
    tail = _TAIL.search(whole)
    total, current = 0.0, 0.0
    for word in whole[: tail.start() if tail else None].replace("-", " ").split():
        if word == "hundred":
            current *= 100
        elif word in SCALES:
            total, current = total + current * 1000, 0.0
        elif word in VALUES:
            current = 2 if word == "couple" else current + VALUES[word]
    fraction = "".join(str(VALUES[word]) for word in decimals.split())
    return total + current + (_PARTS[tail[1]] if tail else 0) + (float("0." + fraction) if fraction else 0)


def _with_unit(low: str, match: re.Match[str], number: float) -> Quantity | None:
    start, end = match.span()
    if match["percent"] or match["apr"]:
        return Quantity("percent", round(number / 100, 8), start, end)
    if match["time"]:
        kind, factor = _TIME[match["time"][0]]
        return Quantity("days" if kind == "days" else "months", _trim(number * factor), start, end)
    if match["parts"]:
        return Quantity("months", _trim(number), start, end)
    if match["unit"] is None and match["sign"] is None:
        if match["words"] == "one" or (number <= 20 and match["scale"] is None and _THINGS.match(low, end)):
            return None
        if match["scale"] is None and _REFERENCE.search(low, max(0, start - 30), start):
            return None
        if 2 <= number <= 60 and _SPLIT_BEFORE.search(low, max(0, start - 50), start):
            return Quantity("months", _trim(number), start, end)
        if number < 100 and match["scale"] is None and _RATE_BEFORE.search(low, max(0, start - 30), start):
            return Quantity("percent", round(number if 0 < number < 0.6 else number / 100, 8), start, end)
    return Quantity("amount", _trim(number / 100 if match["cents"] else number), start, end)


def _trim(number: float) -> int | float:
    return int(number) if number == int(number) else round(number, 6)


def _iso_date(match: re.Match[str]) -> str | None:
    if (iso := match["iso"]) is not None:
        year, month, day = (int(part) for part in re.split("[-/]", iso))
    elif (slashed := match["slashed"]) is not None:
        day, month, year = (int(part) for part in slashed.split(match["sep"]))
    elif (spoken := match["spoken"]) is not None:
        month, year = _month(spoken[spoken.rindex(" of ") :]), int(spoken[-4:])
        words = spoken[: spoken.rindex(" of ")].removesuffix(" day").replace(" ", "-")
        day = ORDINALS[words]
    elif (worded := match["day_first"] or match["month_first"]) is not None:
        numbers = [int(part) for part in re.findall(r"[0-9]+", worded)]
        month = _month(worded)
        if len(numbers) != 2 or not month:
            return None
        day, year = numbers
    else:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _month(worded: str) -> int:
    for word in re.findall(r"[a-z]+", worded):
        for number, name in enumerate(MONTHS, start=1):
            if len(word) >= 3 and word not in ("the",) and (name.startswith(word) or word == "sept"):
                return 9 if word == "sept" else number
    return 0


def format_amount(amount: float) -> str:
    """Money for reading: ``5000 -> "5,000"``, ``5.4 -> "5.40"``, ``0.125 -> "0.125"``."""
    if amount == int(amount):
        return f"{int(amount):,}"
    text = f"{amount:,.2f}"
    return text if float(text.replace(",", "")) == amount else f"{amount:,}"


def format_percent(fraction: float) -> str:
    """A fraction as a percentage: ``0.198 -> "19.8 %"``, ``0.01 -> "1 %"``."""
    return f"{round(fraction * 100, 6):g} %"


def format_date(iso: str) -> str:
    """An ISO date in words: ``"2025-03-14" -> "14 March 2025"``.

    Raises:
        ValueError: not an ISO date.
    """
    day = date.fromisoformat(iso)
    return f"{day.day} {MONTHS[day.month - 1].capitalize()} {day.year}"
