"""Products with trained tensors. On a CPU, large ones use oneDNN: on AMD processors it is twice as
fast as MKL, torch's choice."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# oneDNN pays off from this many multiplications; below, its calls cost more than they save.
_MANY = 4_000_000


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [… , in] · Wᵀ (+ b), W [out, in] → [… , out], differentiable in all three, any number of
    times."""
    if not _by_onednn(x, weight):
        return F.linear(x, weight, bias)
    # Given more than two dimensions, oneDNN returns a view, which callers could not change in
    # place.
    result: Tensor = _Linear.apply(x.reshape(-1, x.shape[-1]).contiguous(), weight, bias)
    return result if x.dim() == 2 else result.view(*x.shape[:-1], -1)


def linear_onto(
    base: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """base + scale · (x · Wᵀ (+ b)); base [… , out], which is not changed, the rest as for
    `linear`."""
    if scale == 1 and x.dim() == 2 and _by_onednn(x, weight):
        # The product adds what it writes to: a pass over all tokens less, with the same bits.
        result: Tensor = _Linear.apply(x.contiguous(), weight, bias, base.contiguous())
        return result
    y = linear(x, weight, bias)
    # In place: a new tensor of all tokens costs more than the sum.
    return (y if scale == 1 else y.mul_(scale)).add_(base)


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Decides by the trial's own tensors alone, so that its bits depend on nothing else."""
    is_plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    return (
        is_plain and torch.backends.mkldnn.is_available() and x.numel() * weight.shape[0] >= _MANY
    )


class _Linear(torch.autograd.Function):
    """`linear` for a contiguous x [rows, in], plus a contiguous base [rows, out] if one is given.

    W may be a transposed view; the gradients are products of the same kind.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, base: Tensor | None = None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        result: Tensor
        if base is None:
            result = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        else:
            result = torch.ops.mkldnn._linear_pointwise.binary(x, base, weight, bias, "add")
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias, *needs_base = ctx.needs_input_grad
        # oneDNN does not accept an expanded tensor as weight.
        gradient = gradient.contiguous()
        for_x = _Linear.apply(gradient, weight.t(), None) if needs_x else None
        for_weight = _outer(gradient, x) if needs_weight else None
        for_bias = gradient.sum(0) if needs_bias else None
        return for_x, for_weight, for_bias, gradient if any(needs_base) else None


def _outer(gradient: Tensor, x: Tensor) -> Tensor:
    """gradientᵀ · x, [out, in], for gradient [rows, out] and x [rows, in].

    The narrower of the two is copied, transposed.
    """
    result: Tensor
    if gradient.shape[1] <= x.shape[1]:
        result = _Linear.apply(gradient.t().contiguous(), x.t(), None)
    else:
        result = _Linear.apply(x.t().contiguous(), gradient.t(), None).t()
    return result
