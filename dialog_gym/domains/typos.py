"""How people mistype: slips that leave a word readable."""

import re
from typing import Final

from dialog_gym.domains.quantity_patterns import SMALL, TENS
from dialog_gym.noise import mix

NEIGHBOURS: Final = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
    "j": "hk", "k": "jl", "l": "ko", "m": "nj", "n": "bm", "o": "ip", "p": "ol", "q": "wa", "r": "et",
    "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "xa",
}  # fmt: skip
"""Keys beside each letter on an English keyboard."""
NUMBER_WORDS: Final = frozenset((*SMALL, *TENS, "hundred", "thousand", "grand", "half", "and"))
"""Words of numbers, which are typed right."""
MIN_MISTYPED: Final = 3
"""Shorter words are typed right."""
WORD: Final = re.compile(r"(?<![0-9])[A-Za-z]+(?:'[a-z]+)?")
_HITS, _SLIPS = 101, 102


def mistype(text: str, share: float, key: int) -> str:
    """Give each word of at least three letters, numbers excepted, a slip with probability ``share``."""
    limit, at, bits = int(share * 65536), 0, 0
    if limit <= 0:
        return text
    out: list[str] = []
    end = 0
    for count, match in enumerate(WORD.finditer(text)):
        bits = bits >> 16 if count & 3 else mix(key, _HITS, count)
        word = match.group()
        if bits & 0xFFFF < limit and len(word) >= MIN_MISTYPED and word.lower() not in NUMBER_WORDS:
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
