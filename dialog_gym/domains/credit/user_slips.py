"""How customers write: slang, and a garbling that leaves nothing readable."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.credit.user_reader import UNCLEAR, read_user
from dialog_gym.domains.typos import NEIGHBOURS, NUMBER_WORDS, WORD
from dialog_gym.noise import mix

_SLANGED = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SLANG, _GARBLE = 103, 104
_NOTHING_LEFT: Final = "hgf jjk..."


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
    words = [match.group().lower().replace("'", "") for match in WORD.finditer(text)]
    words = [word for word in words if len(word) > 2 and word not in NUMBER_WORDS] or ["hello"]
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
