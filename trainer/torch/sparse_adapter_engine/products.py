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


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Decides by the trial's own tensors alone, so that its bits depend on nothing else."""
    is_plain = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    return (
        is_plain and torch.backends.mkldnn.is_available() and x.numel() * weight.shape[0] >= _MANY
    )


class _Linear(torch.autograd.Function):
    """`linear` for a contiguous x [rows, in].

    W may be a transposed view; the gradients are products of the same kind.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        # oneDNN does not accept an expanded tensor as weight.
        gradient = gradient.contiguous()
        for_x = _Linear.apply(gradient, weight.t(), None) if needs_x else None
        for_weight = _outer(gradient, x) if needs_weight else None
        return for_x, for_weight, gradient.sum(0) if needs_bias else None


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
