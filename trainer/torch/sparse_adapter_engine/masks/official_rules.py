"""Masks as the code published with SparseAdapter makes them (github.com/Shwai-He/SparseAdapter:
src/transformers/pruning and petl/petl_factory.py): what MASK_RULES_OFFICIAL in job.proto says,
surprises included."""

import math

import numpy as np
import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.keys import generator

from .densities import densities
from .scores import Masks, Scores, Shapes
from .units import modules, pair

# Added to GraSP's norm, so that all-zero scores stay 0.
_GRASP_EPSILON = 1e-10


class OfficialRules:
    """Masks on their way through the rounds.

    No result is an error: `doubts` says what a reader should know.
    """

    def __init__(self, prune: job_pb2.Prune, shapes: Shapes) -> None:
        self._prune, self._densities, self._shapes = prune, densities(prune), shapes
        self._mispaired = mispaired(shapes)
        # The matrices whose scores count: of a mispaired module down alone, which both masks belong
        # to.
        owners = [name for name in shapes if name not in self._mispaired.values()]
        self._scopes = (
            {name: [name] for name in owners}
            if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL
            else {"all matrices": owners}
        )
        self.masks: Masks = {
            name: torch.ones(shape, dtype=torch.uint8) for name, shape in shapes.items()
        }
        self.doubts: list[str] = []

    def keep(self, scores: Scores, done: int) -> None:
        """One round, after `done` of them. scores are of all weights at the masks of the round
        before: of RAND, MAG and SYNFLOW those of `normal_scores`, `magnitude_scores` and
        `synflow_scores_alone`, of SNIP `mask_gradients` and of GRASP `grasp_scores`."""
        compared = self._compared(scores)
        density = self._densities[done]
        for scope, names in self._scopes.items():
            flat = torch.cat([compared[name].reshape(-1) for name in names])
            self._doubt(scope, flat, done)
            cut = (1 - density) * flat.numel()
            k = int(cut) if self._prune.scope == job_pb2.PRUNE_SCOPE_LOCAL else math.ceil(cut)
            if k == 0:
                continue
            # NaN is the greatest of all, and no comparison with it holds: it is not cut, and as
            # threshold cuts nothing.
            threshold = float(np.partition(flat.numpy(), k - 1)[k - 1])
            for name in names:
                self.masks[name] = (~(compared[name] <= threshold)).to(torch.uint8)
        for down, up in self._mispaired.items():
            self.masks[up] = self.masks[down].clone()

    def finished(self) -> Masks:
        """SHUFFLED permutes nothing, and INVERTED has had its effect in each round."""
        return self.masks

    def _compared(self, scores: Scores) -> Scores:
        """Each owner's scores as the rounds compare them."""
        found = {
            name: score for name, score in scores.items() if name not in self._mispaired.values()
        }
        for down, up in self._mispaired.items():
            found[down] = self._written_last(scores[down], scores[up])
        if self._prune.pruner == job_pb2.PRUNER_SNIP:
            found = _divided_by_sum_over_largest(found)
        elif self._prune.pruner == job_pb2.PRUNER_GRASP:
            total = (
                torch.cat([score.reshape(-1) for score in found.values()]).sum().abs()
                + _GRASP_EPSILON
            )
            found = {name: score / total for name, score in found.items()}
        if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
            # 0 becomes NaN.
            found = {name: score / score**2 for name, score in found.items()}
        return found

    def _written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """The scores of a mispaired module, which are written twice, for down's mask and for up's."""
        match self._prune.pruner:
            case job_pb2.PRUNER_RAND | job_pb2.PRUNER_SNIP:
                # A second draw; the gradient of up's mask.
                return up
            case job_pb2.PRUNER_MAG:
                return down
            case _:
                # GRASP and SYNFLOW read the gradient of down again, which the first time has set to
                # 0.
                return torch.zeros_like(down)

    def _doubt(self, scope: str, scores: Tensor, done: int) -> None:
        n, wrong = scores.numel(), int((~scores.isfinite()).sum())
        pruner = job_pb2.Pruner.Name(self._prune.pruner).removeprefix("PRUNER_").lower()
        at = f"{pruner}, round {done + 1} of {len(self._densities)}"
        if wrong:
            self.doubts.append(
                f"{at}: {wrong} of {n} scores of {scope} are NaN or infinite; NaN is not cut, and "
                "as threshold cuts nothing"
            )
        elif bool(scores.min() == scores.max()):
            self.doubts.append(
                f"{at}: all {n} scores of {scope} are {float(scores[0]):g}, so that they are kept "
                "or cut together"
            )


def mispaired(shapes: Shapes) -> dict[str, str]:
    """down.weight to up.weight of each module in which both have one shape, because r is the hidden
    size. The published code looks for each mask's weight by its shape, and finds down.weight for
    both."""
    pairs = dict(pair(module) for module in modules(shapes))
    return {down: up for down, up in pairs.items() if shapes[down] == shapes[up]}


def grasp_direction(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """g as GraSP's product of gradients has it: for a mispaired module down's gradient twice, and
    up's not at all.
    """
    twice = mispaired({name: tuple(gradient.shape) for name, gradient in gradients.items()})
    doubled = {down: 2 * gradients[down] for down in twice}
    return gradients | doubled | {up: torch.zeros_like(gradients[up]) for up in twice.values()}


def normal_scores(seed: int, shapes: Shapes, done: int) -> Scores:
    """RAND: N(0, 1), a stream of its own for each matrix and round."""
    return {
        name: torch.randn(shape, generator=generator(seed, "rand", name, done))
        for name, shape in shapes.items()
    }


def _divided_by_sum_over_largest(scores: Scores) -> Scores:
    """SNIP's normalization: by the sum of all scores over their largest, infinite ones counting as
    1. All zero gives NaN.
    """
    flat = torch.cat([score.reshape(-1) for score in scores.values()])
    flat = torch.where(flat.isinf(), 1, flat)
    norm = (flat / flat.max()).sum()
    return {name: score / norm for name, score in scores.items()}
