"""Classification, regression and question answering: rows for an encoder."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import forward, head_inputs, needs_masks
from sparse_adapter_engine.data.rows import (
    CLASSIFICATION,
    QUESTION_ANSWERING,
    PackedRows,
    Split,
    fill,
    load_split,
    pad,
)
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.modules.forms import has_fixed_states
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.memory import measure_room
from sparse_adapter_engine.stacked.operations import Operations
from sparse_adapter_engine.stacked.passes import Pass
from sparse_adapter_engine.stacked.trained_stacks import TrainedTrial

from .frozen_states import ROOM as STATES_ROOM
from .frozen_states import FrozenStates, states_size
from .part import Part, fill_passes
from .task import Adapted


@dataclass(frozen=True)
class RowTask:
    """See Task."""

    backbone: Encoder
    split: Split
    kind: int
    how: How

    @property
    def rows(self) -> int:
        """See Task."""
        return self.split.rows

    @property
    def lengths(self) -> Tensor:
        """See Task."""
        return self.split.lengths

    @property
    def classes(self) -> Tensor | None:
        """See Task."""
        return self.split.labels if self.kind == CLASSIFICATION else None

    @property
    def numbers(self) -> Tensor | None:
        """See Task."""
        return self.split.labels if self.kind == job_pb2.TASK_KIND_REGRESSION else None

    @property
    def scored_rows(self) -> int:
        """See Task."""
        return self.how.rows_of_part(int(self.split.lengths.max()))

    def part(self, owner: int, rows: Tensor, modules: TrialModules) -> Part[PackedRows]:
        """See Task."""
        padded = modules.adapter.padded_tokens
        if not padded:
            part = Part.of(owner, self.split, rows, modules)
            if needs_masks(part.pack, modules):
                return part
            return replace(part, pack=fill(part.pack, self.how.tokens_multiple))
        # BERT counts the positions of padding, RoBERTa has a place for it.
        counts = self.backbone.position_offset == 0
        pack = pad(self.split.pack(rows), padded, self.backbone.padding_token, counts)
        return Part(owner, pack.to(self.backbone.device), modules)

    def passes(
        self, parts: Sequence[Part[PackedRows]], pass_tokens: int
    ) -> list[list[Part[PackedRows]]]:
        """See Task: frozen layers run over all trials' tokens at once. Parts whose attention needs
        masks have passes of their own, as they would change the last bits of others."""
        alike = groupby(parts, lambda part: needs_masks(part.pack, part.modules))
        return [group for _, some in alike for group in fill_passes(list(some), pass_tokens)]

    def logits(
        self, parts: Sequence[Part[PackedRows]], twice_differentiable: bool = False
    ) -> list[Tensor]:
        """See Task."""
        return forward(self.backbone, parts, self.kind, twice_differentiable, self.how.attention)

    def head_inputs(self, parts: Sequence[Part[PackedRows]]) -> list[Tensor]:
        """See Task."""
        return head_inputs(self.backbone, parts, self.kind, attention=self.how.attention)

    def head_task(self) -> "RowHeadTask | None":
        """See Task. On a GPU, heads are stacked with adapters instead."""
        every_token = self.kind == QUESTION_ANSWERING
        fits = states_size(self.backbone, self.split, every_token) <= STATES_ROOM
        if self.how.stacked or not self.backbone.row_invariant or not fits:
            return None
        shapes = (every_token, self.scored_rows, self.how.pass_tokens)
        states = FrozenStates(self.backbone, self.split, *shapes)
        return RowHeadTask(self.backbone, self.split, self.kind, self.how, states)

    def pass_key(self, adapter: job_pb2.Adapter) -> Hashable:
        """See Task: a pass takes stacks of several forms."""
        return None

    def stacked_pass(
        self, trials: Sequence[TrainedTrial], operations: Operations, row_parts: int
    ) -> Pass:
        """See Task."""
        return Pass(self.backbone, self.split, self.kind, trials, operations, row_parts)

    def measure_room(self, trial: TrainedTrial, trials: int, operations: Operations) -> int | None:
        """See Task."""
        eager = replace(operations, graphs=False)
        return measure_room(
            lambda: self.stacked_pass([trial], eager, row_parts=1),
            self.rows,
            trial,
            trials,
            operations.graphs,
            self.backbone.device,
        )

    def predict(
        self,
        trials: Sequence[Adapted],
        generation: job_pb2.Generation,
        passed: Callable[[int], None],
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """See Task."""
        sharing = sum(has_fixed_states(trial.adapter) for trial in trials)
        heads = self.head_task() if sharing > 1 else None
        for trial in trials:
            modules = TrialModules(trial.adapter, trial.tensors, dropout=None)
            # QUESTION_ANSWERING has a start and an end.
            outputs = trial.layout.shapes["head.out.weight"][0]
            task = heads if heads and has_fixed_states(trial.adapter) else self
            yield trial.trial_id, {"logits": task._all_logits(modules, outputs, passed)}

    def _all_logits(
        self, modules: TrialModules, outputs: int, passed: Callable[[int], None]
    ) -> Tensor:
        """[rows, outputs] in the split's order, or [tokens, outputs] if every token has outputs."""
        split, every_token = self.split, self.kind == QUESTION_ANSWERING
        logits = torch.empty(split.input_ids.numel() if every_token else split.rows, outputs)
        # Sorted by length, so that a forward has few distinct lengths or little padding.
        chunks = split.lengths.argsort(stable=True).split(self.scored_rows)
        parts = [self.part(index, rows, modules) for index, rows in enumerate(chunks)]
        for group in self.passes(parts, self.how.pass_tokens):
            for part, found in zip(group, self.logits(group), strict=True):
                places = part.pack.places if every_token else chunks[part.owner][part.pack.order]
                if every_token and part.pack.padding is not None:
                    found = found[~part.pack.padding]
                logits[places] = found.cpu()
            passed(sum(part.pack.rows for part in group))
        return logits


@dataclass(frozen=True)
class RowHeadTask(RowTask):
    """See HeadTask."""

    states: FrozenStates

    def compute(self, rows: Tensor, passed: Callable[[], None]) -> None:
        """See HeadTask."""
        self.states.compute(rows, passed)

    def logits(
        self, parts: Sequence[Part[PackedRows]], twice_differentiable: bool = False
    ) -> list[Tensor]:
        """See Task."""
        states = self.states.of([part.pack for part in parts])
        return [part.modules.logits(own) for part, own in zip(parts, states, strict=True)]


def load_rows(backbone: Encoder, root: Path, dataset: job_pb2.Dataset, name: str) -> Split:
    """Reads a split and checks it against the backbone's limits. Raises JobFailed
    (BAD_ARTIFACT)."""
    return load_split(
        root, dataset, name, backbone.vocabulary, backbone.token_types, backbone.longest
    )
