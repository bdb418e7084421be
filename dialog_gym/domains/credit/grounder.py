"""The grounder: dialogue acts and claims in an agent's free text, by rules, deterministic and in linear time.

A text is prepared (`grounder_text`), the phrases of `grounder_cues.toml` are found in it (`grounder_scope`), claims are
read sentence by sentence (`grounder_claims`, `grounder_costs`), and products are carried over to sentences that name none.
"""

import re
from collections.abc import Sequence

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.credit.grounder_claims import (
    CARRY,
    Claim,
    Reading,
    best_reason,
    offer_refused,
    read_coupon,
    read_eligibility,
    read_fees,
    read_free_of_interest,
    read_implied_refusal,
    read_limits,
    read_rates,
    read_reactivation,
)
from dialog_gym.domains.credit.grounder_costs import read_costs
from dialog_gym.domains.credit.grounder_scope import Hit, Part, negations, read_part
from dialog_gym.domains.credit.grounder_text import prepare
from dialog_gym.domains.credit.rulebook import Rulebook

CONTEXT_TURNS = 4
"""How many earlier turns are searched for the product that a turn without one refers to."""

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
# of overlapping asking cues the first in this order stands: "could you confirm" asks for a decision only if nothing else
_PRIORITY = ("ask_identity", "ask_need", "clarify", "advise", "close", "offer")
_VALUED = {"ask_need": "slot", "advise": "step", "solve": "action"}
_CONDITIONAL = re.compile(
    r"\b(?:would|could|might|i|we|let|thing|solution|choice|idea|option|best|better|perfect|ideal|recommend\w*|suggest\w*)\b"
)
_NO_OFFER = re.compile(
    r"\b(?:still|run|mean|was|were|had|explain|asked?|told|said|if|whether|why|which|@[0-9]+ or @)\b"
)
_WEAK = frozenset(("acknowledge", "smalltalk"))


