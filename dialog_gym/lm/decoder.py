"""A forward pass of Llama and Qwen2 for sampling many dialogues, over weights copied from the model.

What makes it fast on a CPU:

- query heads that share a key-value head are folded into the query axis, so that the cache is read once;
- new tokens are packed: padding exists inside attention only; only rows' last tokens get logits;
- the cache is contiguous, because a strided one is copied by every matrix product;
- query, key and value projections are one matrix, gate and up projections another;
- weights may be bfloat16.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Projection(NamedTuple):
    """A linear map, applied as ``F.linear(x, *projection)``."""

    weight: Tensor
    bias: Tensor | None


class Layer(NamedTuple):
    """The weights of one decoder layer."""

    before_attention: Tensor
    query_key_value: Projection
    out: Projection
    before_mlp: Tensor
    gate_up: Projection
    down: Projection


class Window(NamedTuple):
    """New tokens of rows in neighbouring slots: N packed tokens, at most T of one row, in S slots."""

    first: int
    """The first of the S slots."""
    ids: Tensor
    """``[N]``"""
    slots: Tensor
    """Slot of each token, counted from ``first``, ``[N]``."""
    columns: Tensor
    """Which of its row's new tokens it is, ``[N]``."""
    positions: Tensor
    """Which of all its row's tokens it is, ``[N]``."""
    ends: Tensor
    """Where each row's last token is in N."""
    mask: Tensor
    """Added to attention scores: 0 or -inf, ``[S, 1, T, 1, width]``."""


class Decoder:
    """The model's weights in the layout and type of the fast path: a copy, which training does not change."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """Copies the weights of a fit model."""
        config, body = model.config, model.model
        self.heads: int = config.num_attention_heads
        self.groups: int = config.num_key_value_heads
        self.head_size: int = model.model.layers[0].self_attn.head_dim
        self.epsilon: float = config.rms_norm_eps

        def copy(weight: Tensor) -> Tensor:
            return weight.detach().to(dtype, copy=True)

        def fuse(*parts: nn.Linear) -> Projection:
            biases = [part.bias.detach() for part in parts if part.bias is not None]
            return Projection(
                copy(torch.cat([part.weight.detach() for part in parts])),
                copy(torch.cat(biases)) if biases else None,
            )

        self.layers = [
            Layer(
                copy(layer.input_layernorm.weight),
                fuse(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                fuse(layer.self_attn.o_proj),
                copy(layer.post_attention_layernorm.weight),
                fuse(layer.mlp.gate_proj, layer.mlp.up_proj),
                fuse(layer.mlp.down_proj),
            )
            for layer in body.layers
        ]
        self.embedding = copy(body.embed_tokens.weight)
        self.norm = copy(body.norm.weight)
        tied = model.lm_head.weight is body.embed_tokens.weight
        self.head = self.embedding if tied else copy(model.lm_head.weight)
        self._rope = body.rotary_emb

    def encode(self, window: Window, cache: Tensor) -> Tensor:
        """Writes the tokens' keys and values into the cache.

        Args:
            window: The tokens.
            cache: ``[layers, 2, slots, groups, width, head_size]``.

        Returns:
            The state after each row's last token, ``[rows, hidden]``.
        """
        x = self.embedding[window.ids]
        # in float32, as in the model: angles of far positions need the digits
        cosine, sine = self._rope(x.new_empty(0, dtype=torch.float32), window.positions[:, None])
        slots = slice(window.first, window.first + len(window.mask))
        for layer, stored in zip(self.layers, cache, strict=True):
            x = x + self._attention(layer, x, window, (cosine, sine), stored[:, slots])
            normed = self._normalise(x, layer.before_mlp)
            gate, up = F.linear(normed, *layer.gate_up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, *layer.down)
        return x[window.ends]

    def logits(self, states: Tensor) -> Tensor:
        """``[N, hidden]`` to ``[N, vocabulary]``."""
        return F.linear(self._normalise(states, self.norm), self.head)

    def _normalise(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self.epsilon)

    def _attention(
        self, layer: Layer, x: Tensor, window: Window, rope: tuple[Tensor, Tensor], stored: Tensor
    ) -> Tensor:
        """Self-attention of N tokens; ``stored`` is ``[2, S, groups, width, head_size]``."""
        heads, groups, size = self.heads, self.groups, self.head_size
        projected = F.linear(self._normalise(x, layer.before_attention), *layer.query_key_value)
        query, key, value = torch.split(projected.view(len(x), -1, size), [heads, groups, groups], dim=1)
        keys, values = stored
        keys[window.slots, :, window.positions] = _rotate(key, *rope)
        values[window.slots, :, window.positions] = value
        slots, _, longest, _, width = window.mask.shape
        padded = query.new_zeros(slots, longest, heads, size)
        padded[window.slots, window.columns] = _rotate(query, *rope) * size**-0.5
        # the query heads of a group one after the other: a single product with the group's keys
        folded = (
            padded.view(slots, longest, groups, -1, size).transpose(1, 2).reshape(slots * groups, -1, size)
        )
        scores = folded @ keys.reshape(-1, width, size).mT
        scores.view(slots, groups, longest, -1, width).add_(window.mask)
        mixed = scores.softmax(dim=-1) @ values.reshape(-1, width, size)
        packed = mixed.view(slots, groups, longest, -1, size).transpose(1, 2)[window.slots, window.columns]
        return F.linear(packed.reshape(len(x), heads * size), *layer.out)


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary position embedding (Su et al., 2021) of ``[N, heads, size]`` by angles ``[N, 1, size]``."""
    wide = x.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cosine + torch.cat((-second, first), dim=-1) * sine).to(x.dtype)
