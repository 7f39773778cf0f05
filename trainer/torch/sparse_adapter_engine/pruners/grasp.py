"""GraSP (Wang et al. 2020, arXiv:2002.07376): w · (H g). Keeping the highest preserves the
gradient's norm."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Derived, GradientPruner, Published

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.masks.scores import Scores

# Added to the published code's norm, so that all-zero scores stay 0.
_EPSILON = 1e-10


class Grasp(GradientPruner, Published):
    """w · (H g), with H and g of the loss at a temperature."""

    number = job_pb2.PRUNER_GRASP
    has_temperature = True
    balances_classes = True
    uses_curvature = True
    may_zero_one_matrix = True

    def score(self, found: Derived) -> Scores:
        """See GradientPruner."""
        return {name: product * found.weights[name] for name, product in found.derivative.items()}

    def normalize_officially(self, scores: Scores, twice: Collection[str] = ()) -> Scores:
        """See Published: divided by the absolute value of their sum. Scores that would be divided
        twice are 0."""
        import torch

        total = torch.cat([score.reshape(-1) for score in scores.values()]).sum().abs() + _EPSILON
        return {name: score / total for name, score in scores.items()}

    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """See Published: down's gradient is read twice, and the first reading sets it to 0."""
        import torch

        return torch.zeros_like(down)
