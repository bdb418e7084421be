"""Finds what the databases name in free text: places, addresses, stations, foods and hospital departments.

A trie over words, walked once from left to right, longest entry first: time is linear in the text. Spellings
are those of `names.key` ("guest house", "bed and breakfast", "saint", no leading "the"), plus the known
misspellings and the names without their kind ("Gonville" for ``gonville hotel``).
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from dialog_gym.domains.multiwoz.database import Database, load_database
from dialog_gym.domains.multiwoz.names import MISSPELT, key
from dialog_gym.domains.multiwoz.ontology import STATIONS

_TOKEN: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|&")
_SPELT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "&": ("and",), "guesthouse": ("guest", "house"), "guesthouses": ("guest", "houses"),
        "theater": ("theatre",), "st": ("saint",), "saints": ("saint",), "center": ("centre",),
    }
)  # fmt: skip
_KIND: Final = re.compile(
    r" (restaurant and bar|restaurant bar|restaurant|hotel|guest house|bed and breakfast|bistro|brasserie|"
    r"restaurant and coffee bar|chinese food takeaway|nightclub|lodge|house|museum|bar|noodle bar|tandoori|"
    r"family restaurant|gallery|pizzeria|college|church|kitchen and bar|steakhouse and grill|cinema)$"
)
_COMMON: Final = frozenset(
    ("ask", "bridge", "milton", "cambridge", "castle", "university", "kings", "queens", "jesus", "trinity",
     "clare", "downing", "churchill", "christs", "regency", "autumn", "midsummer", "tang", "riverside", "oak",
     "the oak", "golden", "rice", "india", "city stop", "j", "saint johns", "saint catharines", "peking",
     "pembroke", "magdalene", "funky fun", "fitzwilliam", "holy trinity", "all saint", "whale of a time",
     "hughes", "river", "dojo", "acorn guest", "bangkok", "home from", "archway", "bridge guest", "vue",
     "castle", "arbury lodge guest", "worth", "meze", "ruskin", "broughton", "carolina", "indian", "hamilton",
     "aylesbray lodge guest", "alpha milton guest", "a and b guest", "lan hong", "cafe jello", "all saints",
     "lynne strover", "shanghai", "grafton hotel", "restaurant two", "sidney sussex", "saffron", "pool")
)  # fmt: skip
"""What is left of a name without its kind, but may mean something else or nothing."""
_CAPITALISED: Final = frozenset(("place", "junction", "missing sock", "old schools", "ask restaurant"))
"""Names that are ordinary words: they count where they are written with capitals."""
_STATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{station: station for station in STATIONS},
        "birmingham": "birmingham new street", "bishop stortford": "bishops stortford",
        "bishops strotford": "bishops stortford", "bishops storford": "bishops stortford",
        "bishop s stortford": "bishops stortford", "stortford": "bishops stortford",
        "london kings": "london kings cross", "kings cross": "london kings cross",
        "london king cross": "london kings cross", "london king s cross": "london kings cross",
        "king s cross": "london kings cross", "kings cross london": "london kings cross",
        "king s lynn": "kings lynn", "king lynn": "kings lynn", "liverpool street": "london liverpool street",
        "london liverpool": "london liverpool street", "stansted": "stansted airport",
        "stanstead airport": "stansted airport", "stansted airport": "stansted airport",
        "stanstead": "stansted airport", "cambrige": "cambridge", "cambride": "cambridge",
        "cambirdge": "cambridge", "cabridge": "cambridge", "peterbourough": "peterborough",
        "peterburough": "peterborough", "petersborough": "peterborough", "leister": "leicester",
        "liverpool": "london liverpool street",
    }
)  # fmt: skip
_OTHER_FOODS: Final = (
    "afghan", "american", "asian", "australasian", "australian", "austrian", "barbeque", "basque",
    "belgian", "bistro", "brazilian", "cantonese", "caribbean", "catalan", "christmas", "corsica",
    "creative", "crossover", "cuban", "danish", "eastern european", "english", "eritrean", "fusion",
    "german", "greek", "halal", "hungarian", "indonesian", "irish", "jamaican", "kosher", "malaysian",
    "middle eastern", "modern american", "modern global", "molecular gastronomy", "moroccan", "new zealand",
    "north african", "northern european", "persian", "polish", "polynesian", "romanian", "russian",
    "scandinavian", "scottish", "singaporean", "south african", "south indian", "sri lankan", "steakhouse",
    "swedish", "swiss", "the americas", "traditional", "tuscan", "unusual", "vegetarian", "venetian",
    "welsh", "world", "oriental", "latin american", "pizza", "global", "panasian", "asian fusion",
    "modern eclectic", "sushi", "gastro pub",
)  # fmt: skip
"""Foods of the corpus's users that no restaurant serves (and a few other words for those that some do)."""
_FOOD_OF: Final = {"pizza": "italian", "oriental": "asian oriental", "gastro pub": "gastropub"}
_NOT_FOODS: Final = frozenset(
    ("traditional", "christmas", "unusual", "world", "bistro", "creative", "global")
)
"""Counted as foods only before "food", "cuisine" or "restaurant"."""


