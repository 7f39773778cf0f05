"""Dropout by a hash of each value's place, which needs no memory and nothing in checkpoints.

The bits of hash(key, place) decide whether a value is dropped: the key is made from (trial seed,
step, site), the place is the value's among its trial's own. So a trial drops the same values in any
company, and the backward pass recomputes the bits. The hash is two rounds of `lowbias32` (Wellons
2018, https://nullprogram.com/blog/2018/07/31/), a 32-bit mixer without visible bias.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_adapter_engine.keys import key
from sparse_adapter_engine.modules.sites import AttentionDropout

_LOW_32 = 0xFFFFFFFF
# Knuth's multiplier for 64 bits, as a signed number: spreads the steps over all bits of a key.
_STEP = 6364136223846793005

# (x [K, n], keys int64 [K], place of each trial's first value int64 [K], probabilities float32 [K])
# → x with its values dropped or scaled.
Drop = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def drop(x: Tensor, keys: Tensor, first: Tensor, probabilities: Tensor) -> Tensor:
    """x [K, n] times 0 or 1 / (1 − p). The specification of the kernel in kernels/dropout.py."""
    places = first.unsqueeze(1) + torch.arange(x.shape[1], device=x.device)
    low, high = keys.unsqueeze(1) & _LOW_32, (keys.unsqueeze(1) >> 32) & _LOW_32
    hashed = mixed((mixed(places ^ low) + high) & _LOW_32)
    p = probabilities.unsqueeze(1)
    kept = hashed >= (p.double() * 2**32).long()
    return torch.where(kept, x / (1 - p), 0).to(x.dtype)


def mixed(x: Tensor) -> Tensor:
    """lowbias32 of int64 values below 2³²."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _LOW_32
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _LOW_32
    return x ^ (x >> 16)


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, keys: Tensor, first: Tensor, probabilities: Tensor, operation: Drop
    ) -> Tensor:
        ctx.save_for_backward(keys, first, probabilities)
        ctx.operation = operation
        return operation(x, keys, first, probabilities)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.operation(gradient.contiguous(), *ctx.saved_tensors), *[None] * 4


@dataclass
class SiteKeys:
    """Keys of some trials' sites, made on first use: int64 [K] on the device, before the step is
    mixed in."""

    seeds: Sequence[int]
    device: torch.device
    _made: dict[str, Tensor] = field(default_factory=dict)

    def of(self, site: str) -> Tensor:
        if site not in self._made:
            keys = [key(seed, "hash dropout", site) for seed in self.seeds]
            self._made[site] = torch.tensor(keys, device=self.device)
        return self._made[site]


@dataclass(frozen=True)
class HashDropout:
    """Dropout of one step of a stack of K trials (Drops of modules/dropout.py).

    step: int64 [K], each trial's own, from 1. before: int64 [2, K], each trial's tokens and rows in
    earlier parts of the step. tokens: of each trial here. probabilities: float32 [K]; probability:
    the highest of them. operation: `drop` or an equivalent.
    """

    keys: SiteKeys
    step: Tensor
    before: Tensor
    tokens: int
    probabilities: Tensor
    probability: float
    operation: Drop = drop

    def __call__(self, x: Tensor, site: str) -> Tensor:
        """See Drops. x: […, d], trial after trial."""
        if self.probability == 0:
            return x
        keys = self.keys.of(site) ^ (self.step * _STEP)
        rows = x.view(self.step.numel(), -1)
        of_tokens = rows.shape[1] == self.tokens * x.shape[-1]
        first = self.before[0 if of_tokens else 1] * x.shape[-1]
        result: Tensor = _Dropped.apply(rows, keys, first, self.probabilities, self.operation)
        return result.view(x.shape)

    def attention(self, site: str) -> AttentionDropout | None:
        """None: a trial that drops attention probabilities is not stacked."""
        return None
