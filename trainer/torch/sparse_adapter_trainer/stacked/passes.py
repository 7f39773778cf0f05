"""A pass: trials that go through the frozen encoder together, in stacks, and the steps of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from ..adapter_forms import has_prefix, prompt_length
from ..backbone import Backbone
from ..dataset import QUESTION_ANSWERING, Split
from ..packed_encoder import encode
from .batch import BatchShape, lay_out, rows_of, shape_of
from .graphs import Graphs
from .hash_dropout import HashDropout, SiteKeys
from .losses import stacked_losses
from .operations import Operations
from .prefixes import PrefixPlaces
from .stack import Stack, StackedTrial, form
from .update import settings, update

# Steps that the device may be ahead of what the host has read.
RING = 64


@dataclass(frozen=True)
class TrainedTrial(StackedTrial):
    """A trial in training. The moments are AdamW's, as long as the parameters."""

    seed: int
    train: job_pb2.Train
    first_moment: Tensor
    second_moment: Tensor


@dataclass(frozen=True)
class HostStep:
    """What a pass needs for one step, on the CPU: the bytes of each part of its rows, the settings of
    AdamW (update.py) and the number of the step, and how many rows each trial has in it."""

    shapes: list[BatchShape]
    parts: list[Tensor]
    settings: Tensor
    steps: Tensor
    rows: list[int]


