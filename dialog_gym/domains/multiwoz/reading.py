"""What both readers share: sentences, the domain of each value, and what the dialogue was about before.

A value goes to the domain named nearest before it in its sentence, then after it, then to the domain the
dialogue is about, as far as that domain has a slot for it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from dialog_gym.core import DialogueAct, Scalar, Turn
from dialog_gym.domains.multiwoz.cues import patterns
from dialog_gym.domains.multiwoz.mentions import prepare
from dialog_gym.domains.multiwoz.ontology import DOMAINS
from dialog_gym.domains.multiwoz.roles import Mention, Text

CONTEXT_TURNS: Final = 8
"""How many earlier turns are searched for the domain that a turn leaves open."""

_END: Final = patterns("ends")["sentence"]
_NOUNS: Final = patterns("nouns")
_LINKED: Final = re.compile(
    r"\b(?:as|from|near|to|at|and|between|leave|leaving|by) (?:the|my|that|our|this) $"
)
"""Before a domain's noun: it is a place that something else is said of ("the same area as the hotel")."""
_KINDS: Final = frozenset(("atype", "guesthouse", "hotel"))
"""Values that name their domain like a noun."""
_PREFIXED: Final = frozenset(("pricerange", "stars", "food", "area", "choice"))
_PREFIX_REACH: Final = 30
_SOLE: Final = frozenset(
    ("name", "food", "stars", "stay", "parking", "internet", "trainid", "taxi", "department")
)


class Context(NamedTuple):
    """What the dialogue was about."""

    recent: tuple[str, ...] = ()
    """Domains, the latest first."""
    asked: tuple[tuple[str, str], ...] = ()
    """The (domain, slot) pairs that the other side asked for in its last turn."""
    offered: tuple[str, ...] = ()
    """The domains in which the other side offered to book in its last turn."""


