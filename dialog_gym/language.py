"""The seven language measures of an assistant turn, as deterministic functions of text, acts and profile.

MORE (arXiv 2606.09293) names the seven and lets a language model judge them; the definitions below are *ours*
unless a source is given. All return a float in [0, 1], higher is better, or NaN where there is nothing to
judge ("unknown", never "bad"). None sees the agent's private thought. Time is linear in the text.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from dialog_gym.core import DialogueAct, Scalar

LANGUAGE_REWARDS: Final = (
    "naturalness", "consistency", "repetition", "fidelity", "coverage", "novelty", "rouge",
)  # fmt: skip
NOVELTY_TURNS: Final = 5
_SHORT: Final = 2_000  # characters
_LCS_TOKENS: Final = 4_096  # ROUGE matches at most this many tokens of either text: keeps it linear

# CJK has no spaces: one character is one token. Numbers keep their separators.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*")
_STOPWORDS: Final = frozenset((
    "a", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "here", "him",
    "his", "how", "i", "i'd", "i'll", "i'm", "i've", "if", "in", "into", "is", "it", "it's", "its",
    "just", "let", "let's", "like", "may", "me", "more", "my", "no", "not", "of", "ok", "okay", "on",
    "or", "our", "please", "shall", "she", "should", "so", "than", "thank", "thanks", "that", "that's",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "up", "us",
    "very", "was", "we", "we'll", "we're", "well", "were", "what", "when", "where", "which", "who",
    "will", "with", "would", "yes", "you", "you'd", "you'll", "you're", "your",
))  # fmt: skip

# first the characters without which no leak is possible; then act notation, JSON, markup, names_in_code
_LEAK_CHARS = re.compile(r"[{}<>()\[\]_*`#|]")
_LEAK = re.compile(
    r"\b[a-z][a-z_]*+\((?:[a-z_]*+=|\))"
    r"|[{}]|\[[A-Za-z_ ]{1,40}\]|</?[A-Za-z][^<>\n]{0,80}>"
    r"|```|(?<![\w*])\*\*(?=\w)|^\s{0,3}#{1,6} |^\s{0,3}\||\b[a-z]++_[a-z]",
    re.MULTILINE,
)
_SHOUT = re.compile(r"\b[A-Z]{4,}\b")
_RUN = re.compile(r"(.)\1{3}")
_EXCITED = re.compile(r"[!?]{3}")
_SENTENCE_END = re.compile(  # not after a title; ideographic marks need no space after them
    r"[.!?\u2026\u3002\uff01\uff1f]+(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bMrs\.)[\"'\u201d\u300d\u300f)]*"
    r"(?:(?=\s|$)|(?<=[\u3002\uff01\uff1f]))"
)

# an amount of money: three digits or more, or "5k"; not a number of days or a percentage
_AMOUNT = (
    r"[^.!?\n\d]{0,40}(\d[\d,]{2,}+(?:\.\d+)?+|\d++(?:\.\d+)?+(?= ?k\b))( ?k\b)?+"
    r"(?! ?(?:percent|days?|weeks?|months?|years?)\b| ?%)"
)
_TITLED_NAME = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr)\.? +([^\W\d_][\w'-]*)")
_YOU_SAID = re.compile(
    r"\byou(?:'ve| have)? (?:said|mentioned|told|asked|need|needed|want|wanted|requested|wish)\b" + _AMOUNT,
    re.IGNORECASE,
)
_YOUR_INCOME = re.compile(r"\byour (?:monthly )?income" + _AMOUNT, re.IGNORECASE)
_YOUR_AGE = re.compile(r"\byou(?: are|'re) (\d{1,3}) years old", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LanguageContext:
    """What the measures may look at for one assistant turn.

    Attributes:
        text: the agent's words.
        previous_agent_texts: its earlier turns, oldest first; the last five are used.
        user_text: the user turn it answers; empty when the agent opens.
        acts: what the grounder read out of ``text``.
        asked_topics: the user's open questions.
        answered_topics: the questions this turn answers.
        right_claims: number of factual claims that are right.
        wrong_claims: number of those that are wrong.
        profile: the visible attributes; ``surname``, ``age`` and ``monthly_income`` are looked at.
        known: what the user has disclosed, by slot; ``identity`` is true once confirmed.
        reference: a reference reply, or None.
    """

    text: str
    previous_agent_texts: tuple[str, ...] = ()
    user_text: str = ""
    acts: tuple[DialogueAct, ...] = ()
    asked_topics: frozenset[str] = frozenset()
    answered_topics: frozenset[str] = frozenset()
    right_claims: int = 0
    wrong_claims: int = 0
    profile: Mapping[str, Scalar] = field(default_factory=dict)
    known: Mapping[str, Scalar] = field(default_factory=dict)
    reference: str | None = None


def language_rewards(context: LanguageContext) -> dict[str, float]:
    """All seven measures, in the order of `LANGUAGE_REWARDS`."""
    return {name: measure(context) for name, measure in _MEASURES.items()}


def naturalness(context: LanguageContext) -> float:
    """Product of six factors, each 1 for ordinary speech (all *ours*); 0 for an empty turn.

    - leak: 0 when act notation, JSON, markup, ``[PLACEHOLDER]`` braces or snake_case identifiers show
    through;
    - length: 1 up to 25 words a sentence and 100 words in all, falling to 0 at 60 and 400;
    - calm: halves with shouting (words of 4 or more capitals), with ``sooooo`` and with ``!!!``;
    - ended: 0.7 when the last sentence lacks its punctuation mark;
    - variety: share of distinct word pairs, 1 from 0.8 upwards, 0 at 0.4 and below;
    - echo: 1 until half of the word pairs are the user's own, 0 when all are (turns of five words and more).
    """
    analysis = _analyse(context.text)
    if not context.user_text or len(analysis.tokens) < 5:
        return analysis.natural
    echoed = _share(analysis.pairs, _analyse(context.user_text).pairs)
    return analysis.natural * min(1.0, 2.0 - 2.0 * echoed)


def consistency(context: LanguageContext) -> float:
    """1 - contradictions / checks against history and profile (*ours*); NaN for an empty turn.

    Checked are: asking for a need the user has disclosed, asking for an identity already confirmed, greeting
    again in mid-dialogue, addressing the user by another surname, misquoting an amount the user named, an
    income or an age, and offering more than the user asked for. A turn with nothing to check contradicts
    nothing: 1.
    """
    if not _analyse(context.text).tokens:
        return math.nan
    checks = [*_act_checks(context), *_text_checks(context)]
    return sum(checks) / len(checks) if checks else 1.0


def repetition(context: LanguageContext) -> float:
    """1 - share of this turn's distinct word pairs found in the previous agent turn; NaN without one."""
    pairs = _analyse(context.text).pairs
    if not pairs or not context.previous_agent_texts:
        return math.nan
    return 1.0 - _share(pairs, _analyse(context.previous_agent_texts[-1]).pairs)


