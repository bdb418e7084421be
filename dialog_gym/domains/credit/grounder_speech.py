"""Speech acts in one sentence: offers, closes, questions, advice, solutions, objections, small talk."""

import re
from collections.abc import Sequence

from dialog_gym.core import Scalar
from dialog_gym.domains.credit.grounder_claims import CARRY, Claim, Reading, offer_refused
from dialog_gym.domains.credit.grounder_scope import Hit, negations
from dialog_gym.domains.credit.ontology import NEXT_STEPS, OBJECTIONS

_SIMPLE = frozenset(
    (
        "greet",
        "ask_identity",
        "clarify",
        "inform_credit_check",
        "inform_privacy",
        "empathise",
        "urge",
        "hand_over",
        "goodbye",
    )
)
# of overlapping asking cues the first in this order stands: "could you confirm" asks for a decision only
# if nothing else
_PRIORITY = ("ask_identity", "ask_need", "clarify", "advise", "close", "offer")
_VALUED = dict.fromkeys(_SIMPLE, "") | {"ask_need": "slot", "advise": "step", "solve": "action"}
_CONDITIONAL = re.compile(
    r"\b(?:would|could|might|i|we|let|thing|solution|choice|idea|option|best|better|perfect|ideal"
    r"|recommend\w*|suggest\w*)\b"
)
_NO_OFFER = re.compile(
    r"\b(?:still|run|mean|was|were|had|explain|asked?|told|said|if|whether|why|which|@[0-9]+ or @)\b"
)


def settle(families: dict[str, list[Hit]]) -> None:
    """Drop asking cues that overlap one of higher priority; income asked for is not an amount asked for."""
    present = [intent for intent in _PRIORITY if intent in families]
    for lower in range(1, len(present)):
        higher = [hit for intent in present[:lower] for hit in families.get(intent, ())]
        kept = [hit for hit in families[present[lower]] if not _overlaps(hit, higher)]
        if kept:
            families[present[lower]] = kept
        else:
            del families[present[lower]]
    asked = families.get("ask_need", [])
    if asked and "close" in families and asked[0].start < families["close"][0].start:
        del families["close"]  # "how much do you want to borrow"
    if len(asked) > 1:
        income = [hit for hit in asked if hit.cue.value == "income"]
        asked = [hit for hit in asked if hit.cue.value == "income" or not _overlaps(hit, income)]
        families["ask_need"] = [
            hit for hit in asked if not _overlaps(hit, [h for h in asked if _beats(h, hit)])
        ]


def _beats(hit: Hit, other: Hit) -> bool:
    return hit.cue.value != other.cue.value and hit.start < other.start


def _overlaps(hit: Hit, others: Sequence[Hit]) -> bool:
    return any(hit.start < other.end and other.start < hit.end for other in others)


def read_offers(reading: Reading) -> None:
    """Proposals of products, and questions for the decision."""
    families = reading.families
    closes = families.get("close", ())
    if any(_proposes(reading, hit) for hit in families.get("offer", ())):
        hit = next(hit for hit in families["offer"] if _proposes(reading, hit))
        end = closes[0].start if closes and closes[0].start > hit.start else len(reading.text)
        amounts, months = reading.quantities("amount", 0, end), reading.quantities("months", 0, end)
        named = [m.product for m in reading.part.mentions if m.product is not None and m.position < end]
        products = list(dict.fromkeys(named)) or reading.products(0, end)
        for product in products if amounts or months or products != [CARRY] else ():
            slots: dict[str, Scalar] = {"product": product}
            if len(products) == 1:
                slots |= {"amount": amounts[0][1].value} if amounts else {}
                slots |= {"months": months[0][1].value} if months else {}
            reading.add(hit.start, "suggest" if hit.cue.value == "mild" else "offer", **slots)
    if closes:
        _read_close(reading, closes[0])


def _proposes(reading: Reading, hit: Hit) -> bool:
    if reading.families.get("close") and hit.start >= reading.part.question:
        return False  # "would you like ..." asks for the decision then
    if any(
        close.cue.value == "said" and hit.end > close.start for close in reading.families.get("close", ())
    ):
        return False
    return not offer_refused(reading.text, hit) and not _overlaps(hit, reading.families.get("limit", ()))


def _read_close(reading: Reading, hit: Hit) -> None:
    part = reading.part
    named = [m.product for m in part.mentions if m.product is not None]
    product = named[-1] if named else None if "undecided" in reading.families else CARRY
    slots: dict[str, Scalar] = {"product": product}
    start = min(hit.start, part.question)
    amounts = reading.quantities("amount", start, len(part.text)) or reading.quantities(
        "amount", 0, len(part.text)
    )
    if amounts:
        slots["amount"] = amounts[0][1].value
    reading.claims.append(Claim(hit.start, "close", slots))


