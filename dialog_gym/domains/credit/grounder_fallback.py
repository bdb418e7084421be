"""What a sentence most likely does when no cue of the lexicon settled it: questions, verdicts, small talk.

These guesses come last and only where nothing else was read, so they widen what is understood without
touching what the lexicon knows.
"""

import re
from collections.abc import Sequence

from dialog_gym.domains.credit.grounder_claims import Claim, Reading, best_reason

_NO_NEED = re.compile(
    r"anything else|something else|what else|what do you (?:think|say)|sounds? (?:good|right|ok|fair|like)"
    r"|any (?:other )?questions|how are you|make sense|makes sense|clear\b|can i help|help you"
    r"|is that (?:ok|all"
    r"|right|fine)|(?:one|which) (?:would|do) you (?:prefer|like)|did you know|you know\b|have you (?:seen"
    r"|heard)"
)
_IDENTITY = re.compile(
    r"\b(?:surname|born|birthday|birth|post ?code|zip|address|digits|customer number|account number|identity"
    r"|identification|passport|account holder|(?:your|full|first|last|the|under what) name|name please|names?"
    r"|who (?:am i|is this|is that|do i|are you|have i)|security (?:check|questions?|word)|password"
    r"|prove (?:it|who)|(?:is|am|are) (?:that|this|it|i|you|we) (?:\w+ )*(?:mr|mrs|ms|miss|yourself"
    r"|himself|herself))\b"
)
_NEEDS = (
    ("income", re.compile(
        r"\b(?:earn\w*|incomes?|salary|salaries|wages?|pay ?(?:cheque|check|slip|packet)|take home|payday"
        r"|(?:bring|take|money|comes?|coming|get) (?:\w+ )?(?:in|home)\b(?= .*(?:month|week|year))|get paid"
        r"|(?:you|what) .*(?:a|each|every|per|in a) month|monthly|after tax|before tax|net|gross)\b"
    )),
    ("timing", re.compile(
        r"\b(?:when|how soon|how (?:urgent|quick|fast)\w*|by (?:what|which)|deadline|urgent\w*|hurry|rush"
        r"|timing"
        r"|timescale|timeline|timeframe|time frame|what (?:date|day|month|week)|the date|how long|can it wait"
        r"|(?:need|want|have|money|funds|it) (?:\w+ ){0,3}(?:today|tomorrow)|straight away|right away"
        r"|this (?:week|month)|next (?:week|month)|in no rush)\b"
    )),
    ("amount", re.compile(
        r"\b(?:how much|how (?:big|large|high|many)|amounts?|sum|figure|ballpark|budget|price|prices"
        r"|priced|quoted?"
        r"|costs?|costing|set you back|total|what size|sort of money|kind of money|hundred|thousand|grand"
        r"|what (?:\w+ ){1,3}after)\b|#a"
    )),
    ("purpose", re.compile(
        r"\b(?:what for|for what|what (?:\w+ ){0,8}(?:for|with|on|towards|buy\w*|plan\w*|get\w*|need\w*"
        r"|use\w*"
        r"|spend\w*|project|idea|purchase|lined up|treat\w*)|where (?:\w+ ){0,5}(?:go\w*|spent)"
        r"|why (?:\w+ ){0,3}(?:you"
        r"|need)|is (?:it|this|that) (?:\w+ ){0,2}for|(?:money|credit|loan|it) (?:\w+ ){0,3}for(?= ?[.?])"
        r"|planning|purpose|occasion|intended use|project|shopping list"
        r"|how (?:\w+ ){0,4}(?:use|spend)|what is it|treat|reason)\b"
    )),
)  # fmt: skip
_EITHER_OR = re.compile(
    r",? ?(?:\w+,? ){0,3}#\w,? or #\w ?\?| ?which of (?:the|those|these) (?:two|\w+s) ?\?"
)
_TALK = re.compile(
    r"\b(?:fees?|costs?|charges?|rates?|interest|coupons?|vouchers?|code|checks?|score|file|data|privacy"
    r"|limits?"
    r"|up to|statement|due|opened|reopen\w*|reactivat\w*|apply|applied|offers?|suggest\w*|recommend\w*|how"
    r"|what|prefer\w*|mean|meant)\b"
)
_NO = re.compile(
    r"@[0-9]+(?:,| \w+){0,4} (?:not|no|never|cannot)\b|\b(?:not|no|never|nor|neither|cannot"
    r"|without) (?:\w+ ){0,5}@"
    r"|\b(?:unfortunately|sadly|regrettably|afraid|regret|sorry)\b.*@|@.*\b(?:unfortunately|sadly|afraid"
    r"|sorry)\b"
    r"|@[0-9]+(?: \w+){0,3} (?:out|off|away|beyond|gone|refus\w+|reject\w+|declin\w+|closed|nope|unlikely"
    r"|tricky)\b"
)
_YES = re.compile(
    r"\b(?:good news|great news|congratulations|congrats|happy to|pleased to|glad to|delighted to|in luck"
    r"|yes|sure"
    r"|welcome to|no problem|no trouble|no worries|all yours|yours|you (?:can|may) (?:have|get|take|use)"
    r"|sorted"
    r"|you (?:are|have got|have) (?:\w+ ){0,2}(?:good|fine|ok|set|clear|through|sorted|covered|in)"
    r"|nothing wrong"
    r"|looks? good|looking good|thumbs up|goes through|went through|works|worked out)\b"
)
_TASK = re.compile(
    r"[@#]|\b(?:accounts?|credit\w*|loans?|lines?|lend\w*|borrow\w*|fees?|rates?|interest|coupons?"
    r"|vouchers?|pay"
    r"|pays|paid|payments?|instalments?|statements?|limits?|offers?|checks?|data|score|product|products"
    r"|card|bank"
    r"|money|euros?|amounts?|invoices?|bill|bills|income|application|apply|approved?|eligib\w+|qualif\w+"
    r"|sign|deal"
    r"|contract|charges?|charged?|charging|refund\w*|order|orders|terms|conditions|plans?|unlock\w*"
    r"|lock\w*|debts?"
    r"|wrong|rules?|general|policy|details|options?|approval|decline\w*|solve\w*|fix\w*|decide\w*|decision"
    r"|pressure"
    r"|rush|rushed|obligation|think (?:it|about)|questions?|anything else|requirements?|customers?|service"
    r"|system|transfer\w*|speak to|colleague|human|agent|unable|able to|deadline|hour)\b"
)
_FILLER = re.compile(
    r"^,? ?(?:(?:and|so|oh|ah|ok|okay|right|well|yes|yeah|now|just|then|cheers|please)[, ]+)*(?:let me"
    r"|let us|one"
    r"|just|give me|hold|hang|bear|thanks?|thank|cheers|so|got|gotcha|noted|understood|ok|okay|right|fine"
    r"|sure"
    r"|great|perfect|lovely|good|alright|all right|yes|yep|no problem|no bother|no worries|received"
    r"|that is (?:fine"
    r"|all right|good|helpful|noted|clear)|i (?:am |will |have |shall |just )*(?:check\w*|look\w*|see|got"
    r"|note\w*"
    r"|pull\w*|have a look|get\w* (?:that|it)|need a|read\w*|writ\w*|typ\w*|understand|appreciate)"
    r"|we (?:have |will"
    r" )*(?:received?|note\w*|check\w*|look\w*))\b"
)
_PERSONAL = re.compile(r"\b(?:i|my|me|we|our|you|your|it|that|he|she|they|what|this|there|here|the)\b")


