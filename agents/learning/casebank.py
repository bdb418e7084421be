"""The case bank: what was done in which state of a dialogue, and whether the dialogue ended well.

On disk it is ``cases.safetensors`` (arrays) beside ``cases.jsonl`` (one readable line per case). The first
holds a digest of the second, so that halves of two banks are never taken for one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dialog_gym.core import DialogGymError
from dialog_gym.files import replacing

ARRAYS: Final = "cases.safetensors"
LINES: Final = "cases.jsonl"
_HEADER, _FORMAT = "dialog-gym", "dialog-gym-cases 1"
_ROWS: Final = 1024
"""Queries whose similarities to all cases are in memory at once."""


@dataclass(frozen=True)
class Cases:
    """N cases, the oldest first."""

    states: Tensor
    """float32[N, F], state of the dialogue; rows of length 1."""
    actions: Tensor
    """float32[N, A], what was done; rows of length 1, one-hot where it was one of A moves."""
    outcomes: Tensor
    """bool[N], whether the dialogue ended well."""
    texts: tuple[str, ...]
    """What was done, readable."""

    def __len__(self) -> int:
        """Number of cases."""
        return len(self.texts)

    def select(self, index: Tensor) -> "Cases":
        """Some of the cases, int64[n]."""
        texts = tuple(self.texts[i] for i in index.tolist())
        return Cases(self.states[index], self.actions[index], self.outcomes[index], texts)


def no_cases(state: int, action: int) -> Cases:
    """An empty bank for states of length F and actions of length A."""
    return Cases(torch.zeros(0, state), torch.zeros(0, action), torch.zeros(0, dtype=torch.bool), ())


def join_cases(first: Cases, then: Cases) -> Cases:
    """Older cases, then newer ones."""
    return Cases(
        torch.cat([first.states, then.states]),
        torch.cat([first.actions, then.actions]),
        torch.cat([first.outcomes, then.outcomes]),
        first.texts + then.texts,
    )


def unit_rows(vectors: Tensor) -> Tensor:
    """Rows of length 1, so that a product is a cosine; a row of zeros stays one."""
    return torch.nn.functional.normalize(vectors.float(), dim=-1)


def balanced(outcomes: Tensor, capacity: int) -> Tensor:
    """Which cases are kept when there is room for some: the newest, half of each outcome.

    Where one outcome has too few cases for its half, the other one has the room.

    Args:
        outcomes: bool[N], the oldest first.
        capacity: Most cases that are kept.

    Returns:
        int64[n], in their order.
    """
    good, bad = outcomes.nonzero().squeeze(1), (~outcomes).nonzero().squeeze(1)
    of_good = min(len(good), max(capacity // 2, capacity - len(bad)))
    of_bad = min(len(bad), capacity - of_good)
    kept = torch.cat([good[len(good) - of_good :], bad[len(bad) - of_bad :]])
    return kept.sort().values


def nearest(queries: Tensor, states: Tensor, k: int) -> Tensor:
    """The cases whose states have the highest cosine with each query, the nearest first.

    Args:
        queries: float32[R, F], rows of length 1.
        states: float32[N, F], the cases'.
        k: Cases per query; all if there are fewer.

    Returns:
        int64[R, min(k, N)].
    """
    k = min(k, len(states))
    found = [(part @ states.T).topk(k, dim=1).indices for part in torch.split(queries, _ROWS)]
    return torch.cat(found) if found else torch.zeros(0, k, dtype=torch.long)


# -- on disk


def save_cases(folder: Path, cases: Cases, facts: Mapping[str, Any], more: Mapping[str, Tensor]) -> None:
    """Write a bank into an existing folder.

    Args:
        folder: Where to.
        cases: The bank.
        facts: How it is read; JSON.
        more: Further arrays, e.g. weights of what reads it.

    Raises:
        OSError: it cannot be written; a bank that was there before is intact or known to be broken.
    """
    pairs = zip(cases.texts, cases.outcomes.tolist(), strict=True)
    lines = [json.dumps({"done": text, "success": good}, ensure_ascii=False) for text, good in pairs]
    listed = "".join(f"{line}\n" for line in lines).encode()
    arrays = {"states": cases.states, "actions": cases.actions, "outcomes": cases.outcomes, **more}
    known = {"format": _FORMAT, "lines": hashlib.sha256(listed).hexdigest(), "facts": dict(facts)}
    # one entry: of several, the order in the file is not fixed
    header = {_HEADER: json.dumps(known)}
    packed = safetensors.torch.save({n: values.contiguous() for n, values in arrays.items()}, header)
    for name, data in ((LINES, listed), (ARRAYS, packed)):
        with replacing(folder / name) as working:
            working.write_bytes(data)


def load_cases(folder: Path) -> tuple[Cases, dict[str, Any], dict[str, Tensor]]:
    """The bank that `save_cases` wrote: cases, facts and further arrays.

    Raises:
        DialogGymError: a file is missing or damaged, or the two are not of the same bank.
    """
    path = folder / ARRAYS
    try:
        listed = (folder / LINES).read_bytes()
        with safe_open(path, framework="pt") as file:
            known = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except OSError as error:
        raise DialogGymError(f"{error.filename or path}: {error.strerror or error}") from None
    except SafetensorError as error:
        raise DialogGymError(f"{path} cannot be read: {error}") from None
    if known.get("format") != _FORMAT:
        raise DialogGymError(f"{path} is no case bank of this version of dialog-gym")
    if known["lines"] != hashlib.sha256(listed).hexdigest():
        raise DialogGymError(f"{folder / LINES} is not of the same case bank as {path.name}: it is damaged")
    texts = tuple(str(json.loads(line)["done"]) for line in listed.decode().splitlines())
    states, actions, outcomes = (arrays.pop(name) for name in ("states", "actions", "outcomes"))
    return Cases(states, actions, outcomes, texts), known["facts"], arrays


def packed_texts(texts: Sequence[str]) -> Tensor:
    """Texts as bytes, uint8[n]: for checkpoints, which hold arrays."""
    return torch.frombuffer(bytearray(json.dumps(list(texts)).encode()), dtype=torch.uint8)


def unpacked_texts(packed: Tensor) -> tuple[str, ...]:
    """What `packed_texts` packed."""
    return tuple(json.loads(bytes(packed.tolist())))
