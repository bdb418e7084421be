"""Values in one sentence: limits, rates, fees, coupons and reactivation dates."""

import re

from dialog_gym.core import Scalar
from dialog_gym.domains.credit.grounder_claims import CARRY, Reading, number
from dialog_gym.domains.credit.grounder_scope import Hit
from dialog_gym.domains.quantities import Quantity

_NO_RATE = re.compile(
    r"(?:,? ?(?:of (?!interest)|off|sure|discount|cheaper|lower|less|more|higher|safe|certain|honest|secure"
    r"|used|utili)|\w* ?cashback)"
)
_MONTHLY = re.compile(r",? ?(?:(?:a|per|each|every) month|monthly|#m)")
_NO_RATE_BEFORE = re.compile(
    r"(?:used|using|utili[sz]ation(?: is)?(?: at)?|hundred|drawn|save|discount(?: of)?|spent|uses?|saves?"
    r"|cashback(?: of)?|trust (?:us|me)) (?:\w+ )?$"
)
_TAKEN_BACK = re.compile(
    r"\b(?:not|no longer|instead of|rather than|down from|used to be|was|were|than|carried|charged you)"
    r"(?: (?:an? |the )?(?:interest )?rate of| at| of| the| just| only)? $"
)
_NOT_FREE_DAYS = re.compile(
    r"(?:valid(?: \w+)? for|expires? in|within|runs out in|last|every|good for|left|next)(?: \w+)? $"
)
_NOT_EXPIRY = re.compile(r"(?:issued|granted|given|sent|got it|received|from)(?: \w+){0,2} $")
_FREE = re.compile(
    r"\b(?:no|none|nothing|zero|free|nil|nought|without|waived|does not|not (?:pay|charge|cost|have|carry"
    r"|any|a))\b"
)
_OTHER_FEE = re.compile(r"hidden|late|penalty|extra")
_COUPON_SLOTS = (("amount", "amount"), ("days", "days"), ("months", "days"), ("date", "expires"))


def read_limits(reading: Reading) -> None:
    """Limits: "up to 3,500", "at most", "your limit is"."""
    for start, end, inside in reading.regions:
        anchors = [hit for hit in inside if hit.cue.intent == "limit" and hit.cue.value != "over"]
        values = reading.quantities("amount", start, end) if anchors else []
        if any(hit.cue.value == "age" for hit in reading.reasons):  # "at 72 you are above the limit"
            values = [value for value in values if number(value[1]) >= 100]
        if values:
            products = reading.products(start, end)
            named = reading.products(0, reading.part.question) if len(values) > len(products) else []
            if len(named) == len(values):  # "both are open, up to 5,000 and 800"
                products = named
            for position, product, quantity in _paired(values, products, anchors[0]):
                reading.used.add(position)
                reading.add(position, "inform_limit", product=product, amount=number(quantity))


def read_fees(reading: Reading) -> None:
    """Set-up fees as a share of the amount; "no fee" is 0."""
    for start, end, inside in reading.regions:
        anchors = [hit for hit in inside if hit.cue.intent in ("fee", "nofee")]
        values = reading.quantities("percent", start, end) if anchors else []
        if anchors and _fees_one_by_one(reading, values, start, end):
            continue
        free = [
            hit
            for hit in anchors
            if hit.cue.intent == "nofee" and not _OTHER_FEE.search(reading.text, hit.start, hit.end)
        ]
        if free:  # "7.9 %, no set-up fee": what another clause says is no fee
            values = [value for value in values if not _apart(reading.text, value[0], free)]
        if values:
            for position, product, quantity in _paired(values, reading.products(start, end), anchors[0]):
                reading.used.add(position)
                reading.add(position, "inform_fees", product=product, fee=number(quantity))
        elif free:
            for product in reading.products(start, end):
                reading.add(free[0].end - 1, "inform_fees", product=product, fee=0)


def _fees_one_by_one(reading: Reading, values: list[tuple[int, Quantity]], start: int, end: int) -> bool:
    """Fees of several products, some of which are free: "1 % on the loan, nothing on pay-later"."""
    named = [m for m in reading.part.mentions if m.product is not None and start <= m.position < end]
    if len({m.product for m in named}) < 2:
        return False
    found: list[tuple[int, int | float]] = [(at, number(quantity)) for at, quantity in values]
    stops = sorted([m.position for m in named] + [at for at, _ in found])
    last = None
    for match in _FREE.finditer(reading.text, start, end):
        if last is None or any(last < stop < match.start() for stop in stops):
            found.append((match.start(), 0))
            last = match.start()
    if len(found) != len(named) or (not values and len(found) < 2):
        return False
    for (at, fee), mention in zip(sorted(found), named, strict=True):
        reading.used.add(at)
        reading.add(at, "inform_fees", product=mention.product, fee=fee)
    return True


