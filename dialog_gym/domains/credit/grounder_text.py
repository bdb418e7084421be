"""Reading preparation: plain lower-case text in which products and quantities are placeholders.

After `prepare`, "You're not eligible for the **Pay-Later** up to 3,500!" is "you are not eligible for the
@0 up to #a!",
so that every full stop ends a sentence and a phrase can ask for "a product" or "an amount".
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from dialog_gym.domains.credit.grounder_lexicon import PLACEHOLDERS
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.domains.quantities import Quantity, find_quantities
from dialog_gym.domains.quantity_patterns import MONTHS

MAX_CHARACTERS = 20_000
"""Longer texts are cut here before anything else is done with them."""

_SPACES = {c: " " for c in "*_`~^|\\<>{}@#=+\t\r\u00a0\u202f\u200b"}
_SEPARATORS = {c: ", " for c in "()[]\u2013\u2014\u2022"} | {
    "\u2705": " yes ",
    "\u2714": " yes ",
    "\u274c": " no ",
    "\u2716": " no ",
    "\n": " ; ",
    "/": "/",
    "&": " and ",
    "\u2026": ". ",
}
_QUOTES = {
    "\u2019": "'",
    "\u2018": "'",
    "\u00b4": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u00ab": '"',
    "\u00bb": '"',
}
_TABLE = str.maketrans(_SPACES | _SEPARATORS | _QUOTES)
_CONTRACTIONS = (
    ("won't", "will not"), ("can't", "can not"), ("shan't", "shall not"), ("ain't", "is not"),
    ("n't", " not"), ("let's", "let us"), ("'re", " are"), ("'ve", " have"), ("'ll", " will"),
    ("'m ", " am "), ("'d ", " would "),
)  # fmt: skip
_IS = re.compile(
    r"\b(that|it|what|here|there|how|who|where|she|he|everything|nothing|nobody|which|when|one|this)'s\b"
)
# "the block's gone", "pay-later's free": any noun may be followed by a short "is" or "has"
_NOUN_IS = re.compile(
    r"(?<=[a-z])'s (?=(?:been|now|not|gone|already|all|just|free|open|available|possible|on|off|out|yours"
    r"|fine"
    r"|got|too|still|sorted|done|ready|back|in|no|only|really|at|good|up|under|over|a|an|the|your|yes|cleared"
    r"|approved|encrypted|protected|safe|locked|closed|sold|quoted|told|sent|[a-z]+ing)\b)"
)
_RESPELL = {
    "nowt": "nothing", "nada": "nothing", "d'you": "do you", "okey": "ok", "alright": "all right",
    "datas": "data", "info": "information", "recieve": "receive", "dob": "date of birth", "yea": "yes",
    "dont": "do not", "cant": "can not", "wont": "will not", "isnt": "is not", "arent": "are not",
    "doesnt": "does not", "didnt": "did not", "couldnt": "could not", "youre": "you are", "youve": "you have",
    "im": "i am", "ive": "i have", "cannot": "can not", "quid": "pounds", "u": "you", "ur": "your",
    "pls": "please", "thx": "thanks", "lets": "let us", "gonna": "going to", "wanna": "want to",
    "gotta": "have to", "nope": "no", "yup": "yes",
}  # fmt: skip
_THINK = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL | re.IGNORECASE)
_QUOTED = re.compile(r'"[^"\n]*"')
_ABBREVIATIONS = frozenset(
    ("mr.", "ms.", "mrs.", "dr.", "prof.", "approx.", "incl.", "max.", "min.", "e.g.", "i.e.")
)
_HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z0-9])|(?<=[0-9])-(?=[a-z])")
_TIDY = re.compile(r"([,:;.!?])[ ,]*")
_LOOSE = re.compile(r" +(?=[,:;.!?])")
# the limit keeps reading linear in long texts; it cuts at a blank, if there is one
_SENTENCE = re.compile(r"[^.!?;]{1,600}(?=[ .!?;]|$)[.!?;]*|[^.!?;]{1,600}")
# a short question that only names what the next words are about: "Pay-later? No problem."
_TOPIC = re.compile(
    r"((?:\A|(?<=[.!?;,] )|(?<=[.!?;,]))(?: ?(?:and|so|oh|as for|what about))?(?: the| your| our| a| an"
    r"| on| over| for| any"
    r"| too| more| no)*"
    r"(?: @[0-9]+| #m| #d| #a| set up fees?| fees?| interest| rate| limit| maximum| charges?| costs?"
    r"| expensive"
    r"| dear| pricey| coupon| voucher| check| credit check| data| privacy| due date)(?: we make| on that"
    r"| charges?"
    r"| costs?| fees?| check| then)?)\? (?=[a-z@#])"
)
_ASIDE = re.compile(
    r", (?:on the other hand|however|though|by contrast|meanwhile|unfortunately|sadly|i am afraid"
    r"|as it happens|at the moment|for now|right now|luckily|happily),(?= )"
)
_PAYMENT_BEFORE = frozenset(MONTHS) | {
    "missed", "late", "overdue", "outstanding", "last", "next", "first", "second", "monthly", "open",
    "unpaid", "skipped", "due", "this", "previous", "one",
}  # fmt: skip
_SELF_REPAIR = re.compile(
    r" ?[,.]+ (?:(?:oh|no|sorry|wait|hang on|i mean|or rather|rather|well|actually|pardon|pardon me"
    r"|my mistake"
    r"|correction|scratch that|make that|that is|excuse me|i meant|to be precise|to be exact"
    r"|no wait)[,. ]+){1,3}"
)
_TOKEN = re.compile(r"@([0-9]+)|#[apdmt]")


class Mention(NamedTuple):
    """A product or quantity at a place of a sentence; exactly one of the two is set."""

    position: int
    product: str | None
    quantity: Quantity | None


class Sentence(NamedTuple):
    """A prepared sentence: a blank, its words, its full stop; ``start`` counts from the start of the turn."""

    start: int
    text: str
    mentions: tuple[Mention, ...]


class Names(NamedTuple):
    """Product names: one pattern, longest names first, and the product that each stands for."""

    pattern: re.Pattern[str]
    products: tuple[str, ...]
    number: dict[str, int]


# further words for the shipped products; used for the ones a rulebook has
_ALIASES = {
    "revolving": ("revolving", "revolving facility", "revolving account", "revolver"),
    "starter_line": ("starter", "beginner line", "starter account"),
    "pay_later": ("paylater", "pay in later", "pay it later"),
    "instalment": ("instalment purchase", "instalment credit"),
    "cash_loan": ("cash credit", "personal credit", "cash advance"),
}


# "an instalment of 271.60" is a payment and not the product
_SUM_AFTER = r"(?! (?:of|is|was|amounts to|comes to|would be|will be) (?:only |just |about |around )?#a)"


@lru_cache(maxsize=16)
def _names(words: tuple[tuple[str, tuple[str, ...]], ...]) -> Names:
    index = {name: number for number, (_, names) in reversed(list(enumerate(words))) for name in names}
    parts = [re.escape(name) for name in sorted(index, key=len, reverse=True)]
    parts = [part + _SUM_AFTER if part == "instalment" else part for part in parts]
    pattern = re.compile(
        " (" + "|".join(parts) + r")s?\b(?: (?:product|option)\b)?"
    )  # a blank first: fast to find
    return Names(pattern, tuple(product for product, _ in words), index)


_BY_RULEBOOK: dict[int, tuple[Rulebook, Names]] = {}


def product_names(rulebook: Rulebook) -> Names:
    """The names of a rulebook's products; kept for the last rulebooks used."""
    known = _BY_RULEBOOK.get(id(rulebook))
    if known is not None and known[0] is rulebook:
        return known[1]
    words = tuple(
        (
            product,
            tuple(
                _plain(n)
                for n in (*spec.names, spec.label, product.replace("_", " "), *_ALIASES.get(product, ()))
            ),
        )
        for product, spec in rulebook.products.items()
    )
    if len(_BY_RULEBOOK) > 16:
        _BY_RULEBOOK.clear()
    _BY_RULEBOOK[id(rulebook)] = (rulebook, _names(words))
    return _BY_RULEBOOK[id(rulebook)][1]


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").replace("installment", "instalment").split())