class Entry(NamedTuple):
    """What a phrase may stand for."""

    kind: str
    """name, address, station, food or department."""
    domain: str
    value: str


class Found(NamedTuple):
    """A phrase of the text: characters ``start:end`` and what it may stand for."""

    start: int
    end: int
    entries: tuple[Entry, ...]


class Gazetteer:
    """The names of a database."""

    def __init__(self, database: Database) -> None:
        """``database`` gives names, addresses, foods and departments."""
        self._root: dict[str, Any] = {}
        self.domains_of: dict[str, list[str]] = {}
        """Place to the domains that have it."""
        for domain in ("restaurant", "hotel", "attraction", "police"):
            for row in database[domain].rows:
                self.domains_of.setdefault(row["name"], []).append(domain)
                self._add(key(row["name"]), Entry("name", domain, row["name"]))
        for wrong, name in MISSPELT.items():
            for domain in self.domains_of.get(name, ()):
                self._add(key(wrong), Entry("name", domain, name))
        self._add_short_names()
        for domain in ("restaurant", "hotel", "attraction", "hospital", "police"):
            for row in database[domain].rows:
                self._add_address(domain, row["address"])
        for spelling, station in _STATIONS.items():
            self._add(key(spelling), Entry("station", "train", station))
        foods = {row["food"] for row in database["restaurant"].rows}
        for food in (*foods, *_OTHER_FOODS):
            self._add(key(food), Entry("food", "restaurant", _FOOD_OF.get(food, food)))
        for row in database["hospital"].rows:
            self._add(key(row["department"]), Entry("department", "hospital", row["department"]))

    def _add_short_names(self) -> None:
        short: dict[str, set[tuple[str, str]]] = {}
        for name, domains in self.domains_of.items():
            bare = _KIND.sub("", key(name))
            if bare != key(name) and bare not in _COMMON:
                short.setdefault(bare, set()).update((name, domain) for domain in domains)
        for bare, meant in short.items():
            if len(meant) == 1:
                ((name, domain),) = meant
                self._add(bare, Entry("name", domain, name))

    def _add_address(self, domain: str, address: str) -> None:
        self._add(key(address), Entry("address", domain, address))
        parts = [part.strip() for part in address.split(",")]
        bare = re.sub(r" (City Centre|Fen Ditton|Chesterton|Cherry Hinton|Newnham)$", "", address)
        for part in (*parts, bare):
            if len(key(part).split()) > 1 and part != address:
                self._add(key(part), Entry("address", domain, part))

    def _add(self, spelling: str, entry: Entry) -> None:
        if "bed and breakfast" in spelling:
            for other in ("b and b", "b b", "bandb"):
                self._add(spelling.replace("bed and breakfast", other), entry)
        node = self._root
        for word in spelling.split():
            node = node.setdefault(word, {})
        entries = node.setdefault("", [])
        if not any((e.kind, e.domain) == (entry.kind, entry.domain) for e in entries):
            entries.append(entry)

    def find(self, low: str, raw: str) -> Iterator[Found]:
        """The phrases found in a text, longest first, without overlap.

        Args:
            low: The text in lower case.
            raw: The same text, character by character, as it was written.
        """
        words: list[str] = []
        spans: list[tuple[int, int]] = []
        for match in _TOKEN.finditer(low):
            token = match[0].replace("'", "")
            for word in _SPELT.get(token, (token,)):
                words.append(word)
                spans.append(match.span())
        at = 0
        while at < len(words):
            length, entries = self._longest(words, at)
            start, end = spans[at][0], spans[at + length - 1][1] if length else 0
            if length and _counts(words[at : at + length], raw[start:end], low[end:], entries):
                yield Found(start, end, tuple(entries))
            at += length or 1

    def _longest(self, words: list[str], at: int) -> tuple[int, list[Entry]]:
        node, best, entries = self._root, 0, []
        for length, word in enumerate(words[at : at + 24], start=1):
            if word not in node:
                break
            node = node[word]
            if "" in node:
                best, entries = length, node[""]
        return best, entries


def _counts(words: list[str], raw: str, after: str, entries: list[Entry]) -> bool:
    said = " ".join(words)
    if said in _CAPITALISED:
        return raw[0].isupper()
    if said in _NOT_FOODS and entries[0].kind == "food":
        return bool(re.match(r" (food|cuisine|restaurant|type)", after[:12]))
    return True


@lru_cache(maxsize=1)
def gazetteer() -> Gazetteer:
    """The gazetteer of the shipped databases."""
    return Gazetteer(load_database())
