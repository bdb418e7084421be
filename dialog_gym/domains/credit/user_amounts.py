"""The ways customers write an amount."""

from functools import lru_cache

from dialog_gym.domains.quantities import find_quantities, format_amount
from dialog_gym.domains.quantity_patterns import SMALL, TENS


@lru_cache(maxsize=4096)
def amount_forms(value: int | float, code_words: bool) -> tuple[str, ...]:
    """The ways to say an amount, each checked to be read back as that amount.

    Args:
        value: Above 0.
        code_words: Whether slang is allowed ("5 grand").
    """
    forms = [format_amount(value)]
    if value % 50 == 0 or not 1000 <= value < 10_000:  # four odd digits would pass for a phone number's tail
        forms.append(f"{value:g}" if value < 1e5 else f"{value:.0f}")
    if value == int(value) and value < 100_000:
        forms += [_in_words(int(value)), format_amount(value)]
        if value >= 1000 and value % 100 == 0:
            forms += [f"{value / 1000:g}k"] * (3 if code_words else 1)
        if value >= 1000 and value % 1000 == 0 and code_words:
            forms += [f"{int(value) // 1000} grand", f"{_in_words(int(value) // 1000)} grand"]
    return tuple(form for form in forms if _reads_as(form, value)) or (format_amount(value),)


def _reads_as(form: str, value: float) -> bool:
    found = find_quantities(form)
    return len(found) == 1 and found[0].kind == "amount" and found[0].value == value


def _in_words(value: int) -> str:
    """A whole number below 100,000 in English: 2550 is "two thousand five hundred fifty"."""
    for size, unit in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = f" {_in_words(value % size)}" if value % size else ""
            return f"{_in_words(value // size)} {unit}{rest}"
    if value < 20:
        return SMALL[value]
    return TENS[value // 10 - 2] + (f"-{SMALL[value % 10]}" if value % 10 else "")
