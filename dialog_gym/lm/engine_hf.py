"""The engine for any Hugging Face decoder: the model's own forward pass with a cache kept across turns.

Rows that are forwarded together lie right-aligned in one `DynamicCache`, without gaps between a row's tokens;
the others are parked, each in tensors of its own length. Rows are moved only when the group changes or after
new tokens of unequal lengths, so a step within a turn costs what it costs in ``generate``.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel

from dialog_gym.core import DialogGymError
from dialog_gym.lm.engine import Sampling
from dialog_gym.lm.engine_session import LockstepSession

CACHED: Final = frozenset({"full_attention", "sliding_attention"})
"""Types of layers that look at nothing but a row's keys and values, wherever these lie."""
States: TypeAlias = list[Tensor]
"""A row's keys and values in every layer, ``[heads, length, head_dim]``; empty before anything is encoded."""


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Dropout is off inside, and every module is afterwards in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class HFEngine:
    """Samples a model through its own ``forward``; it always computes with the model's present weights."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Takes a model.

        Raises:
            DialogGymError: If the model keeps more than keys and values: a recurrent state, or convolutions.
        """
        layers = getattr(model.config.get_text_config(decoder=True), "layer_types", None) or []
        if getattr(model, "_is_stateful", False) or not CACHED.issuperset(layers):
            raise DialogGymError(
                f"{type(model).__name__} keeps more than keys and values between tokens; give a model with "
                "full or sliding attention only"
            )
        self.model = model
        self.version = 0

    def open(self, rows: int, sampling: Sampling) -> "HFSession":
        """See `Engine`."""
        return HFSession(self, rows, sampling)

    def refresh(self) -> None:
        """See `Engine`."""
        self.version += 1


class HFSession(LockstepSession):
    """Dialogues in a `DynamicCache`."""

    def __init__(self, engine: HFEngine, rows: int, sampling: Sampling) -> None:
        """Begins a batch; see `Engine.open`."""
        opened = engine.version
        super().__init__(rows, sampling, engine.model.config, lambda: engine.version != opened)
        self._model = engine.model
        self._accepts = inspect.signature(engine.model.forward).parameters
        self._cache = DynamicCache()
        self._group: list[int] = []
        self._padding: list[int] = []
        self._parked: dict[int, States] = {}

    def _advance(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> Tensor:
        self._assemble(rows)
        device = self._model.device
        cached = torch.tensor(starts, device=device)[:, None]
        counts = torch.tensor([len(new) for new in tokens], device=device)[:, None]
        ids = pad_sequence([torch.tensor(new) for new in tokens], batch_first=True).to(device)
        columns = torch.arange(ids.shape[1], device=device)
        past = torch.arange(-max(starts), 0, device=device) >= -cached
        ends, place = torch.unique(counts[:, 0] - 1, return_inverse=True)
        extra = {"position_ids": cached + columns.minimum(counts - 1), "logits_to_keep": ends}
        extra = {name: value for name, value in extra.items() if name in self._accepts}
        with _evaluating(self._model):
            logits: Tensor = self._model(
                input_ids=ids,
                attention_mask=torch.cat((past, columns < counts), dim=1).long(),
                past_key_values=self._cache,
                use_cache=True,
                **extra,
            ).logits
        self._padding = (ids.shape[1] - counts[:, 0]).tolist()
        last = place if "logits_to_keep" in extra else counts[:, 0] - 1
        return logits[torch.arange(len(rows), device=device), last]

    def _forget(self, rows: set[int]) -> None:
        self._assemble([row for row in self._group if row not in rows])
        for row in rows:
            self._parked.pop(row, None)

    def _assemble(self, rows: list[int]) -> None:
        """Makes the cache hold exactly these rows, in this order, right-aligned."""
        if rows == self._group and not any(self._padding):
            return
        held = {row: self._states(i) for i, row in enumerate(self._group)}
        # copies, because a view would keep the whole cache of this moment alive
        self._parked |= {row: [part.clone() for part in held[row]] for row in held.keys() - set(rows)}
        found = {row: held[row] if row in held else self._parked.pop(row, []) for row in rows}
        self._cache = _joined([found[row] for row in rows], [self._encoded[row] for row in rows])
        self._group, self._padding = rows, [0] * len(rows)

    def _states(self, place: int) -> States:
        """Views of the states of one row of the cache."""
        width = self._cache.get_seq_length()
        end = width - self._padding[place]
        begin = end - self._encoded[self._group[place]]
        layers: Any = self._cache.layers
        return [part[place, :, begin:end] for layer in layers for part in (layer.keys, layer.values)]


def _joined(rows: list[States], lengths: list[int]) -> DynamicCache:
    """A cache of these rows, right-aligned; rows of length 0 have no states."""
    cache = DynamicCache()
    known = next((states for states in rows if states), [])
    joined = [part.new_zeros(len(rows), len(part), max(lengths), part.shape[-1]) for part in known]
    for i, (states, length) in enumerate(zip(rows, lengths, strict=True)):
        for whole, part in zip(joined, states, strict=False):
            whole[i, :, max(lengths) - length :] = part
    for layer in range(len(joined) // 2):
        cache.update(joined[2 * layer], joined[2 * layer + 1], layer)
    return cache
