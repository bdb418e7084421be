"""The fast engine, for Llama and Qwen2: `decoder` over one cache of all dialogues."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedModel, Qwen2ForCausalLM

from dialog_gym.lm.decoder import Decoder, Window
from dialog_gym.lm.engine import Sampling
from dialog_gym.lm.engine_session import LockstepSession

BLOCK: Final = 128
"""Columns by which the cache grows."""
WINDOW: Final = 4096
"""Most tokens, padding included, in one forward pass: bounds the memory of long prompts."""
FULL_ENOUGH: Final = 0.75
"""Rows are moved together when they fill less than this share of the slots that attention runs over."""


def unfit(model: PreTrainedModel) -> str:
    """Why this forward pass would not be the model's own; empty when it is."""
    config = model.config
    if type(model) not in (LlamaForCausalLM, Qwen2ForCausalLM):
        return f"{type(model).__name__} is neither LlamaForCausalLM nor Qwen2ForCausalLM"
    if config.hidden_act != "silu":
        return f"its activation is {config.hidden_act}, not silu"
    rope = config.rope_parameters["rope_type"]
    if rope not in ("default", "linear", "llama3"):
        return f"its rotary embedding is of type {rope}, which depends on the length"
    if getattr(config, "use_sliding_window", False):
        return "its attention has a sliding window"
    projections = [part for name, part in model.model.layers.named_modules() if name.endswith("_proj")]
    if any(type(part) is not nn.Linear for part in (*projections, model.lm_head)):
        return "its projections are not plain linear layers (adapters or quantisation)"
    return ""


def compute_type(model: PreTrainedModel) -> torch.dtype:
    """The type to sample in: on a CPU bfloat16 if it computes in it, else float32; elsewhere the model's."""
    if model.device.type != "cpu":
        return model.dtype
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


class LlamaEngine:
    """Samples a copy of a model's weights."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype | None = None) -> None:
        """Takes a model that is not `unfit`; see `make_engine` for ``dtype``."""
        self.model = model
        self.dtype = dtype or compute_type(model)
        self.decoder = Decoder(model, self.dtype)

    def open(self, rows: int, sampling: Sampling) -> "LlamaSession":
        """See `Engine`."""
        return LlamaSession(self, rows, sampling)

    def refresh(self) -> None:
        """See `Engine`."""
        self.decoder = Decoder(self.model, self.dtype)


class LlamaSession(LockstepSession):
    """Dialogues in one contiguous cache.

    Each row has a slot, in which its tokens lie at columns 0, 1, ... without gaps. Attention runs over
    neighbouring slots, so rows that advance together are moved together when too many others lie between.
    """

    def __init__(self, engine: LlamaEngine, rows: int, sampling: Sampling) -> None:
        """Begins a batch; see `Engine.open`."""
        decoder = engine.decoder
        super().__init__(rows, sampling, engine.model.config, lambda: engine.decoder is not decoder)
        self._decoder = decoder
        self._rows = list(range(rows))  # by slot
        self._cache = decoder.embedding.new_zeros(
            len(decoder.layers), 2, rows, decoder.groups, 0, decoder.head_size
        )

    def _advance(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> Tensor:
        self._reserve(max(start + len(new) for start, new in zip(starts, tokens, strict=True)))
        alike = _alike(tokens, starts)
        firsts = sorted(set(alike))
        states = self._read(
            [rows[i] for i in firsts], [tokens[i] for i in firsts], [starts[i] for i in firsts]
        )
        if len(firsts) < len(rows):
            slots = {row: slot for slot, row in enumerate(self._rows)}
            origins = [slots[rows[first]] for first in alike]
            self._cache[:, :, [slots[row] for row in rows]] = self._cache[:, :, origins]
        return self._decoder.logits(states)[[firsts.index(first) for first in alike]]

    def _read(self, rows: list[int], tokens: list[list[int]], starts: list[int]) -> Tensor:
        """Encodes tokens; the states after each row's last one, ``[N, hidden]``."""
        slots = self._together(rows)
        order = sorted(range(len(rows)), key=slots.__getitem__)
        states = self._cache.new_empty(len(rows), self._decoder.embedding.shape[1])
        step = max(1, WINDOW // max(map(len, tokens)))
        for begin in range(0, len(rows), step):
            chosen = order[begin : begin + step]
            window = self._window(
                [slots[i] for i in chosen], [tokens[i] for i in chosen], [starts[i] for i in chosen]
            )
            states[chosen] = self._decoder.encode(window, self._cache)
        return states

    def _forget(self, rows: set[int]) -> None:
        left = [row for row in self._rows if row not in rows]
        self._move_to_front(left)
        self._rows = self._rows[: len(left)]
        self._cache = self._cache[:, :, : len(left)]  # the memory is returned when the cache next grows

    def _reserve(self, width: int) -> None:
        """Grows the cache to at least this many columns."""
        *shape, present, size = self._cache.shape
        if width > present:
            # zeros, because what is masked is still multiplied by zero
            grown = self._cache.new_zeros(*shape, -(-width // BLOCK) * BLOCK, size)
            grown[..., :present, :] = self._cache
            self._cache = grown

    def _together(self, rows: Sequence[int]) -> list[int]:
        """The slots of these rows, after moving the rows together if they lie too far apart."""
        slots = [self._rows.index(row) for row in rows]
        if len(rows) < FULL_ENOUGH * (max(slots) - min(slots) + 1):
            self._move_to_front(rows)
            slots = [self._rows.index(row) for row in rows]
        return slots

    def _move_to_front(self, rows: Sequence[int]) -> None:
        """Exchanges slots so that these rows have the first ones."""
        wanted = set(rows)
        front, back = range(len(rows)), range(len(rows), len(self._rows))
        away = [slot for slot in front if self._rows[slot] not in wanted]
        here = [slot for slot in back if self._rows[slot] in wanted]
        self._cache[:, :, away + here] = self._cache[:, :, here + away]
        for slot, other in zip(away, here, strict=True):
            self._rows[slot], self._rows[other] = self._rows[other], self._rows[slot]

    def _window(self, slots: list[int], tokens: list[list[int]], starts: list[int]) -> Window:
        """The new tokens of rows in these slots, which are in ascending order."""
        counts = torch.tensor([len(new) for new in tokens])
        slot = torch.tensor(slots).repeat_interleave(counts) - slots[0]
        columns = torch.cat([torch.arange(len(new)) for new in tokens])
        positions = torch.tensor(starts).repeat_interleave(counts) + columns
        # padding looks at the first column only: something to look at, so that no score is not a number
        last_seen = torch.zeros(slots[-1] - slots[0] + 1, 1, int(counts.max()), 1, 1, dtype=torch.long)
        last_seen[slot, 0, columns, 0, 0] = positions
        hidden = torch.arange(self._cache.shape[-2]) > last_seen
        mask = torch.zeros(hidden.shape, dtype=self._cache.dtype).masked_fill_(hidden, -torch.inf)
        ids = torch.tensor([token for new in tokens for token in new])
        parts = (ids, slot, columns, positions, counts.cumsum(0) - 1, mask)
        return Window(slots[0], *(part.to(self._cache.device) for part in parts))


def _alike(tokens: Sequence[Sequence[int]], starts: Sequence[int]) -> list[int]:
    """Of each row the first that begins with the same prompt, often itself: a group's is encoded once."""
    known: dict[tuple[int, ...], int] = {}
    return [
        i if start else known.setdefault(tuple(new), i)
        for i, (new, start) in enumerate(zip(tokens, starts, strict=True))
    ]
