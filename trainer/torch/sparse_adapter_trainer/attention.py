"""Self-attention among packed rows: no mask, no padded token, and never rows of two trials together.

A trial's rows are attended to one by one, or in runs of equal length: contiguous slices of the packed tensors either way. So its attention
is computed at the shapes that it has alone, and what is not finite in one trial stays there. Queries come scaled by 1 / √dim (backbone.py).
A trial may have a prefix: keys and values before those of each row's tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .dataset import PackedRows

# Gives factors for attention probabilities of a shape on a device: 0 where dropped, else 1 / (1 − probability).
AttentionDropout = Callable[[torch.Size, torch.device], Tensor]
# Keys and values, [length, d] each.
Prefix = tuple[Tensor, Tensor]

# Below this length a CPU's fused kernel on a run of rows is faster than a few products for each row.
_SHORT = 16

_fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_fused_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_softmax_backward = torch.ops.aten._softmax_backward_data


@dataclass(frozen=True)
class _Run:
    """Neighbouring rows of one trial, of one length, that are attended to together. prefix: the place of its key among the prefixes'
    tensors, −1 without one."""

    rows: int
    length: int
    fused: bool
    dropout: AttentionDropout | None
    prefix: int


def attend(
    query: Tensor,
    key_value: Tensor,
    packs: Sequence[PackedRows],
    dropouts: Sequence[AttentionDropout | None],
    prefixes: Sequence[Prefix | None],
    heads: int,
    twice_differentiable: bool = False,
) -> Tensor:
    """Attention to the tokens of the same row: of every token, query [tokens, d], or of each row's first, query [rows, d]; with key_value
    [tokens, 2 d] → the query's shape. dropouts and prefixes: one for each pack."""
    # The fused kernel has no second derivative, and its bits depend on the number of rows where each has one query.
    fuse = not twice_differentiable and query.shape[0] == key_value.shape[0] and query.device.type == "cpu"
    runs = list(_runs(packs, dropouts, prefixes, query.device, fuse))
    given = [tensor for prefix in prefixes if prefix for tensor in prefix]
    if twice_differentiable:
        return _attend_plainly(query, key_value, given, runs, heads)
    context: Tensor = _Attention.apply(query, key_value, runs, heads, *given)
    return context


def _runs(
    packs: Sequence[PackedRows],
    dropouts: Sequence[AttentionDropout | None],
    prefixes: Sequence[Prefix | None],
    device: torch.device,
    fuse: bool,
) -> Iterator[_Run]:
    given = 0
    for pack, dropout, prefix in zip(packs, dropouts, prefixes, strict=True):
        place = -1 if prefix is None else given
        given += 0 if prefix is None else 2
        for rows, length in pack.groups:
            fused = fuse and dropout is None and prefix is None and length < _SHORT
            if fused or device.type != "cpu":
                yield _Run(rows, length, fused, dropout, place)
            else:
                yield from (_Run(1, length, False, dropout, place) for _ in range(rows))


def _attend_plainly(query: Tensor, key_value: Tensor, given: list[Tensor], runs: list[_Run], heads: int) -> Tensor:
    """The same in operations that autograd knows, so that the gradient has a gradient."""
    parts = []
    for run, (q, k, v) in zip(runs, _inputs(query, key_value, runs, heads), strict=True):
        k, v = _prefixed(given, run, heads, k, v)
        weights = torch.softmax(q @ k.transpose(-1, -2), -1)
        if run.dropout:
            weights = weights * run.dropout(weights.shape, weights.device)
        parts.append((weights @ v).transpose(-3, -2).reshape(-1, query.shape[1]))
    return torch.cat(parts)


