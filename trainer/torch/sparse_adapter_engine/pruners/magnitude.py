"""Magnitude: |w| (Han et al. 2015, arXiv:1506.02626)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Published, Round, RowlessPruner

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.masks.scores import Scores


class Magnitude(RowlessPruner, Published):
    """|w|."""

    number = job_pb2.PRUNER_MAG
    rescores = False
    may_zero_one_matrix = True
    scores_frozen_officially = True

    def score(self, now: Round) -> Scores:
        """See RowlessPruner."""
        return {name: weight.abs() for name, weight in (now.weights | now.frozen).items()}

    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """See Published."""
        return down
