"""Cues found in a sentence, and the scopes that decide what they count for: clause, negation, question."""

import re
from functools import lru_cache
from typing import NamedTuple

from dialog_gym.domains.credit.grounder_lexicon import Cue, load_lexicon
from dialog_gym.domains.credit.grounder_text import Mention, Sentence

_PUNCTUATION = str.maketrans(",.:;!?", "      ")
_PRODUCT = re.compile(r"@[0-9]+")
_NEGATOR = re.compile(
    r"\b(?:(?<!why )(?<!why do )not(?! only)|no|never|without|nobody|none|nothing|unable|neither|hardly"
    r"|barely|fails?|impossible|wrong to|untrue)\b"
)
_SCOPE_START = re.compile(r"[,:] |\b(?:but|because|however|although|though|and|so(?! far)|whereas) ")
_CUT = re.compile(
    r"(?P<strong>,? (?:but|however|although|though|whereas|yet|while|instead) |: )"
    r"|(?P<weak>, (?:and |so |or )?| (?:and|so|as well as) | with (?=an? |no |the |zero |#))"
)
_PRODUCT_NEXT = re.compile(r"(?:the |our |an? )?@")
_INVERTED = (
    r"(?:shall|should|may|can|could|would|will|do|does|did|are|is|have|has|am|might|was|were) (?:not )?"
    r"(?:i|you|we|it|that|this|there|the|your|my|our|any|anything|@[0-9]+)\b(?! know that)"
)
_OPENER = (
    r"(?:(?<=^ )|(?<=[,:;] )|(?<=^ and )|(?<= and )|(?<= so )|(?<= but )|(?<= or )|(?<= then )|(?<= now )"
    r"|(?<=^ so ))"
)
_REQUEST = (
    r"(?:please|kindly) (?!get|send (?:your (?:new|latest|current)|in|over)|submit|rest|do not|feel"
    r"|remember|keep|know|understand|act|decide|first|you first|discharge|pay\b|settle|reapply|update|come"
    r"|try|wait|upload|clear|see\b|hold|be |note"
    r"|send us|apply|consider|wake|reactivate|stay)"
    r"|tell me(?! about it)|next (?:up|question)|that (?:only |just )?leaves|(?:i|we) (?:am "
    r"|are )?(?:also |just )?(?:wonder|wondering|curious)|(?:just )?let me know|(?:i|we) (?:would |will "
    r"|also |just |only |do |still |could )*(?:need|like|have|lack|miss|do with"
    r"|want) (?:your|(?:you )?to (?:know|ask|confirm|verify|check that|make sure|tell)"
    r"|an? (?:rough )?(?:idea|figure)"
    r"|the (?:amount|date|first|last))|we (?:would |must |kindly |have to |need to )*(?:ask|request"
    r"|require) (?:you|your)"
    r"|(?:one|another)(?: more| last)? thing i need|first i|before (?:we|i)|for (?:your |data "
    r"|)(?:security|protection|privacy)|(?:just )?say (?:yes"
    r"|the word|ok)|just confirm|if you (?:agree|confirm|say yes|are happy|approve)|(?:just )?give (?:me"
    r"|us)|confirm (?:that|your|who)|deal\b|i am (?:speaking|talking)"
)
_QUESTION = re.compile(
    rf"{_OPENER}(?:{_INVERTED}|what\b|which (?:of|one|date|amount|name|sum|day)|who\b|whose|why\b|how\b"
    rf"|when\b|by when|by what|until when|am i|{_REQUEST})"
)
_TAG = re.compile(
    r", (?:(?:are|is|do|does|did|have|can|would|was|were) (?:not )?(?:you|it|that|we|i|they)(?: not)?|right"
    r"|correct|yes|no|ok|okay) ?\? ?$"
)
_PLAIN_QUESTION = re.compile(
    rf"{_OPENER}(?:{_INVERTED}|what (?:is|are|do|did|would|amount|about|sum|kind|will|was)|who am|why not"
    rf"|how (?:much|soon|big|about|would|do|large|high|quickly|urgent)"
    rf"|when (?:do|would|will|is|are|should)|by when|{_REQUEST})"
)


_STOP = re.compile(r"[,.:;!?]| (?:but|so|because)(?= )")
BAG_REACH = 70
"""How far apart, in characters, the words of a bag may be."""


