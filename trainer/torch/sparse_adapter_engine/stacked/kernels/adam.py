"""AdamW of stacked trials: each tensor is read and written once."""

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 2048


@triton.jit
def _adam(
    P, G, M, V, ROWS, total, begin1, end1, begin2, end2, BLOCK: tl.constexpr
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = at < total
    rate, decay, clip = (
        tl.load(ROWS + row * 8),
        tl.load(ROWS + row * 8 + 1),
        tl.load(ROWS + row * 8 + 2),
    )
    share1, share2, epsilon = (
        tl.load(ROWS + row * 8 + 3),
        tl.load(ROWS + row * 8 + 4),
        tl.load(ROWS + row * 8 + 5),
    )
    correction1, correction2 = tl.load(ROWS + row * 8 + 6), tl.load(ROWS + row * 8 + 7)
    place = row * total + at
    g = tl.load(G + place, there, 0.0) * clip
    p = tl.load(P + place, there, 0.0)
    m = tl.load(M + place, there, 0.0)
    v = tl.load(V + place, there, 0.0)
    decayed = ((at >= begin1) & (at < end1)) | ((at >= begin2) & (at < end2))
    p = tl.where(decayed, p * (1.0 - rate * decay), p)
    m = m + (g - m) * share1
    v = v + (g * g - v) * share2
    p = p - rate / correction1 * (m / (tl.sqrt(v) / correction2 + epsilon))
    tl.store(P + place, p, there)
    tl.store(M + place, m, there)
    tl.store(V + place, v, there)


def adam(
    parameters: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    rows: Tensor,
    decayed: Sequence[tuple[int, int]],
) -> None:
    """See `adam` in stacked/update.py; the gradient is not changed."""
    trials, total = parameters.shape
    (begin1, end1), (begin2, end2) = decayed
    _adam[(triton.cdiv(total, _BLOCK), trials)](
        parameters,
        gradient,
        first,
        second,
        rows,
        total,
        begin1,
        end1,
        begin2,
        end2,
        BLOCK=_BLOCK,
        num_warps=8,
    )
