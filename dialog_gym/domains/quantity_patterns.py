"""The words and regular expressions of `quantities`: numbers, units and dates in English.

The patterns hold no unbounded repetition next to another one, so a scan is linear in the text's length.
"""

import re

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november",
    "december",
)  # fmt: skip
SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_FIRST = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
ORDINALS = {word: day for day, word in enumerate(_FIRST, start=1)} | {
    f"{tens}-{word}": ten + day
    for tens, ten in (("twenty", 20), ("thirty", 30))
    for day, word in enumerate(_FIRST[:9], start=1)
} | {"thirtieth": 30}  # fmt: skip
VALUES = {word: value for value, word in enumerate(SMALL)} | {
    word: 10 * value for value, word in enumerate(TENS, start=2)
}
VALUES |= {"a": 1, "an": 1, "oh": 0, "nought": 0, "couple": 2}
SCALES = {"k": 1e3, "thousand": 1e3, "grand": 1e3, "hundred": 1e2, "million": 1e6, "m": 1e6}

_BELOW_10 = "(?:" + "|".join(SMALL[1:10]) + ")"
_BELOW_100 = f"(?:(?:{'|'.join(TENS)})(?:[- ]{_BELOW_10})?|{'|'.join(sorted(SMALL, key=len, reverse=True))})"
_BELOW_1000 = (
    f"(?:(?:(?:an? )?couple(?: of)?|an?|{_BELOW_100})[- ]hundred(?:(?: and)? {_BELOW_100})?|{_BELOW_100})"
)
_POINT = (
    f"(?: point(?: (?:oh|{'|'.join(SMALL[:10])})\\b){{1,4}}"
    "| and (?:an? )?(?:half|quarter)| and three quarters)"
)
_WORDS = (
    rf"(?:(?:{_BELOW_1000}|(?:an? )?couple(?: of)?|an?)[- ](?:thousand|grand)(?:(?: and)? {_BELOW_1000})?"
    rf"|{_BELOW_1000}"
    rf"|an?(?: couple(?: of)?)?(?=[- ](?:whole |full |entire )?(?:days?|months?|years?|weeks?"
    rf"|fortnights?)\b))\b{_POINT}?"
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
_SPOKEN_DAY = "(?:" + "|".join(sorted(ORDINALS, key=len, reverse=True)).replace("-", "[- ]") + ")"
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
    rf"|(?=[a-z])(?P<spoken>{_SPOKEN_DAY}[ ](?:day[ ])?of[ ]{_MONTH},?[ ][0-9]{{4}}\b)"
    rf"|(?P<day_first>{_ORDINAL}[ ](?:of[ ])?{_MONTH},?[ ][0-9]{{4}}\b)"
    rf"|(?P<month_first>{_MONTH}[ ](?:the[ ])?{_ORDINAL}(?:,?[ ][0-9]{{4}}\b|\b(?!\.[0-9]"
    rf"|,[0-9]{{3}}|[-,0-9 ]{{0,4}}(?:%|day|month))))"
    r"|(?P<slashed>[0-9]{1,2}(?P<sep>[/.])[0-9]{1,2}(?P=sep)[0-9]{4}(?![0-9]))"
    rf"|(?P<skip>[0-9]{{1,2}}[/:][0-9]{{1,2}}(?![0-9/])|{_ORDINAL}[ ](?:of[ ])?{_MONTH}|[0-9]{{1,3}}(?:st"
    rf"|nd|rd|th)\b)"
)
SCAN = re.compile(
    rf"(?:{_DATES}|(?P<half>half[- ](?:an?[ ])?year\b|(?:a|one)[ ]year[ ]and[ ]a[ ]half\b)"
    rf"|(?=[a-z3])(?P<part>half|an?[ ]quarter|(?:three|3)[ ]quarters?)(?:[ ]of)?(?:[ ](?:an?|one))?[ ]"
    rf"(?P<of>per[- ]?cent|thousand|grand|million)\b"
    rf"|(?=[a-z])(?P<price>(?:{_BELOW_100})"
    rf" (?:(?:{'|'.join(TENS)})(?:[- ]{_BELOW_10})?|{'|'.join(SMALL[10:])})\b"
    rf"(?! (?:hundred|thousand|grand|per|days?|weeks?|months?|years?|or|and|point)))"
    rf"|(?P<sign>[$€£¥][ ]?|(?:eur|usd|gbp|cny|rmb)[ ](?=[0-9]))?"
    rf"(?:(?P<digits>{_DIGITS})(?P<plus>[ ]and[ ](?:an?[ ])?(?:half|quarter)\b)?(?:[- ]?(?P<scale>k|m"
    rf"|thousand|grand|hundred|million)\b)?"
    rf"|\b(?P<words>{_WORDS})(?:[ ](?P<times>thousand|grand|million)\b)?)(?P<unit>{_UNIT})?)"
)
# where a quantity may begin: trying the big pattern only there makes the scan several times faster
START = re.compile(
    rf"[0-9$€£¥]|\b(?:{'|'.join(SMALL + TENS)}|half|couple|(?:eur|usd|gbp|cny|rmb) [0-9]|{'|'.join(_FIRST)}"
    rf"|thirtieth|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    r"|an?[- ](?:day|week|fortnight|month|year|whole|full|entire|hundred|thousand|grand|couple|quarter))"
)
