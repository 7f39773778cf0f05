"""The exact rules: each scope keeps an exact number of weights or units, those with the highest
scores. A seeded permutation breaks ties, and scores that mean nothing are an error."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.pruners import find_pruner

from .densities import densities, er_counts, kept_count
from .scores import Masks, Scores, Shapes
from .units import masks_of_units, unit_scores, unit_shapes, units_of_masks

FloatArray = npt.NDArray[np.floating[Any]]
IndexArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Ranking:
    """WEIGHTS and UNITS with the exact rules.

    The ranked items are weights by matrix or units by module.
    """

    def __init__(self, prune: job_pb2.Prune, seed: int, shapes: Shapes) -> None:
        """Raises TrialFailed (DEGENERATE_MASK) if nothing would be kept."""
        self._prune, self._seed, self._shapes = prune, seed, shapes
        self._in_units = prune.structure == job_pb2.MASK_STRUCTURE_UNITS
        self._items = unit_shapes(shapes) if self._in_units else shapes
        self._scopes = list(_scopes(prune, seed, self._items))

    @property
    def masks(self) -> Masks:
        return self._of_matrices(self._named([scope.places for scope in self._scopes]))

    def keeps_all(self, done: int) -> bool:
        """Whether the round after `done` others removes nothing."""
        return all(scope.counts[done] == scope.places.size for scope in self._scopes)

    def go_on(self, masks: Masks) -> None:
        """Makes a fresh ranking resume after rounds that left these masks."""
        kept = units_of_masks(masks) if self._in_units else masks
        for scope in self._scopes:
            flat = torch.cat([kept[name].reshape(-1) for name in scope.names]).numpy()
            # Still in the order that breaks ties.
            scope.places = scope.places[flat[scope.places] == 1]

    def keep(self, scores: Scores, done: int) -> None:
        """Does one round, after `done` others. Raises TrialFailed as `require_ranking` does."""
        if self._in_units:
            scores = unit_scores(scores)
        for scope in self._scopes:
            found = torch.cat([scores[name].reshape(-1) for name in scope.names]).numpy()[
                scope.places
            ]
            # A later round that removes nothing ranks nothing.
            require_ranking(
                self._prune, scope.name, found, idle=done > 0 and found.size == scope.counts[done]
            )
            stay = highest(found, scope.counts[done])
            if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
                scope.removed.append((scope.places[~stay], found[~stay]))
                scope.scores = found[stay]
            scope.places = scope.places[stay]

    def finished(self) -> Masks:
        if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
            return self._of_matrices(self._named([scope.lowest() for scope in self._scopes]))
        if self._prune.control == job_pb2.MASK_CONTROL_SHUFFLED:
            kept = self._named([scope.places for scope in self._scopes])
            return self._of_matrices(
                {name: _shuffled(mask, self._seed, name) for name, mask in kept.items()}
            )
        return self.masks

    def _named(self, places: list[IndexArray]) -> Masks:
        """The items at these places of each scope, uint8 by the items' names and shapes."""
        found: Masks = {}
        for scope, kept in zip(self._scopes, places, strict=True):
            sizes = [math.prod(self._items[name]) for name in scope.names]
            mask = torch.zeros(sum(sizes), dtype=torch.uint8)
            mask[torch.from_numpy(kept)] = 1
            parts = zip(scope.names, mask.split(sizes), strict=True)
            found |= {name: part.view(self._items[name]) for name, part in parts}
        return {name: found[name] for name in self._items}

    def _of_matrices(self, kept: Masks) -> Masks:
        return masks_of_units(kept, self._shapes) if self._in_units else kept


@dataclass
class _Scope:
    """Items that are ranked together. counts: how many items each round leaves. places: int64, of
    the items still kept, in the order that breaks ties. scores, removed: for inverted masks, the
    scores of the items still kept, and what each round removed with its scores."""

    name: str
    names: list[str]
    counts: list[int]
    places: IndexArray
    scores: FloatArray = field(default_factory=lambda: np.zeros(0))
    removed: list[tuple[IndexArray, FloatArray]] = field(default_factory=list)

    def lowest(self) -> IndexArray:
        """As many places as are kept, but from the bottom of the ranking: what an earlier round
        removed ranks below what it kept."""
        # Of equal scores, the last in the tie-breaking order come first.
        ascending = [
            places[::-1][scores[::-1].argsort(kind="stable")]
            for places, scores in (*self.removed, (self.places, self.scores))
        ]
        return np.concatenate(ascending)[: self.places.size]