def fidelity(context: LanguageContext) -> float:
    """Share of factual claims that are right; NaN when none is made."""
    claims = context.right_claims + context.wrong_claims
    return context.right_claims / claims if claims else math.nan


def coverage(context: LanguageContext) -> float:
    """Share of the user's open questions that this turn answers; NaN when none is open."""
    asked = context.asked_topics
    return len(asked & context.answered_topics) / len(asked) if asked else math.nan


def novelty(context: LanguageContext) -> float:
    """Content n-grams new since the last five agent turns, over all of this turn's; NaN on a first turn.

    n-grams are content words and pairs of neighbouring content words. Dividing by all of them, not by the
    distinct ones, also counts redundancy inside the turn. An empty turn adds nothing: 0.
    """
    if not context.previous_agent_texts:
        return math.nan
    analysis = _analyse(context.text)
    if not analysis.content_count:
        return math.nan if analysis.tokens else 0.0
    seen = [_analyse(text).content for text in context.previous_agent_texts[-NOVELTY_TURNS:]]
    return len(analysis.content.difference(*seen)) / analysis.content_count


def rouge(context: LanguageContext) -> float:
    """ROUGE-L F1 to the reference; NaN without a reference or with an empty one."""
    if context.reference is None:
        return math.nan
    return rouge_l(_analyse(context.text).tokens, _analyse(context.reference).tokens)


def rouge_l(candidate: Sequence[str], reference: Sequence[str]) -> float:
    """F1 of the longest common subsequence (Lin, "ROUGE", 2004, with beta = 1); NaN for an empty reference.

    Beyond 4,096 tokens of either side a match is not looked for, but they count in precision and recall.
    """
    if not reference:
        return math.nan
    common = _lcs(candidate[:_LCS_TOKENS], reference[:_LCS_TOKENS])
    return 2.0 * common / (len(candidate) + len(reference))


_MEASURES: Final[dict[str, Callable[[LanguageContext], float]]] = {
    "naturalness": naturalness,
    "consistency": consistency,
    "repetition": repetition,
    "fidelity": fidelity,
    "coverage": coverage,
    "novelty": novelty,
    "rouge": rouge,
}


