"""Names of places in any of the corpus's spellings: "the Gonvile Hotel" is ``gonville hotel``.

A name is looked up by its key (letters and digits; no leading "the"; "guest house", "bed and breakfast" and
"&" in one spelling), then among the known misspellings, then by its words: "huntingdon marriott" and "byard
art museum" fit one name of their domain only. Whatever fits none, or several, is unknown.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from dialog_gym.domains.multiwoz.values import clean

_SPELLINGS: Final = (
    (re.compile(r"'"), ""),
    (re.compile(r"&"), " and "),
    (re.compile(r"[^a-z0-9]+"), " "),
    (re.compile(r"\bguesthouse"), "guest house"),
    (re.compile(r"\bb (and )?b\b"), "bed and breakfast"),
    (re.compile(r"\bst\b"), "saint"),
    (re.compile(r"\btheater\b"), "theatre"),
    (re.compile(r"\bsaints?\b"), "saint"),
)
_LEADING: Final = re.compile(r"^(?:(?:and|the|lastly|suggest) )+")
_SMALL: Final = frozenset(("and", "of", "the", "at", "in", "a", "by", "on", "s"))
_GENERIC: Final = frozenset(
    ("hotel", "restaurant", "guest", "house", "cambridge", "college", "bed", "breakfast", "museum", "church",
     "gallery", "theatre", "cinema", "park", "centre", "city", "club", "bar", "indian", "chinese")
)  # fmt: skip
_LONGEST: Final = 120

MISSPELT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "christ college": "christ's college",
        "hrists college": "christ's college",
        "churchhill college": "churchill college",
        "churchills college": "churchill college",
        "emmauel college": "emmanuel college",
        "huges hall": "hughes hall",
        "hughes hal": "hughes hall",
        "queen college": "queens' college",
        "great saint marys chruch": "great saint mary's church",
        "esus green outdoor pool": "jesus green outdoor pool",
        "ceneworld cinema": "cineworld cinema",
        "wandlbury country park": "wandlebury country park",
        "cherry hinton water park": "cherry hinton water play",
        "lynn strover gallery": "lynne strover gallery",
        "cambride and country folk museum": "cambridge and county folk museum",
        "cambridge and country folk museum": "cambridge and county folk museum",
        "abc theatre": "adc theatre",
        "museum of archaelogy and anthropogy": "museum of archaelogy and anthropology",
        "museum of archaeology and anthropology": "museum of archaelogy and anthropology",
        "museum of classical archaology": "museum of classical archaeology",
        "whippple museum": "whipple museum of the history of science",
        "pizza hut fenditton": "pizza hut fen ditton",
        "cafe uno": "caffe uno",
        "caffee uno": "caffe uno",
        "ian hong house": "lan hong house",
        "lang hong house": "lan hong house",
        "ghandi": "the gandhi",
        "gardina": "the gardenia",
        "kihinoor": "kohinoor",
        "loch fine": "loch fyne",
        "misdummer house restaurant": "midsummer house restaurant",
        "riche boat": "rice boat",
        "seasame restaurant and bar": "sesame restaurant and bar",
        "yipee noodle bar": "yippee noodle bar",
        "shanghi family restaurant": "shanghai family restaurant",
        "travelers rest": "travellers rest",
        "traveller rest": "travellers rest",
        "restauranr two two": "restaurant two two",
        "statizione restaurant and coffee bar": "stazione restaurant and coffee bar",
        "clown cafe": "clowns cafe",
        "el shaddia guest house": "el shaddai",
        "el shadda": "el shaddai",
        "el shaddia": "el shaddai",
        "gonvile hotel": "gonville hotel",
        "wartworth": "warkworth house",
        "wankworth house": "warkworth house",
        "warkworkth house": "warkworth house",
        "cambridge belfray": "the cambridge belfry",
        "huntington marriott": "huntingdon marriott hotel",
        "hunting marriott hotel": "huntingdon marriott hotel",
        "huntington marriott hotel": "huntingdon marriott hotel",
        "lenfield": "the lensfield hotel",
        "huntingdon marriot": "huntingdon marriott hotel",
        "huntingdon marriot hotel": "huntingdon marriott hotel",
        "ashely hotel": "ashley hotel",
        "limhouse": "limehouse",
        "autumn hose": "autumn house",
        "ayesbray lodge guest house": "aylesbray lodge guest house",
        "alexander bed and breakfeast": "alexander bed and breakfast",
        "finches bed and breakfas": "finches bed and breakfast",
        "hobson house": "hobsons house",
        "rosa bed and breakfast": "rosa's bed and breakfast",
    }
)
"""Misspellings in the corpus's states and acts (as keys) and the names meant."""


def key(name: str) -> str:
    """What two spellings of one name have in common."""
    text = clean(name)
    for pattern, better in _SPELLINGS:
        text = pattern.sub(better, text)
    return _LEADING.sub("", text.strip())


def _words(key_: str) -> frozenset[str]:
    return frozenset(key_.split()) - _SMALL


class Names:
    """The names of one domain (or of every place), found by any spelling."""

    def __init__(self, names: Iterable[str]) -> None:
        """``names`` as the database writes them."""
        self._keys = {key(name): name for name in names}
        self._bags = {_words(key_): name for key_, name in self._keys.items()}
        known = set(self._keys.values())
        self._misspelt = {wrong: name for wrong, name in MISSPELT.items() if name in known}
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, text: str) -> str | None:
        """The name meant by a text, or None when no name or more than one fits."""
        if len(text) > _LONGEST:
            return None
        wanted = key(text)
        for spelling in (wanted, wanted.removesuffix("s")):
            if exact := self._keys.get(spelling) or self._misspelt.get(spelling):
                return exact
        words = _words(wanted)
        if not words - _GENERIC:
            return None
        shorter = [name for bag, name in self._bags.items() if words <= bag]
        if len(shorter) == 1:
            return shorter[0]
        longer = [name for bag, name in self._bags.items() if bag <= words and bag - _GENERIC]
        return longer[0] if len(longer) == 1 and not shorter else None
