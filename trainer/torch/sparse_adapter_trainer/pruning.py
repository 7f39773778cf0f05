"""From scores to masks: exactly so many weights are kept, ties go by a seeded permutation, and a result that means nothing is an error.

Scores and masks are dicts by name over a trial's prunable matrices, with the matrix's shape.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from .errors import TrialFailed
from .keys import generator, permutation

Scores = dict[str, Tensor]
Masks = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
FloatArray = npt.NDArray[np.floating[Any]]
IndexArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# The pruners that score again what earlier rounds kept; at initialization the others have one round.
_IN_ROUNDS = (job_pb2.PRUNER_SNIP, job_pb2.PRUNER_GRASP, job_pb2.PRUNER_SYNFLOW)
_UNRANKED = (job_pb2.PRUNER_RAND, job_pb2.PRUNER_ER)


def is_during_training(prune: job_pb2.Prune) -> bool:
    """Whether the rounds take place between steps of training (Prune.every_steps)."""
    return prune.pruner != job_pb2.PRUNER_NONE and prune.every_steps > 0


def kept_count(n: int, density: float) -> int:
    """How many of n weights are kept: floor(density · n + 0.5), in float64."""
    return math.floor(density * n + 0.5)


def densities(prune: job_pb2.Prune) -> list[float]:
    """The density after each round, by the schedule; the last is 1 − sparsity exactly."""
    final, rounds = 1 - prune.sparsity, prune.rounds if prune.pruner in _IN_ROUNDS or is_during_training(prune) else 1
    if prune.schedule == job_pb2.PRUNE_SCHEDULE_LINEAR:
        earlier = [1 - (1 - final) * k / rounds for k in range(1, rounds)]
    elif prune.schedule == job_pb2.PRUNE_SCHEDULE_CUBIC:
        earlier = [final + (1 - final) * (1 - k / rounds) ** 3 for k in range(1, rounds)]
    else:
        earlier = [final ** (k / rounds) for k in range(1, rounds)]
    return [*earlier, final]


def er_counts(shapes: Shapes, kept: int) -> dict[str, int]:
    """How many weights of each matrix are kept, `kept` in all, by Erdős–Rényi densities (Mocanu et al. 2018): [a, b] has density
    min(1, ε · (a + b) / (a · b)). Counts are rounded down, and what is left goes to the largest remainders; of equal ones to the first."""
    whole: dict[str, int] = {}
    # In whole numbers, so that a total is never off by a rounding: ε = left / total, a matrix's count is ε · (a + b).
    while True:
        sums = {name: sum(shape) for name, shape in shapes.items() if name not in whole}
        left, total = kept - sum(whole.values()), sum(sums.values())
        # What a full matrix cannot take, the others get: ε rises, and may fill more of them.
        full = {name: math.prod(shapes[name]) for name, width in sums.items() if left * width >= total * math.prod(shapes[name])}
        if not full:
            break
        whole |= full
    counts = {name: left * width // total for name, width in sums.items()}
    remainders = sorted(sums, key=lambda name: left * sums[name] % total, reverse=True)
    for name in remainders[: left - sum(counts.values())]:
        counts[name] += 1
    return {name: whole.get(name, counts.get(name, 0)) for name in shapes}


def random_scores(seed: int, shapes: Shapes) -> Scores:
    """RAND and ER: uniform in [0, 1), a stream of its own for each matrix."""
    return {name: torch.rand(shape, generator=generator(seed, "rand", name)) for name, shape in shapes.items()}


def magnitude_scores(weights: dict[str, Tensor]) -> Scores:
    """MAG: |w|."""
    return {name: weight.abs() for name, weight in weights.items()}


def snip_scores(weights: dict[str, Tensor], gradients: dict[str, Tensor]) -> Scores:
    """SNIP (Lee et al. 2019): |g · w| divided by its sum over all matrices."""
    raw = {name: (gradients[name] * weight).abs() for name, weight in weights.items()}
    total = torch.stack([score.sum() for score in raw.values()]).sum()
    # All zero: left as they are, for Pruning to refuse.
    return raw if total == 0 else {name: score / total for name, score in raw.items()}


def grasp_scores(weights: dict[str, Tensor], products: dict[str, Tensor]) -> Scores:
    """GraSP (Wang et al. 2020): w · (H g); products: H g. Keeping the highest keeps the gradient's norm."""
    return {name: products[name] * weight for name, weight in weights.items()}


