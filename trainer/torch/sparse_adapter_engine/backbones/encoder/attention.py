"""Self-attention within packed rows: no mask, no padding, and never rows of two trials together.

A trial's rows are computed in runs of equal length, at the shapes that they have when the trial
runs alone, and non-finite values stay in their own trial. Queries are already scaled by 1 / √dim
(encoder.py). A trial may have a prefix: keys and values before those of each row's tokens.

The products write blocks: each row's heads one after the other, [heads, length, dim]. One gather
puts all blocks into token order; a copy for each run is slower.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_adapter_engine.data.rows import PackedRows
from sparse_adapter_engine.modules.sites import AttentionDropout, Prefix

# Below this number of keys a CPU's softmax over the last dimension works value by value; over
# another dimension it is three times as fast.
_SHORT = 16

_softmax_backward = torch.ops.aten._softmax_backward_data


@dataclass(frozen=True)
class _Run:
    """Neighbouring rows of one trial and one length, which are computed together. prefix: the index
    of its key among the prefixes' tensors, −1 without a prefix. is_filling: of a pack's filling,
    which is one block of zeros."""

    rows: int
    length: int
    dropout: AttentionDropout | None
    prefix: int
    is_filling: bool = False


def attend(
    query: Tensor,
    key_value: Tensor,
    packs: Sequence[PackedRows],
    dropouts: Sequence[AttentionDropout | None],
    prefixes: Sequence[Prefix | None],
    heads: int,
    twice_differentiable: bool = False,
) -> Tensor:
    """Attention within each row, from every token (query [tokens, d]) or only from each row's first
    (query [rows, d]), with key_value [tokens, 2 d] → the query's shape. dropouts, prefixes: one for
    each pack."""
    runs = list(_runs(packs, dropouts, prefixes))
    given = [tensor for prefix in prefixes if prefix for tensor in prefix]
    if twice_differentiable:
        return _attend_plainly(query, key_value, given, runs, heads)
    places = _places(tuple((run.rows, run.length) for run in runs), heads, query.device)
    context: Tensor = _Attention.apply(query, key_value, runs, heads, places, *given)
    return context


def _runs(
    packs: Sequence[PackedRows],
    dropouts: Sequence[AttentionDropout | None],
    prefixes: Sequence[Prefix | None],
) -> Iterator[_Run]:
    given = 0
    for pack, dropout, prefix in zip(packs, dropouts, prefixes, strict=True):
        place = -1 if prefix is None else given
        given += 0 if prefix is None else 2
        yield from (_Run(rows, length, dropout, place) for rows, length in pack.groups)
        if pack.filling:
            yield _Run(1, pack.filling, None, -1, is_filling=True)


@lru_cache(maxsize=4)
def _places(
    runs: tuple[tuple[int, int], ...], heads: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where each token's heads are in blocks, int64 [tokens · heads], and the same for keys and
    values, [tokens · 2 · heads], where all blocks of keys come before all blocks of values. runs:
    (rows, length) of each. Cached from layer to layer."""
    lengths = torch.tensor([length for rows, length in runs for _ in range(rows)])
    length, first = (
        each.repeat_interleave(lengths).unsqueeze(1)
        for each in (lengths, lengths.cumsum(0) - lengths)
    )
    place = torch.arange(length.shape[0]).unsqueeze(1) - first
    places = first * heads + torch.arange(heads) * length + place
    return places.flatten().to(device), torch.stack(
        [places, places + places.numel()], 1
    ).flatten().to(device)


def _attend_plainly(
    query: Tensor, key_value: Tensor, given: list[Tensor], runs: list[_Run], heads: int
) -> Tensor:
    """The same in autograd's own operations, so that the gradient has a gradient."""
    parts = []
    for run, (q, k, v) in zip(runs, _inputs(query, key_value, runs, heads), strict=True):
        if run.is_filling:
            parts.append(query.new_zeros(q.shape[1], query.shape[1]))
            continue
        k, v = _prefixed(given, run, heads, k, v)
        weights = torch.softmax(torch.bmm(q, k.mT), -1)
        if run.dropout:
            weights = weights * run.dropout(weights.shape, weights.device)
        context = torch.bmm(weights, v).unflatten(0, (run.rows, heads))
        parts.append(context.transpose(1, 2).reshape(-1, query.shape[1]))
    return torch.cat(parts)


