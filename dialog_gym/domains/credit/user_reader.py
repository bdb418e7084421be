"""Reads customers' dialogue acts back from free text.

A sentence is a bag of concepts (`user_reader.toml`) found by walking a trie of words, so the time is linear;
a concept reads as an act when the conditions beside it hold.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.ontology import PURPOSES, TIMINGS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.user_lexicon import Lexicon, lexicon
from dialog_gym.domains.quantities import find_quantities

MAX_CHARS: Final = 20_000
"""Only this many characters of an utterance are read; nobody says more in one turn."""
MIN_AMOUNT: Final = 50
"""Smaller numbers are counts ("two weeks", "last four digits"), never a wanted amount or an income."""
MAX_ANSWER: Final = 8
"""Words in a sentence that ends in a yes or no and means nothing else ("to be precise, ok")."""
UNCLEAR: Final = DialogueAct(intent="unclear")
AGREE, DECLINE = DialogueAct(intent="agree"), DialogueAct(intent="decline")

_TOKEN = re.compile(r"[a-z\u00df-\u024f]+(?:['\u2019][a-z]+)*|[0-9]+(?:[,.][0-9]+)*[a-z]*|[?!.;\n]+| - ")
_MAY_HOLD_NUMBER = re.compile(r"[0-9]|hundred|thousand|grand")
_NEGATED = re.compile(
    r"(?:\b(?:not|rather than|instead of|i said)|n['\u2019]?t (?:earn|need|want|make))(?: for)? $"
)
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# a sentence that means one of these says nothing about the need beside it
_NO_NEED: Final = frozenset((
    "report", "challenge", "object", "complain", "smalltalk", "consider", "decline", "request_human",
    "confirm_solved", "goodbye", "unclear",
))  # fmt: skip
_PRICE_TOPICS: Final = frozenset(("rate", "interest", "instalment", "fees", "coupon"))
_INCIDENTAL: Final = frozenset(("disclose", "correct", "greet", "confirm_identity", "thank"))
_ANSWER_CONCEPTS: Final = frozenset(("yes", "no", "not"))
_NEED_CONCEPTS: Final = {
    **{purpose: ("purpose", purpose) for purpose in PURPOSES},
    **{timing: ("timing", timing) for timing in TIMINGS},
    "now_weak": ("timing", "now"),
}


@dataclass(slots=True)
class _Sentence:
    """Words and what they were found to mean; positions are characters of the utterance."""

    words: list[str]
    places: list[int]
    start: int
    end: int
    found: dict[str, int] = field(default_factory=dict)
    products: dict[str, int] = field(default_factory=dict)
    numbers: list[tuple[int, float]] = field(default_factory=list)


_Acts = list[tuple[int, DialogueAct]]


def read_user(text: str, rulebook: Rulebook) -> tuple[DialogueAct, ...]:
    """The acts in a customer's utterance, in order of appearance.

    Args:
        text: Anything; the first `MAX_CHARS` characters are read, in linear time. Never raises.
        rulebook: Its product names are recognised.

    Returns:
        At least one act; ``unclear()`` for a text in which nothing can be read. ``greet``, ``thank`` and bare
        "yes" or "no" are read like any other act.
    """
    return _read(text[:MAX_CHARS], lexicon(rulebook))


@lru_cache(maxsize=4096)
def _read(text: str, lex: Lexicon) -> tuple[DialogueAct, ...]:
    """Kept, because a turn is read by the simulator's audit and by an agent in each of its later turns."""
    low = text.lower()
    raw = text if len(low) == len(text) else low
    sentences = list(_sentences(low, raw, lex))
    acts: _Acts = []
    for sentence in sentences:
        _place_numbers(low, sentence)
        main = _main_acts(sentence, lex)
        acts += main
        if sentence.found or sentence.numbers:
            acts += _need(sentence, low, main)
    acts += _answers(sentences)
    acts.sort(key=_place)
    return _finish(acts, sentences)


