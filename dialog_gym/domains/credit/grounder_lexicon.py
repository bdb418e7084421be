"""The cue lexicon of the grounder: phrases of `grounder_cues.toml` compiled to regular expressions.

Every phrase gets a *trigger*: its most telling obligatory element. Only phrases whose obligatory words all
occur in a text are tried on it, so that a short turn costs a few regex searches and not several hundred.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

When = Literal["question", "statement", "any"]
_KEY = re.compile(r"(\w+)\((?:(\w+)=(\w+))?\)")
_NEGATIVE = re.compile(r"(?<![a-z])(?:no|not|never|nothing|neither)(?![a-z])")
_FREQUENT = frozenset(
    [
        "i",
        "you",
        "we",
        "it",
        "is",
        "are",
        "am",
        "be",
        "been",
        "was",
        "were",
        "the",
        "a",
        "an",
        "to",
        "of",
        "for",
        "on",
        "in",
        "at",
        "and",
        "or",
        "not",
        "no",
        "do",
        "does",
        "did",
        "can",
        "could",
        "would",
        "will",
        "shall",
        "should",
        "may",
        "might",
        "must",
        "have",
        "has",
        "had",
        "your",
        "my",
        "our",
        "us",
        "me",
        "that",
        "this",
        "there",
        "what",
        "which",
        "who",
        "how",
        "when",
        "if",
        "with",
        "so",
        "by",
        "as",
        "from",
        "just",
        "only",
        "any",
        "all",
        "up",
        "out",
        "get",
        "go",
        "got",
        "now",
        "let",
        "then",
        "too",
    ]
)
_GAP = " (?!(?:but|because|however) )[^ .,:!?;]+"  # one word of a gap; a gap stays within its clause
_CLAUSE_END = "(?=[,:.!?;]|$)"
_WORD_END = "(?![a-z0-9_])"
PLACEHOLDERS = {"#a": "amount", "#p": "percent", "#d": "days", "#m": "months", "#t": "date"}
"""What stands for a quantity in a prepared text, by kind; a product is "@" and its number."""


class Cue(NamedTuple):
    """What one phrase of the lexicon stands for.

    Attributes:
        intent: an act's intent, or a feature such as "reason".
        slot: the slot that the phrase fixes, or "".
        value: its value, or "".
        when: the kind of sentence that it counts in.
        keeps: whether it counts even after a negation.
        pattern: the compiled phrase.
        others: of a bag ("a|b & c|d") the patterns that must be found near the first one, in any order.
        negative: whether a "no" or "not" belongs to the phrase itself.
        needs: the further obligatory elements as bits; `Lexicon.bits` says which words provide which.
    """

    intent: str
    slot: str
    value: str
    when: When
    keeps: bool
    pattern: re.Pattern[str]
    others: tuple[re.Pattern[str], ...]
    needs: int
    negative: bool


class Lexicon(NamedTuple):
    """All cues; for each trigger the numbers of the cues that it may start; for each word its need bits."""

    cues: tuple[Cue, ...]
    triggers: Mapping[str, tuple[int, ...]]
    bits: Mapping[str, int]


def _alternative(text: str) -> str:
    return "@[0-9]+" if text == "@" else text if text in PLACEHOLDERS else re.escape(text).replace("_", " ")


def _words(token: str) -> str:
    return (
        "(?:" + "|".join(sorted(map(_alternative, token.split("|")), key=len, reverse=True)) + ")" + _WORD_END
    )


def compile_phrase(phrase: str) -> re.Pattern[str]:
    """A phrase of the lexicon (its syntax is described at the top of the TOML file) as a regular expression.

    It is to be searched in a text with a blank before the first word: every element begins with the blank
    before it, so
    that the search stops at blanks only.
    """
    out = []
    tokens = phrase.split()
    while tokens[-1][0] == "~":
        tokens.pop()
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token == "^":
            out.append(r"(?:\A|(?<=[.!?;:,]))")
        elif token == "$":
            out.append(_CLAUSE_END)
        elif token == ":":
            out.append("[:,]")
        elif token.startswith("~"):
            gap = _GAP if before != "@" else _GAP.replace("but|", "but|and|or|nor|")  # up to the next product
            out.append(f"(?:{gap}){{0,{int(token[1:])}}}?")
        elif "$" in token.split("|"):  # one of these words, or nothing more in the clause
            out.append(
                f"(?: {_words('|'.join(word for word in token.split('|') if word != '$'))}|{_CLAUSE_END})"
            )
        elif token.endswith("?"):
            out.append(f"(?: {_words(token.removesuffix('?'))})?")
        else:
            out.append(" " + _words(token))
    return re.compile("".join(out))


def _keys(token: str) -> frozenset[str]:
    """For each alternative its rarest word; all products have the key "@"."""
    keys = set()
    for alternative in token.split("|"):
        words = alternative.split("_")
        keys.add(max([word for word in words if word not in _FREQUENT] or words, key=len))
    return frozenset(keys)


def phrase_triggers(phrase: str) -> list[frozenset[str]]:
    """The keys of each obligatory element, one of which a text must hold; the most telling element first."""
    tokens = [
        t
        for t in phrase.split()
        if t not in ("^", "$", ":", "&") and t[0] != "~" and "$" not in t and t[-1] != "?"
    ]
    if not tokens:
        raise ValueError(f"phrase {phrase!r} has no obligatory word")
    return sorted((_keys(token) for token in tokens), key=_commonness)


def _commonness(keys: Iterable[str]) -> tuple[int, int]:
    keys = list(keys)
    return sum(key in _FREQUENT for key in keys), len(keys)


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """The lexicon that ships with the package, compiled once."""
    raw = tomllib.loads((files("dialog_gym.domains.credit") / "grounder_cues.toml").read_text("utf-8"))
    cues: list[Cue] = []
    index: dict[str, list[int]] = {}
    groups: dict[frozenset[str], int] = {}
    for name, entry in raw.items():
        key = _KEY.fullmatch(name)
        assert key is not None, f"grounder_cues.toml: bad key {name!r}"
        for phrase in entry["say"]:
            first, *more = phrase_triggers(phrase)
            for word in first:
                index.setdefault(word, []).append(len(cues))
            pattern, *others = (compile_phrase(part) for part in phrase.split(" & "))
            cues.append(
                Cue(key[1], key[2] or "", key[3] or "", entry.get("when", "any"), entry.get("negated") ==
                "keep",
                    pattern, tuple(others),
                    sum({1 << groups.setdefault(group, len(groups)) for group in more}),
                    _NEGATIVE.search(phrase) is not None)
            )  # fmt: skip
    bits: dict[str, int] = {}
    for group, number in groups.items():
        for word in group:
            bits[word] = bits.get(word, 0) | 1 << number
    return Lexicon(tuple(cues), {word: tuple(numbers) for word, numbers in index.items()}, bits)
