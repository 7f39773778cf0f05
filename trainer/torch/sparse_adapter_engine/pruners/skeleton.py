"""Skeletonization (Mozer & Smolensky 1989): −g · w, how much the loss would rise, to first order,
if the weight were removed. SPEFT has it under this name (Liu et al. 2025, arXiv:2412.13488)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Derived, GradientPruner

if TYPE_CHECKING:
    from sparse_adapter_engine.masks.scores import Scores


class Skeleton(GradientPruner):
    """−g · w. Weights whose removal would lower the loss go first; SNIP would keep them."""

    number = job_pb2.PRUNER_SKELETON

    def score(self, found: Derived) -> Scores:
        """See GradientPruner."""
        return {name: -g * found.weights[name] for name, g in found.derivative.items()}