class Hit(NamedTuple):
    """A cue found at ``[start, end)`` of a prepared sentence."""

    start: int
    end: int
    cue: Cue


class Part(NamedTuple):
    """A sentence with what was found in it; from ``question`` on it asks (its end when it does not ask)."""

    text: str
    question: int
    hits: tuple[Hit, ...]
    mentions: tuple[Mention, ...]


def read_part(sentence: Sentence) -> Part:
    """Find the cues of a sentence.

    Sentences that differ in their numbers only look alike by now, so results are kept: an agent that
    speaks in
    templates is read several times faster.
    """
    question, hits = (_known if len(sentence.text) <= 300 else _search)(sentence.text)
    return Part(sentence.text, question, hits, sentence.mentions)


def _search(text: str) -> tuple[int, tuple[Hit, ...]]:
    question = _question_start(text)
    return question, tuple(hit for hit in find_hits(text) if _counts(hit, question))


_known = lru_cache(maxsize=8192)(_search)


def find_hits(text: str) -> list[Hit]:
    """All cues found in a prepared sentence, by position."""
    lexicon = load_lexicon()
    words = set(_PRODUCT.sub("@", text).translate(_PUNCTUATION).split())
    cues, triggers, bits = lexicon
    present = 0
    candidates: set[int] = set()
    for word in words:
        present |= bits.get(word, 0)
        candidates.update(triggers.get(word, ()))
    hits = []
    for cue in map(cues.__getitem__, candidates):
        if cue.needs & ~present:
            continue
        for match in cue.pattern.finditer(text):
            span = _bag_span(text, match, cue) if cue.others else match.span()
            if span is not None:
                hits.append(Hit(span[0] + 1, span[1], cue))
    hits.sort(key=lambda hit: (hit.start, hit.end))
    return hits


def _bag_span(text: str, match: re.Match[str], cue: Cue) -> tuple[int, int] | None:
    """The stretch of a clause that holds all words of a bag, around one of them; None if one is missing."""
    start, end = match.span()
    low, high = max(0, start - BAG_REACH), min(len(text), end + BAG_REACH)
    for stop in _STOP.finditer(text, low, high):
        if stop.end() <= start:
            low = stop.end()
        elif stop.start() >= end:
            high = stop.start()
            break
    for pattern in cue.others:
        other = pattern.search(text, low, high)
        if other is None:
            return None
        start, end = min(start, other.start()), max(end, other.end())
    return start, end


def _counts(hit: Hit, question: int) -> bool:
    asked = hit.start >= question or hit.end > question
    return hit.cue.when == "any" or asked == (hit.cue.when == "question")


def _question_start(text: str) -> int:
    """Where a sentence begins to ask; what comes before is stated ("you qualify, so shall I ...?")."""
    if text.rstrip()[-1:] == "?":
        if _TAG.search(text):
            return 0
        match = _QUESTION.search(text, 1)
        return match.start() if match else 0
    match = _PLAIN_QUESTION.search(text, 1)
    return match.start() if match else len(text)


def negations(text: str, start: int, end: int) -> int:
    """How many negations act on a word that ends at ``end``, in the clause that begins after ``start``."""
    for match in _SCOPE_START.finditer(text, start, end):
        start = match.end()
    words = _NEGATOR.findall(text, start, end)
    return len(words)


def regions(text: str, start: int, end: int, anchors: list[Hit]) -> list[tuple[int, int, list[Hit]]]:
    """Cut ``[start, end)`` between anchors, at the strongest boundary between two of them, else not at all.

    Returns:
        ``(start, end, anchors inside)`` for every region; one with no anchors where there are none.
    """
    out: list[tuple[int, int, list[Hit]]] = []
    inside: list[Hit] = []
    reach = start
    for anchor in anchors:
        if inside and anchor.start >= reach:
            cut = _cut(text, reach, anchor.start)
            if cut is not None:
                out.append((start, cut, inside))
                start, inside = cut, []
        inside.append(anchor)
        reach = max(reach, anchor.end)
    out.append((start, end, inside))
    return out


def _cut(text: str, start: int, end: int) -> int | None:
    strong = weak = None
    for match in _CUT.finditer(text, max(start - 1, 0), end):
        if match["strong"]:
            strong = match.start() + 1
        else:
            weak = match.start() + 1
            if _PRODUCT_NEXT.match(text, match.end()):
                break  # a product right after it begins the next claim
    return strong if strong is not None else weak
