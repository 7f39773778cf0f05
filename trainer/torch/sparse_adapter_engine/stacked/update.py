"""Clipping and AdamW for the rows of a stack: each row is a trial with its own settings, and the
host never waits."""

from collections.abc import Callable, Sequence

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.training.optimizer import learning_rate

from .stack import Stack

# Columns of a step's settings, float32 [K, 8], which `settings` returns.
RATE, DECAY, CLIP, SHARE1, SHARE2, EPSILON, CORRECTION1, CORRECTION2 = range(8)


def settings(train: job_pb2.Train, step: int) -> list[float]:
    """A trial's settings for its step, counted from 1, in the order of the columns."""
    return [
        learning_rate(train, step),
        train.weight_decay,
        train.max_grad_norm,
        # 1 − β, computed in float64: from a float32 β it would lose digits.
        1 - train.adam_beta1,
        1 - train.adam_beta2,
        train.adam_epsilon,
        1 - train.adam_beta1**step,
        (1 - train.adam_beta2**step) ** 0.5,
    ]


# (parameters, gradient, first moment, second moment, row factors [K, 8], decayed ranges of
# columns).
Adam = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Sequence[tuple[int, int]]], None]


def adam(
    parameters: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    rows: Tensor,
    decayed: Sequence[tuple[int, int]],
) -> None:
    """AdamW (training/optimizer.py) on [K, total], in place; overwrites the gradient. rows: from
    `settings`, except CLIP, which is the gradient's factor. The specification of
    kernels/adam.py."""
    column = rows.unsqueeze(2).unbind(1)
    gradient.mul_(column[CLIP])
    keep = 1 - column[RATE] * column[DECAY]
    for begin, end in decayed:
        parameters[:, begin:end].mul_(keep)
    first.lerp_(gradient, column[SHARE1])
    second.lerp_(gradient.square_(), column[SHARE2])
    root = torch.sqrt(second, out=gradient).div_(column[CORRECTION2]).add_(column[EPSILON])
    update = torch.div(first, root, out=gradient).mul_(column[RATE] / column[CORRECTION1])
    parameters.sub_(update)


def update(
    stack: Stack,
    first: Tensor,
    second: Tensor,
    losses: Tensor,
    alive: Tensor,
    given: Tensor,
    operation: Adam = adam,
) -> Tensor:
    """Updates every live trial whose loss and gradient's norm are finite; the others keep their
    weights. losses: [K]; alive: [K], changed in place; given: each trial's `settings`, [K, 8].

    Returns float32 [K, 3]: loss, the gradient's norm, the sum of the updated weights.
    """
    gradient = stack.gradient
    if stack.removed is not None:
        gradient[:, : stack.layout.prunable].masked_fill_(stack.removed, 0)
    norm = torch.linalg.vector_norm(gradient, dim=1)
    alive &= losses.isfinite() & norm.isfinite()
    limit = given[:, CLIP]
    clip = torch.where((limit > 0) & (norm > limit), limit / norm, 1.0)
    # A failed trial's gradient must be 0: 0 times NaN would be NaN.
    gradient.masked_fill_(~alive.unsqueeze(1), 0)
    rows = given.clone()
    rows[:, CLIP] = clip
    rows[:, RATE] = torch.where(alive, given[:, RATE], 0.0)
    operation(stack.parameters, gradient, first, second, rows, stack.layout.decayed)
    total = stack.parameters.sum(1)
    alive &= total.isfinite()
    return torch.stack([losses, norm, total], 1)
