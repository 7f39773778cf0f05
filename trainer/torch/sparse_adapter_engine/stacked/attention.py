"""Self-attention over rows of different lengths, stored one after the other.

`padded` is the specification: plain operations, for any device and type. The others compute the
same with a kernel for rows of variable length; choose.py tries them and chooses. Queries are
already scaled by 1 / √dim (backbones/encoder/encoder.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Below any score, but finite, so that a row without keys does not become NaN.
_HIDDEN = -1e30
# Maximum keys per row for the kernel for short rows: what a program's registers hold.
SHORT_ROWS = 128
_softmax_backward = torch.ops.aten._softmax_backward_data


@dataclass(frozen=True)
class Spans:
    """Which tokens make up each row. starts: int32 [rows + 1], where each row begins, and the end;
    row_of: int32 [tokens]; longest: maximum tokens per row."""

    starts: Tensor
    row_of: Tensor
    longest: int

    @property
    def rows(self) -> int:
        return self.starts.numel() - 1

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """The tokens of rows padded to the longest, int32 [rows · longest], and which of them are
        not padding, bool [rows, longest]."""
        numbers = torch.arange(self.longest, device=self.starts.device, dtype=torch.int32)
        places, ends = self.starts[:-1, None] + numbers, self.starts[1:, None]
        # Padding repeats the row's own token: another trial's may be NaN, and 0 times NaN is NaN.
        return torch.minimum(places, (ends - 1).clamp(min=0)).view(-1), places < ends

    @cached_property
    def place(self) -> Tensor:
        """int64 [tokens]: where each token is among `padded`."""
        numbers = torch.arange(self.row_of.numel(), device=self.starts.device, dtype=torch.int32)
        return (
            numbers - self.starts.index_select(0, self.row_of) + self.row_of.long() * self.longest
        )


# (query [n, d], key and value [m, 2 d], heads, spans of queries, spans of keys) → context [n, d].
Attend = Callable[[Tensor, Tensor, int, Spans, Spans], Tensor]


def padded(query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans) -> Tensor:
    """Attention over rows padded to the longest, with softmax in float32."""
    result: Tensor = _Padded.apply(query, key_value, heads, queries, keys)
    return result


class _Padded(torch.autograd.Function):
    """Gathers tokens and never scatters them, so that sums have a fixed order and graphs can
    capture it."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
    ) -> Tensor:
        q, k, v = _gathered(query, key_value, heads, queries, keys)
        scores = (q @ k.transpose(-1, -2)).float()
        hidden = ~keys.padded[1][:, None, None]
        weights = torch.softmax(scores.masked_fill_(hidden, _HIDDEN), -1).to(q.dtype)
        ctx.save_for_backward(query, key_value, weights)
        ctx.given = heads, queries, keys
        return _flat(weights @ v, queries)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value, weights = ctx.saved_tensors
        heads, queries, keys = ctx.given
        q, k, v = _gathered(query, key_value, heads, queries, keys)
        places, there = queries.padded
        g = gradient.index_select(0, places) * there.view(-1, 1)
        g = _heads(g, queries, heads)
        dv = weights.transpose(-1, -2) @ g
        dw = (g @ v.transpose(-1, -2)).float()
        ds = _softmax_backward(dw, weights.float(), -1, torch.float32).to(q.dtype)
        dk = ds.transpose(-1, -2) @ q
        return _flat(ds @ k, queries), torch.cat([_flat(dk, keys), _flat(dv, keys)], 1), *[None] * 3


def _gathered(
    query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
) -> tuple[Tensor, Tensor, Tensor]:
    """query, key and value [rows, heads, longest, dim]."""
    q = _heads(query.index_select(0, queries.padded[0]), queries, heads)
    key, value = key_value.index_select(0, keys.padded[0]).chunk(2, 1)
    return q, _heads(key, keys, heads), _heads(value, keys, heads)


def _heads(x: Tensor, spans: Spans, heads: int) -> Tensor:
    return x.view(spans.rows, spans.longest, heads, -1).transpose(1, 2)


def _flat(x: Tensor, spans: Spans) -> Tensor:
    """[rows, heads, longest, dim] → [tokens, d]."""
    return x.transpose(1, 2).reshape(spans.rows * spans.longest, -1).index_select(0, spans.place)


def varlen(query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans) -> Tensor:
    """PyTorch's own attention for rows of variable length (CUDA, bfloat16 or float16)."""
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = _of_heads(query, key_value, heads)
    context = varlen_attn(
        q, k, v, queries.starts, keys.starts, queries.longest, keys.longest, scale=1.0
    )
    assert isinstance(context, Tensor), "nothing else was asked for"
    return context.reshape(query.shape)


def flash(query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans) -> Tensor:
    """The operation below `varlen`, without that function's overhead per call."""
    result: Tensor = _Flash.apply(query, key_value, heads, queries, keys)
    return result


class _Flash(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
    ) -> Tensor:
        q, k, v = _of_heads(query, key_value, heads)
        spans = queries.starts, keys.starts, queries.longest, keys.longest
        out, log_sums, state, unused, *_ = torch.ops.aten._flash_attention_forward(
            q, k, v, *spans, 0.0, False, False, scale=1.0
        )
        ctx.save_for_backward(query, key_value, out, log_sums, state, unused, *spans[:2])
        ctx.given = heads, spans[2:]
        context: Tensor = out.reshape(query.shape)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value, out, log_sums, state, unused, *starts = ctx.saved_tensors
        heads, longest = ctx.given
        q, k, v = _of_heads(query, key_value, heads)
        g = gradient.reshape(out.shape)
        dq, dk, dv = torch.ops.aten._flash_attention_backward(
            g, q, k, v, out, log_sums, *starts, *longest, 0.0, False, state, unused, scale=1.0
        )
        dkv = torch.stack([dk, dv], 1).view(key_value.shape)
        return dq.reshape(query.shape), dkv, None, None, None


def _of_heads(query: Tensor, key_value: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """query, key and value [tokens, heads, dim]."""
    key, value = key_value.chunk(2, 1)
    return (
        query.unflatten(1, (heads, -1)),
        key.unflatten(1, (heads, -1)),
        value.unflatten(1, (heads, -1)),
    )