class Pruning:
    """A trial's masks on their way through the rounds of Prune: `keep` takes a round's scores, `finished` gives the masks to train with."""

    def __init__(self, prune: job_pb2.Prune, seed: int, shapes: Shapes) -> None:
        """shapes: those of the prunable matrices. Raises TrialFailed (DEGENERATE_MASK) where nothing would be kept."""
        self._prune, self._seed, self._shapes = prune, seed, shapes
        self._scopes = list(_scopes(prune, seed, shapes))
        self._done = 0

    @property
    def done(self) -> bool:
        """Whether all rounds are over."""
        return self._done == len(densities(self._prune))

    @property
    def keeps_all(self) -> bool:
        """Whether the next round removes nothing, so that it needs no scores."""
        return all(scope.counts[self._done] == scope.places.size for scope in self._scopes)

    def skip(self) -> None:
        """A round that keeps all."""
        self._done += 1

    def go_on(self, masks: Masks, rounds: int) -> None:
        """Takes up a fresh Pruning after so many rounds that have left these masks: what follows is as if the rounds had been its own.
        Not where the mask will be inverted, which needs the scores of all rounds."""
        for scope in self._scopes:
            kept = torch.cat([masks[name].reshape(-1) for name in scope.matrices]).numpy()
            # Still in the order that breaks ties.
            scope.places = scope.places[kept[scope.places] == 1]
        self._done = rounds

    @property
    def masks(self) -> Masks:
        """uint8: what the rounds so far have kept, of all matrices."""
        return self._named([scope.places for scope in self._scopes])

    def keep(self, scores: Scores) -> None:
        """One round: of the weights that the masks keep, those of the highest scores stay. Other weights' scores are not looked at.

        Raises TrialFailed: NON_FINITE for such scores; DEGENERATE_MASK where all of a scope are equal though the pruner ranks by them.
        """
        for scope in self._scopes:
            found = torch.cat([scores[name].reshape(-1) for name in scope.matrices]).numpy()[scope.places]
            self._check(scope, found)
            stay = highest(found, scope.counts[self._done])
            if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
                scope.removed.append((scope.places[~stay], found[~stay]))
                scope.scores = found[stay]
            scope.places = scope.places[stay]
        self._done += 1

    def _check(self, scope: "_Scope", scores: FloatArray) -> None:
        prune, n = self._prune, scores.size
        pruner = job_pb2.Pruner.Name(prune.pruner).removeprefix("PRUNER_").lower()
        wrong = n - int(np.isfinite(scores).sum())
        if wrong:
            message = f"{pruner}: {wrong} of {n} scores of {scope.name} are NaN or infinite"
            raise TrialFailed(event_pb2.FAILURE_REASON_NON_FINITE, message)
        # A later round that removes nothing ranks nothing.
        idle = self._done > 0 and n == scope.counts[self._done]
        if prune.pruner not in _UNRANKED and not idle and scores.min() == scores.max():
            hint = ""
            if scores[0] == 0:
                hint = "; a zero up-projection (init: zero_up) gives such scores: take init: gaussian"
                if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL and prune.pruner != job_pb2.PRUNER_SYNFLOW:
                    hint += ", or scope: global"
            message = f"{pruner}: all {n} scores of {scope.name} are {scores[0]:g}, so they rank nothing{hint}"
            raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)

    def finished(self) -> Masks:
        """uint8 masks with the control applied."""
        if self._prune.control == job_pb2.MASK_CONTROL_INVERTED:
            return self._named([scope.lowest() for scope in self._scopes])
        if self._prune.control == job_pb2.MASK_CONTROL_SHUFFLED:
            return {name: _shuffled(mask, self._seed, name) for name, mask in self.masks.items()}
        return self.masks

    def _named(self, places: list[IndexArray]) -> Masks:
        found: Masks = {}
        for scope, kept in zip(self._scopes, places, strict=True):
            sizes = [math.prod(self._shapes[name]) for name in scope.matrices]
            mask = torch.zeros(sum(sizes), dtype=torch.uint8)
            mask[torch.from_numpy(kept)] = 1
            parts = zip(scope.matrices, mask.split(sizes), strict=True)
            found |= {name: part.view(self._shapes[name]) for name, part in parts}
        return found


