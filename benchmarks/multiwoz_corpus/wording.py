"""Responses, made comparable across systems.

Rules, from ``normalization.py`` of the published evaluator, in this order:

- The response is lower-cased; every ``[slot]`` becomes its placeholder, together with a plural that follows
  it at once (``[type]s``, ``[type]-es``).
- Every "-s" and "-ly" that is left is deleted, wherever it stands ("4-star" loses three letters: "4tar").
- The text is tokenised and put together again with the English rules of the Moses tokenizer (Koehn et al.,
  2007; the evaluator uses its Python port, sacremoses). This brings tokenised and natural responses close
  to each other, but not always: "i 'm" keeps its space the first time, and the second one takes it for a
  closing quote.

What of the Moses rules changes nothing in the round trip is left out: full stops (split or not, they come
back to their word) and the escaping of XML.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from dialog_gym.benchmarks.multiwoz_corpus.slots import placeholder

_SLOT = re.compile(r"\[([\w\s]+)\](?:-?e?s)?")
_CONTROL = re.compile(r"[\x00-\x1f]")
_SPECIAL = re.compile(r"[^\w\s.'`,-]|_")
_DOTS = re.compile(r"\.{2,}")
_COMMA = re.compile(r"(?<=\D),|,(?=\D)|(?<=\d),$")
_APOSTROPHE = re.compile(r"(?<=(.))'(?=(.))")
_LAST_QUOTE = re.compile(r"\.' ?$")
_CLOSING = re.compile(r"[,.?!:;\\%}\])]+")
_QUOTE = re.compile(r"""['"„“`]+""")


def normalized_response(response: str) -> str:
    """A response in the form in which it is searched for placeholders and compared with the reference."""
    text = _SLOT.sub(lambda slot: placeholder(slot[1]), response.lower())
    return joined(tokens(text.replace("-s", "").replace("-ly", "")))


def tokens(text: str) -> list[str]:
    """Split like the Moses tokenizer, full stops aside."""
    text = _CONTROL.sub("", " ".join(text.split()))
    text = _SPECIAL.sub(r" \g<0> ", text)
    text = _DOTS.sub(r" \g<0> ", text)
    text = _COMMA.sub(" , ", text)
    text = _APOSTROPHE.sub(_apostrophe, text)
    return _LAST_QUOTE.sub(" . ' ", text).split()


def _apostrophe(found: re.Match[str]) -> str:
    """An apostrophe starts a contraction after a letter, is left alone in 5'b, and else stands by itself."""
    before, after = found[1], found[2]
    if (before.isalpha() and after.isalpha()) or (before.isdigit() and after == "s"):
        return " '"
    return "'" if before.isdigit() and after.isalpha() else " ' "


def joined(words: Sequence[str]) -> str:
    """Put tokens together like the Moses detokenizer."""
    text, gap, quotes = "", " ", Counter[str]()
    for before, word in zip(["", *words], words, strict=False):
        if all(_opens(character) for character in word):
            text, gap = text + gap + word, ""
        elif _CLOSING.fullmatch(word) or (before and word[0] == "'" and word[1:2].isalpha()):
            text, gap = text + word, " "
        elif _QUOTE.fullmatch(word):
            left, counts = _quote(word, before, quotes)
            text, gap = (text + word, " ") if left else (text + gap + word, "")
            quotes[_mark(word)] += counts
        else:
            text, gap = text + gap + word, " "
    return re.sub(" {2,}", " ", text).strip()


def _opens(character: str) -> bool:
    return character in "([{¿¡" or unicodedata.category(character) == "Sc"


def _quote(word: str, before: str, quotes: Counter[str]) -> tuple[bool, bool]:
    """Whether a quotation mark belongs to the word before it, and whether it counts as one of a pair."""
    if quotes[_mark(word)] % 2:
        return True, True
    possessive = word == "'" and before.endswith("s")
    return possessive, not possessive


def _mark(word: str) -> str:
    return '"' if set(word) <= set("„“") else word