class _Analysis(NamedTuple):
    tokens: tuple[str, ...]
    pairs: frozenset[tuple[str, str]]  # neighbouring tokens, with the start as a neighbour
    content: frozenset[str | tuple[str, str]]  # content words and their neighbouring pairs
    content_count: int  # of all, not of the distinct ones
    natural: float


def _analyse(text: str) -> _Analysis:
    return _analyse_short(text) if len(text) <= _SHORT else _analyse_long(text)


def _analyse_now(text: str) -> _Analysis:
    words = tuple(_TOKEN.findall(text.lower().replace("\u2019", "'")))
    pairs = frozenset(pairwise(("", *words)))
    content = [word for word in words if word not in _STOPWORDS]
    grams = [*content, *pairwise(content)]
    return _Analysis(words, pairs, frozenset(grams), len(grams), _natural_alone(text, words, len(pairs)))


_analyse_short = lru_cache(maxsize=4096)(_analyse_now)
_analyse_long = lru_cache(maxsize=8)(_analyse_now)  # few: thousands of long texts could fill the memory


def _natural_alone(text: str, words: tuple[str, ...], distinct_pairs: int) -> float:
    """`naturalness` without its echo factor: a function of the text alone."""
    count = len(words)
    if not count or (_LEAK_CHARS.search(text) and _LEAK.search(text)):
        return 0.0
    end, sentences = 0, 0
    for match in _SENTENCE_END.finditer(text):
        end, sentences = match.end(), sentences + 1
    ended = not text[end:].strip()
    sentences += not ended
    score = 1.0 if ended else 0.7
    score *= _falling(count / sentences, 25.0, 60.0) * _falling(count, 100.0, 400.0)
    score *= _falling(1.0 - distinct_pairs / count, 0.2, 0.6)
    score *= 0.5 if _SHOUT.search(text) else 1.0
    stutters = _EXCITED.search(text) or any(run[1].isalpha() for run in _RUN.finditer(text))
    return score * 0.5 if stutters else score


def _falling(value: float, good: float, bad: float) -> float:
    """1 up to ``good``, then straight down to 0 at ``bad``."""
    return min(1.0, max(0.0, (bad - value) / (bad - good)))


def _share(part: frozenset[tuple[str, str]], of: frozenset[tuple[str, str]]) -> float:
    return len(part & of) / len(part) if part else 0.0


def _act_checks(context: LanguageContext) -> list[bool]:
    """One entry per checkable act: True when it fits the history."""
    known, found = context.known, []
    wanted = known.get("amount")
    for act in context.acts:
        if act.intent == "ask_need" and "slot" in act.slots:
            found.append(known.get(str(act.slots["slot"])) is None)
        elif act.intent == "ask_identity":
            found.append(not known.get("identity"))
        elif act.intent == "greet":
            found.append(not context.previous_agent_texts)
        elif act.intent in ("offer", "close"):
            amount = act.slots.get("amount")
            if isinstance(amount, int | float) and isinstance(wanted, int | float):
                found.append(amount <= wanted + 0.005)
    return found


def _text_checks(context: LanguageContext) -> list[bool]:
    """One entry per checkable statement about the user: True when it is right."""
    text, profile, known = context.text.replace("\u2019", "'"), context.profile, context.known
    found = []
    surname = profile.get("surname")
    if isinstance(surname, str) and surname:
        names = {name.removesuffix("'s").casefold() for name in _TITLED_NAME.findall(text)}
        found += [name in surname.casefold().split() for name in sorted(names)]
    income = known.get("income", profile.get("monthly_income"))
    quotes = ((_YOU_SAID, known.get("amount")), (_YOUR_INCOME, income), (_YOUR_AGE, profile.get("age")))
    for pattern, truth in quotes:
        if isinstance(truth, int | float):
            found += [abs(_number(match) - truth) < 0.5 for match in pattern.finditer(text)]
    return found


def _number(match: re.Match[str]) -> float:
    value = float(match[1].replace(",", ""))
    return value * 1000.0 if match.lastindex == 2 else value


def _lcs(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö, 2004), one step per token."""
    where: dict[str, int] = {}
    for place, token in enumerate(a):
        where[token] = where.get(token, 0) | 1 << place
    full = (1 << len(a)) - 1
    rows = full
    for token in b:
        if hits := rows & where.get(token, 0):
            rows = ((rows + hits) | (rows - hits)) & full
    return len(a) - rows.bit_count()
