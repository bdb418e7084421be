"""The grounder: dialogue acts and claims in an agent's free text, by rules, deterministic and in linear time.

A text is prepared (`grounder_text`), the phrases of `grounder_cues.toml` are found in it
(`grounder_scope`), claims are
read sentence by sentence (`grounder_claims`, `grounder_values`, `grounder_costs`, `grounder_speech`), and
products are carried over to
sentences that name none.
"""

from collections.abc import Sequence, Set

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.credit.grounder_claims import (
    CARRY,
    Claim,
    Reading,
    best_reason,
    read_eligibility,
    read_implied_refusal,
)
from dialog_gym.domains.credit.grounder_costs import read_costs
from dialog_gym.domains.credit.grounder_fallback import guess, guess_filler
from dialog_gym.domains.credit.grounder_scope import Hit, Part, read_part
from dialog_gym.domains.credit.grounder_speech import read_offers, read_speech, settle
from dialog_gym.domains.credit.grounder_text import prepare
from dialog_gym.domains.credit.grounder_values import (
    read_coupon,
    read_fees,
    read_free_of_interest,
    read_limits,
    read_rates,
    read_reactivation,
)
from dialog_gym.domains.credit.rulebook import Rulebook

CONTEXT_TURNS = 4
"""How many earlier turns are searched for the product that a turn without one refers to."""

_WEAK = frozenset(("acknowledge", "smalltalk"))


def read_assistant(text: str, rulebook: Rulebook, context: Sequence[Turn] = ()) -> tuple[DialogueAct, ...]:
    """Read the acts and claims of an agent's utterance, in order of appearance.

    Values are plain numbers, fractions (rates, fees) and ISO dates. Slots that the text leaves open are
    missing. What is
    asked, denied, reported or hypothetical is not a claim. ``<think>`` blocks are ignored, and so is
    everything after
    the first 20,000 characters.

    Args:
        text: anything; never raises, linear time.
        rulebook: whose products are known.
        context: the dialogue before this turn; the last product in it stands in for one that the text
        leaves open.
    """
    sentences = prepare(text, rulebook)
    readings: list[Reading] = []
    heard: set[str] = set()  # what the turn was about so far, for "the other one is" and "this one has none"
    for sentence in sentences:
        reading = _guess(_read_part(read_part(sentence), heard))
        heard.update(reading.families)
        heard.update(claim.intent for claim in reading.claims)
        if any(mention.product is not None for mention in sentence.mentions):
            heard.add("product")
        readings.append(reading)
    _share_reasons(readings)
    claims = [
        claim._replace(position=claim.position + sentence.start)
        for sentence, reading in zip(sentences, readings, strict=True)
        for claim in sorted(reading.claims, key=_position)
    ]
    if not claims:
        claims = guess_filler(readings)
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


def _read_part(part: Part, heard: Set[str]) -> Reading:
    families: dict[str, list[Hit]] = {}
    for hit in part.hits:
        if hit.cue.value == "echo" and not _echoes(hit, part, heard):
            continue
        families.setdefault(hit.cue.intent, []).append(hit)
    settle(families)
    reading = Reading(part, families, heard)
    if part.question > 0:
        _read_claims(reading, {m.quantity.kind for m in part.mentions if m.quantity is not None})
    if "offer" in families or "close" in families:
        read_offers(reading)
        if part.question < len(part.text) and "close" not in families:
            read_rates(reading, len(part.text))  # "may I offer you the loan at 9 %?" states its rate
    read_speech(reading)
    return reading


def _echoes(hit: Hit, part: Part, heard: Set[str]) -> bool:
    """Whether a clause that leaves its verb or noun out ("the other one is") follows one that has it."""
    if hit.cue.intent == "nofee":
        return "fee" in heard or any(h.cue.intent == "fee" for h in part.hits)
    return "inform_eligibility" in heard or any(
        h.cue.intent in ("eligible", "blocked") and h.end <= hit.start for h in part.hits
    )


def _guess(reading: Reading) -> Reading:
    if not any(claim.intent not in _WEAK for claim in reading.claims):
        weak, reading.claims = reading.claims, []
        guess(reading)
        reading.claims = reading.claims or weak
    return reading


def _read_claims(reading: Reading, kinds: set[str]) -> None:
    """Let every reader that can find something try; the first that can use a quantity takes it."""
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
    """For "you could try X": another product for somebody who was refused one, else an offer."""
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
    acts: dict[tuple[str, frozenset[tuple[str, Scalar]]], DialogueAct] = {}
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
        intent = "acknowledge" if claim.intent == "acknowledged" else claim.intent
        key = (intent, frozenset(slots.items()))
        if key not in acts:
            acts[key] = DialogueAct(intent=intent, slots=slots)
    return tuple(acts.values())


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