def read_speech(reading: Reading) -> None:
    """Everything else that is said; small talk and fillers only where nothing else is."""
    families = reading.families
    for intent in families:
        if intent in _VALUED:
            _read_valued(reading, intent, _VALUED[intent])
    if "concern" in families and "topic" in families:
        _read_valued(reading, "topic", "objection", "address_objection")
    if not reading.claims and not reading.denied and "offer" not in families:
        _read_implied_offer(reading)
    _drop_absorbed(reading)
    if "acknowledged" in families:
        reading.claims.append(Claim(families["acknowledged"][0].start, "acknowledged", {}))
    elif not reading.claims:
        for intent in ("smalltalk", "acknowledge"):
            if intent in families:
                reading.claims.append(Claim(families[intent][0].start, intent, {}))
                break


def _read_implied_offer(reading: Reading) -> None:
    """A product in a question to the customer or in the conditional is proposed: "would the loan do?"."""
    part = reading.part
    named = [m for m in part.mentions if m.product is not None]
    if (
        not named
        or len(part.text) < 20
        or _NO_OFFER.search(part.text)
        or negations(part.text, 0, len(part.text))
    ):
        return
    if part.question <= named[0].position or _CONDITIONAL.search(part.text):
        slots: dict[str, Scalar] = {"product": named[0].product}
        for kind, slot in (("amount", "amount"), ("months", "months")):
            if found := reading.quantities(kind, 0, len(part.text)):
                slots[slot] = found[0][1].value
        reading.add(named[0].position, "offer", **slots)


def _read_valued(reading: Reading, family: str, slot: str, intent: str | None = None) -> None:
    """One act for each value of a slot that the cues of a family name; one act where there is no slot."""
    seen = set()
    for hit in reading.families[family]:
        if family == "solve" and any(
            other.cue.value == "try" for other in reading.families.get("denied", ())
        ):
            continue  # an attempt is no solution
        if hit.cue.value not in seen and _holds(reading, hit):
            seen.add(hit.cue.value)
            reading.claims.append(Claim(hit.start, intent or family, {slot: hit.cue.value} if slot else {}))


def _holds(reading: Reading, hit: Hit) -> bool:
    """Whether no negation undoes a speech act; pressure often has a "not" of its own ("do not miss it")."""
    end = hit.start if hit.cue.intent == "urge" else hit.end
    return hit.cue.keeps or negations(reading.text, 0, end) % 2 == 0


def _drop_absorbed(reading: Reading) -> None:
    """Leave out what another act of the same sentence includes: sympathy in a refusal, and the like."""
    intents = {claim.intent for claim in reading.claims}
    steps = {(claim.intent, _detail(claim)) for claim in reading.claims}
    absorbed: set[tuple[str, Scalar]] = set()
    if ("address_objection", "fees") in steps:
        reading.claims = [
            c for c in reading.claims if c.slots.get("fee") != 0 or c.slots.get("product") != CARRY
        ]
    if "address_objection" in intents or any(c.slots.get("verdict") == "ineligible" for c in reading.claims):
        absorbed.add(("empathise", None))
    for (intent, detail), included in _INCLUDED.items():
        if intent in intents and (detail is None or (intent, detail) in steps):
            absorbed |= included
    if absorbed:
        reading.claims = [c for c in reading.claims if (c.intent, _detail(c)) not in absorbed]


def _detail(claim: Claim) -> Scalar:
    return next((claim.slots[slot] for slot in _DETAILS if slot in claim.slots), None)


_DETAILS = ("step", "action", "objection", "slot")
_OBJECTIONS: frozenset[tuple[str, Scalar]] = frozenset(("address_objection", value) for value in OBJECTIONS)
# what an act (and one of its values) includes
_INCLUDED: dict[tuple[str, str | None], frozenset[tuple[str, Scalar]]] = {
    ("inform_reactivation", None): frozenset({("advise", "reactivate"), ("solve", "unlock_account")}),
    ("advise", "reactivate"): frozenset({("solve", "unlock_account"), ("advise", "wait")}),
    ("advise", "pay_overdue"): frozenset({("advise", "wait")}),  # "pay the bill, then ask us again"
    ("advise", "update_income"): frozenset({("ask_need", "income"), ("advise", "wait")}),
    ("ask_need", None): _OBJECTIONS,
    ("ask_identity", None): _OBJECTIONS,
    ("clarify", None): _OBJECTIONS | {("advise", step) for step in NEXT_STEPS},
    ("goodbye", None): frozenset({("greet", None)}),  # "thank you for choosing us" opens a turn, or closes it
    ("hand_over", None): frozenset({("advise", "wait")}),
}
