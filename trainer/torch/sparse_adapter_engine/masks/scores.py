"""What pruners rank by: one number a prunable weight, by the names and shapes of a trial's
matrices.
"""

import torch
from torch import Tensor

from sparse_adapter_engine.keys import generator

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def random_scores(seed: int, shapes: Shapes) -> Scores:
    """RAND and ER: uniform in [0, 1), a stream of its own for each matrix."""
    return {
        name: torch.rand(shape, generator=generator(seed, "rand", name))
        for name, shape in shapes.items()
    }


def magnitude_scores(weights: dict[str, Tensor]) -> Scores:
    """MAG: |w|."""
    return {name: weight.abs() for name, weight in weights.items()}


def mask_gradients(weights: dict[str, Tensor], gradients: dict[str, Tensor]) -> Scores:
    """|g · w|: how fast the loss changes with each weight's mask."""
    return {name: (gradients[name] * weight).abs() for name, weight in weights.items()}


def snip_scores(weights: dict[str, Tensor], gradients: dict[str, Tensor]) -> Scores:
    """SNIP (Lee et al. 2019): |g · w| divided by its sum over all matrices."""
    raw = mask_gradients(weights, gradients)
    total = torch.stack([score.sum() for score in raw.values()]).sum()
    # All zero: left as they are, for Pruning to refuse.
    return raw if total == 0 else {name: score / total for name, score in raw.items()}


def grasp_scores(weights: dict[str, Tensor], products: dict[str, Tensor]) -> Scores:
    """GraSP (Wang et al.

    2020): w · (H g); products: H g. Keeping the highest keeps the gradient's norm.
    """
    return {name: products[name] * weight for name, weight in weights.items()}
