"""How customers mistype: slips that leave a word readable, and a garbling that leaves nothing readable."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.user_amounts import SMALL_WORDS, TENS_WORDS
from dialog_gym.domains.credit.user_lexicon import NEIGHBOURS
from dialog_gym.domains.credit.user_reader import UNCLEAR, read_user
from dialog_gym.noise import mix

MIN_MISTYPED: Final = 3
"""Shorter words are typed right."""
_WORD = re.compile(r"(?<![0-9])[A-Za-z]+(?:'[a-z]+)?")
_SLANGED = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_NUMBER_WORDS: Final = frozenset((*SMALL_WORDS, *TENS_WORDS, "hundred", "thousand", "grand", "half", "and"))
_HITS, _SLIPS, _SLANG, _GARBLE = 101, 102, 103, 104
_NOTHING_LEFT: Final = "hgf jjk..."


def mistype(text: str, share: float, key: int) -> str:
    """Give each word of at least three letters, numbers excepted, a slip with probability ``share``."""
    limit, at, bits = int(share * 65536), 0, 0
    if limit <= 0:
        return text
    out: list[str] = []
    end = 0
    for count, match in enumerate(_WORD.finditer(text)):
        bits = bits >> 16 if count & 3 else mix(key, _HITS, count)
        word = match.group()
        if bits & 0xFFFF < limit and len(word) >= MIN_MISTYPED and word.lower() not in _NUMBER_WORDS:
            at = match.start()
            out += (text[end:at], _slip(word, mix(key, _SLIPS, count)))
            end = match.end()
    out.append(text[end:])
    return "".join(out)


def _slip(word: str, bits: int) -> str:
    """One slip. The first letter stays (it rarely slips), except that its capital may be lost."""
    bits, kind = divmod(bits, 6)
    if kind == 0 and "'" in word:
        return word.replace("'", "")
    if kind == 1 and word[0].isupper() and word != "I":
        return word[0].lower() + word[1:]
    bits, place = divmod(bits, len(word) - 1)
    place += 1
    letter = word[place]
    if kind == 2 or letter == "'":
        return word[:place] + word[place + 1 :]
    if kind == 3:
        return word[:place] + letter + word[place:]
    if kind == 4 and letter in NEIGHBOURS:
        return word[:place] + NEIGHBOURS[letter][bits & 1] + word[place + 1 :]
    place = min(place, len(word) - 2)
    swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return swapped if swapped != word else word[:place] + word[place + 1 :]


def slang(text: str, words: Mapping[str, Sequence[str]], key: int) -> str:
    """Replace half of the words that have slang forms by one of them."""
    bits = mix(key, _SLANG)

    def replaced(match: re.Match[str]) -> str:
        nonlocal bits
        word = match.group()
        forms = words.get(word.lower())
        if forms is None:
            return word
        bits, use = divmod(bits, 2)
        bits, which = divmod(bits, len(forms))
        if not use:
            return word
        return forms[which].capitalize() if word[0].isupper() else forms[which]

    return _SLANGED.sub(replaced, text)


def garble(text: str, rulebook: Rulebook, key: int) -> str:
    """Corrupt a text until its content cannot be read: words dropped, letters mixed, numbers gone, cut off.

    The reader decides: the result reads as ``unclear()`` and nothing else, for every text and key.
    """
    words = [match.group().lower().replace("'", "") for match in _WORD.finditer(text)]
    words = [word for word in words if len(word) > 2 and word not in _NUMBER_WORDS] or ["hello"]
    for attempt in range(6):
        mangled = _mangled(words, mix(key, _GARBLE, attempt))
        if read_user(mangled, rulebook) == (UNCLEAR,):
            return mangled
    return _NOTHING_LEFT


def _mangled(words: Sequence[str], key: int) -> str:
    kept: list[str] = []
    for count, word in enumerate(words[:7]):
        bits = mix(key, count)
        bits, dropped = divmod(bits, 3)
        if dropped == 0 and len(words) > 1:
            continue
        letters = [letter for i, letter in enumerate(word) if letter not in "aeiou" or bits >> i & 1 or not i]
        for i in range(len(letters) - 1, 1, -1):
            bits, j = divmod(bits, i)
            letters[i], letters[j + 1] = letters[j + 1], letters[i]
        bits, place = divmod(bits, len(letters))
        letters[place] = NEIGHBOURS.get(letters[place], "k")[0]
        kept.append("".join(letters))
    return (" ".join(kept) or "...") + ("...", "", "-", "..")[key & 3]
