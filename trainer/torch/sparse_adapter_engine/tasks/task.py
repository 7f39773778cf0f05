"""What a job's trials are scored, trained and predicted on, behind one protocol."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.modules.layout import Layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.operations import Operations
from sparse_adapter_engine.stacked.trained_stacks import TrainedStacks, TrainedTrial

from .part import Part

# A part of any family: a task takes only parts that it has made.
AnyPart: TypeAlias = Part[Any]


@dataclass(frozen=True)
class Adapted:
    """A trial that predicts: its adapter, and its tensors by name, float32 on the device."""

    trial_id: str
    adapter: job_pb2.Adapter
    layout: Layout
    tensors: dict[str, Tensor]


class Task(Protocol):
    """A frozen backbone, the rows of one split, what is learned from a row, and how the device
    works. A file of this folder implements it for a family of backbones; families.py lists them."""

    @property
    def backbone(self) -> Backbone:
        """The frozen model."""

    @property
    def kind(self) -> int:
        """What is learned from a row: a TaskKind."""

    @property
    def how(self) -> How:
        """How the device works."""

    @property
    def rows(self) -> int:
        """How many rows the split has."""

    @property
    def lengths(self) -> Tensor:
        """int64 [rows]: tokens of each row, without its target."""

    @property
    def classes(self) -> Tensor | None:
        """int64 [rows]: each row's class; None if rows have none."""

    @property
    def numbers(self) -> Tensor | None:
        """float32 [rows]: each row's number; None if rows have none."""

    @property
    def scored_rows(self) -> int:
        """Rows of one trial per forward when scoring."""

    def part(self, owner: int, rows: Tensor, modules: TrialModules) -> AnyPart:
        """Some rows (int64 [n]) for these modules, on their device; see Part.of."""

    def passes(self, parts: Sequence[AnyPart], pass_tokens: int) -> list[list[AnyPart]]:
        """Groups parts that go through the backbone together, in their order."""

    def logits(self, parts: Sequence[AnyPart], twice_differentiable: bool = False) -> list[Tensor]:
        """Each part's logits, as `loss` of losses.py takes them. twice_differentiable: in
        operations whose gradient has a gradient, slower."""

    def head_inputs(self, parts: Sequence[AnyPart]) -> list[Tensor]:
        """What each part's head makes its logits of, float32. Only of tasks with a head."""

    def head_task(self) -> "HeadTask | None":
        """The same rows for trials of which only the head changes, with a memory of its own; None
        where that is not possible."""

    def pass_key(self, adapter: job_pb2.Adapter) -> Hashable:
        """A key that is equal for adapters that may share a stacked pass."""

    def stacked_pass(
        self, trials: Sequence[TrainedTrial], operations: Operations, row_parts: int
    ) -> TrainedStacks:
        """A stacked pass of these trials, which have the same pass_key."""

    def measure_room(self, trial: TrainedTrial, trials: int, operations: Operations) -> int | None:
        """Tokens of a stacked pass that fit on a GPU together with `trials` trials like this one;
        None if it is not measured."""

    def predict(
        self,
        trials: Sequence[Adapted],
        generation: job_pb2.Generation,
        passed: Callable[[int], None],
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yields each trial's id and predictions, named as in Trial of job.proto, as soon as its
        last row is done. generation: how to generate texts, for tasks that do. passed: called with
        the rows of each pass; may raise to stop."""


class HeadTask(Task, Protocol):
    """A Task whose backbone computes each row once, for all trials that are asked for. These train
    only the head, without dropout and padding."""

    def compute(self, rows: Tensor, passed: Callable[[], None]) -> None:
        """Computes what the head needs of these rows (int64 [n]), where it is not yet known.
        passed: called after each pass; may raise to stop."""
