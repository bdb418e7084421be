"""Quantities in free text: worked examples, formatting there and back, and hostile input."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.domains.quantities import find_quantities, format_amount, format_date, format_percent


def found(text: str) -> list[tuple[str, object]]:
    return [(q.kind, q.value) for q in find_quantities(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5000", [("amount", 5000)]),
        ("5,000 or 5,000.00", [("amount", 5000), ("amount", 5000)]),
        ("5k, 3.5k and 2 grand", [("amount", 5000), ("amount", 3500), ("amount", 2000)]),
        ("$5,000 or 300 euros", [("amount", 5000), ("amount", 300)]),
        ("five thousand", [("amount", 5000)]),
        ("two thousand five hundred", [("amount", 2500)]),
        ("Twelve hundred", [("amount", 1200)]),
        ("a thousand", [("amount", 1000)]),
        ("one hundred and twenty-five thousand", [("amount", 125000)]),
        ("five thousand, two of them", [("amount", 5000), ("amount", 2)]),
        ("one moment", []),
        ("19.8 %, 19.8%, 19.8 per cent", [("percent", 0.198)] * 3),
        ("nineteen point eight percent", [("percent", 0.198)]),
        ("seven and a half percent", [("percent", 0.075)]),
        ("an APR of 7.2.", [("percent", 0.072)]),
        ("7.2 % a year", [("percent", 0.072)]),
        ("30 days, thirty days, a day", [("days", 30), ("days", 30), ("days", 1)]),
        ("two weeks", [("days", 14)]),
        ("30 interest-free days", [("days", 30)]),
        ("12 months, six months, 12-month", [("months", 12), ("months", 6), ("months", 12)]),
        (
            "half a year, a year, 1 year, two years",
            [("months", 6), ("months", 12), ("months", 12), ("months", 24)],
        ),
        ("a year and a half", [("months", 18)]),
        ("one month", [("months", 1)]),
        ("12 monthly instalments of 88.85", [("months", 12), ("amount", 88.85)]),
        ("2025-03-14 and 14/03/2025 and 14.03.2025", [("date", "2025-03-14")] * 3),
        ("14 March 2025, March 14th, 2025, 14th of Mar 2025", [("date", "2025-03-14")] * 3),
        ("31/02/2025 and 14 March", []),
        ("phone ****4821, at 10:30, 24/7, the 15th", []),
        ("may 30 days pass", [("days", 30)]),
        ("two payments are late", [("amount", 2)]),
        ("maybe 16,450", [("amount", 16450)]),
        ("its marchetti. 8,350 a month", [("amount", 8350), ("months", 1)]),
        ("in May 16,450 came in", [("amount", 16450)]),
        ("decent 31 2020, augury 3", [("amount", 31), ("amount", 2020), ("amount", 3)]),
        ("three and a half thousand", [("amount", 3500)]),
        ("nine and a quarter per cent", [("percent", 0.0925)]),
        ("half a percent, three quarters of a percent", [("percent", 0.005), ("percent", 0.0075)]),
        ("46 pence, eighty-nine ninety-five", [("amount", 0.46), ("amount", 89.95)]),
        ("a couple hundred or a couple of grand", [("amount", 200), ("amount", 2000)]),
        ("€3.200, EUR 12.500,00, 99,50 €", [("amount", 3200), ("amount", 12500), ("amount", 99.5)]),
        ("2026/03/01, the first of March 2026", [("date", "2026-03-01")] * 2),
        ("the twenty-first of June 2025", [("date", "2025-06-21")]),
        ("a fortnight, a whole week", [("days", 14), ("days", 7)]),
        ("split it into twelve, order 40021, two options", [("months", 12)]),
        ("", []),
    ],
)
def test_worked_examples(text: str, expected: list[tuple[str, object]]) -> None:
    assert found(text) == expected


def test_positions_cover_the_words() -> None:
    text = "Up to EUR 3,500 over six months at 7.2 per cent from 14 March 2025."
    assert [text[q.start : q.end] for q in find_quantities(text)] == [
        "EUR 3,500",
        "six months",
        "7.2 per cent",
        "14 March 2025",
    ]


@given(st.integers(2, 9_999_999).map(lambda cents: cents / 100))
def test_amounts_survive(amount: float) -> None:
    assert found(format_amount(amount)) == [("amount", amount)]


@given(st.integers(0, 10_000).map(lambda points: points / 10_000))
def test_percentages_survive(fraction: float) -> None:
    assert found(format_percent(fraction)) == [("percent", fraction)]


@given(st.dates(date(1000, 1, 1), date(9999, 12, 31)))
def test_dates_survive(day: date) -> None:
    assert found(format_date(day.isoformat())) == [("date", day.isoformat())]


def test_formats() -> None:
    assert (format_amount(5000), format_amount(88.8), format_amount(0.125)) == ("5,000", "88.80", "0.125")
    assert (format_percent(0.198), format_percent(0.01), format_percent(0)) == ("19.8 %", "1 %", "0 %")
    assert format_date("2025-03-14") == "14 March 2025"


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("0123456789.,-/%$k aontwefivhdry"))
def test_anything_is_read_without_an_error(text: str) -> None:
    for quantity in find_quantities(text):
        assert 0 <= quantity.start < quantity.end <= len(text)


@pytest.mark.parametrize(
    "unit", ["5,", "9", "a ", "five ", "twenty-", "1.", "$", "march ", " ", "İ", "5 ", "half a ", "\x00"]
)
def test_long_repetitions_return(unit: str) -> None:
    find_quantities(unit * (100_000 // len(unit)))