def _written_out(text: str) -> str:
    text = _NOUN_IS.sub(" is ", _IS.sub(r"\1 is", text.replace("d'you", "do you")))
    for short, full in _CONTRACTIONS:
        if short in text:
            text = text.replace(short, full)
    return text.replace("'", "")


def normalise(text: str) -> str:
    """Lower case, contractions written out, quotations and thoughts removed, hyphens in words as blanks."""
    text = text[:MAX_CHARACTERS]
    if "<" in text:
        text = _THINK.sub(" ", text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)[:MAX_CHARACTERS]
    text = text.translate(_TABLE).lower()
    if '"' in text:
        text = _QUOTED.sub(" ", text).replace('"', " ")
    if "'" in text:
        text = _written_out(text)
    if "-" in text:
        text = _HYPHEN.sub(" ", text).replace(" - ", ", ").replace("--", ", ")
    if "installment" in text:
        text = text.replace("installment", "instalment")
    words = text.split()
    if not _RESPELL.keys().isdisjoint(words):
        words = [_RESPELL.get(word, word) for word in words]
    if not _ABBREVIATIONS.isdisjoint(words):
        words = [word[:-1] if word in _ABBREVIATIONS else word for word in words]
    return " ".join(words)


def _corrected(plain: str, quantities: list[Quantity]) -> tuple[str, list[Quantity]]:
    """Drop values that are taken back at once: "four thousand, sorry, five thousand"."""
    kept, pieces, at, cut = [], [], 0, 0
    for value, after in zip(quantities, [*quantities[1:], None], strict=True):
        if (
            after is not None
            and value.kind == after.kind
            and 3 < after.start - value.end < 40
            and _SELF_REPAIR.fullmatch(plain, value.end, after.start)
        ):
            pieces.append(plain[at : value.start])
            at = after.start
            cut += after.start - value.start
        else:
            kept.append(value)
            if cut:  # positions move by what was cut out before them
                kept[-1] = value._replace(start=value.start - cut, end=value.end - cut)
    return "".join(pieces) + plain[at:], kept