class _Attention(torch.autograd.Function):
    """Writes each run's part of the context, and of the gradients, to where it belongs: autograd's own way copies them twice more."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key_value: Tensor, runs: list[_Run], heads: int, *given: Tensor) -> Tensor:
        context = torch.empty_like(query)
        ctx.save_for_backward(query, key_value, *given)
        ctx.runs, ctx.heads, ctx.kept = runs, heads, []
        for run, (q, k, v), out in zip(runs, _inputs(query, key_value, runs, heads), _queries(context, runs, heads), strict=True):
            if run.fused:
                result, log_sums = _fused(q, k, v, scale=1.0)
                ctx.kept.append((result, log_sums))
            else:
                k, v = _prefixed(given, run, heads, k, v)
                weights = torch.softmax(q @ k.transpose(-1, -2), -1)
                factors = run.dropout(weights.shape, weights.device) if run.dropout else None
                result = (weights if factors is None else weights * factors) @ v
                ctx.kept.append((weights, factors))
            out.copy_(result)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value, *given = ctx.saved_tensors
        runs, heads = ctx.runs, ctx.heads
        query_gradient, key_value_gradient = torch.empty_like(query), torch.empty_like(key_value)
        given_gradients = [torch.zeros_like(tensor) for tensor in given]
        inputs = _inputs(query, key_value, runs, heads)
        gradients = _inputs(query_gradient, key_value_gradient, runs, heads)
        outputs = _queries(gradient, runs, heads)
        for run, kept, (q, k, v), (gq, gk, gv), g in zip(runs, ctx.kept, inputs, gradients, outputs, strict=True):
            if run.fused:
                dq, dk, dv = _fused_backward(g, q, k, v, *kept, 0.0, False, scale=1.0)
            else:
                k, v = _prefixed(given, run, heads, k, v)
                weights, factors = kept
                dropped = weights if factors is None else weights * factors
                dv = dropped.transpose(-1, -2) @ g
                dw = g @ v.transpose(-1, -2)
                ds = _softmax_backward(dw if factors is None else dw * factors, weights, -1, weights.dtype)
                dq, dk = ds @ k, ds.transpose(-1, -2) @ q
                if run.prefix >= 0:
                    dk, dv = (_take_prefix(given_gradients[run.prefix + at], heads, d) for at, d in enumerate((dk, dv)))
            gq.copy_(dq)
            gk.copy_(dk)
            gv.copy_(dv)
        # As autograd does with saved tensors: the graph may outlive its backward.
        ctx.kept = []
        return query_gradient, key_value_gradient, None, None, *given_gradients


def _prefixed(given: Sequence[Tensor], run: _Run, heads: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """key and value [(rows,) heads, tokens, dim] with the run's prefix before each row's."""
    if run.prefix < 0:
        return key, value
    prefix = [tensor.unflatten(1, (heads, -1)).transpose(0, 1) for tensor in given[run.prefix : run.prefix + 2]]
    before = [tensor.expand(*key.shape[:-2], *tensor.shape[-2:]) for tensor in prefix]
    return torch.cat([before[0], key], -2), torch.cat([before[1], value], -2)


def _take_prefix(into: Tensor, heads: int, gradient: Tensor) -> Tensor:
    """Adds the prefix's part of a gradient [(rows,) heads, length + tokens, dim] to `into` [length, d]; returns the tokens' part."""
    length = into.shape[0]
    part = gradient[..., :length, :].transpose(-3, -2).reshape(-1, *into.shape)
    into += part.sum(0)
    return gradient[..., length:, :]


def _inputs(query: Tensor, key_value: Tensor, runs: list[_Run], heads: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each run's query, key and value as views."""
    tokens = [run.rows * run.length for run in runs]
    key, value = key_value.view(key_value.shape[0], 2, heads, -1).permute(1, 2, 0, 3).unbind()
    return zip(_queries(query, runs, heads), _views(key, tokens, runs), _views(value, tokens, runs), strict=True)


def _queries(x: Tensor, runs: list[_Run], heads: int) -> Iterator[Tensor]:
    """Each run's part of x [queries, d], which has one query for each token, or for each row, as a view."""
    rows, tokens = [run.rows for run in runs], [run.rows * run.length for run in runs]
    sizes = tokens if x.shape[0] == sum(tokens) else rows
    return _views(x.view(x.shape[0], heads, -1).transpose(0, 1), sizes, runs)


def _views(x: Tensor, sizes: list[int], runs: list[_Run]) -> Iterator[Tensor]:
    """Views of x [heads, tokens, dim]: [heads, tokens, dim] for one row that is not fused, else [rows, heads, tokens, dim]."""
    for run, part in zip(runs, x.split(sizes, dim=1), strict=True):
        yield part if run.rows == 1 and not run.fused else part.unflatten(1, (run.rows, -1)).transpose(0, 1)
