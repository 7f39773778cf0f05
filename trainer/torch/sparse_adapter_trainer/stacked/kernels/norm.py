"""LayerNorm of a sum, and its gradient: one pass over the tokens each."""

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ...backbone import LayerNorm


@triton.jit
def _forward(
    A, X, W, B, OUT, HAT, RSTD, n, d, eps, R: tl.constexpr, BD: tl.constexpr
):  # fmt: skip
    rows = tl.program_id(0) * R + tl.arange(0, R)
    columns = tl.arange(0, BD)
    there = (rows < n)[:, None] & (columns < d)[None, :]
    at = rows[:, None].to(tl.int64) * d + columns[None, :]
    total = tl.load(A + at, there, 0.0).to(tl.float32) + tl.load(X + at, there, 0.0).to(tl.float32)
    mean = tl.sum(total, 1) / d
    centred = tl.where(there, total - mean[:, None], 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(centred * centred, 1) / d + eps)
    hat = centred * rstd[:, None]
    w = tl.load(W + columns, columns < d, 0.0).to(tl.float32)
    b = tl.load(B + columns, columns < d, 0.0).to(tl.float32)
    tl.store(HAT + at, hat.to(HAT.dtype.element_ty), there)
    tl.store(OUT + at, (hat * w[None, :] + b[None, :]).to(OUT.dtype.element_ty), there)
    tl.store(RSTD + rows, rstd, rows < n)


@triton.jit
def _backward(G, HAT, RSTD, W, D, n, d, R: tl.constexpr, BD: tl.constexpr):
    rows = tl.program_id(0) * R + tl.arange(0, R)
    columns = tl.arange(0, BD)
    there = (rows < n)[:, None] & (columns < d)[None, :]
    at = rows[:, None].to(tl.int64) * d + columns[None, :]
    w = tl.load(W + columns, columns < d, 0.0).to(tl.float32)
    g = tl.load(G + at, there, 0.0).to(tl.float32) * w[None, :]
    hat = tl.load(HAT + at, there, 0.0).to(tl.float32)
    rstd = tl.load(RSTD + rows, rows < n, 0.0)
    mean, along = tl.sum(g, 1) / d, tl.sum(g * hat, 1) / d
    out = rstd[:, None] * (g - mean[:, None] - hat * along[:, None])
    tl.store(D + at, out.to(D.dtype.element_ty), there)


class _NormOfSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        a, x = a.contiguous(), x.contiguous()
        out, hat = torch.empty_like(x), torch.empty_like(x)
        n, d = x.shape
        rstd = torch.empty(n, device=x.device, dtype=torch.float32)
        tile = _tile(d)
        _forward[(triton.cdiv(n, tile["R"]),)](a, x, weight, bias, out, hat, rstd, n, d, eps, **tile)
        ctx.save_for_backward(hat, rstd, weight)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hat, rstd, weight = ctx.saved_tensors
        n, d = hat.shape
        found, tile = torch.empty_like(hat), _tile(d)
        _backward[(triton.cdiv(n, tile["R"]),)](gradient.contiguous(), hat, rstd, weight, found, n, d, **tile)
        return found, found, None, None, None


def _tile(d: int) -> dict[str, int]:
    width = max(16, triton.next_power_of_2(d))
    return {"R": 4 if width <= 1024 else 2, "BD": width, "num_warps": 8 if width >= 1024 else 4}


@dataclass(frozen=True)
class FusedNorm(LayerNorm):
    """LayerNorm whose norm of a sum is one kernel."""

    def of_sum(self, output: Tensor, x: Tensor) -> Tensor:
        """See LayerNorm; output stays as it is."""
        result: Tensor = _NormOfSum.apply(output, x, self.weight, self.bias, self.eps)
        return result
