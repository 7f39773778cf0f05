"""Frozen dense layers whose bits for a row do not depend on the other rows."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Row counts that are tried. A BLAS may pick another kernel, or split the inner sum over threads, where a matrix has few rows.
_TRIED_ROWS = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
_REFERENCE_ROWS = 1024
# Where no tried number of rows gives invariance (a GPU, an untried BLAS) results of a cohort equal lone runs to rounding only.
FALLBACK_ROWS = 16


@dataclass(frozen=True)
class FrozenLinear:
    """x · Wᵀ + b with W [out, in], b [out]. Inputs of fewer than `min_rows` rows are computed with zero rows added, forward and
    backward, because below that a row's bits change with the number of rows."""

    weight: Tensor
    bias: Tensor
    min_rows: int

    def __call__(self, x: Tensor) -> Tensor:
        """x: [rows, in] → [rows, out]."""
        rows = x.shape[0]
        if rows < self.min_rows:
            x = F.pad(x, (0, 0, 0, self.min_rows - rows))
        # The bias is added afterwards: F.linear would first fill the result with it, a pass over memory more.
        product = F.linear(x, self.weight).add_(self.bias)
        return product if rows >= self.min_rows else product[:rows]


def min_invariant_rows(weight: Tensor) -> int | None:
    """The least tried number of rows from which on a row's product with `weight` [out, in], and with its transpose (the gradient), has the
    bits that it has among many rows; None where there is none. Measured on this machine with this number of threads."""
    least = None
    products = [(operand, *_reference(operand)) for operand in (weight, weight.t())]
    for rows in reversed(_TRIED_ROWS):
        offset = (_REFERENCE_ROWS - rows) // 2
        part = slice(offset, offset + rows)
        if not all(torch.equal(F.linear(x[part].clone(), operand), expected[part]) for operand, x, expected in products):
            break
        least = rows
    return least


def _reference(weight: Tensor) -> tuple[Tensor, Tensor]:
    x = torch.randn(_REFERENCE_ROWS, weight.shape[1], generator=torch.Generator(weight.device).manual_seed(0), device=weight.device)
    return x, F.linear(x, weight)