def read_assistant(text: str, rulebook: Rulebook, context: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
    """Read the acts and claims of an agent's utterance, in order of appearance.

    Values are plain numbers, fractions (rates, fees) and ISO dates. Slots that the text leaves open are missing. What is
    asked, denied, reported or hypothetical is not a claim. ``<think>`` blocks are ignored, and so is everything after
    the first 20,000 characters.

    Args:
        text: anything; never raises, linear time.
        rulebook: whose products are known.
        context: the dialogue before this turn; the last product in it stands in for one that the text leaves open.
    """
    sentences = prepare(text, rulebook)
    readings = [_read_part(read_part(sentence)) for sentence in sentences]
    _share_reasons(readings)
    claims = [
        claim._replace(position=claim.position + sentence.start)
        for sentence, reading in zip(sentences, readings, strict=True)
        for claim in sorted(reading.claims, key=_position)
    ]
    if any(claim.intent not in _WEAK for claim in claims):
        claims = [claim for claim in claims if claim.intent != "acknowledge"]
    if any(claim.intent == "suggest" for claim in claims):
        claims = _suggested(claims)
    named = [
        (s.start + m.position, m.product) for s in sentences for m in s.mentions if m.product is not None
    ]
    return _resolved(claims, named, rulebook, context)


def _position(claim: Claim) -> int:
    return claim.position


def _read_part(part: Part) -> Reading:
    families: dict[str, list[Hit]] = {}
    for hit in part.hits:
        families.setdefault(hit.cue.intent, []).append(hit)
    _settle(families)
    reading = Reading(part, families)
    if part.question > 0:
        _read_claims(reading, {m.quantity.kind for m in part.mentions if m.quantity is not None})
    if "offer" in families or "close" in families:
        _read_offers(reading)
    _read_speech(reading)
    return reading


def _read_claims(reading: Reading, kinds: set[str]) -> None:
    """Let every reader that can find something try; the order decides who gets a quantity that two could take."""
    families = reading.families
    if "coupon" in families:
        read_coupon(reading)
    if "reactivation" in families and "date" in kinds:
        read_reactivation(reading)
    if "fee" in families or "nofee" in families:
        read_fees(reading)
    if "amount" in kinds:
        read_costs(reading)
        if "limit" in families:
            read_limits(reading)
    if "percent" in kinds:
        read_rates(reading)
    if "nointerest" in families:
        read_free_of_interest(reading)
    if reading.regions:
        read_eligibility(reading)
    if "reason" in families:
        read_implied_refusal(reading)


def _settle(families: dict[str, list[Hit]]) -> None:
    """Drop asking cues that overlap one of higher priority; a question about income is not one about the amount."""
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


def _read_offers(reading: Reading) -> None:
    families = reading.families
    closes = families.get("close", ())
    if any(_proposes(reading, hit) for hit in families.get("offer", ())):
        hit = next(hit for hit in families["offer"] if _proposes(reading, hit))
        end = closes[0].start if closes and closes[0].start > hit.start else len(reading.text)
        amounts, months = reading.quantities("amount", 0, end), reading.quantities("months", 0, end)
        products = reading.products(0, end)
        for product in products if amounts or products != [CARRY] else ():
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


def _read_speech(reading: Reading) -> None:
    families = reading.families
    for intent, hits in families.items():
        if intent in _SIMPLE:
            first = next((hit for hit in hits if _holds(reading, hit)), None)
            if first is not None:
                reading.claims.append(Claim(first.start, intent, {}))
        elif (slot := _VALUED.get(intent)) is not None:
            _read_valued(reading, intent, slot)
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
    """One act for each value of a slot that the cues of a family name."""
    seen = set()
    for hit in reading.families[family]:
        if hit.cue.value not in seen and _holds(reading, hit):
            seen.add(hit.cue.value)
            reading.claims.append(Claim(hit.start, intent or family, {slot: hit.cue.value}))


def _holds(reading: Reading, hit: Hit) -> bool:
    """Whether no negation undoes a speech act; pressure often has a "not" of its own ("do not miss it")."""
    end = hit.start if hit.cue.intent == "urge" else hit.end
    return hit.cue.keeps or negations(reading.text, 0, end) % 2 == 0


def _drop_absorbed(reading: Reading) -> None:
    intents = {claim.intent for claim in reading.claims}
    absorbed: set[tuple[str, Scalar]] = set()
    if ("address_objection", "fees") in {(c.intent, c.slots.get("objection")) for c in reading.claims}:
        reading.claims = [
            c for c in reading.claims if c.slots.get("fee") != 0 or c.slots.get("product") != CARRY
        ]
    if "address_objection" in intents or any(c.slots.get("verdict") == "ineligible" for c in reading.claims):
        absorbed.add(("empathise", None))
    if "inform_reactivation" in intents:
        absorbed |= {("advise", "reactivate"), ("solve", "unlock_account")}
    if absorbed:
        reading.claims = [
            c
            for c in reading.claims
            if (c.intent, c.slots.get("step", c.slots.get("action"))) not in absorbed
        ]


def _share_reasons(readings: list[Reading]) -> None:
    """Give a refusal the reason that a neighbouring sentence states, if that sentence says nothing else."""
    for number, reading in enumerate(readings):
        for claim in reading.claims:
            if claim.slots.get("verdict") == "ineligible" and claim.slots.get("reason") is None:
                for other in (*readings[number + 1 : number + 2], *readings[max(number - 1, 0) : number]):
                    if not other.claims and (reason := best_reason(other.reasons)) is not None:
                        claim.slots["reason"] = reason
                        break


def _suggested(claims: list[Claim]) -> list[Claim]:
    """ "You could try X": another product for somebody who was refused one, else an offer."""
    refused = any(claim.slots.get("verdict") == "ineligible" for claim in claims)
    return [
        c
        if c.intent != "suggest"
        else Claim(c.position, "advise", {"step": "other_product"})
        if refused
        else c._replace(intent="offer")
        for c in claims
    ]


def _resolved(
    claims: list[Claim], named: list[tuple[int, str]], rulebook: Rulebook, context: Sequence[Turn]
) -> tuple[DialogueAct, ...]:
    acts: list[DialogueAct] = []
    for claim in claims:
        slots = {name: value for name, value in claim.slots.items() if value is not None}
        if slots.get("product") == CARRY:
            before = [product for at, product in named if at < claim.position] or [
                product for _, product in named[:1]
            ]
            product = before[-1] if before else _product_before(context, rulebook)
            slots = ({"product": product} if product is not None else {}) | {
                k: v for k, v in slots.items() if k != "product"
            }
        act = DialogueAct(
            intent="acknowledge" if claim.intent == "acknowledged" else claim.intent, slots=slots
        )
        if act not in acts:
            acts.append(act)
    return tuple(acts)


def _product_before(context: Sequence[Turn], rulebook: Rulebook) -> Scalar:
    for turn in reversed(context[-CONTEXT_TURNS:]):
        for act in reversed(turn.acts):
            if act.slots.get("product") is not None:
                return act.slots["product"]
        if not turn.acts:
            named = [
                m.product for s in prepare(turn.text, rulebook) for m in s.mentions if m.product is not None
            ]
            if named:
                return named[-1]
    return None