def _scopes(prune: job_pb2.Prune, seed: int, items: Shapes) -> Iterator[_Scope]:
    sizes = {name: math.prod(shape) for name, shape in items.items()}
    if find_pruner(prune).sets_densities:
        _check_some_kept(prune, "all matrices", sum(sizes.values()))
        counts = er_counts(items, kept_count(sum(sizes.values()), 1 - prune.sparsity))
        yield from (
            _Scope(name, [name], [counts[name]], _tie_order(n, seed, name))
            for name, n in sizes.items()
        )
        return
    everything = (
        "all modules" if prune.structure == job_pb2.MASK_STRUCTURE_UNITS else "all matrices"
    )
    named = (
        {name: [name] for name in items}
        if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL
        else {everything: list(items)}
    )
    for scope, names in named.items():
        n = sum(sizes[name] for name in names)
        _check_some_kept(prune, scope, n)
        yield _Scope(
            scope,
            names,
            [kept_count(n, density) for density in densities(prune)],
            _tie_order(n, seed, scope),
        )


def _check_some_kept(prune: job_pb2.Prune, scope: str, n: int) -> None:
    if kept_count(n, 1 - prune.sparsity) == 0:
        what = "units" if prune.structure == job_pb2.MASK_STRUCTURE_UNITS else "weights"
        message = (
            f"sparsity {prune.sparsity} keeps none of the {n} {what} of {scope}; take a lower "
            "one or a wider bottleneck"
        )
        raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)


def _tie_order(n: int, seed: int, scope: str) -> IndexArray:
    order: IndexArray = permutation(n, seed, "ties", scope).numpy()
    return order


def require_ranking(
    prune: job_pb2.Prune, scope: str, scores: FloatArray, idle: bool = False
) -> None:
    """Raises TrialFailed: NON_FINITE if a score is not finite; DEGENERATE_MASK if all scores of a
    scope are equal though the pruner ranks by them.

    idle: nothing is removed, so equal scores do no harm.
    """
    n, pruner = scores.size, find_pruner(prune)
    name = pruner.label.lower()
    wrong = n - int(np.isfinite(scores).sum())
    if wrong:
        raise TrialFailed(
            event_pb2.FAILURE_REASON_NON_FINITE,
            f"{name}: {wrong} of {n} scores of {scope} are NaN or infinite",
        )
    if pruner.ranks and not idle and scores.min() == scores.max():
        hint, first = "", scores.flat[0]
        if first == 0:
            hint = "; a zero up-projection (init: zero_up) gives such scores: take init: gaussian"
            in_one_matrix = prune.scope == job_pb2.PRUNE_SCOPE_LOCAL and pruner.may_zero_one_matrix
            if in_one_matrix and prune.structure != job_pb2.MASK_STRUCTURE_N_M:
                hint += ", or scope: global"
        message = f"{name}: all {n} scores of {scope} are {first:g}, so they rank nothing{hint}"
        raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)


def highest(scores: FloatArray, kept: int) -> BoolArray:
    """bool [n], true at exactly the `kept` highest of scores [n], all finite; the first of equal
    ones."""
    if kept == 0:
        return np.zeros(scores.size, dtype=bool)
    # Selection takes a tenth of the time of sorting, which matters over a hundred rounds.
    threshold = np.partition(scores, scores.size - kept)[scores.size - kept]
    chosen: BoolArray = scores > threshold
    chosen[np.flatnonzero(scores == threshold)[: kept - int(chosen.sum())]] = True
    return chosen


def _shuffled(mask: Tensor, seed: int, name: str) -> Tensor:
    return mask.reshape(-1)[permutation(mask.numel(), seed, "shuffled mask", name)].view(mask.shape)
