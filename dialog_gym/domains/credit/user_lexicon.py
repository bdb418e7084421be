"""The words the user reader knows: phrases as a trie, readings of concepts, and the spelling corrector.

Misspelt words meet the vocabulary at their shared one-letter deletions, so that a word costs as many look-ups
as it has letters (the idea of Garbe's SymSpell, 2012).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import product as cartesian
from typing import Any, Final

from dialog_gym.core import DialogueAct
from dialog_gym.domains.credit.profiles import SURNAMES
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.typos import NEIGHBOURS

MIN_TYPED: Final = 3
"""Shorter words are not corrected."""
MAX_TYPED: Final = 20
MIN_KNOWN: Final = 4
"""Shorter words are only restored from a doubled letter or a swap: too many of them are one letter apart."""
_CHOICE = re.compile(r"\[([^\]]*)\]")
_WORD = re.compile(r"[a-z]+|\?|[0-9]+")
_READING = re.compile(r"(\w+)(?:\((\w+)=(\w+)\))?(?::(.*))?")


@dataclass(eq=False)
class Node:
    """A place in the trie of phrases."""

    children: dict[str, "Node"] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    """Concepts whose phrase ends here."""
    marks: tuple[str, ...] = ()
    """The same for light concepts, which leave the words to other concepts."""
    product: str = ""


@dataclass(frozen=True)
class Reading:
    """An act a concept stands for when all of ``needs`` and none of ``excludes`` are in its sentence."""

    act: DialogueAct
    needs: frozenset[str]
    excludes: frozenset[str]


def expand_choices(phrase: str) -> Iterator[str]:
    """All surface forms of a phrase with ``[a|b|]`` choices: ``"a [b|c]"`` gives ``"a b"`` and ``"a c"``."""
    parts = _CHOICE.split(phrase)
    options = [part.split("|") if i % 2 else [part] for i, part in enumerate(parts)]
    return ("".join(chosen) for chosen in cartesian(*options))


class Lexicon:
    """Everything the reader looks words up in; built once per rulebook."""

    def __init__(self, data: Mapping[str, Any], products: Mapping[str, tuple[str, ...]]) -> None:
        """Builds the tables.

        Args:
            data: The parsed `user_reader.toml`.
            products: Names by product.
        """
        self.expand = {word: tuple(meant.split()) for word, meant in data["slang"].items()}
        self.surnames = frozenset(name.lower() for name in SURNAMES)
        self.readings = {
            name: tuple(_reading(line) for line in concept.get("reads", ()))
            for name, concept in data["concept"].items()
        }
        self.root: dict[str, Node] = {}
        self.vocabulary = set(data["known"].split()) | set(self.expand)
        for name, concept in data["concept"].items():
            for phrase in concept["phrases"]:
                self._add(phrase, name, light=concept.get("light", False))
        self.product_words = {
            word for names in products.values() for name in names for word in name.lower().split()
        }
        for product, names in products.items():
            for phrase in names:
                self._add(phrase, "product", product)
        self._deletions: dict[str, list[str]] = {}
        for word in sorted(self.vocabulary):
            for short in {word, *_deletions(word)} if len(word) >= MIN_KNOWN else ():
                self._deletions.setdefault(short, []).append(word)
        self.canonical = {
            word: self.expand.get(word, (word,)) for word in self.vocabulary if word not in self.surnames
        }
        self.correct = lru_cache(maxsize=4096)(self._correct)

    def meaning(self, token: str, capital: bool) -> tuple[tuple[str, ...], bool]:
        """The words a token stands for and whether it is a name.

        Args:
            token: Lower-cased, not in ``canonical``.
            capital: Whether it was written with a capital that does not just begin a sentence.
        """
        word = token.replace("'", "").replace("\u2019", "")
        known = word in self.vocabulary
        if word in self.surnames:
            name = capital or not known
        else:
            meant = word if known else self.correct(word)
            # a strange word with a capital is a name, unless it is close to a product's
            name = (
                capital and not known and meant not in self.product_words and len(word) > 2 and word.isalpha()
            )
            word = word if name else meant
        return self.expand.get(word, (word,)), name

    def _add(self, phrase: str, concept: str, product: str = "", light: bool = False) -> None:
        for form in expand_choices(phrase.lower().replace("'", "")):
            words = _WORD.findall(form)
            self.vocabulary.update(words)
            node, children = None, self.root
            for word in [meant for typed in words for meant in self.expand.get(typed, (typed,))]:
                node = children.setdefault(word, Node())
                children = node.children
                self.vocabulary.add(word)
            assert node is not None, f"user_reader.toml: empty phrase in {concept}"
            if light:
                node.marks += (concept,)
            elif concept not in node.ends:
                node.ends += (concept,)
                node.product = node.product or product

    def _correct(self, word: str) -> str:
        """The likeliest known word one slip away, else the word itself.

        From likely to unlikely: a letter doubled, two swapped, the neighbouring key, one left out, any other.
        """
        if not MIN_TYPED <= len(word) <= MAX_TYPED:
            return word
        for i in range(1, len(word)):
            if word[i] == word[i - 1] and (once := word[:i] + word[i + 1 :]) in self.vocabulary:
                return once
        for i in range(1, len(word)):
            swapped = f"{word[: i - 1]}{word[i]}{word[i - 1]}{word[i + 1 :]}"
            if swapped in self.vocabulary:
                return swapped
        candidates = {
            known for short in (word, *_deletions(word)) for known in self._deletions.get(short, ())
        }
        likely = [(rank, known) for known in candidates if (rank := _slip_rank(known, word)) is not None]
        return min(likely)[1] if likely else word


def _deletions(word: str) -> list[str]:
    return [word[:i] + word[i + 1 :] for i in range(len(word))]


def _slip_rank(known: str, typed: str) -> int | None:
    """How likely the known word was meant, 0 is the likeliest; None when it is more than one slip away."""
    if len(known) == len(typed) + 1:
        return 1
    if len(known) == len(typed) - 1:
        return 2
    wrong = [i for i, letter in enumerate(known) if letter != typed[i]]
    if len(wrong) != 1 or len(typed) < MIN_KNOWN:
        return None
    return 0 if typed[wrong[0]] in NEIGHBOURS.get(known[wrong[0]], "") else 3


def _reading(line: str) -> Reading:
    match = _READING.fullmatch(line)
    assert match is not None, f"user_reader.toml: cannot read {line!r}"
    intent, slot, value, conditions = match.groups()
    names = (conditions or "").split()
    return Reading(
        act=DialogueAct(intent=intent, slots={slot: value} if slot else {}),
        needs=frozenset(name for name in names if name[0] != "!"),
        excludes=frozenset(name[1:] for name in names if name[0] == "!"),
    )


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    return tomllib.loads((files("dialog_gym.domains.credit") / "user_reader.toml").read_text("utf-8"))


_BUILT: dict[int, tuple[Rulebook, Lexicon]] = {}  # the rulebook is kept, so that its id stays its own
_BY_NAMES: dict[tuple[tuple[str, tuple[str, ...]], ...], Lexicon] = {}
_MAX_KEPT: Final = 16


def lexicon(rulebook: Rulebook) -> Lexicon:
    """The lexicon with the rulebook's product names; built once per rulebook, then looked up."""
    built = _BUILT.get(id(rulebook))
    if built is not None:
        return built[1]
    names = tuple((name, (*product.names, product.label)) for name, product in rulebook.products.items())
    if len(_BUILT) >= _MAX_KEPT:
        _BUILT.clear()
        _BY_NAMES.clear()
    if names not in _BY_NAMES:
        _BY_NAMES[names] = Lexicon(_data(), dict(names))
    _BUILT[id(rulebook)] = (rulebook, _BY_NAMES[names])
    return _BY_NAMES[names]