def _place(item: tuple[int, DialogueAct]) -> int:
    return item[0]


def _topic(act: DialogueAct) -> Scalar:
    return act.slots.get("topic")


def _sentences(low: str, raw: str, lex: Lexicon) -> Iterator[_Sentence]:
    """Split into sentences and find the concepts of each."""
    start = 0
    words: list[str] = []
    places: list[int] = []
    names: list[int] = []
    canonical = lex.canonical
    for match in _TOKEN.finditer(low):
        token = match.group()
        meant = canonical.get(token)
        if meant is None:
            place = match.start()
            if not token[0].isalnum():
                if "?" in token:
                    words.append("?")
                    places.append(place)
                if words:
                    yield _understood(_Sentence(words, places, start, match.end()), names, lex)
                words, places, names, start = [], [], [], match.end()
                continue
            meant, name = lex.meaning(token, bool(words) and raw[place].isupper())
            if name:
                names.append(place)
        for word in meant:
            words.append(word)
            places.append(match.start())
    if words or not start:
        yield _understood(_Sentence(words, places, start, len(low)), names, lex)


def _understood(sentence: _Sentence, names: list[int], lex: Lexicon) -> _Sentence:
    """Walk the trie of phrases over the words: the longest phrase at a word wins."""
    words, places, found = sentence.words, sentence.places, sentence.found
    at, count = 0, len(words)
    while at < count:
        node = lex.root.get(words[at])
        place, best, after, ahead = places[at], None, at + 1, at + 1
        while node is not None:
            if node.ends:
                best, after = node, ahead
            for concept in node.marks:
                found.setdefault(concept, place)
            node = node.children.get(words[ahead]) if ahead < count else None
            ahead += 1
        if best is not None:
            for concept in best.ends:
                found.setdefault(concept, place)
            if best.product:
                sentence.products.setdefault(best.product, place)
        at = after
    if names:
        found.setdefault("name", names[0])
        if count <= 2:
            found["only_name"] = names[0]
    return sentence


def _place_numbers(low: str, sentence: _Sentence) -> None:
    """Find the sentence's amounts; four odd digits are an identity's tail, not money."""
    said = low[sentence.start : sentence.end]
    if _MAY_HOLD_NUMBER.search(said) is None:
        return
    for kind, value, start, end in find_quantities(said):
        if kind != "amount" or isinstance(value, str):
            continue
        if _is_tail(said[start:end], value, sentence):
            sentence.found.setdefault("tail_number", sentence.start + start)
        elif value >= MIN_AMOUNT:
            sentence.numbers.append((sentence.start + start, value))


def _is_tail(words: str, value: float, sentence: _Sentence) -> bool:
    if _FOUR_DIGITS.fullmatch(words) is None:
        return False
    found = sentence.found
    if "tail" in found:
        return True
    if "name" in found or "identity" in found:
        return "need" not in found and "income" not in found
    return value % MIN_AMOUNT != 0 and "income" not in found


def _main_acts(sentence: _Sentence, lex: Lexicon) -> _Acts:
    """The acts of a sentence but for disclosures: each concept's first reading whose conditions hold."""
    found = sentence.found.keys()
    acts: _Acts = []
    for concept, place in sentence.found.items():
        for reading in lex.readings.get(concept, ()):
            if reading.needs <= found and reading.excludes.isdisjoint(found):
                acts.append((place, reading.act))
                break
    return acts


