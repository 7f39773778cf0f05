"""A pass: trials that go through the frozen encoder together, in stacks, and their steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.packed_encoder import encode
from sparse_adapter_engine.data.rows import QUESTION_ANSWERING, Split
from sparse_adapter_engine.modules.forms import has_prefix, prompt_length

from .batch import BatchShape, Chosen, lay_out, view_rows
from .losses import stacked_losses
from .operations import Operations
from .prefixes import PrefixPlaces
from .trained_stacks import TrainedStacks, TrainedStep, TrainedTrial


@dataclass(frozen=True)
class HostStep(TrainedStep):
    """What a pass needs for one step, on the CPU, with the shape and the bytes of each part of its
    rows."""

    shapes: list[BatchShape]
    parts: list[Tensor]


class Pass(TrainedStacks):
    """See TrainedStacks."""

    def __init__(
        self,
        backbone: Encoder,
        split: Split,
        task_kind: int,
        trials: Sequence[TrainedTrial],
        operations: Operations,
        row_parts: int = 1,
    ) -> None:
        super().__init__(backbone, task_kind, trials, operations, row_parts)
        self._backbone, self._split, self._task_kind = backbone, split, task_kind
        self._prefixes: dict[int, PrefixPlaces] = {}
        self._data: dict[BatchShape, Tensor] = {}

    def prepare(self, rows: Sequence[Tensor], steps: Sequence[int]) -> HostStep:
        """See TrainedStacks."""
        prompts = [prompt_length(trial.adapter) for trial in self.trials]
        terms = [own.numel() for own in rows]
        pinned = self._backbone.device.type == "cuda"
        parts = min(self.row_parts, *terms)
        # Shortest rows first, as in a pack, so that a part's rows are where they are in the whole.
        lengths = self._split.lengths
        ordered = [own[lengths[own].argsort(stable=True)] for own in rows]
        before = [(0, 0)] * len(rows)
        laid_out = []
        for chunks in zip(*(own.tensor_split(parts) for own in ordered), strict=True):
            laid_out.append(lay_out(self._split, Chosen(chunks, prompts, terms, before), pinned))
            before = [
                (tokens + int(lengths[chunk].sum()) + prompt * chunk.numel(), own + chunk.numel())
                for (tokens, own), chunk, prompt in zip(before, chunks, prompts, strict=True)
            ]
        shapes, data = zip(*laid_out, strict=True)
        return HostStep(*self._settings_on_host(steps), terms, list(shapes), list(data))

    def _differentiate_all(self, given: TrainedStep) -> None:
        assert isinstance(given, HostStep), "what prepare has made"
        for place, (shape, data) in enumerate(zip(given.shapes, given.parts, strict=True)):
            if shape not in self._data:
                self._data[shape] = torch.empty_like(data, device=self._backbone.device)
            self._data[shape].copy_(data, non_blocking=True)
            self._differentiate_part(shape, add=place > 0)

    def _differentiate_part(self, shape: BatchShape, add: bool) -> None:
        self._graphs.run((shape, add), lambda: self._differentiate(shape, add))

    def _differentiate(self, shape: BatchShape, add: bool) -> None:
        """Computes losses and gradients of the rows in this shape's data. add: whether to add them
        to the present ones."""
        rows = view_rows(
            shape, self._data[shape], self._split, self._sizes, self._operations.attention
        )
        rows = rows.with_prefixes(self._prefix_places(shape))
        dropouts = self._dropouts(rows.before, shape.tokens)
        made = [stack.modules(drops) for stack, drops in zip(self._stacks, dropouts, strict=True)]
        modules = [own for own, _ in made]
        hidden = encode(self._backbone, rows, modules, self._task_kind == QUESTION_ANSWERING)
        losses = stacked_losses(self._task_kind, rows, hidden, modules)
        leaves = [leaf for _, own in made for leaf in own]
        self._keep(losses, leaves, add)

    def _prefix_places(self, shape: BatchShape) -> PrefixPlaces | None:
        if not any(has_prefix(trial.adapter) for trial in self.trials):
            return None
        if shape.rows not in self._prefixes:
            lengths = [
                trial.adapter.attention_bottleneck if has_prefix(trial.adapter) else 0
                for trial in self.trials
            ]
            device = self._backbone.device
            self._prefixes[shape.rows] = PrefixPlaces(lengths, shape.rows, self._sizes, device)
        return self._prefixes[shape.rows]
