"""Claims in one sentence: what was read so far, and verdicts with their reasons.

A claim is anchored by a cue ("eligible", "at most", "set-up fee") and takes the products and quantities of
its region: the stretch of the sentence up to the boundary before the next anchor.
"""

import re
from collections.abc import Sequence, Set
from typing import NamedTuple

from dialog_gym.core import Scalar
from dialog_gym.domains.credit.grounder_scope import Hit, Part, negations, regions
from dialog_gym.domains.credit.grounder_text import Mention
from dialog_gym.domains.quantities import Quantity

CARRY = "?"
"""Stands for a product that the sentence leaves open."""

_REASON_WORD = re.compile(
    r"\b(?:because|since|as (?:you|your|the|we|it)|due to|given that|owing to|on account of|while|until) "
)
_PLAIN_VERDICT = re.compile(r"elig|approve|qualif|entitle|accept|open|available|refuse|decline|reject|turned")
_OTHER_TALK = frozenset(
    ("solve", "inform_privacy", "inform_credit_check", "clarify", "hand_over", "ask_need", "ask_identity",
     "goodbye", "inform_reactivation", "reactivation", "coupon", "urge")
)  # fmt: skip
_NOT_THIS = re.compile(r"(?<!if )\bnot (?:for |on |to |with )?(?:the |an? |our )?$")
_NEITHER_AFTER = re.compile(r"[^,.:;]{0,30}? neither (?:the |our |an? )?@")
_AGAINST = re.compile(
    r"\b(?:not|no|too|never|unfortunately|sadly|below|insufficient|afraid|lacks?|falls?|sorry|regret)\b"
)
_ANCHORS = frozenset(
    ("eligible", "blocked", "stands_in_way", "limit", "fee", "nofee", "ratecue", "offer", "coupon")
)


class Claim(NamedTuple):
    """An act found at a place of the text; its product may still be `CARRY`."""

    position: int
    intent: str
    slots: dict[str, Scalar]


class Reading:
    """One sentence being read.

    Attributes:
        text: its prepared text.
        part: the sentence.
        families: its cues by intent.
        heard: intents and features of the sentences before it; "product" if one was named there.
        claims: what was read so far.
        used: positions of quantities that belong to a claim already.
        reasons: hits of refusal reasons, for verdicts in this or a neighbouring sentence.
        denied: stretches whose claims do not count: hypothetical, reported, past.
        regions: the stated part, cut between its anchors: ``(start, end, anchors inside)``.
    """

    def __init__(self, part: Part, families: dict[str, list[Hit]], heard: Set[str] = frozenset()) -> None:
        """Start reading a sentence whose hits are grouped by intent; ``heard``: what came before it."""
        self.text = text = part.text
        self.part = part
        self.families = families
        self.heard = heard
        self.claims: list[Claim] = []
        self.used: set[int] = set()
        self.reasons = families.get("reason", [])
        self.denied = [_denied_span(text, part, hit) for hit in families.get("denied", ())]
        anchors = [hit for hit in part.hits if hit.cue.intent in _ANCHORS and hit.start < part.question]
        self.regions = regions(text, 0, part.question, anchors) if anchors else []

    def add(self, position: int, intent: str, **slots: Scalar) -> None:
        """Keep a claim unless the sentence takes it back (hypothetical, reported, past)."""
        if not self.denied or not any(a <= position < b for a, b in self.denied):
            self.claims.append(Claim(position, intent, slots))

    def quantities(self, kind: str, start: int, end: int) -> list[tuple[int, Quantity]]:
        """Quantities of a kind between two positions that no claim has taken yet."""
        return [
            (m.position, m.quantity)
            for m in self.part.mentions
            if m.quantity is not None
            and m.quantity.kind == kind
            and start <= m.position < end
            and m.position not in self.used
        ]

    def products(self, start: int, end: int, refusal: bool = False) -> list[str]:
        """Products named between two positions (of a refusal: not in its reason); else the nearest one."""
        inside = [
            m
            for m in self.part.mentions
            if m.product is not None
            and start <= m.position < end
            and not (refusal and self._in_reason(m, start))
        ]
        if not inside:
            inside = [m for m in self.part.mentions if m.product is not None and m.position < start][-1:]
        if not inside:
            inside = [
                m
                for m in self.part.mentions
                if m.product is not None and m.position >= end and not (refusal and self._in_reason(m, start))
            ][:1]
        return list(dict.fromkeys(m.product for m in inside if m.product is not None)) or [CARRY]

    def _in_reason(self, mention: Mention, start: int) -> bool:
        proposals = [
            *self.families.get("advise", ()),
            *(hit for hit in self.families.get("offer", ()) if not offer_refused(self.text, hit)),
        ]
        if any(hit.start <= mention.position < hit.end for hit in proposals):
            return any(m.product is not None and m.position < mention.position for m in self.part.mentions)
        if not self.reasons:
            return False
        if any(hit.start <= mention.position < hit.end for hit in self.reasons):
            return True
        return any(
            m.end() <= mention.position
            and not (m.start() < 3 and "," in self.text[m.end() : mention.position])
            for m in _REASON_WORD.finditer(self.text, start, mention.position)
        ) and any(
            m.product is not None and start <= m.position < mention.position for m in self.part.mentions
        )


def _denied_span(text: str, part: Part, hit: Hit) -> tuple[int, int]:
    start = max(text.rfind(word, 0, hit.start + 1) for word in (" but ", " however ", ": ", " although "))
    ends = [
        at
        for word in (" but ", " however ", "; ", ": ", ", so ")
        if (at := text.find(word, hit.end, len(part.text))) >= 0
    ]
    return (0 if start < 0 else start, min(ends, default=len(part.text)))