class Sentence(NamedTuple):
    """One sentence: its words (see `roles.Text`), where it starts, and its values."""

    start: int
    words: str
    bare: str
    mentions: tuple[Mention, ...]
    nouns: tuple[tuple[int, str], ...]
    """Places (in the text) at which domains are named, and the domains."""
    anchors: tuple[tuple[int, str], ...]
    """The same, and values that only one domain has."""

    @property
    def asks(self) -> bool:
        """Whether it ends with a question mark."""
        return self.words.endswith("?")


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a turn, with their values."""
    prepared = prepare(text)
    start = place = 0
    for end in [*(match.end() for match in _END.finditer(prepared.bare)), len(prepared.bare)]:
        first = place
        while place < len(prepared.mentions) and prepared.mentions[place].start < end:
            place += 1
        mentions = prepared.mentions[first:place]
        if end > start:
            yield _sentence(prepared, start, end, mentions)
        start = end


def _sentence(text: Text, start: int, end: int, mentions: tuple[Mention, ...]) -> Sentence:
    words = text.words[start:end]
    places = [(match.start(), domain) for domain, noun in _NOUNS.items() for match in noun.finditer(words)]
    places += [(m.start - start, domain) for m in mentions if m.kind in _KINDS for domain in m.slots]
    named = [
        (start + place, domain)
        for place, domain in places
        if not _LINKED.search(words, max(0, place - 14), place)
    ]
    by_taxi = any(domain == "taxi" for _, domain in named)
    sole = [
        (mention.start, domain)
        for mention in mentions
        if mention.kind in _SOLE
        for domain in mention.slots
        if domain != "taxi" or mention.kind == "taxi"
    ]
    anchors = named if by_taxi else named + sole
    bare = text.bare[start:end]
    return Sentence(start, words, bare, mentions, tuple(sorted(named)), tuple(sorted(anchors)))


def domain_of(mention: Mention, sentence: Sentence, recent: Sequence[str]) -> str | None:
    """The domain that a value belongs to, or None."""
    slots = mention.slots
    if not slots:
        return None
    if len(slots) == 1:
        return next(iter(slots))
    fitting = [(place, domain) for place, domain in sentence.anchors if domain in slots]
    if "taxi" in slots and any(domain == "taxi" for _, domain in fitting):
        return "taxi"
    if mention.kind == "name":
        return _domain_of_name(mention, sentence, recent)
    if (
        mention.kind in ("time", "station", "marked")
        and "taxi" in slots
        and recent[:1] == ("taxi",)
        and not sentence.nouns
    ):
        return "taxi"
    before = [one for one in fitting if one[0] <= mention.start]
    after = [one for one in fitting if one[0] > mention.start]
    if after and mention.kind in _PREFIXED and _joined(mention, after[0][0], sentence):
        return after[0][1]
    if before or after:
        return before[-1][1] if before else after[0][1]
    return next((domain for domain in recent if domain in slots), None)


def _joined(mention: Mention, place: int, sentence: Sentence) -> bool:
    """Whether a value stands before a noun like an adjective: "a cheap place to eat"."""
    between = sentence.bare[mention.end - sentence.start : place - sentence.start]
    return len(between) <= _PREFIX_REACH and not re.search(r"[,.]| (and|with|for|in|that) ", between)


def _domain_of_name(mention: Mention, sentence: Sentence, recent: Sequence[str]) -> str | None:
    own = [domain for domain in mention.slots if domain != "taxi"]
    named = [domain for _, domain in sentence.nouns if domain in own]
    if not named and mention.slots["taxi"][0] != "place" and recent[:1] == ("taxi",):
        return "taxi"
    return next(iter([*named, *(domain for domain in recent if domain in own), *own]), None)


def context_of(dialogue: Sequence[Turn], other: str) -> Context:
    """What the turns before say about the next one; their acts must have been read.

    Args:
        dialogue: The turns so far.
        other: The role of the side that is not speaking next.
    """
    recent: dict[str, None] = {}
    turns = dialogue[-CONTEXT_TURNS:]
    for turn in reversed(turns):
        for act in reversed(turn.acts):
            if domain := act_domain(act):
                recent.setdefault(domain)
    last = turns[-1].acts if turns and turns[-1].role == other else ()
    asked = tuple(
        (domain_, str(act.slots["slot"]))
        for act in last
        if act.intent.endswith("_request") and (domain_ := act_domain(act))
    )
    offered = tuple(
        domain_ for act in last if act.intent.endswith("_offer_book") and (domain_ := act_domain(act))
    )
    return Context(tuple(recent), asked, offered)


def act_domain(act: DialogueAct) -> str | None:
    """The domain of an act; None for a general one."""
    domain = act.intent.partition("_")[0]
    return domain if domain in DOMAINS else None


def first_domain(sentence: Sentence, recent: Sequence[str], among: Sequence[str] = DOMAINS) -> str | None:
    """What a sentence is about: the first domain it names, else what the dialogue is about."""
    named = [domain for _, domain in sentence.anchors if domain in among]
    if "taxi" in named:
        return "taxi"
    return next(iter([*named, *(domain for domain in recent if domain in among)]), None)


def settled(slot: str, given: Mapping[str, Scalar]) -> str:
    """The slot of a place or a time of which nothing tells whether it is the start or the end."""
    if slot == "place":
        return "destination" if "departure" in given or "destination" not in given else "departure"
    if slot == "time":
        return "leaveat" if "leaveat" not in given else "arriveby"
    return slot


def grouped(intent: str, pairs: Sequence[tuple[str, Scalar]]) -> list[DialogueAct]:
    """Values of one kind as acts: as many as the slot with most values has."""
    acts: list[dict[str, Scalar]] = []
    for slot, value in pairs:
        if acts and acts[-1].get(slot, value) == value and slot not in acts[-1]:
            acts[-1][slot] = value
        elif not any(slot in act and act[slot] == value for act in acts):
            acts.append({slot: value})
    return [DialogueAct(intent=intent, slots=slots) for slots in acts]


def once(acts: Sequence[DialogueAct]) -> tuple[DialogueAct, ...]:
    """Every act once, at its first place."""
    kept: list[DialogueAct] = []
    for act in acts:
        if act not in kept:
            kept.append(act)
    return tuple(kept)
