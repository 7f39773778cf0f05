"""What every pruner declares, and how it is asked for scores.

The server reads the table before PyTorch is loaded, so a pruner's file imports PyTorch only where
it scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from sparse_adapter.trainer.v1 import job_pb2

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.backbones.backbone import Block
    from sparse_adapter_engine.masks.scores import Masks, Scores


class Pruner:
    """A saliency criterion of job.proto, and which fields of Prune it uses."""

    number: ClassVar[job_pb2.Pruner] = job_pb2.PRUNER_UNSPECIFIED
    # Whether it takes derivatives of the loss over scoring_rows.
    reads_rows: ClassVar[bool] = False
    # Whether logits are divided by temperature; whether the rows are balanced over classes.
    has_temperature: ClassVar[bool] = False
    balances_classes: ClassVar[bool] = False
    # Whether its scores rank weights, so that equal ones are an error; random scores do not.
    ranks: ClassVar[bool] = True
    # Whether unchanged weights get new scores once others are removed: only then may there be more
    # than one round at initialization.
    rescores: ClassVar[bool] = True
    # Whether it sets each matrix's density itself: then it prunes single weights, at
    # initialization, in one round.
    sets_densities: ClassVar[bool] = False
    # Whether it scores what flows through the modules, whose widths must then fit together.
    flows_through_modules: ClassVar[bool] = False
    # Whether the scores of one matrix of a module may all be 0 while the other's are not.
    may_zero_one_matrix: ClassVar[bool] = False
    # Whether the published code has it, so that OFFICIAL rules are known (Published, below).
    is_published: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Its name in job.proto, without the prefix: `SNIP`."""
        name: str = job_pb2.Pruner.Name(self.number)
        return name.removeprefix("PRUNER_")


@dataclass
class Round:
    """A trial's round, to be scored without rows. done: earlier rounds, which left these masks;
    weights, others: the prunable tensors by name, unmasked, and the trial's others, on the CPU;
    blocks, hidden: the backbone's; frozen: by name of a weight, the backbone's matrix that the
    published code takes for it, where it does. scores: the result; left_over: what scoring leaves
    in the gradients of the others, where it does."""

    trial: job_pb2.Trial
    done: int
    masks: Masks
    weights: dict[str, Tensor]
    blocks: Sequence[Block]
    hidden: int
    others: dict[str, Tensor] = field(default_factory=dict)
    frozen: dict[str, Tensor] = field(default_factory=dict)
    scores: Scores = field(default_factory=dict)
    left_over: dict[str, Tensor] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the prunable matrices."""
        return {name: tuple(weight.shape) for name, weight in self.weights.items()}

    @property
    def masked(self) -> dict[str, Tensor]:
        """The weights, removed ones set to 0."""
        return {name: weight * self.masks[name] for name, weight in self.weights.items()}


class RowlessPruner(Pruner, ABC):
    """Scores from the weights, or from nothing."""

    @abstractmethod
    def score(self, now: Round) -> Scores:
        """The round's scores, by the rules of the trial."""


@dataclass(frozen=True)
class Derived:
    """What a pruner that reads rows scores from, by name of the prunable matrices, on the CPU.

    weights: with removed ones set to 0; unmasked: before that. derivative, at `weights`: g; H g if
    the pruner `uses_curvature`; the rows' sum of gᵢ² if it `squares_rows`.
    """

    weights: dict[str, Tensor]
    unmasked: dict[str, Tensor]
    derivative: dict[str, Tensor]
    by_official_rules: bool


class GradientPruner(Pruner, ABC):
    """Scores from derivatives of the mean loss over the scoring rows."""

    reads_rows = True
    # Whether it scores from the Hessian's product with the gradient, a second pass over the rows.
    uses_curvature: ClassVar[bool] = False
    # Whether it scores from the squares of each row's own gradient.
    squares_rows: ClassVar[bool] = False

    @abstractmethod
    def score(self, found: Derived) -> Scores:
        """The round's scores."""


class Published(Pruner, ABC):
    """A pruner in the code published with SparseAdapter, and what that code does with its scores
    (masks/official_rules.py)."""

    is_published = True
    # Whether it can score a frozen matrix that the code takes for the one of a mask.
    scores_frozen_officially: ClassVar[bool] = False

    def normalize_officially(self, scores: Scores, twice: Collection[str] = ()) -> Scores:
        """The scores as the published code compares them: unchanged, unless a pruner says
        otherwise. twice: the matrices that it finds two masks for, and whose scores it divides
        twice."""
        return scores

    @abstractmethod
    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """The scores that count in a module whose matrices have the same shape: the code writes
        them twice, for down's mask and for up's."""
