"""Gradient magnitude: |g|, how fast the loss changes with each weight, however large the weight is.
SHiRA-Grad picks the weights that it trains this way (Bhardwaj et al. 2024, arXiv:2406.13175)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Derived, GradientPruner

if TYPE_CHECKING:
    from sparse_adapter_engine.masks.scores import Scores


class Gradient(GradientPruner):
    """|g|. Unlike with SNIP, a weight of 0 may rank high."""

    number = job_pb2.PRUNER_GRADIENT
    # If up is 0, no gradient reaches down.
    may_zero_one_matrix = True

    def score(self, found: Derived) -> Scores:
        """See GradientPruner."""
        return {name: g.abs() for name, g in found.derivative.items()}