class Pass:
    """trials: those of one form are neighbours. row_parts: in how many parts each trial's rows of a
    step go through, where they do not fit at once."""

    def __init__(
        self,
        backbone: Backbone,
        split: Split,
        task_kind: int,
        trials: Sequence[TrainedTrial],
        operations: Operations,
        row_parts: int = 1,
    ) -> None:
        self.trials, self.row_parts = list(trials), row_parts
        self._backbone, self._split, self._task_kind = backbone, split, task_kind
        self._operations = operations
        device, count = backbone.device, len(self.trials)
        self._grouped = group(self.trials)
        self._sizes = [len(own) for own in self._grouped]
        self._stacks = [Stack.of(own, backbone, task_kind) for own in self._grouped]
        self._moments = []
        for stack, own in zip(self._stacks, self._grouped, strict=True):
            first, second = torch.zeros_like(stack.parameters), torch.zeros_like(stack.parameters)
            for place, trial in enumerate(own):
                stack.put(first, place, trial.first_moment)
                stack.put(second, place, trial.second_moment)
            self._moments.append((first, second))
        self._alive = torch.ones(count, dtype=torch.bool, device=device)
        self._losses = torch.zeros(count, device=device)
        self._settings = torch.zeros(count, 8, device=device)
        self._steps = torch.zeros(count, dtype=torch.int64, device=device)
        self._ring = torch.zeros(RING, count, 3, device=device)
        self._ring_place = torch.zeros(1, dtype=torch.int64, device=device)
        self._queued = 0
        self._site_keys = [SiteKeys([trial.seed for trial in own], device) for own in self._grouped]
        self._probabilities = [torch.tensor([trial.train.dropout for trial in own], device=device) for own in self._grouped]
        self._prefixes: dict[int, PrefixPlaces] = {}
        self._data: dict[BatchShape, Tensor] = {}
        self._graphs = Graphs(operations.graphs)

    def prepare(self, rows: Sequence[Tensor], steps: Sequence[int]) -> HostStep:
        """One step's data. rows: int64 [n] of each trial; steps: of each, from 1. It changes nothing:
        a thread calls it ahead of the device."""
        prompts = [prompt_length(trial.adapter) for trial in self.trials]
        terms = [own.numel() for own in rows]
        pinned = self._backbone.device.type == "cuda"
        parts = min(self.row_parts, *terms)
        shapes, data = [], []
        for chunks in zip(*(own.tensor_split(parts) for own in rows), strict=True):
            packs = [self._split.pack(chunk, prompt) for chunk, prompt in zip(chunks, prompts, strict=True)]
            shapes.append(shape_of(packs))
            data.append(lay_out(packs, prompts, terms, shapes[-1], pinned))
        given = [settings(trial.train, n) for trial, n in zip(self.trials, steps, strict=True)]
        on_host = [torch.tensor(given), torch.tensor(steps)]
        if pinned:
            on_host = [tensor.pin_memory() for tensor in on_host]
        return HostStep(shapes, data, *on_host, terms)

    def step(self, given: HostStep) -> None:
        """One step of every trial, queued on the device. Raises OutOfMemoryError with the trials as they
        were before it."""
        self._steps.copy_(given.steps, non_blocking=True)
        self._settings.copy_(given.settings, non_blocking=True)
        for place, (shape, data) in enumerate(zip(given.shapes, given.parts, strict=True)):
            if shape not in self._data:
                self._data[shape] = torch.empty_like(data, device=self._backbone.device)
            self._data[shape].copy_(data, non_blocking=True)
            self._differentiate_part(shape, add=place > 0)
        self._graphs.run("update", self._update)
        self._queued += 1

    @property
    def is_full(self) -> bool:
        """Whether `take_results` must come before the next step."""
        return self._queued == RING

    def take_results(self) -> Tensor:
        """float32 [steps since the last call, trials, 3] on the CPU, as `update` returns them. Waits
        for the device."""
        found = self._ring[: self._queued].cpu()
        self._ring_place.zero_()
        self._queued = 0
        return found

    def write_back(self) -> None:
        """Brings the trials' own parameters and moments up to date."""
        for stack, moments, own in zip(self._stacks, self._moments, self._grouped, strict=True):
            for place, trial in enumerate(own):
                stack.take(stack.parameters, place, trial.parameters)
                stack.take(moments[0], place, trial.first_moment)
                stack.take(moments[1], place, trial.second_moment)

    def _differentiate_part(self, shape: BatchShape, add: bool) -> None:
        self._graphs.run((shape, add), lambda: self._differentiate(shape, add))

    def _differentiate(self, shape: BatchShape, add: bool) -> None:
        """Losses and gradients of the rows in the data of this shape; add: to what is there."""
        rows = rows_of(shape, self._data[shape], self._split, self._sizes, self._operations.attention)
        rows = rows.with_prefixes(self._prefix_places(shape))
        made = [stack.modules(drops) for stack, drops in zip(self._stacks, self._dropouts(), strict=True)]
        modules = [own for own, _ in made]
        hidden = encode(self._backbone, rows, modules, self._task_kind == QUESTION_ANSWERING)
        losses = stacked_losses(self._task_kind, rows, hidden, modules)
        leaves = [leaf for _, own in made for leaf in own]
        gradients = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
        for place, stack in enumerate(self._stacks):
            stack.keep_gradient(gradients[2 * place : 2 * place + 2], add)
        if add:
            self._losses.add_(losses.detach())
        else:
            self._losses.copy_(losses.detach())

    def _dropouts(self) -> Iterator[HashDropout]:
        given = zip(
            self._grouped,
            self._site_keys,
            self._steps.split(self._sizes),
            self._probabilities,
            strict=True,
        )
        for own, keys, steps, probabilities in given:
            highest = max(trial.train.dropout for trial in own)
            yield HashDropout(keys, steps, probabilities, highest, self._operations.dropout)

    def _prefix_places(self, shape: BatchShape) -> PrefixPlaces | None:
        if not any(has_prefix(trial.adapter) for trial in self.trials):
            return None
        if shape.rows not in self._prefixes:
            lengths = [trial.adapter.attention_bottleneck if has_prefix(trial.adapter) else 0 for trial in self.trials]
            device = self._backbone.device
            self._prefixes[shape.rows] = PrefixPlaces(lengths, shape.rows, self._sizes, device)
        return self._prefixes[shape.rows]

    def _update(self) -> None:
        results = [
            update(stack, *moments, losses, alive, given, self._operations.adam)
            for stack, moments, losses, alive, given in zip(
                self._stacks,
                self._moments,
                self._losses.split(self._sizes),
                self._alive.split(self._sizes),
                self._settings.split(self._sizes),
                strict=True,
            )
        ]
        self._ring.index_copy_(0, self._ring_place, torch.cat(results).unsqueeze(0))
        self._ring_place += 1


def group(trials: Sequence[TrainedTrial]) -> list[list[TrainedTrial]]:
    """Neighbours of one form."""
    found: list[list[TrainedTrial]] = []
    for trial in trials:
        if found and form(found[-1][0].adapter) == form(trial.adapter):
            found[-1].append(trial)
        else:
            found.append([trial])
    return found
