"""Costs in one sentence: interest over some days, and monthly instalments.

Which amount is the principal needs no grammar: a cost is always smaller than the sum it is paid on.
"""

import re

from dialog_gym.core import Scalar
from dialog_gym.domains.credit.grounder_claims import Reading
from dialog_gym.domains.quantities import Quantity

_PER_DAY = re.compile(
    r"(?: (?:euros?|dollars?|pounds?|in interest|of interest|interest|only))?,?(?: (?:a|per|each|every"
    r"|for each|for every) day\b| daily\b)"
)
_UNIT_TOKEN = re.compile(r"(?: (?:in interest|of interest|interest))? #([dm])")
_PER_MONTH = re.compile(
    r"(?: (?:in interest|of interest|interest|only))?,?(?: (?:a|per|each|every|for each|for every) month\b"
    r"| monthly\b| each\b| apiece\b| (?:in )?each (?:one|time))"
)
_INTEREST = re.compile(r"\binterest|\bcosts?\b|\bborrow|\bcharge|\bfinanc")
_COST_VERB = re.compile(
    r"\b(?:interest|costs?|charged?|pay|comes? to|that is|that would be|it is|makes?|means?|amounts? to"
    r"|works out|runs to|you back|adds? up|cheap as"
    r"|would be|will be|price|total|equals?|just|only|about|barely|gives|give|=)\b"
)
_MONTHLY_BEFORE = re.compile(
    r"(?:monthly (?:payments?|instalments?|rates?|amount|cost|sum|repayments?|charge)|(?:each|every"
    r"|per) month|a month|instalments?|payments?)(?: [\w#@]+){0,5}:? $"
)
_PARTS_BEFORE = re.compile(r"#m (?:of|at|x|for|each of|times) (?:only |just |about )?$")
_DAILY_BEFORE = re.compile(
    r"(?:daily (?:interest|cost|charge|price)|(?:each|every|per|one|a|single) day)(?: [\w#@]+){0,5}:? $"
)
_OTHER = re.compile(r"\b(?:earn|income|salary|wage|take home|bring home|refund|limit|coupon|voucher)")
_UNIT_AFTER = re.compile(r"#a(?: (?:in interest|of interest|interest))? (#[dm])")
_LIST = re.compile(r",? (?:and|while|or|but) |; |, ")
_KINDS = frozenset(("inform_interest", "inform_instalment"))
_CHUNK = re.compile(r",? (?:and|while|or|but) |; ")


def read_costs(reading: Reading) -> None:
    """Interest and instalment claims of a sentence; several of them may be joined by "and"."""
    part, text = reading.part, reading.text
    amounts = reading.quantities("amount", 0, part.question)
    if not amounts:
        return
    start = 0
    spans = [*reading.quantities("days", 0, part.question), *reading.quantities("months", 0, part.question)]
    if len(amounts) >= 2 and len(spans) >= 2 and _read_list(reading, amounts, spans):
        return
    if len(amounts) >= 3:
        for match in _CHUNK.finditer(text, 0, part.question):
            before = [at for at, _ in amounts if start <= at < match.start()]
            after = [at for at, _ in amounts if at >= match.end()]
            if before and after and _read_frame(reading, start, match.start()):
                start = match.end()
    if not _read_frame(reading, start, part.question) and len(amounts) == 1 == len(spans):
        _read_echo(reading, amounts[0], spans[0])


def _read_list(
    reading: Reading, amounts: list[tuple[int, Quantity]], spans: list[tuple[int, Quantity]]
) -> bool:
    """Costs over several spans: "14 days on 500 cost 2.10, 30 days 4.50"; the later ones are elliptic."""
    end = reading.part.question
    for match in _LIST.finditer(reading.text, 0, end):
        cut = match.end()
        after, later = [a for a in amounts if a[0] >= cut], [s for s in spans if s[0] >= cut]
        before, sooner = len(amounts) - len(after), len(spans) - len(later)
        if len(after) == 1 and len(later) == 1 and before and sooner and later[0][0] > match.start():
            return _read_frame(reading, 0, match.start()) and _read_echo(reading, after[0], later[0])
    return False


def _read_echo(reading: Reading, amount: tuple[int, Quantity], span: tuple[int, Quantity]) -> bool:
    """A cost that leaves out what kind it is: it is of the kind that was told before it."""
    told = {claim.intent: claim for claim in reading.claims if claim.intent in _KINDS}
    kinds = set(told) | (set(reading.heard) & _KINDS)
    at, cost = amount
    if len(kinds) != 1 or not _COST_VERB.search(reading.text) or _OTHER.search(reading.text):
        return False
    intent = kinds.pop()
    count = float(span[1].value)
    if intent == "inform_instalment":
        slots = _slots(months=count, monthly=float(cost.value)) if span[1].kind == "months" else {}
    else:
        days = count if span[1].kind == "days" else count * 30 if count % 12 else count / 12 * 365
        slots = _slots(days=days, interest=float(cost.value))
    if not slots:
        return False
    before = told[intent].slots.get("amount") if intent in told else None
    reading.used.add(at)
    reading.add(at, intent, **({"amount": before} if before is not None else {}), **slots)
    return True