def _name(match: re.Match[str], names: Names) -> str:
    if match[1] == "instalment":  # "your March instalment" is a payment
        before = match.string[max(0, match.start() - 16) : match.start()].rpartition(" ")[2]
        if before in _PAYMENT_BEFORE:
            return match[0]
    return f" @{names.number[match[1]]}"


def prepare(text: str, rulebook: Rulebook) -> list[Sentence]:
    """Normalise a text, replace quantities and products by placeholders, and cut it into sentences.

    Args:
        text: anything.
        rulebook: whose product names to look for.
    """
    plain = normalise(text)
    quantities = [q for q in find_quantities(plain) if plain[q.start : q.end] != "zero"]
    if len(quantities) > 1:
        plain, quantities = _corrected(plain, quantities)
    if quantities:
        pieces, at = [], 0
        for quantity in quantities:
            pieces.append(plain[at : quantity.start])
            pieces.append(_PLACEHOLDER[quantity.kind])
            at = quantity.end
        pieces.append(plain[at:])
        plain = "".join(pieces)
    names = product_names(rulebook)
    plain = " " + _TIDY.sub(r"\1 ", _LOOSE.sub("", plain))
    plain = names.pattern.sub(lambda m: _name(m, names), plain)
    if "," in plain:
        plain = _ASIDE.sub(" ", plain)
    if "? " in plain:
        plain = _TOPIC.sub(r"\1: ", plain)
    left = iter(quantities)
    sentences = []
    for match in _SENTENCE.finditer(plain):
        body = match[0] if match[0][0] == " " else " " + match[0]
        if len(body) < 3:
            continue
        mentions = tuple(
            Mention(m.start(), None, next(left))
            if m[1] is None
            else Mention(m.start(), names.products[int(m[1])], None)
            for m in _TOKEN.finditer(body)
        )
        sentences.append(Sentence(match.start(), body, mentions))
    return sentences


_PLACEHOLDER = {kind: placeholder for placeholder, kind in PLACEHOLDERS.items()}
