"""From scores to masks: exactly so many weights are kept, ties go by a seeded permutation, and a result that means nothing is an error.

Scores and masks are dicts by name over a trial's prunable matrices, with the matrix's shape.
"""

import math

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from .errors import TrialFailed
from .keys import generator, permutation

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]


def kept_count(n: int, sparsity: float) -> int:
    """How many of n weights are kept: floor((1 − sparsity) · n + 0.5), in float64."""
    return math.floor((1 - sparsity) * n + 0.5)


def random_scores(seed: int, shapes: dict[str, tuple[int, ...]]) -> Scores:
    """RAND: uniform in [0, 1), a stream of its own for each matrix."""
    return {name: torch.rand(shape, generator=generator(seed, "rand", name)) for name, shape in shapes.items()}


def magnitude_scores(weights: dict[str, Tensor]) -> Scores:
    """MAG: |w|."""
    return {name: weight.abs() for name, weight in weights.items()}


def snip_scores(weights: dict[str, Tensor], gradients: dict[str, Tensor]) -> Scores:
    """SNIP (Lee et al. 2019): |g · w| divided by its sum over all matrices."""
    raw = {name: (gradients[name] * weight).abs() for name, weight in weights.items()}
    total = torch.stack([score.sum() for score in raw.values()]).sum()
    # All zero: left as they are, for make_masks to refuse.
    return raw if total == 0 else {name: score / total for name, score in raw.items()}


def make_masks(prune: job_pb2.Prune, seed: int, scores: Scores) -> Masks:
    """uint8 masks that keep the highest scores: kept_count of all weights (GLOBAL) or of each matrix's (LOCAL).

    Raises TrialFailed: NON_FINITE for such scores; DEGENERATE_MASK where all scores of a scope are equal though the pruner ranks by
    them, or nothing is kept.
    """
    if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL:
        return {name: _mask_scope(prune, seed, name, score.reshape(-1)).view(score.shape) for name, score in scores.items()}
    flat = _mask_scope(prune, seed, "all matrices", torch.cat([score.reshape(-1) for score in scores.values()]))
    parts = flat.split([score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _mask_scope(prune: job_pb2.Prune, seed: int, scope: str, scores: Tensor) -> Tensor:
    pruner = job_pb2.Pruner.Name(prune.pruner).removeprefix("PRUNER_").lower()
    if not scores.isfinite().all():
        count = int((~scores.isfinite()).sum())
        raise TrialFailed(
            event_pb2.FAILURE_REASON_NON_FINITE, f"{pruner}: {count} of {scores.numel()} scores of {scope} are NaN or infinite"
        )
    if prune.pruner != job_pb2.PRUNER_RAND and bool((scores == scores[0]).all()):
        value, hint = float(scores[0]), ""
        if value == 0:
            hint = "; a zero up-projection (init: zero_up) gives such scores: take init: gaussian, or scope: global"
        message = f"{pruner}: all {scores.numel()} scores of {scope} are {value:g}, so they rank nothing{hint}"
        raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)
    kept = kept_count(scores.numel(), prune.sparsity)
    if kept == 0:
        message = (
            f"sparsity {prune.sparsity:g} keeps none of the {scores.numel()} weights of {scope}; take a lower one or a wider bottleneck"
        )
        raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)
    return keep_highest(scores, kept, permutation(scores.numel(), seed, "ties", scope))


def keep_highest(scores: Tensor, kept: int, tie_order: Tensor) -> Tensor:
    """uint8 [n] with exactly `kept` ones at the highest of scores [n]; equal ones go by their place in tie_order, a permutation."""
    ranked = tie_order[scores[tie_order].argsort(descending=True, stable=True)]
    mask = torch.zeros(scores.numel(), dtype=torch.uint8)
    mask[ranked[:kept]] = 1
    return mask


def emptied(masks: Masks) -> list[str]:
    """Names of matrices whose weights were all removed."""
    return [name for name, mask in masks.items() if not mask.any()]