def _read_frame(reading: Reading, start: int, end: int) -> bool:
    text = reading.text
    amounts = reading.quantities("amount", start, end)[:2]
    if not amounts or _OTHER.search(text, start, end):
        return False
    units = {at: _unit(reading, at, start) for at, _ in amounts}
    (cost_at, cost), *rest = sorted(amounts, key=lambda value: float(value[1].value))
    if rest and units[cost_at] is None and units[rest[0][0]]:  # "a day" may stand at either amount
        if float(rest[0][1].value) < 2 * float(cost.value):  # a single instalment is more than the sum
            (cost_at, cost), rest = rest[0], [(cost_at, cost)]
        else:
            units[cost_at] = units[rest[0][0]]
    principal = float(rest[0][1].value) if rest else None
    taken = _taken_tokens(reading, start, end) if units[cost_at] else set()
    days = [q for at, q in reading.quantities("days", start, end) if at not in taken]
    months = [q for at, q in reading.quantities("months", start, end) if at not in taken]
    slots = _interest(text[start:end], units[cost_at], days, months, principal, cost) or _instalment(
        text[start:end], units[cost_at], months, principal, cost
    )
    if slots is None:
        return False
    intent = "inform_interest" if "interest" in slots else "inform_instalment"
    named = [
        m.product
        for m in reading.part.mentions
        if m.product is not None and m.position < reading.part.question
    ]
    near = [m.product for m in reading.part.mentions if m.product is not None and start <= m.position < end]
    if near or named:
        slots["product"] = (near or named)[-1]
    reading.used.update(at for at, _ in amounts)
    reading.add(cost_at, intent, **slots)
    return True


def _unit(reading: Reading, at: int, start: int) -> str | None:
    """What an amount is paid for: "day", "month" or None."""
    text, end = reading.text, at + 2
    if _PER_DAY.match(text, end):
        return "day"
    if _PER_MONTH.match(text, end):
        return "month"
    token = _UNIT_TOKEN.match(text, end)
    if token is not None and _value_at(reading, token.start(1) - 1) == 1:
        return "day" if token[1] == "d" else "month"
    if _DAILY_BEFORE.search(text, max(start, at - 50), at):
        return "day"
    if _PARTS_BEFORE.search(text, max(start, at - 20), at):
        return "month"
    return "month" if _MONTHLY_BEFORE.search(text, max(start, at - 50), at) else None


def _value_at(reading: Reading, at: int) -> Scalar:
    return next(
        (m.quantity.value for m in reading.part.mentions if m.position == at and m.quantity is not None), None
    )


def _taken_tokens(reading: Reading, start: int, end: int) -> set[int]:
    """Positions of "a day", "a month" right after an amount: units, not durations."""
    taken = set()
    for at, _ in reading.quantities("amount", start, end):
        token = _UNIT_AFTER.match(reading.text, at)
        if token is not None and _value_at(reading, token.start(1)) == 1:
            taken.add(token.start(1))
    return taken


def _interest(
    text: str,
    unit: str | None,
    days: list[Quantity],
    months: list[Quantity],
    principal: float | None,
    cost: Quantity,
) -> dict[str, Scalar] | None:
    said = _INTEREST.search(text) is not None
    if unit == "day":
        span: int | float | None = 1
    elif days and (principal is not None or said) and (said or _COST_VERB.search(text)):
        span = float(days[0].value)
    elif unit == "month" and not months and said and "interest" in text:
        span = 30
    elif unit is None and months and ((principal is not None and said) or "interest" in text):
        count = float(months[0].value)
        span = count * 30 if count % 12 else count / 12 * 365
        if "instalment" in text or (count > 2 and "interest" not in text):
            return None
    else:
        return None
    return _slots(amount=principal, days=span, interest=float(cost.value))


def _instalment(
    text: str, unit: str | None, months: list[Quantity], principal: float | None, cost: Quantity
) -> dict[str, Scalar] | None:
    if unit == "month" and (months or principal is not None or re.search(r"instalment|payment|repay", text)):
        pass
    elif not (
        unit is None
        and months
        and float(months[0].value) > 1
        and principal is not None
        and _COST_VERB.search(text)
    ):
        return None
    return _slots(
        amount=principal, months=float(months[0].value) if months else None, monthly=float(cost.value)
    )


def _slots(**values: float | None) -> dict[str, Scalar]:
    return {name: int(v) if v == int(v) else v for name, v in values.items() if v is not None}