def attend_masked(
    query: Tensor,
    key_value: Tensor,
    packs: Sequence[PackedRows],
    dropouts: Sequence[AttentionDropout | None],
    prefixes: Sequence[Prefix | None],
    befores: Sequence[Tensor | None],
    heads: int,
) -> Tensor:
    """`attend` for rows with padding, which no query sees as a key, and with further keys and
    values before the tokens' own (befores: of each pack [tokens, 2 d], or None), which every query
    sees. In autograd's own operations, slower."""
    sizes = [pack.tokens for pack in packs]
    by_token = query.shape[0] == sum(sizes)
    queries = query.split(sizes if by_token else [pack.rows for pack in packs])
    found = []
    for q, own, pack, dropout, prefix, before in zip(
        queries, key_value.split(sizes), packs, dropouts, prefixes, befores, strict=True
    ):
        begin = 0
        parts = list(_runs([pack], [dropout], [prefix]))
        pieces = zip(parts, q.split(_sizes(q, parts)), strict=True)
        for run, part in pieces:
            end = begin + run.rows * run.length
            blocks = [_heads(part, run.rows, heads)]
            blocks += [_heads(each, run.rows, heads) for each in own[begin:end].chunk(2, 1)]
            hidden = torch.zeros(run.rows, run.length, dtype=torch.bool, device=q.device)
            if pack.padding is not None:
                hidden = pack.padding[begin:end].view(run.rows, -1)
            if before is not None:
                more = [_heads(each, run.rows, heads) for each in before[begin:end].chunk(2, 1)]
                blocks[1:] = [torch.cat([a, b], 2) for a, b in zip(more, blocks[1:], strict=True)]
                hidden = torch.cat([torch.zeros_like(hidden), hidden], 1)
            if prefix is not None:
                more = [
                    each.unflatten(1, (heads, -1)).transpose(0, 1).expand(run.rows, -1, -1, -1)
                    for each in prefix
                ]
                blocks[1:] = [torch.cat([a, b], 2) for a, b in zip(more, blocks[1:], strict=True)]
                hidden = torch.cat([hidden.new_zeros(run.rows, prefix[0].shape[0]), hidden], 1)
            scores = (blocks[0] @ blocks[1].mT).masked_fill(hidden[:, None, None], -torch.inf)
            weights = torch.softmax(scores, -1)
            if dropout:
                weights = weights * dropout(weights.shape, weights.device)
            found.append((weights @ blocks[2]).transpose(1, 2).reshape(len(part), -1))
            begin = end
    return torch.cat(found)


def _heads(x: Tensor, rows: int, heads: int) -> Tensor:
    """x [rows · places, d] as [rows, heads, places, dim]."""
    blocks: Tensor = x.unflatten(0, (rows, -1)).unflatten(2, (heads, -1))
    return blocks.transpose(1, 2)


