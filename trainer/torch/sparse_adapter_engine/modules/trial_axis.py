"""The operations on a trial's own tensors: the only places where it matters whether these are one
trial's or stacked over several.

Everything that a trial adds to the frozen model (trial_modules.py) is written in these. `OneTrial`
is the specification: in a stack each trial gets, up to rounding, what it gets alone.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from sparse_adapter_engine.products import linear, linear_onto


class TrialAxis(Protocol):
    """x: […, in], one trial's tokens, or a stack's, trial after trial. In a stack, weights and
    vectors have a leading dimension K."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x · Wᵀ (+ b), […, out]; weight [(K,) out, in], bias [(K,) out]."""

    def onto(
        self, base: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, scale: float
    ) -> Tensor:
        """base + scale · (x · Wᵀ (+ b)); base […, out] is not changed."""

    def add(self, x: Tensor, vector: Tensor, scale: float = 1.0) -> Tensor:
        """x + scale · vector, [(K,) in], for each token."""

    def norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """LayerNorm over the last dimension; its weight and bias [(K,) in] may be left out."""

    def choose(self, table: Tensor, index: Tensor) -> Tensor:
        """Rows [n, d] of a trial's table [(K,) rows, d]; index: integers [n], one for each
        token."""


class OneTrial:
    """Tensors of one trial, without a leading dimension."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """See TrialAxis."""
        return linear(x, weight, bias)

    def onto(
        self, base: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, scale: float
    ) -> Tensor:
        """See TrialAxis."""
        return linear_onto(base, x, weight, bias, scale)

    def add(self, x: Tensor, vector: Tensor, scale: float = 1.0) -> Tensor:
        """See TrialAxis."""
        return torch.add(x, vector, alpha=scale)

    def norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """See TrialAxis."""
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)

    def choose(self, table: Tensor, index: Tensor) -> Tensor:
        """See TrialAxis."""
        return F.embedding(index, table)


ONE_TRIAL = OneTrial()


@dataclass(frozen=True)
class StackedTrials:
    """Tensors of K trials, whose tokens lie trial after trial, equally many for each."""

    trials: int
    # By number of tokens and type; kept because a graph may read them.
    _ones: dict[tuple[int, torch.dtype], Tensor] = field(default_factory=dict, compare=False)

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """See TrialAxis."""
        y = torch.bmm(self._blocks(x), weight.transpose(1, 2))
        if bias is not None:
            y = self._plus(y, bias, 1.0)
        return y.view(*x.shape[:-1], -1)

    def onto(
        self, base: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, scale: float
    ) -> Tensor:
        """See TrialAxis."""
        into, product, transposed = self._blocks(base), self._blocks(x), weight.transpose(1, 2)
        if bias is None:
            y = torch.baddbmm(into, product, transposed, alpha=scale)
        else:
            # The product is added in place, which saves a pass over the sum.
            y = self._plus(into, bias, scale).baddbmm_(product, transposed, alpha=scale)
        return y.view(base.shape)

    def add(self, x: Tensor, vector: Tensor, scale: float = 1.0) -> Tensor:
        """See TrialAxis."""
        return self._plus(self._blocks(x), vector, scale).view(x.shape)

    def norm(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        """See TrialAxis."""
        y = F.layer_norm(x, x.shape[-1:], None, None, eps)
        if weight is None or bias is None:
            return y
        return torch.addcmul(bias.unsqueeze(1), self._blocks(y), weight.unsqueeze(1)).view(x.shape)

    def choose(self, table: Tensor, index: Tensor) -> Tensor:
        """See TrialAxis."""
        begins = (
            torch.arange(self.trials, device=index.device, dtype=index.dtype).unsqueeze(1)
            * table.shape[1]
        )
        return F.embedding((index.view(self.trials, -1) + begins).view(-1), table.flatten(0, 1))

    def _blocks(self, x: Tensor) -> Tensor:
        """[K, tokens of a trial, width]."""
        return x.reshape(self.trials, -1, x.shape[-1])

    def _plus(self, x: Tensor, vectors: Tensor, scale: float) -> Tensor:
        """x [K, n, d] + scale · vectors [K, d], for each of the n."""
        kind = (x.shape[1], x.dtype)
        if kind not in self._ones:
            self._ones[kind] = x.new_ones(self.trials, 1, x.shape[1])
        result: Tensor = _Plus.apply(x, vectors, scale, self._ones[kind])
        return result


class _Plus(torch.autograd.Function):
    """Computes the vectors' gradient as a product with ones: on a GPU a sum over tokens takes twice
    as long as a matrix product of the same size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, vectors: Tensor, scale: float, ones: Tensor) -> Tensor:
        ctx.scale, ctx.ones = scale, ones
        return torch.add(x, vectors.unsqueeze(1), alpha=scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        total = torch.bmm(ctx.ones, gradient).squeeze(1)
        return gradient, total if ctx.scale == 1 else total * ctx.scale, None, None
