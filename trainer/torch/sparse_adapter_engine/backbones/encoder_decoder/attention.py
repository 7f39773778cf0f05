"""Fast attention for an encoder–decoder's padded rows: without a mask if nothing is masked, and
never with a mask that would have to be copied.

On a GPU flash kernels take no mask, and the memory-efficient one takes a bias only if its rows are
aligned. What is added to the scores is computed once for all layers that share it.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sparse_adapter_engine.modules.sites import AttentionDropout, Prefix

# encoder, decoder: a stack's attention to itself; cross: the decoder's to the texts.
Kind = Literal["encoder", "decoder", "cross"]
# The distance of a bias's rows is a multiple of this, so that PyTorch's memory-efficient kernel
# reads it in place.
_ALIGNED = 16
# Not cuDNN's, which PyTorch prefers for bf16 on some GPUs: it builds a plan for every shape that it
# has not seen, and here nearly every batch has one.
_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@dataclass
class Visible:
    """Which keys the queries of one forward see: a text's without its padding, and a decoder's own
    up to the query's token.

    lengths: int64 [rows], the texts' lengths with prompts; is_padded: whether any text is shorter
    than the others.
    """

    lengths: Tensor
    is_padded: bool
    _biases: dict[tuple[Kind, int, int, int], Tensor] = field(default_factory=dict)

    def bias(
        self,
        kind: Kind,
        queries: int,
        keys: int,
        prefix: int,
        position_bias: Tensor | None,
        like: Tensor,
    ) -> Tensor | None:
        """What is added to the scores, [rows or 1, heads or 1, queries or 1, prefix + keys] in
        like's type, or None. Every query sees the prefix, which has no position. position_bias: by
        distance, [1, heads, queries, keys]; the same for all layers."""
        masks_text, masks_later = (
            kind != "decoder" and self.is_padded,
            kind == "decoder" and queries > 1,
        )
        if not masks_text and not masks_later and position_bias is None:
            return None
        at = (kind, queries, keys, prefix)
        if at not in self._biases:
            hidden = torch.finfo(like.dtype).min
            parts = [] if position_bias is None else [position_bias]
            if masks_text:
                padding = torch.arange(keys, device=like.device) >= self.lengths.unsqueeze(1)
                parts.append(
                    like.new_zeros(padding.shape).masked_fill_(padding, hidden)[:, None, None]
                )
            if masks_later:
                parts.append(like.new_full((queries, keys), hidden).triu_(1)[None, None])
            total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            self._biases[at] = _aligned(total, prefix)
        return self._biases[at]


def _aligned(bias: Tensor, prefix: int) -> Tensor:
    """bias with zeros for a prefix before each row, its rows a multiple of _ALIGNED apart."""
    width = prefix + bias.shape[-1]
    result = bias.new_zeros(*bias.shape[:-1], -(-width // _ALIGNED) * _ALIGNED)[..., :width]
    result[..., prefix:] = bias
    return result


def attend_pairs(
    kind: Kind,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible,
    scale: float,
    position_bias: Tensor | None,
    prefix: Prefix | None,
    dropout: AttentionDropout | None,
    twice_differentiable: bool,
) -> Tensor:
    """Attention [n, queries, heads, dim] from query [n, heads, queries, dim] to key and value
    [rows, heads, keys, dim], preceded by a prefix [length, heads · dim], or [trials, length, heads
    · dim] for a stack. n is rows, or a multiple of it: then neighbours, such as the beams of a
    text, see the same keys.

    twice_differentiable: in operations whose gradient has a gradient, slower.
    """
    n, heads, queries, dim = query.shape
    rows, keys = key.shape[0], key.shape[2]
    before = 0 if prefix is None else prefix[0].shape[-2]
    explicit = dropout is not None or twice_differentiable
    is_causal = (
        not explicit and kind == "decoder" and queries > 1 and position_bias is None and not before
    )
    bias = None if is_causal else visible.bias(kind, queries, keys, before, position_bias, query)
    if prefix is not None:
        key, value = (
            torch.cat([_by_row(of_trial, rows, heads), own], 2)
            for of_trial, own in zip(prefix, (key, value), strict=True)
        )
    if n != rows:
        # As further queries of the same text, so that its keys and values are not repeated.
        query = (
            query.view(rows, -1, heads, queries, dim).transpose(1, 2).reshape(rows, heads, -1, dim)
        )
    if explicit:
        scores = query @ key.transpose(2, 3) * scale
        weights = torch.softmax(
            scores if bias is None else scores + bias, -1, dtype=torch.float32
        ).to(value.dtype)
        context = (
            weights
            if dropout is None
            else weights * dropout(weights.shape, weights.device).to(weights.dtype)
        ) @ value
    else:
        with sdpa_kernel(_KERNELS):
            context = F.scaled_dot_product_attention(
                query, key, value, attn_mask=bias, is_causal=is_causal, scale=scale
            )
    if n != rows:
        context = (
            context.view(rows, heads, -1, queries, dim)
            .transpose(1, 2)
            .reshape(n, heads, queries, dim)
        )
    return context.transpose(1, 2).contiguous()


def _by_row(prefix: Tensor, rows: int, heads: int) -> Tensor:
    """A prefix of `attend_pairs` as [rows, heads, length, dim]."""
    by_head: Tensor = prefix.unflatten(-1, (heads, -1)).transpose(-3, -2)
    if by_head.dim() == 3:
        return by_head.expand(rows, -1, -1, -1)
    return by_head.repeat_interleave(rows // by_head.shape[0], 0)