def _need(sentence: _Sentence, low: str, main: _Acts) -> _Acts:
    """What the sentence says about amount, income, purpose and timing."""
    found = sentence.found
    intents = {act.intent for _, act in main}
    if intents & _NO_NEED:
        return []
    change, need = "change" in found, "need" in found
    asks = "ask" in intents
    priced = asks and not need and not change and any(_topic(act) in _PRICE_TOPICS for _, act in main)
    numbers = [] if priced else sentence.numbers
    kept = [item for item in numbers if not _negated(low, item[0])]
    change = change or 0 < len(kept) < len(numbers)  # "4,000, not 5,000"
    intent = "correct" if change else "disclose"
    acts = []
    for place, value in kept:
        slot = "income" if _is_income(place, found) else "amount"
        acts.append((place, _said(intent, slot, int(value) if value == int(value) else value)))
    if "accept" in intents:
        return acts
    for concept, place in found.items():
        stated = _NEED_CONCEPTS.get(concept)
        if stated is None or (concept == "now_weak" and asks and not need) or _negated(low, place):
            continue
        acts.append((place, _said(intent, *stated)))
    return acts


@lru_cache(maxsize=4096)
def _said(intent: str, slot: str, value: Scalar) -> DialogueAct:
    return DialogueAct(intent=intent, slots={"slot": slot, "value": value})


def _negated(low: str, place: int) -> bool:
    return _NEGATED.search(low, max(0, place - 20), place) is not None


def _is_income(place: int, found: dict[str, int]) -> bool:
    """Whether a number is an income: the nearest cue before it decides, else any cue after it."""
    income, need = found.get("income"), found.get("need")
    if income is None:
        return False
    if need is None or need > place:
        return income < place or need is None
    return need < income < place or (income > place and income - place < 25)


def _finish(acts: _Acts, sentences: Sequence[_Sentence]) -> tuple[DialogueAct, ...]:
    """Drop repetitions and lesser readings, attach the product, and fall back to yes, no or unclear."""
    read: list[DialogueAct] = []
    with_slots = {act.intent for _, act in acts if act.slots}
    intents = {act.intent for _, act in acts}
    for _, act in acts:
        lesser = not act.slots and (
            act.intent in with_slots or (act.intent == "agree" and "accept" in intents)
        )
        if not lesser and act not in read and not (act.intent == "thank" and "decline" in intents):
            read.append(act)
    products = {product for sentence in sentences for product in sentence.products}
    if len(products) == 1:
        read = _with_product(read, products.pop(), sentences)
    if all(act.intent in ("thank", "greet") for act in read):
        read += _yes_or_no(sentences, bool(read))
    return tuple(read) or (UNCLEAR,)


def _with_product(read: list[DialogueAct], product: str, sentences: Sequence[_Sentence]) -> list[DialogueAct]:
    """The one product named holds for every question and acceptance; wanted on its own it is a question."""
    out = [
        _about(act.intent, _topic(act), product) if act.intent in ("ask", "accept") else act for act in read
    ]
    wanted = any("need" in sentence.found for sentence in sentences)
    if wanted and all(act.intent in _INCIDENTAL for act in out):
        out.insert(1 if out and out[0].intent == "greet" else 0, _about("ask", "eligibility", product))
    return out


@lru_cache(maxsize=1024)
def _about(intent: str, topic: Scalar, product: str) -> DialogueAct:
    slots: dict[str, Scalar] = {"product": product} if topic is None else {"topic": topic, "product": product}
    return DialogueAct(intent=intent, slots=slots)


def _answers(sentences: Sequence[_Sentence]) -> _Acts:
    """Short sentences after the first that end in yes or no and say no more."""
    acts: _Acts = []
    for sentence in sentences[1:]:
        says_more = sentence.numbers or not sentence.found.keys() <= _ANSWER_CONCEPTS
        if says_more or len(sentence.words) > MAX_ANSWER:
            continue
        last = sentence.places[-1]
        for concept, act in (("yes", AGREE), ("no", DECLINE)):
            if sentence.found.get(concept) == last or sentence.words[-1] == concept:
                acts.append((last, act))
    return acts


def _yes_or_no(sentences: Sequence[_Sentence], polite: bool) -> list[DialogueAct]:
    """The first yes or no there is; next to a courtesy it is only that."""
    for sentence in () if polite else sentences:
        if "no" in sentence.found or "yes" in sentence.found:
            return [DECLINE if "no" in sentence.found else AGREE]
    return []
