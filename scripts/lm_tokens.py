"""The tokenised corpus of the tiny language model, cached beside the corpus."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from lm_corpus import CREDIT, read_corpus
from numpy.typing import NDArray

from dialog_gym.agents.lm.prompts import encode
from dialog_gym.files import replacing
from dialog_gym.noise import mix, text_key

CREDIT_SHARE: Final = 0.5
"""Share of the training tokens that are the credit shop's."""
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Tokens:
    """Documents one after the other in ``ids``; document i is ``ids[ends[i - 1]:ends[i]]``."""

    ids: Ints
    ends: Ints
    source: Ints
    """``[documents]``, index into ``sources``."""
    held_out: NDArray[np.bool_]
    sources: tuple[str, ...]
    hash: str

    def document(self, i: int) -> Ints:
        """The ids of a document."""
        return self.ids[self.ends[i - 1] if i else 0 : self.ends[i]]

    def which(self, source: str, *, held_out: bool) -> Ints:
        """The documents of a source."""
        return np.flatnonzero((self.source == self.sources.index(source)) & (self.held_out == held_out))


def read_tokens(corpus: Path, tokenizer: Any) -> Tokens:
    """Tokenise a corpus, or take it from the cache when corpus and tokenizer are the same."""
    digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
    digest.update(corpus.read_bytes() if corpus.exists() else b"")
    cache = corpus.with_name(f"tokens-{digest.hexdigest()[:16]}.npz")
    if not cache.exists():
        _write(cache, corpus, tokenizer)
    with np.load(cache) as stored:
        names = tuple(stored["sources"].tolist())
        arrays = {name: stored[name] for name in ("ids", "ends", "source", "held_out")}
    return Tokens(**arrays, sources=names, hash=digest.hexdigest())


def _write(cache: Path, corpus: Path, tokenizer: Any) -> None:
    ids: list[Ints] = []
    source, held_out, sources = [], [], list[str]()
    for document in read_corpus(corpus):
        if document.source not in sources:
            sources.append(document.source)
        ids.append(np.asarray(encode(tokenizer, document.messages), np.uint16))
        source.append(sources.index(document.source))
        held_out.append(document.held_out)
    ends = np.cumsum([len(i) for i in ids])
    with replacing(cache) as working:
        np.savez(
            working, ids=np.concatenate(ids), ends=ends, source=source, held_out=held_out, sources=sources
        )


def blocks(tokens: Tokens, budget: int, length: int, seed: int) -> Ints:
    """Training data for ``budget`` tokens, ``[n, length]``, in random order; `CREDIT_SHARE` is the shop's."""
    credit = np.isin(tokens.source, [tokens.sources.index(name) for name in CREDIT.values()])
    shares = ((credit, CREDIT_SHARE), (~credit, 1 - CREDIT_SHARE))
    groups = []
    for number, (group, share) in enumerate(shares):
        rng = np.random.default_rng(mix(text_key("pretraining"), seed, number))
        rows = -(-int(budget * share) // length)
        stream = _shuffled(tokens, np.flatnonzero(group & ~tokens.held_out), rows * length, rng)
        groups.append(np.concatenate(list(stream))[: rows * length].reshape(rows, length))
    packed = np.concatenate(groups)
    order = np.random.default_rng(mix(text_key("pretraining"), seed, len(shares))).permutation(len(packed))
    return packed[order]


def _shuffled(tokens: Tokens, which: Ints, wanted: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Documents in random order, again and again, until there are enough tokens."""
    while wanted > 0:
        for i in rng.permutation(which):
            document = tokens.document(int(i))
            yield document
            wanted -= len(document)
            if wanted <= 0:
                return
