"""Fisher information: Σ gᵢ² over the scoring rows i, how much the predictions change with each
weight. FISH picks the weights that it trains this way (Sung et al. 2021, arXiv:2111.09839)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Derived, GradientPruner

if TYPE_CHECKING:
    from sparse_adapter_engine.masks.scores import Scores


class Fisher(GradientPruner):
    """Σ gᵢ². Unlike in |g|, rows that pull in opposite directions do not cancel."""

    number = job_pb2.PRUNER_FISHER
    squares_rows = True
    # If up is 0, no gradient reaches down.
    may_zero_one_matrix = True

    def score(self, found: Derived) -> Scores:
        """See GradientPruner."""
        return found.derivative
