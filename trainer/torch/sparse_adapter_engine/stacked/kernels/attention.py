"""Attention over short rows: each program computes one head of one row, with the scores in
registers."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_adapter_engine.stacked.attention import Spans

# Rows up to this length get a launch of their own, so that they do not pay for longer rows' tiles.
_SHORT = 64


@triton.jit
def _probabilities(q, k, lk, BN: tl.constexpr, PRECISION: tl.constexpr):
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION)
    there = (tl.arange(0, BN) < lk)[None, :]
    scores = tl.where(there, scores, -1e30)
    p = tl.where(there, tl.exp(scores - tl.max(scores, 1)[:, None]), 0.0)
    return p / tl.maximum(tl.sum(p, 1), 1e-30)[:, None]


@triton.jit
def _places(QSTARTS, KSTARTS, d, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr):
    # For this program's row and head: where the queries [BM, D] and keys [BN, D] lie, which of
    # those are its own, and how many keys it has. A value lies d after its key.
    row, head = tl.program_id(0), tl.program_id(1)
    q0, k0 = tl.load(QSTARTS + row), tl.load(KSTARTS + row)
    lq, lk = tl.load(QSTARTS + row + 1) - q0, tl.load(KSTARTS + row + 1) - k0
    i, j, c = tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, D)
    qi = (q0 + i).to(tl.int64)[:, None] * d + head * D + c[None, :]
    kj = (k0 + j).to(tl.int64)[:, None] * (2 * d) + head * D + c[None, :]
    return qi, kj, (i < lq)[:, None], (j < lk)[:, None], lk


@triton.jit
def _forward(
    Q, KV, OUT, QSTARTS, KSTARTS, d, least, most,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    qi, kj, is_query, is_key, lk = _places(QSTARTS, KSTARTS, d, BM, BN, D)
    if (lk > least) & (lk <= most):
        q = tl.load(Q + qi, is_query, 0.0)
        k = tl.load(KV + kj, is_key, 0.0)
        v = tl.load(KV + kj + d, is_key, 0.0)
        p = _probabilities(q, k, lk, BN, PRECISION)
        out = tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
        tl.store(OUT + qi, out.to(OUT.dtype.element_ty), is_query)


@triton.jit
def _backward(
    Q, KV, G, DQ, DKV, QSTARTS, KSTARTS, d, least, most,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    qi, kj, is_query, is_key, lk = _places(QSTARTS, KSTARTS, d, BM, BN, D)
    if (lk > least) & (lk <= most):
        q = tl.load(Q + qi, is_query, 0.0)
        g = tl.load(G + qi, is_query, 0.0)
        k = tl.load(KV + kj, is_key, 0.0)
        v = tl.load(KV + kj + d, is_key, 0.0)
        p = _probabilities(q, k, lk, BN, PRECISION)
        dv = tl.dot(tl.trans(p.to(g.dtype)), g, input_precision=PRECISION)
        tl.store(DKV + kj + d, dv.to(DKV.dtype.element_ty), is_key)
        dp = tl.dot(g, tl.trans(v), input_precision=PRECISION)
        ds = (p * (dp - tl.sum(p * dp, 1)[:, None])).to(q.dtype)
        dq = tl.dot(ds, k, input_precision=PRECISION)
        tl.store(DQ + qi, dq.to(DQ.dtype.element_ty), is_query)
        dk = tl.dot(tl.trans(ds), q, input_precision=PRECISION)
        tl.store(DKV + kj, dk.to(DKV.dtype.element_ty), is_key)


def short_rows(
    query: Tensor,
    key_value: Tensor,
    heads: int,
    queries: Spans,
    keys: Spans,
    precision: str = "ieee",
) -> Tensor:
    """See `padded` in stacked/attention.py; for rows of up to SHORT_ROWS keys, and heads 16, 32, 64
    or 128 wide. precision: for float32 products, `ieee` or `tf32`."""
    result: Tensor = _ShortRows.apply(query, key_value, heads, queries, keys, precision)
    return result


class _ShortRows(torch.autograd.Function):
    """Each key and value belongs to one row, so gradients need no summing."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key_value: Tensor,
        heads: int,
        queries: Spans,
        keys: Spans,
        precision: str,
    ) -> Tensor:
        query, key_value = query.contiguous(), key_value.contiguous()
        out = torch.empty_like(query)
        for tile in _tiles(queries.longest, keys.longest):
            _forward[(keys.rows, heads)](
                query, key_value, out, queries.starts, keys.starts, query.shape[1],
                D=query.shape[1] // heads, PRECISION=precision, **tile,
            )  # fmt: skip
        ctx.save_for_backward(query, key_value)
        ctx.given = heads, queries, keys, precision
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key_value = ctx.saved_tensors
        heads, queries, keys, precision = ctx.given
        dq, dkv = torch.empty_like(query), torch.empty_like(key_value)
        gradient = gradient.contiguous()
        for tile in _tiles(queries.longest, keys.longest):
            _backward[(keys.rows, heads)](
                query, key_value, gradient, dq, dkv, queries.starts, keys.starts, query.shape[1],
                D=query.shape[1] // heads, PRECISION=precision, **tile,
            )  # fmt: skip
        return dq, dkv, *[None] * 4


def _tiles(longest_query: int, longest_key: int) -> list[dict[str, int]]:
    """One launch for each class of lengths: rows with more than `least` and up to `most` keys. The
    first includes rows without keys, so that their queries get zeros."""
    found, least = [], -1
    for most in [longest_key] if longest_key <= _SHORT else [_SHORT, longest_key]:
        rows, keys = _power(min(longest_query, most)), _power(most)
        warps = 8 if rows * keys >= 64 * 64 or keys >= 128 else 4
        sizes = {"least": least, "most": most, "BM": rows, "BN": keys}
        found.append({**sizes, "num_warps": warps, "num_stages": 1})
        least = most
    return found


def _power(n: int) -> int:
    return max(16, 1 << (n - 1).bit_length())
