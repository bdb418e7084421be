"""Causal self-attention for training on a CPU, in blocks of queries.

Of whole dialogues of a few hundred tokens it takes about half the time of PyTorch's fused kernel, forward and
backward: the queries of all heads that share a key-value head are one matrix product, and a block of queries
meets only the keys up to its end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from dialog_gym.lm.loading import plain_model

NAME: Final = "dialog_gym_blocks"
"""Under which transformers knows this attention."""
BLOCK: Final = 64
"""Queries of a block."""
LONGEST: Final = 768
"""Dialogues beyond are left to the fused kernel, whose scores need no memory."""
FAMILIES: Final = ("llama", "qwen2")
"""Model types whose attention is known to be causal and nothing else when there is no mask."""


@contextmanager
def attention_in_blocks(model: Any) -> Iterator[None]:
    """Inside, a model on a CPU attends in blocks where it would call the fused kernel without a mask.

    Args:
        model: A Hugging Face causal language model, or a `peft.PeftModel` around one.
    """
    plain: PreTrainedModel = plain_model(model)
    config: Any = plain.config
    before = config._attn_implementation
    if plain.device.type != "cpu" or config.model_type not in FAMILIES or before != "sdpa":
        yield
        return
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def attend(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """Causal attention.

    Args:
        query: float[D, heads, L, size].
        key: float[D, groups, L, size], of as many heads or fewer.
        value: As the keys.
        scaling: Multiplies the scores.

    Returns:
        float[D, heads, L, size].
    """
    dialogues, heads, length, size = query.shape
    groups = key.shape[1]
    query = (query * scaling).reshape(dialogues * groups, heads // groups, length, size)
    key, value = (part.reshape(dialogues * groups, length, size) for part in (key, value))
    later = torch.ones(BLOCK, BLOCK, dtype=torch.bool).triu(1)
    mixed = []
    for begin in range(0, length, BLOCK):
        block = query[:, :, begin : begin + BLOCK]
        count, end = block.shape[2], begin + block.shape[2]
        scores = (block.flatten(1, 2) @ key[:, :end].mT).view(*block.shape[:3], end)
        scores[..., begin:].masked_fill_(later[:count, :count], -torch.inf)
        shares = scores.softmax(dim=-1).flatten(1, 2)
        mixed.append((shares @ value[:, :end]).view(block.shape))
    return torch.cat(mixed, dim=2).view(dialogues, heads, length, size)


def _forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls; the first result is float[D, L, heads, size], the others as in `attend`."""
    length = query.shape[2]
    if attention_mask is not None or dropout or length != key.shape[2] or length > LONGEST:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    # the rotation has made queries and keys float32; the fused kernel is given bfloat16 by autocast, too
    kind = value.dtype
    with torch.autocast("cpu", enabled=False):
        found = attend(query.to(kind), key.to(kind), value, scaling or query.shape[-1] ** -0.5)
    return found.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
