"""N:M masks (Zhou et al. 2021): in each group of M neighbouring weights of a row exactly N are
kept."""

import numpy as np
import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.keys import permutation

from .ranking import IndexArray, require_ranking
from .scores import Masks, Scores, Shapes


class NMGroups:
    """N_M with the exact rules: one round."""

    def __init__(self, prune: job_pb2.Prune, seed: int, shapes: Shapes) -> None:
        """shapes: [a, b] each, b a multiple of M."""
        self._prune, self._seed, self._shapes = prune, seed, shapes
        self.masks: Masks = {
            name: torch.ones(shape, dtype=torch.uint8) for name, shape in shapes.items()
        }
        # By matrix: places within each group, the highest score first, [groups, M]. Empty before
        # the round.
        self._orders: dict[str, IndexArray] = {}

    def keeps_all(self, done: int) -> bool:
        """Never: N is less than M."""
        return False

    def go_on(self, masks: Masks) -> None:
        """Makes a fresh instance resume after the round that left these masks, or before it."""
        self.masks = masks

    def keep(self, scores: Scores, done: int) -> None:
        """Does the round.

        Raises TrialFailed as `require_ranking` does, per matrix: a single group may well have equal
        scores.
        """
        for name in self._shapes:
            found = scores[name].reshape(-1, self._prune.group_size).numpy()
            require_ranking(self._prune, name, found)
            ties = self._places_drawn("ties", name)
            best = np.take_along_axis(-found, ties, axis=1).argsort(axis=1, kind="stable")
            self._orders[name] = np.take_along_axis(ties, best, axis=1)
        self.masks = {
            name: self._mask(name, order[:, : self._prune.group_kept])
            for name, order in self._orders.items()
        }

    def finished(self) -> Masks:
        kept = self._prune.group_kept
        if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
            return {
                name: self._mask(name, order[:, -kept:]) for name, order in self._orders.items()
            }
        if self._prune.control == job_pb2.MASK_CONTROL_SHUFFLED:
            return {
                name: self._mask(name, self._places_drawn("shuffled mask", name)[:, :kept])
                for name in self._shapes
            }
        return self.masks

    def _mask(self, name: str, places: IndexArray) -> Tensor:
        """uint8, 1 at these places [groups, N] in the matrix's groups."""
        mask = np.zeros((len(places), self._prune.group_size), dtype=np.uint8)
        np.put_along_axis(mask, places, 1, axis=1)
        return torch.from_numpy(mask).view(self._shapes[name])

    def _places_drawn(self, purpose: str, name: str) -> IndexArray:
        """Each group's places, int64 [groups, M], in an order drawn from the seed."""
        rows, columns = self._shapes[name]
        drawn = (
            permutation(rows * columns, self._seed, purpose, name)
            .numpy()
            .reshape(-1, self._prune.group_size)
        )
        order: IndexArray = drawn.argsort(axis=1)
        return order
