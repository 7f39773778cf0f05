"""Erdős–Rényi densities (Mocanu et al. 2018, arXiv:1707.04780): random within a matrix, whose
density follows from its shape (`er_counts` of masks/densities.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Round, RowlessPruner
from .rand import draw_uniform

if TYPE_CHECKING:
    from sparse_adapter_engine.masks.scores import Scores


class ErdosRenyi(RowlessPruner):
    """Uniform draws."""

    number = job_pb2.PRUNER_ER
    ranks = False
    rescores = False
    sets_densities = True

    def score(self, now: Round) -> Scores:
        """See RowlessPruner."""
        return draw_uniform(now.trial.seed, now.shapes)
