"""Frozen dense layers whose bits for a row do not depend on the other rows."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# Row counts to try. For a matrix with few rows, a BLAS may pick another kernel or split the inner
# sum over threads.
_TRIED_ROWS = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
_REFERENCE_ROWS = 1024
# Used if no tried number of rows is invariant (a GPU, an unknown BLAS): then a cohort's results
# equal lone runs only up to rounding.
FALLBACK_ROWS = 16


@dataclass(frozen=True)
class FrozenLinear:
    """x · Wᵀ + b. Inputs with fewer than `min_rows` rows are padded with zero rows, forward and
    backward, because below that a row's bits change with the number of rows. weight, transposed: W
    and Wᵀ from `pack`; bias: [out]."""

    weight: Tensor
    transposed: Tensor
    bias: Tensor
    min_rows: int

    def __call__(self, x: Tensor) -> Tensor:
        """x: [rows, in] → [rows, out]."""
        rows = x.shape[0]
        result: Tensor = _Product.apply(self._with_rows(x), self.weight, self.transposed, self.bias)
        return result if rows >= self.min_rows else result[:rows]

    def plain(self, x: Tensor) -> Tensor:
        """The same inside autograd functions, which record nothing."""
        return product(self._with_rows(x), self.weight, self.bias)[: x.shape[0]]

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of x [rows, in] from that of the result [rows, out], inside autograd
        functions."""
        return product(self._with_rows(gradient), self.transposed, None)[: gradient.shape[0]]

    def _with_rows(self, x: Tensor) -> Tensor:
        return x if x.shape[0] >= self.min_rows else F.pad(x, (0, 0, 0, self.min_rows - x.shape[0]))


class _Product(torch.autograd.Function):
    """`product` with a gradient for x only, itself differentiable."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, transposed: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.weight, ctx.transposed = weight, transposed
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return _Product.apply(gradient, ctx.transposed, ctx.weight, None), None, None, None


def packs_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively. If not, a product in bfloat16 is slower
    than in float32."""
    return torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()


def pack(weight: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """W [out, in] as `product` reads it fastest, in float32 or bfloat16: on a CPU in oneDNN's own
    layout, elsewhere unchanged."""
    weight = weight.to(dtype)
    is_known = dtype == torch.float32 or packs_bfloat16()
    # MKL would multiply an ordinary tensor: on AMD processors half as fast, and below 224 rows a
    # row's bits vary.
    if weight.device.type == "cpu" and torch.backends.mkldnn.is_available() and is_known:
        weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return weight


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x · Wᵀ (+ b), in x's type; weight: from `pack`. With a bfloat16 weight, x and the result are
    rounded to bfloat16, sums are not."""
    given, x = x.dtype, x.to(weight.dtype).contiguous()
    if weight.is_mkldnn:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    else:
        result = F.linear(x, weight, None if bias is None else bias.to(weight.dtype))
    return result.to(given)


def min_invariant_rows(weight: Tensor, transposed: Tensor, shape: tuple[int, int]) -> int | None:
    """The smallest tried number of rows from which a row's product with `weight`, and with
    `transposed` (the gradient), has the same bits as among many rows; None if there is none. shape:
    W's, [out, in]. Measured on this machine with this number of threads."""
    least = None
    products = [
        (operand, *_reference(operand, width))
        for operand, width in ((weight, shape[1]), (transposed, shape[0]))
    ]
    for rows in reversed(_TRIED_ROWS):
        offset = (_REFERENCE_ROWS - rows) // 2
        part = slice(offset, offset + rows)
        if not all(
            torch.equal(product(x[part].clone(), operand, None), expected[part])
            for operand, x, expected in products
        ):
            break
        least = rows
    return least


def _reference(operand: Tensor, width: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(
        _REFERENCE_ROWS,
        width,
        generator=torch.Generator(operand.device).manual_seed(0),
        device=operand.device,
    )
    return x, product(x, operand, None)
