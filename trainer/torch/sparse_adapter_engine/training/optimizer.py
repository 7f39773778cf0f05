"""AdamW (Loshchilov & Hutter 2019) over one trial's flat vector, and the learning rate of a
step."""

import math
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor


def learning_rate(train: job_pb2.Train, step: int) -> float:
    """The learning rate of a step, counted from 1: with n = step − 1 updates done, it rises
    linearly from 0 at n = 0 to its peak at n = ceil(warmup · total_steps), then stays or falls
    linearly to 0 at n = total_steps."""
    done, warmup = step - 1, math.ceil(train.warmup * train.total_steps)
    if done < warmup:
        return train.learning_rate * done / warmup
    if train.schedule == job_pb2.LEARNING_RATE_SCHEDULE_CONSTANT:
        return train.learning_rate
    return train.learning_rate * (train.total_steps - done) / (train.total_steps - warmup)


@dataclass
class AdamW:
    """One trial's moments, float32 [total] like its parameters.

    `decayed`, `trained`: how many parameters, counted from the first, have weight decay, and are
    trained at all (None: all of them).
    """

    first_moment: Tensor
    second_moment: Tensor
    decayed: int
    trained: int | None = None

    @staticmethod
    def fresh(parameters: Tensor, decayed: int, trained: int | None = None) -> "AdamW":
        return AdamW(torch.zeros_like(parameters), torch.zeros_like(parameters), decayed, trained)

    def update(self, parameters: Tensor, gradient: Tensor, train: job_pb2.Train, step: int) -> None:
        """One update in place; step is the trial's own, counted from 1. Equals torch.optim.AdamW
        with the step's learning rate or, with DECAY_AFTER, Transformers' own. Overwrites the
        gradient, because one more vector of a whole backbone's size would be large."""
        rate, beta1, beta2 = learning_rate(train, step), train.adam_beta1, train.adam_beta2
        decays_after = train.optimizer == job_pb2.OPTIMIZER_ADAMW_DECAY_AFTER
        decayed = parameters[: self.decayed]
        if not decays_after:
            decayed.mul_(1 - rate * train.weight_decay)
        parameters, gradient, first, second = (
            each[: self.trained]
            for each in (parameters, gradient, self.first_moment, self.second_moment)
        )
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root, size = torch.sqrt(second, out=gradient), rate / (1 - beta1**step)
        if decays_after:
            size *= math.sqrt(1 - beta2**step)
        else:
            root.div_(math.sqrt(1 - beta2**step))
        parameters.addcdiv_(first, root.add_(train.adam_epsilon), value=-size)
        if decays_after:
            decayed.mul_(1 - rate * train.weight_decay)


def clip(gradient: Tensor, norm: float, max_norm: float) -> None:
    """Scales a gradient of this norm, in place, to at most max_norm; 0 does not clip."""
    if 0 < max_norm < norm:
        gradient.mul_(max_norm / norm)