def guess(reading: Reading) -> None:
    """Read a question for a need, or a verdict on a product, in a sentence that yielded nothing."""
    text, part = reading.text, reading.part
    if reading.claims or reading.denied:
        return
    if part.question < len(text):
        _guess_question(reading, text[max(part.question - 1, 0) :])
    elif any(m.product is not None for m in part.mentions):
        _guess_verdict(reading)


def _guess_question(reading: Reading, asked: str) -> None:
    at = reading.part.question
    named = any(m.product is not None for m in reading.part.mentions)
    if _EITHER_OR.match(asked):
        reading.add(at, "clarify")
        return
    if named or _NO_NEED.search(asked) or "smalltalk" in reading.families:
        return
    if _IDENTITY.search(asked):
        reading.add(at, "ask_identity")
        return
    for slot, pattern in _NEEDS:
        if pattern.search(asked):
            reading.add(at, "ask_need", slot=slot)
            return


def _guess_verdict(reading: Reading) -> None:
    text = reading.text
    if _TALK.search(text) or "offer" in reading.families:
        return
    verdict = "ineligible" if _NO.search(text) else "eligible" if _YES.search(text) else None
    if verdict is not None:
        reason = best_reason(reading.reasons) if verdict == "ineligible" else None
        for product in reading.products(0, len(text), refusal=verdict == "ineligible"):
            reading.add(0, "inform_eligibility", product=product, verdict=verdict, reason=reason)


def guess_filler(readings: Sequence[Reading]) -> list[Claim]:
    """A turn in which nothing at all was read: a filler, or small talk where it is off the task."""
    if any(reading.denied for reading in readings):
        return []
    texts = [reading.text for reading in readings]
    if texts and _FILLER.search(texts[0].lstrip()) and not any("?" in text for text in texts):
        return [Claim(0, "acknowledge", {})]
    said = " ".join(texts)
    if _TASK.search(said) or said.count(" ") < 5 or not _PERSONAL.search(said):
        return []
    return [Claim(0, "smalltalk", {})]
