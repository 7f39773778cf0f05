"""Rounds and derivatives for tests of a pruner alone."""

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.masks.scores import Scores, Shapes
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.pruners.pruner import Derived, GradientPruner, Round, RowlessPruner


def score_round(
    prune: job_pb2.Prune,
    seed: int,
    shapes: Shapes,
    done: int = 0,
    weights: dict[str, Tensor] | None = None,
) -> Scores:
    """A round's scores by a pruner that reads no rows; weights: zeros where none are given."""
    pruner = find_pruner(prune)
    assert isinstance(pruner, RowlessPruner)
    trial = job_pb2.Trial(seed=seed, prune=prune)
    weights = weights or {name: torch.zeros(shape) for name, shape in shapes.items()}
    masks = {name: torch.ones(shape, dtype=torch.uint8) for name, shape in shapes.items()}
    return pruner.score(Round(trial, done, masks, weights, blocks=[], hidden=0))


def score_derived(
    pruner: job_pb2.Pruner, weights: dict[str, Tensor], derivative: dict[str, Tensor]
) -> Scores:
    """A round's scores by a pruner that reads rows, by the exact rules, with nothing masked."""
    found = find_pruner(job_pb2.Prune(pruner=pruner))
    assert isinstance(found, GradientPruner)
    return found.score(Derived(weights, weights, derivative, by_official_rules=False))
