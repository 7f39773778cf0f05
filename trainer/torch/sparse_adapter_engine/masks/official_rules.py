"""Masks as the code published with SparseAdapter makes them (github.com/Shwai-He/SparseAdapter:
src/transformers/pruning and petl/petl_factory.py): what MASK_RULES_OFFICIAL in job.proto says,
surprises included."""

import math
import re

import numpy as np
import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.pruners.pruner import Published

from .densities import densities
from .scores import Masks, Scores, Shapes
from .units import modules, pair


class OfficialRules:
    """Masks through the rounds.

    No result is an error: `doubts` says what a reader should know.
    """

    def __init__(
        self, prune: job_pb2.Prune, shapes: Shapes, after_rounds: list[float] | None = None
    ) -> None:
        """after_rounds: the density after each round; None: those of Prune."""
        pruner = find_pruner(prune)
        assert isinstance(pruner, Published), "a request for these rules is refused for others"
        self._pruner: Published = pruner
        self._prune, self._densities = prune, after_rounds or densities(prune)
        _refuse_lora_of_full_rank(pruner, shapes)
        self._mispaired = mispaired(shapes)
        # The matrices whose scores count: in a mispaired module only down, to which both masks
        # belong.
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
        """Does one round, after `done` others. scores: of all weights at the previous round's
        masks, as the pruner gives them by these rules."""
        compared = self._compared(scores)
        density = self._densities[done]
        for scope, names in self._scopes.items():
            flat = torch.cat([compared[name].reshape(-1) for name in names])
            self._doubt(scope, flat, done)
            cut = (1 - density) * flat.numel()
            k = int(cut) if self._prune.scope == job_pb2.PRUNE_SCOPE_LOCAL else math.ceil(cut)
            if k == 0:
                continue
            # NaN sorts last, and every comparison with it is false: it is not cut, and as the
            # threshold it cuts nothing.
            threshold = float(np.partition(flat.numpy(), k - 1)[k - 1])
            for name in names:
                self.masks[name] = (~(compared[name] <= threshold)).to(torch.uint8)
        for down, up in self._mispaired.items():
            self.masks[up] = self.masks[down].clone()

    def finished(self) -> Masks:
        """The masks as they are: SHUFFLED permutes nothing, INVERTED has acted in each round."""
        return self.masks

    def _compared(self, scores: Scores) -> Scores:
        """Each owner's scores as the rounds compare them."""
        found = {
            name: score for name, score in scores.items() if name not in self._mispaired.values()
        }
        for down, up in self._mispaired.items():
            found[down] = self._pruner.choose_written_last(scores[down], scores[up])
        found = self._pruner.normalize_officially(found, self._mispaired)
        if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
            # 0 becomes NaN.
            found = {name: score / score**2 for name, score in found.items()}
        return found

    def _doubt(self, scope: str, scores: Tensor, done: int) -> None:
        n, wrong = scores.numel(), int((~scores.isfinite()).sum())
        at = f"{self._pruner.label.lower()}, round {done + 1} of {len(self._densities)}"
        if wrong:
            self.doubts.append(
                f"{at}: {wrong} of {n} scores of {scope} are NaN or infinite; NaN is not cut, and "
                "as the threshold it cuts nothing"
            )
        elif bool(scores.min() == scores.max()):
            self.doubts.append(
                f"{at}: all {n} scores of {scope} are {float(scores[0]):g}, so that they are kept "
                "or cut together"
            )


def _refuse_lora_of_full_rank(pruner: Published, shapes: Shapes) -> None:
    """Raises TrialFailed if a LoRA's rank is a width of its projection and the published code ends
    there: it finds the frozen weight for the mask of down or up, which has no gradient or, at the
    feed-forward block, another shape."""
    of_frozen = frozen_names(shapes) if pruner.scores_frozen_officially else {}
    for module in modules(shapes):
        down, up = pair(module)
        (rank, inputs), (outputs, _) = shapes[down], shapes[up]
        if _is_lora(module) and rank in (inputs, outputs) and down not in of_frozen:
            raise TrialFailed(
                event_pb2.FAILURE_REASON_DEGENERATE_MASK,
                f"{module}: by OFFICIAL rules LoRA's rank {rank} must differ from its "
                f"projection's widths, {inputs} and {outputs}: otherwise the published code "
                "pairs a mask with the frozen weight, and fails; take another rank, or EXACT rules",
            )


def frozen_names(shapes: Shapes) -> dict[str, str]:
    """Maps the down.weight of each LoRA at an encoder's attention whose rank is the hidden size to
    its projection's frozen matrix, named as in Adapter of job.proto: the published code takes
    both masks of that module for those of this matrix."""
    found = {}
    for module in modules(shapes):
        down, up = pair(module)
        if _ATTENTION_OF_ENCODER.fullmatch(module) and shapes[down] == shapes[up]:
            found[down] = f"{module}.weight"
    return found


_ATTENTION_OF_ENCODER = re.compile(r"layers\.\d+\.(query|value)")


def _is_lora(module: str) -> bool:
    return module.endswith(("query", "value", "ffn_in", "ffn_out"))


def mispaired(shapes: Shapes) -> dict[str, str]:
    """Maps down.weight to up.weight for each module in which both have the same shape, because r is
    the hidden size. The published code finds each mask's weight by its shape, so down.weight for
    both."""
    pairs = dict(pair(module) for module in modules(shapes))
    return {down: up for down, up in pairs.items() if shapes[down] == shapes[up]}


def grasp_direction(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """g as the published GraSP multiplies it: in a mispaired module down's gradient counts twice,
    and up's not at all."""
    twice = mispaired({name: tuple(gradient.shape) for name, gradient in gradients.items()})
    doubled = {down: 2 * gradients[down] for down in twice}
    return gradients | doubled | {up: torch.zeros_like(gradients[up]) for up in twice.values()}
