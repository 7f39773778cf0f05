"""Self-attention among packed rows, by groups of rows of equal length: contiguous slices, no mask, no padded token.

A group never spans two trials, so a trial's attention is computed at the shapes that it has alone, and what is not
finite in one trial stays there.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .dataset import PackedRows

# From attention probabilities [rows, heads, queries, keys] to the same with some set to 0.
AttentionDropout = Callable[[Tensor], Tensor]


def attend(query_key_value: Tensor, packs: Sequence[PackedRows], dropouts: Sequence[AttentionDropout | None], heads: int) -> Tensor:
    """Attention of every token to the tokens of its row. query_key_value: [tokens, 3 d] → [tokens, d]."""
    groups = _groups(packs, dropouts)
    sizes = [rows * length for rows, length, _ in groups]
    contexts = []
    for part, (rows, length, dropout) in zip(query_key_value.split(sizes), groups, strict=True):
        query, key, value = part.view(rows, length, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind()
        contexts.append(_attention(query, key, value, dropout).transpose(1, 2).reshape(rows * length, -1))
    return torch.cat(contexts)


def attend_first_tokens(
    query: Tensor, key_value: Tensor, packs: Sequence[PackedRows], dropouts: Sequence[AttentionDropout | None], heads: int
) -> Tensor:
    """Attention of each row's first token to the tokens of its row. query: [rows, d], key_value: [tokens, 2 d] → [rows, d]."""
    groups = _groups(packs, dropouts)
    contexts = []
    queries = query.split([rows for rows, _, _ in groups])
    keys_values = key_value.split([rows * length for rows, length, _ in groups])
    for one, part, (rows, length, dropout) in zip(queries, keys_values, groups, strict=True):
        key, value = part.view(rows, length, 2, heads, -1).permute(2, 0, 3, 1, 4).unbind()
        contexts.append(_attention(one.view(rows, heads, 1, -1), key, value, dropout).reshape(rows, -1))
    return torch.cat(contexts)


def _groups(packs: Sequence[PackedRows], dropouts: Sequence[AttentionDropout | None]) -> list[tuple[int, int, AttentionDropout | None]]:
    return [(rows, length, dropout) for pack, dropout in zip(packs, dropouts, strict=True) for rows, length in pack.groups]


def _attention(query: Tensor, key: Tensor, value: Tensor, dropout: AttentionDropout | None) -> Tensor:
    """softmax(q kᵀ / √dim) v, tensors [rows, heads, tokens, dim]. Written out where there is dropout: fused kernels take none of ours."""
    if dropout is None:
        return F.scaled_dot_product_attention(query, key, value)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return dropout(scores.softmax(-1)) @ value