class _Attention(torch.autograd.Function):
    """Writes each run's part of the context and of the gradients into one tensor, where autograd
    itself would copy them twice more."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key_value: Tensor,
        runs: list[_Run],
        heads: int,
        places: tuple[Tensor, Tensor],
        *given: Tensor,
    ) -> Tensor:
        context = torch.empty_like(query)
        ctx.save_for_backward(*given)
        ctx.runs, ctx.heads, ctx.places, ctx.kept = runs, heads, places, []
        for run, (q, k, v), out in zip(
            runs, _inputs(query, key_value, runs, heads), _blocks(context, runs, heads), strict=True
        ):
            if run.is_filling:
                out.zero_()
                ctx.kept.append(())
                continue
            k, v = _prefixed(given, run, heads, k, v)
            weights = _weights(q, k)
            factors = run.dropout(weights.shape, weights.device) if run.dropout else None
            torch.bmm(weights if factors is None else weights * factors, v, out=out)
            ctx.kept.append((q, k, v, weights, factors))
        return _in_order(context, places[0], query.shape[0] == key_value.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        runs, heads = ctx.runs, ctx.heads
        tokens = sum(run.rows * run.length for run in runs)
        query_gradient, key_value_gradient = (
            torch.empty_like(gradient),
            gradient.new_empty(2, tokens, gradient.shape[1]),
        )
        given_gradients = [torch.zeros_like(tensor) for tensor in ctx.saved_tensors]
        gradients = zip(
            _blocks(query_gradient, runs, heads),
            *(_blocks(each, runs, heads) for each in key_value_gradient),
            strict=True,
        )
        for run, kept, (dq, dk, dv), g in zip(
            runs, ctx.kept, gradients, _queries(gradient, runs, heads), strict=True
        ):
            if run.is_filling:
                for zeros in (dq, dk, dv):
                    zeros.zero_()
                continue
            q, k, v, weights, factors = kept
            dropped = weights if factors is None else weights * factors
            ds = _scores_gradient(g, v, weights, factors)
            torch.bmm(ds, k, out=dq)
            if run.prefix < 0:
                torch.bmm(ds.mT, q, out=dk)
                torch.bmm(dropped.mT, g, out=dv)
            else:
                for at, (into, left, right) in enumerate(((dk, ds, q), (dv, dropped, g))):
                    into.copy_(
                        _take_prefix(
                            given_gradients[run.prefix + at], heads, torch.bmm(left.mT, right)
                        )
                    )
        # As autograd does with saved tensors: the graph may outlive its backward.
        ctx.kept = []
        query_gradient = _in_order(query_gradient, ctx.places[0], gradient.shape[0] == tokens)
        key_value_gradient = _in_order(key_value_gradient, ctx.places[1], True).view(tokens, -1)
        return query_gradient, key_value_gradient, None, None, None, *given_gradients


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """The softmax of q · kᵀ, [batch, queries, keys]; with few keys a transposed view."""
    if k.shape[1] < _SHORT:
        return torch.softmax(torch.bmm(k, q.mT), 1).mT
    return torch.softmax(torch.bmm(q, k.mT), 2)


def _scores_gradient(g: Tensor, v: Tensor, weights: Tensor, factors: Tensor | None) -> Tensor:
    """The gradient of q · kᵀ from that of the context, g, in the layout of the weights."""
    result: Tensor
    if v.shape[1] < _SHORT:
        dw = torch.bmm(v, g.mT)
        dw = dw if factors is None else dw * factors.mT
        result = _softmax_backward(dw, weights.mT, 1, dw.dtype).mT
    else:
        dw = torch.bmm(g, v.mT)
        dw = dw if factors is None else dw * factors
        result = _softmax_backward(dw, weights, 2, dw.dtype)
    return result


def _in_order(blocks: Tensor, places: Tensor, every_token: bool) -> Tensor:
    """Blocks in token order. With one query per row instead of per token they are already in
    order."""
    return (
        blocks.view(places.numel(), -1).index_select(0, places).view(blocks.shape)
        if every_token
        else blocks
    )


def _prefixed(
    given: Sequence[Tensor], run: _Run, heads: int, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor]:
    """key and value [rows · heads, tokens, dim] with the run's prefix before each row's own."""
    if run.prefix < 0:
        return key, value
    prefix = [
        tensor.unflatten(1, (heads, -1)).transpose(0, 1).repeat(run.rows, 1, 1)
        for tensor in given[run.prefix : run.prefix + 2]
    ]
    return torch.cat([prefix[0], key], 1), torch.cat([prefix[1], value], 1)


def _take_prefix(into: Tensor, heads: int, gradient: Tensor) -> Tensor:
    """Adds the prefix's part of a gradient [rows · heads, length + tokens, dim] to `into`
    [length, d]; returns the tokens' part."""
    length = into.shape[0]
    into += gradient[:, :length].unflatten(0, (-1, heads)).sum(0).transpose(0, 1).flatten(1)
    return gradient[:, length:]


def _inputs(
    query: Tensor, key_value: Tensor, runs: list[_Run], heads: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Each run's query, key and value as `_queries` gives them."""
    key, value = key_value.chunk(2, dim=1)
    return zip(
        _queries(query, runs, heads),
        _queries(key, runs, heads),
        _queries(value, runs, heads),
        strict=True,
    )


def _queries(x: Tensor, runs: list[_Run], heads: int) -> Iterator[Tensor]:
    """Each run's part of x [tokens or rows, d] as [rows · heads, length or 1, dim]: a view of a
    single row, a copy of several."""
    by_head = x.unflatten(1, (heads, -1)).transpose(0, 1)
    for run, part in zip(runs, by_head.split(_sizes(x, runs), 1), strict=True):
        yield (
            part
            if run.rows == 1
            else part.unflatten(1, (run.rows, -1)).transpose(0, 1).flatten(0, 1)
        )


def _blocks(x: Tensor, runs: list[_Run], heads: int) -> Iterator[Tensor]:
    """Each run's part of x [tokens or rows, d], in blocks, as a view [rows · heads, length or 1,
    dim].
    """
    for run, part in zip(runs, x.split(_sizes(x, runs)), strict=True):
        yield part.view(run.rows * heads, len(part) // run.rows, x.shape[1] // heads)


def _sizes(x: Tensor, runs: list[_Run]) -> list[int]:
    """How many of x's vectors each run has, one for each token or for each row."""
    tokens = [run.rows * run.length for run in runs]
    if x.shape[0] == sum(tokens):
        return tokens
    return [0 if run.is_filling else run.rows for run in runs]