def _apart(text: str, at: int, hits: list[Hit]) -> bool:
    low, high = min(hit.start for hit in hits), max(hit.end for hit in hits)
    between = text[at:low] if at < low else text[high:at] if at > high else ""
    return "," in between or " and " in between


def _may_be_rate(reading: Reading, value: tuple[int, Quantity]) -> bool:
    at, quantity = value
    text = reading.text
    if _TAKEN_BACK.search(text, max(0, at - 40), at):
        return False
    if _NO_RATE.match(text, at + 2) or _NO_RATE_BEFORE.search(text, max(0, at - 40), at):
        return False
    return number(quantity) <= 0.6


def _paired(
    values: list[tuple[int, Quantity]], products: list[str], anchor: Hit
) -> list[tuple[int, str, Quantity]]:
    """Values with their products: one by one if as many of both, else the anchor's value for all."""
    if len(values) == len(products):
        return [(at, product, quantity) for (at, quantity), product in zip(values, products, strict=True)]
    after = [value for value in values if value[0] >= anchor.start]
    at, quantity = after[0] if after else values[-1]
    return [(at, product, quantity) for product in products]


def read_rates(reading: Reading, end: int | None = None) -> None:
    """Annual rates: percentages that nothing else has claimed; a rate per month is multiplied by 12."""
    text = reading.text
    end = reading.part.question if end is None else end
    kept = [value for value in reading.quantities("percent", 0, end) if _may_be_rate(reading, value)]
    if not kept:
        return
    products = reading.products(0, end)
    if len(kept) == len(products):
        pairs = list(zip(kept, products, strict=True))
    else:
        pairs = [(value, _nearest(reading, value[0])) for value in kept]
    for (at, quantity), product in pairs:
        reading.used.add(at)
        factor = 12 if _MONTHLY.match(text, at + 2) else 1
        reading.add(at, "inform_rate", product=product, rate=round(number(quantity) * factor, 8))


def _nearest(reading: Reading, at: int) -> str:
    named = [m for m in reading.part.mentions if m.product is not None]
    best = min(named, key=lambda m: abs(m.position - at), default=None)
    return CARRY if best is None or best.product is None else best.product


def read_free_of_interest(reading: Reading) -> None:
    """A product without interest has the rate 0; days without interest are a coupon's."""
    part = reading.part
    hits = [hit for hit in reading.families.get("nointerest", ()) if hit.start < part.question]
    named = [m.product for m in part.mentions if m.product is not None and m.position < part.question]
    timed = any(
        m.quantity is not None and m.quantity.kind in ("days", "months", "percent") for m in part.mentions
    )
    if (
        hits
        and named
        and not timed
        and not any(h.cue.value == "word" for h in reading.families.get("coupon", ()))
    ):
        reading.add(hits[0].start, "inform_rate", product=reading.products(0, part.question)[-1], rate=0)


def read_coupon(reading: Reading) -> None:
    """Value, interest-free days and last day of a coupon."""
    end, text = reading.part.question, reading.text
    anchors = [hit for hit in reading.families["coupon"] if hit.start < end]
    if not anchors:
        return
    slots: dict[str, Scalar] = {}
    for kind, slot in _COUPON_SLOTS:
        trap = _NOT_EXPIRY if slot == "expires" else _NOT_FREE_DAYS if slot == "days" else None
        for at, quantity in reading.quantities(kind, 0, end):
            if slot not in slots and (trap is None or not trap.search(text, max(0, at - 30), at)):
                reading.used.add(at)
                slots[slot] = (
                    quantity.value
                    if slot == "expires"
                    else number(quantity) * (30 if kind == "months" else 1)
                )
    if slots:
        reading.add(anchors[0].start, "inform_coupon", **slots)


def read_reactivation(reading: Reading) -> None:
    """The day from which a closed account can be opened again."""
    part = reading.part
    anchors = [hit for hit in reading.families.get("reactivation", ()) if hit.start < part.question]
    dates = reading.quantities("date", 0, part.question)
    if not anchors or not dates:
        return
    after = [value for value in dates if value[0] >= anchors[-1].start]
    at, quantity = after[0] if after else dates[-1]
    reading.used.add(at)
    reading.add(at, "inform_reactivation", date=quantity.value)
