"""Random scores: what a density does, whichever weights are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from .pruner import Published, Round, RowlessPruner

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.masks.scores import Scores, Shapes


class Rand(RowlessPruner, Published):
    """Uniform draws; by the official rules normal ones, new in each round."""

    number = job_pb2.PRUNER_RAND
    ranks = False
    rescores = False
    scores_frozen_officially = True

    def score(self, now: Round) -> Scores:
        """See RowlessPruner. If units are removed, there is one draw per unit."""
        prune, seed = now.trial.prune, now.trial.seed
        if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
            return draw_normal(seed, now.shapes, now.done)
        if prune.structure == job_pb2.MASK_STRUCTURE_UNITS:
            from sparse_adapter_engine.masks.units import spread, unit_shapes

            return spread(draw_uniform(seed, unit_shapes(now.shapes)), now.shapes)
        return draw_uniform(seed, now.shapes)

    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """See Published: the second draw."""
        return up


def draw_uniform(seed: int, shapes: Shapes) -> Scores:
    """Uniform in [0, 1), with a separate stream for each matrix."""
    import torch

    from sparse_adapter_engine.keys import generator

    return {
        name: torch.rand(shape, generator=generator(seed, "rand", name))
        for name, shape in shapes.items()
    }


def draw_normal(seed: int, shapes: Shapes, done: int) -> Scores:
    """N(0, 1), with a separate stream for each matrix and round; `done`: how many rounds came
    before."""
    import torch

    from sparse_adapter_engine.keys import generator

    return {
        name: torch.randn(shape, generator=generator(seed, "rand", name, done))
        for name, shape in shapes.items()
    }