@dataclass
class _Scope:
    """Weights whose scores are compared. counts: how many each round keeps. places: those kept so far, by where they are among the
    scope's weights, in the order that breaks ties. Where the mask will be inverted, scores: their last ones; removed: what each round
    removed, and its scores."""

    name: str
    matrices: list[str]
    counts: list[int]
    places: IndexArray
    scores: FloatArray = field(default_factory=lambda: np.zeros(0))
    removed: list[tuple[IndexArray, FloatArray]] = field(default_factory=list)

    def lowest(self) -> IndexArray:
        """As many places as are kept, from the other end of the ranking: what an earlier round removed ranks below what it kept."""
        # Of equal ones the last in the order that breaks ties.
        ascending = [places[::-1][scores[::-1].argsort(kind="stable")] for places, scores in (*self.removed, (self.places, self.scores))]
        return np.concatenate(ascending)[: self.places.size]


def _scopes(prune: job_pb2.Prune, seed: int, shapes: Shapes) -> Iterator[_Scope]:
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if prune.pruner == job_pb2.PRUNER_ER:
        _check_some_kept(prune, "all matrices", sum(sizes.values()))
        counts = er_counts(shapes, kept_count(sum(sizes.values()), 1 - prune.sparsity))
        yield from (_Scope(name, [name], [counts[name]], _tie_order(n, seed, name)) for name, n in sizes.items())
        return
    names = [[name] for name in shapes] if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL else [list(shapes)]
    for matrices in names:
        scope = matrices[0] if prune.scope == job_pb2.PRUNE_SCOPE_LOCAL else "all matrices"
        n = sum(sizes[name] for name in matrices)
        _check_some_kept(prune, scope, n)
        yield _Scope(scope, matrices, [kept_count(n, density) for density in densities(prune)], _tie_order(n, seed, scope))


def _check_some_kept(prune: job_pb2.Prune, scope: str, n: int) -> None:
    if kept_count(n, 1 - prune.sparsity) == 0:
        message = f"sparsity {prune.sparsity:g} keeps none of the {n} weights of {scope}; take a lower one or a wider bottleneck"
        raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, message)


def _tie_order(n: int, seed: int, scope: str) -> IndexArray:
    order: IndexArray = permutation(n, seed, "ties", scope).numpy()
    return order


def highest(scores: FloatArray, kept: int) -> BoolArray:
    """bool [n] with exactly `kept` true at the highest of scores [n], all finite; of equal ones the first."""
    if kept == 0:
        return np.zeros(scores.size, dtype=bool)
    # Selection takes a tenth of the time of sorting, which a hundred rounds would feel.
    threshold = np.partition(scores, scores.size - kept)[scores.size - kept]
    chosen: BoolArray = scores > threshold
    chosen[np.flatnonzero(scores == threshold)[: kept - int(chosen.sum())]] = True
    return chosen


def _shuffled(mask: Tensor, seed: int, name: str) -> Tensor:
    return mask.reshape(-1)[permutation(mask.numel(), seed, "shuffled mask", name)].view(mask.shape)


def emptied(masks: Masks) -> list[str]:
    """Names of matrices whose weights were all removed."""
    return [name for name, mask in masks.items() if not mask.any()]
