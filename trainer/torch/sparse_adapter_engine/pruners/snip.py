"""SNIP (Lee et al. 2019, arXiv:1810.02340): |g · w|, how fast the loss changes with each weight's
mask."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Derived, GradientPruner, Published

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.masks.scores import Scores


class Snip(GradientPruner, Published):
    """|g · w| divided by its sum over all matrices."""

    number = job_pb2.PRUNER_SNIP

    def score(self, found: Derived) -> Scores:
        """See GradientPruner. By the official rules for all weights, even removed ones, and not
        divided yet."""
        import torch

        weights = found.unmasked if found.by_official_rules else found.weights
        raw = {name: (g * weights[name]).abs() for name, g in found.derivative.items()}
        if found.by_official_rules:
            return raw
        total = torch.stack([score.sum() for score in raw.values()]).sum()
        # All zero: returned as they are, and Pruning refuses them.
        return raw if total == 0 else {name: score / total for name, score in raw.items()}

    def normalize_officially(self, scores: Scores, twice: Collection[str] = ()) -> Scores:
        """See Published: divided by the sum of all scores over the largest, where infinite scores
        count as 1. All-zero scores become NaN."""
        import torch

        flat = torch.cat([score.reshape(-1) for score in scores.values()])
        flat = torch.where(flat.isinf(), 1, flat)
        norm = (flat / flat.max()).sum()
        once = {name: score / norm for name, score in scores.items()}
        return once | {name: once[name] / norm for name in twice}

    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """See Published: the gradient of up's mask."""
        return up
