"""Dropout by a hash: no mask is written or kept."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024


@triton.jit
def _mixed(x):
    x = (x ^ (x >> 16)) * 0x7FEB352D
    x = (x ^ (x >> 15)) * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def _drop(X, OUT, LOW, HIGH, FIRST, THRESHOLD, SCALE, n, BLOCK: tl.constexpr):
    trial = tl.program_id(1)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < n
    low, high = tl.load(LOW + trial), tl.load(HIGH + trial)
    number = (at + tl.load(FIRST + trial)).to(tl.uint32)
    hashed = _mixed(_mixed(number ^ low.to(tl.uint32)) + high.to(tl.uint32))
    kept = hashed.to(tl.int64) >= tl.load(THRESHOLD + trial)
    place = trial.to(tl.int64) * n + at
    x = tl.load(X + place, there, 0.0)
    y = tl.where(kept, x.to(tl.float32) * tl.load(SCALE + trial), 0.0)
    tl.store(OUT + place, y.to(OUT.dtype.element_ty), there)


def drop(x: Tensor, keys: Tensor, first: Tensor, probabilities: Tensor) -> Tensor:
    """See `drop` in stacked/hash_dropout.py."""
    x = x.contiguous()
    out = torch.empty_like(x)
    trials, n = x.shape
    low, high = keys & 0xFFFFFFFF, (keys >> 32) & 0xFFFFFFFF
    threshold, scale = (probabilities.double() * 2**32).long(), 1 / (1 - probabilities)
    _drop[(triton.cdiv(n, _BLOCK), trials)](
        x, out, low, high, first, threshold, scale, n, BLOCK=_BLOCK, num_warps=4
    )
    return out