def read_eligibility(reading: Reading) -> None:
    """Verdicts, with a reason on refusals."""
    for start, end, inside in reading.regions:
        anchors = [hit for hit in inside if _is_verdict(reading, hit)]
        if not anchors or not _about_a_product(reading, anchors):
            continue
        verdict = not any(_against(reading.text, start, hit) for hit in anchors)
        if any(hit.cue.intent == "stands_in_way" for hit in anchors):
            verdict = True
        offers = [hit for hit in inside if hit.cue.intent == "offer"]
        if (
            verdict
            and offers
            and all(any(o.start < h.end and h.start < o.end for o in offers) for h in anchors)
        ):
            continue  # "I can give you the loan" proposes it
        for product in reading.products(start, end, refusal=not verdict):
            if verdict and _ruled_out(reading, product):
                continue
            if verdict:
                reading.add(anchors[0].start, "inform_eligibility", product=product, verdict="eligible")
            else:
                reason = _reason(reading, start, end)
                reading.add(
                    anchors[0].start,
                    "inform_eligibility",
                    product=product,
                    verdict="ineligible",
                    reason=reason,
                )


def _about_a_product(reading: Reading, anchors: list[Hit]) -> bool:
    """Whether a verdict may stand without a product: in so many words, or right after one was named."""
    if any(m.product is not None for m in reading.part.mentions):
        return True
    if not _OTHER_TALK.isdisjoint(reading.families):
        return False
    if any(hit.cue.intent == "blocked" for hit in anchors) and reading.reasons:
        return True  # "too young for it"
    plain = any(_PLAIN_VERDICT.search(reading.text, hit.start, hit.end) for hit in anchors)
    return plain or "product" in reading.heard


def _ruled_out(reading: Reading, product: str) -> bool:
    """Whether a yes leaves a product out: "not the loan but the plan is open to you"."""
    named = [m for m in reading.part.mentions if m.product is not None]
    return len(named) > 1 and any(
        m.product == product and _NOT_THIS.search(reading.text, 0, m.position) is not None for m in named
    )


def read_implied_refusal(reading: Reading) -> None:
    """A reason against a product that is named: "your income does not reach what the loan requires"."""
    part = reading.part
    named = [m for m in part.mentions if m.product is not None and m.position < part.question]
    reasons = [hit for hit in reading.reasons if hit.start < part.question]
    if reading.claims or not named or not reasons or reading.families.get("offer"):
        return
    if _AGAINST.search(reading.text, 0, part.question):
        outside = [
            m for m in named if not any(hit.start <= m.position < hit.end for hit in reasons)
        ] or named[-1:]
        for product in dict.fromkeys(m.product for m in outside):
            reason = best_reason(reasons)
            reading.add(
                outside[0].position,
                "inform_eligibility",
                product=product,
                verdict="ineligible",
                reason=reason,
            )


def _is_verdict(reading: Reading, hit: Hit) -> bool:
    if hit.cue.intent == "offer":
        return offer_refused(reading.text, hit)
    if hit.cue.intent not in ("eligible", "blocked", "stands_in_way"):
        return False
    limits = reading.families.get("limit")
    about_amount = limits and any(
        m.quantity is not None and m.quantity.kind == "amount" for m in reading.part.mentions
    )
    if limits and about_amount and not _PLAIN_VERDICT.search(reading.text, hit.start, hit.end):
        return not any(h.cue.value == "over" or h.start < hit.end for h in limits)
    if any(free.start < hit.end and hit.start < free.end for free in reading.families.get("nofee", ())):
        return False  # "free to open" is about the fee
    if hit.cue.intent == "eligible":  # "a loan was granted to you" is why another one is not
        ends = [
            r.end
            for r in reading.reasons
            if r.cue.value == "recent_grant" and r.start < hit.end and hit.start < r.end
        ]
        others = (h for h in reading.part.hits if h.cue.intent in ("eligible", "blocked"))
        if ends and any(h.start >= max(ends) or h.end <= hit.start for h in others):
            return False
    return True


def _against(text: str, start: int, hit: Hit) -> bool:
    count = negations(text, start, hit.start if hit.cue.negative else hit.end)
    if _NEITHER_AFTER.match(text, hit.end - 1) and not text.startswith("neither", hit.start):
        count += 1
    odd = count % 2 == 1
    return odd != (hit.cue.intent == "blocked")


def offer_refused(text: str, hit: Hit) -> bool:
    """Whether an offer cue is turned into a refusal: "we cannot offer you ..."."""
    if text.startswith(("why not", "do not you"), hit.start):
        return False
    return negations(text, 0, hit.end) % 2 == 1


def _reason(reading: Reading, start: int, end: int) -> str | None:
    near = [hit for hit in reading.reasons if start <= hit.start < end] or list(reading.reasons)
    if not near and any(16 <= number(q) <= 25 for _, q in reading.quantities("amount", 0, len(reading.text))):
        return "age"
    return best_reason(near)


def best_reason(hits: Sequence[Hit]) -> str | None:
    """The reason that most cues speak for, or None; the longest cue decides between equals."""
    weight: dict[str, tuple[int, int]] = {}
    for hit in hits:
        count, length = weight.get(hit.cue.value, (0, 0))
        weight[hit.cue.value] = (count + 1, max(length, hit.end - hit.start))
    return max(weight, key=weight.__getitem__) if weight else None


def number(quantity: Quantity) -> int | float:
    """The value of a quantity that is no date."""
    assert not isinstance(quantity.value, str)
    return quantity.value
