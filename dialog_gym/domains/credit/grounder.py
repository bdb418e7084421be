"""The grounder: dialogue acts and claims in an agent's free text, by rules, deterministic and in linear time.

A text is prepared (`grounder_text`), the phrases of `grounder_cues.toml` are found in it (`grounder_scope`), claims are
read sentence by sentence (`grounder_claims`, `grounder_costs`), and products are carried over to sentences that name none.
"""

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
    read_limits,
    read_rates,
    read_reactivation,
)
from dialog_gym.domains.credit.grounder_costs import read_costs
from dialog_gym.domains.credit.grounder_scope import Hit, Part, negations, split_parts
from dialog_gym.domains.credit.grounder_text import prepare
from dialog_gym.domains.credit.rulebook import Rulebook

CONTEXT_TURNS = 4
"""How many earlier turns are searched for the product that a turn without one refers to."""

_SIMPLE = (
    "greet", "ask_identity", "clarify", "inform_credit_check", "inform_privacy", "empathise", "urge", "hand_over", "goodbye",
)  # fmt: skip
# of overlapping asking cues the first in this order stands: "could you confirm" asks for a decision only if nothing else
_PRIORITY = ("ask_identity", "ask_need", "clarify", "advise", "close", "offer")
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
    prepared = prepare(text, rulebook)
    readings = [_read_part(prepared.text, part) for part in split_parts(prepared)]
    _share_reasons(readings)
    claims = [claim for reading in readings for claim in sorted(reading.claims, key=lambda c: c.position)]
    if any(claim.intent not in _WEAK for claim in claims):
        claims = [claim for claim in claims if claim.intent != "acknowledge"]
    if any(claim.intent == "suggest" for claim in claims):
        claims = _suggested(claims)
    named = [(mention.position, mention.product) for mention in prepared.mentions if mention.product is not None]
    return _resolved(claims, named, rulebook, context)


def _read_part(text: str, part: Part) -> Reading:
    families: dict[str, list[Hit]] = {}
    for hit in part.hits:
        families.setdefault(hit.cue.intent, []).append(hit)
    _settle(families)
    reading = Reading(text, part, families)
    if not families and not part.mentions:
        return reading
    if part.question > part.start and (families or part.mentions):
        read_coupon(reading, False)
        read_reactivation(reading)
        read_fees(reading)
        read_costs(reading)
        read_limits(reading)
        read_rates(reading)
        read_free_of_interest(reading)
        read_eligibility(reading)
    _read_offers(reading)
    _read_speech(reading)
    return reading


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
    if len(asked) > 1:
        income = [hit for hit in asked if hit.cue.value == "income"]
        families["ask_need"] = [hit for hit in asked if hit.cue.value == "income" or not _overlaps(hit, income)]


def _overlaps(hit: Hit, others: Sequence[Hit]) -> bool:
    return any(hit.start < other.end and other.start < hit.end for other in others)


def _read_offers(reading: Reading) -> None:
    part, text, families = reading.part, reading.text, reading.families
    closes = families.get("close", ())
    for hit in families.get("offer", ()):
        if offer_refused(text, part, hit) or (closes and hit.start >= part.question):
            continue
        if any(c.intent == "offer" for c in reading.claims):
            break
        end = closes[0].start if closes and closes[0].start > hit.start else part.end
        amounts, months = reading.quantities("amount", part.start, end), reading.quantities("months", part.start, end)
        if any(c.intent == "suggest" for c in reading.claims):
            break
        products = reading.products(part.start, end)
        if products == [CARRY] and not amounts:
            continue
        for product in products:
            slots: dict[str, Scalar] = {"product": product}
            if amounts and len(products) == 1:
                slots["amount"] = amounts[0][1].value
            if months and len(products) == 1:
                slots["months"] = months[0][1].value
            reading.add(hit.start, "suggest" if hit.cue.value == "mild" else "offer", **slots)
    if closes:
        start = min(closes[0].start, part.question)
        named = [m.product for m in part.mentions if m.product is not None]
        amounts = reading.quantities("amount", start, part.end) or reading.quantities("amount", part.start, part.end)
        slots = {"product": named[-1] if named else None if "undecided" in families else CARRY}
        if amounts:
            slots["amount"] = amounts[0][1].value
        reading.claims.append(Claim(closes[0].start, "close", slots))


def _read_speech(reading: Reading) -> None:
    text, part, families = reading.text, reading.part, reading.families
    for intent in _SIMPLE:
        for hit in families.get(intent, ()):
            if _holds(text, part, hit):
                reading.claims.append(Claim(hit.start, intent, {}))
                break
    for intent, slot in (("ask_need", "slot"), ("advise", "step"), ("solve", "action")):
        seen = set()
        for hit in families.get(intent, ()):
            if hit.cue.value not in seen and _holds(text, part, hit):
                seen.add(hit.cue.value)
                reading.claims.append(Claim(hit.start, intent, {slot: hit.cue.value}))
    if "concern" in families:
        for hit in families.get("topic", ()):
            if not any(c.slots.get("objection") == hit.cue.value for c in reading.claims):
                reading.claims.append(Claim(hit.start, "address_objection", {"objection": hit.cue.value}))
    _drop_absorbed(reading)
    if "acknowledged" in families:
        reading.claims.append(Claim(families["acknowledged"][0].start, "acknowledged", {}))
    elif not reading.claims:
        for intent in ("smalltalk", "acknowledge"):
            if intent in families:
                reading.add(families[intent][0].start, intent)
                break


def _holds(text: str, part: Part, hit: Hit) -> bool:
    """Whether no negation undoes a speech act; pressure often has a "not" of its own ("do not miss it")."""
    end = hit.start if hit.cue.intent == "urge" else hit.end
    return hit.cue.keeps or negations(text, part.start, end) % 2 == 0


def _drop_absorbed(reading: Reading) -> None:
    intents = {claim.intent for claim in reading.claims}
    absorbed: set[tuple[str, Scalar]] = set()
    if "address_objection" in intents:
        absorbed.add(("empathise", None))
    if "inform_reactivation" in intents:
        absorbed |= {("advise", "reactivate"), ("solve", "unlock_account")}
    if absorbed:
        reading.claims = [c for c in reading.claims if (c.intent, c.slots.get("step", c.slots.get("action"))) not in absorbed]


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
        c if c.intent != "suggest" else Claim(c.position, "advise", {"step": "other_product"}) if refused else c._replace(intent="offer")
        for c in claims
    ]


def _resolved(
    claims: list[Claim], named: list[tuple[int, str]], rulebook: Rulebook, context: Sequence[Turn]
) -> tuple[DialogueAct, ...]:
    acts: list[DialogueAct] = []
    for claim in claims:
        slots = {name: value for name, value in claim.slots.items() if value is not None}
        if slots.get("product") == CARRY:
            before = [product for at, product in named if at < claim.position] or [product for _, product in named[:1]]
            product = before[-1] if before else _product_before(context, rulebook)
            slots = ({"product": product} if product is not None else {}) | {k: v for k, v in slots.items() if k != "product"}
        act = DialogueAct(intent="acknowledge" if claim.intent == "acknowledged" else claim.intent, slots=slots)
        if act not in acts:
            acts.append(act)
    return tuple(acts)


def _product_before(context: Sequence[Turn], rulebook: Rulebook) -> Scalar:
    for turn in reversed(context[-CONTEXT_TURNS:]):
        for act in reversed(turn.acts):
            if act.slots.get("product") is not None:
                return act.slots["product"]
        if not turn.acts:
            for mention in reversed(prepare(turn.text, rulebook).mentions):
                if mention.product is not None:
                    return mention.product
    return None
