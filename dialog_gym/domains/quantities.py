"""Amounts, percentages, durations and dates in free English text, and how to write them back.

The patterns hold no unbounded repetition next to another one, so a scan is linear in the text's length;
values that
make no sense (a 13th month, a number of 5,000 digits) are left out rather than raised.
"""

import re
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

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


MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november",
    "december",
)  # fmt: skip
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_FIRST = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth"]
_ORDINALS = {word: day for day, word in enumerate(_FIRST, start=1)} | {
    f"{tens}-{word}": ten + day
    for tens, ten in (("twenty", 20), ("thirty", 30))
    for day, word in enumerate(_FIRST[:9], start=1)
} | {"thirtieth": 30}  # fmt: skip
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_VALUES |= {"a": 1, "an": 1, "oh": 0, "nought": 0, "couple": 2}
_SCALES = {"k": 1e3, "thousand": 1e3, "grand": 1e3, "hundred": 1e2, "million": 1e6, "m": 1e6}

_BELOW_10 = "(?:" + "|".join(_SMALL[1:10]) + ")"
_BELOW_100 = (
    f"(?:(?:{'|'.join(_TENS)})(?:[- ]{_BELOW_10})?|{'|'.join(sorted(_SMALL, key=len, reverse=True))})"
)
_BELOW_1000 = f"(?:(?:(?:an? )?couple(?: of)?|an?|{_BELOW_100})[- ]hundred(?:(?: and)? {_BELOW_100})?|{_BELOW_100})"
_POINT = f"(?: point(?: (?:oh|{'|'.join(_SMALL[:10])})\\b){{1,4}}| and (?:an? )?(?:half|quarter)| and three quarters)"
_WORDS = (
    rf"(?:(?:{_BELOW_1000}|(?:an? )?couple(?: of)?|an?)[- ](?:thousand|grand)(?:(?: and)? {_BELOW_1000})?|{_BELOW_1000}"
    rf"|an?(?: couple(?: of)?)?(?=[- ](?:whole |full |entire )?(?:days?|months?|years?|weeks?|fortnights?)\b))\b{_POINT}?"
)
_DIGITS = (
    r"[0-9]{1,3}(?:\.[0-9]{3}){1,4},[0-9]{2}(?![0-9])|[0-9]{1,3}(?:\.[0-9]{3}){2,4}(?![0-9])"  # 12.500,00
    r"|[0-9]{1,6},[0-9]{2}(?![0-9])|[0-9]{1,2},[0-9](?=[ ]?%)|"
    r"[0-9]{1,3}(?:[,\u00a0\u202f'][0-9]{3}){1,4}(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_ORDINAL = r"[0-9]{1,2}(?:st|nd|rd|th)?"
_SPOKEN_DAY = "(?:" + "|".join(sorted(_ORDINALS, key=len, reverse=True)).replace("-", "[- ]") + ")"
_UNIT = (
    r"[- \t\n\u00a0]{0,2}(?P<percent>%|per[- ]?cents?\b|pct\b)(?:[ ]?(?:(?:a|per)[ ](?:year|annum)\b"
    r"|p\.?a\b\.?))?"
    r"|[- \t\n\u00a0]{0,2}(?:interest[- ]free[ ]|equal[ ]|calendar[ ]|working[ ]|business[ ]|full[ ]|whole[ ]"
    r"|entire[ ])?(?P<time>days?|weeks?|fortnights?|months?|mos?|years?|yrs?)\b"
    r"|[- ](?P<parts>(?:(?:equal|easy|monthly)[ ]){0,2}instal+ments\b|(?:(?:equal|easy"
    r"|monthly)[ ]){1,2}payments\b|payments(?=[ ](?:of|at|à|in[ ]all|in[ ]total|altogether)\b))"
    r"(?!,? (?:are|is|were|was|have|had|late|overdue|missed|behind|in arrears|open|outstanding|unpaid)\b)"
    r"|[ ]?(?P<apr>apr\b)|[ ](?P<cents>pence|pennies|cents?)\b"
    r"|[ ]?(?:dollars?|euros?|pounds?|bucks|yuan|usd|eur|gbp|rmb|cny|credits)\b|[ ]?[€£$](?![0-9])"
)
_DATES = (
    r"(?P<iso>[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}(?![0-9]))"
    rf"|(?P<spoken>{_SPOKEN_DAY}[ ](?:day[ ])?of[ ]{_MONTH},?[ ][0-9]{{4}}\b)"
    rf"|(?P<day_first>{_ORDINAL}[ ](?:of[ ])?{_MONTH},?[ ][0-9]{{4}}\b)"
    rf"|(?P<month_first>{_MONTH}[ ](?:the[ ])?{_ORDINAL}(?:,?[ ][0-9]{{4}}\b|\b(?!\.[0-9]"
    rf"|,[0-9]{{3}}|[-,0-9 ]{{0,4}}(?:%|day|month))))"
    r"|(?P<slashed>[0-9]{1,2}(?P<sep>[/.])[0-9]{1,2}(?P=sep)[0-9]{4}(?![0-9]))"
    rf"|(?P<skip>[0-9]{{1,2}}[/:][0-9]{{1,2}}(?![0-9/])|{_ORDINAL}[ ](?:of[ ])?{_MONTH}|[0-9]{{1,3}}(?:st"
    rf"|nd|rd|th)\b)"
)
_SCAN = re.compile(
    rf"(?:{_DATES}|(?P<half>half[- ](?:an?[ ])?year\b|(?:a|one)[ ]year[ ]and[ ]a[ ]half\b)"
    rf"|(?P<part>half|an?[ ]quarter|(?:three|3)[ ]quarters?)(?:[ ]of)?(?:[ ](?:an?|one))?[ ]"
    rf"(?P<of>per[- ]?cent|thousand|grand|million)\b"
    rf"|(?P<price>(?:{_BELOW_100}) (?:(?:{'|'.join(_TENS)})(?:[- ]{_BELOW_10})?|{'|'.join(_SMALL[10:])})\b"
    rf"(?! (?:hundred|thousand|grand|per|days?|weeks?|months?|years?|or|and|point)))"
    rf"|(?P<sign>[$€£¥][ ]?|(?:eur|usd|gbp|cny|rmb)[ ](?=[0-9]))?"
    rf"(?:(?P<digits>{_DIGITS})(?P<plus>[ ]and[ ](?:an?[ ])?(?:half|quarter)\b)?(?:[- ]?(?P<scale>k|m|thousand|grand|hundred|million)\b)?"
    rf"|\b(?P<words>{_WORDS})(?:[ ](?P<times>thousand|grand|million)\b)?)(?P<unit>{_UNIT})?)"
)
# where a quantity may begin: trying the big pattern only there makes the scan several times faster
_START = re.compile(
    rf"[0-9$€£¥]|\b(?:{'|'.join(_SMALL + _TENS)}|half|couple|(?:eur|usd|gbp|cny|rmb) [0-9]|{'|'.join(_FIRST)}"
    rf"|thirtieth|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    r"|an?[- ](?:day|week|fortnight|month|year|whole|full|entire|hundred|thousand|grand|couple|quarter))"
)
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
_CONTINENTAL = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{2}|[0-9]{1,3}(?:\.[0-9]{3}){2,}|[0-9]+,[0-9]{1,2}")
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
    start = _START.search(low)
    while start is not None:
        match = _SCAN.match(low, start.start())
        if match is not None and (quantity := _quantity(low, match)) is not None:
            found.append(quantity)
        start = _START.search(low, start.end() if match is None else match.end())
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
        scale = _SCALES.get(match["of"])
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
        return _spoken(match["words"]) * _SCALES.get(match["times"] or "", 1)
    if _CONTINENTAL.fullmatch(digits) or (
        _GROUPED.fullmatch(digits) and (match["sign"] or _CURRENCY.match(match["unit"] or ""))
    ):
        digits = digits.replace(".", "").replace(",", ".")
    plain = "".join(_NUMBER.findall(digits))
    if len(plain) > 15:
        return None
    extra = 0.0 if not match["plus"] else 0.25 if "quarter" in match["plus"] else 0.5
    return round((float(plain) + extra) * _SCALES.get(match["scale"] or "", 1), 6)


def _price(words: str) -> float:
    """ "eighty-nine ninety-five" as 89.95: the last two-digit number is the cents."""
    parts = words.replace("-", " ").split()
    cut = len(parts) - (2 if len(parts) > 2 and parts[-1] in _SMALL[1:10] else 1)
    return _spoken(" ".join(parts[:cut])) + _spoken(" ".join(parts[cut:])) / 100


def _spoken(words: str) -> float:
    whole, _, decimals = words.partition(" point")
    tail = _TAIL.search(whole)
    total, current = 0.0, 0.0
    for word in whole[: tail.start() if tail else None].replace("-", " ").split():
        if word == "hundred":
            current *= 100
        elif word in _SCALES:
            total, current = total + current * 1000, 0.0
        elif word in _VALUES:
            current = 2 if word == "couple" else current + _VALUES[word]
    fraction = "".join(str(_VALUES[word]) for word in decimals.split())
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
        day = _ORDINALS[words]
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
