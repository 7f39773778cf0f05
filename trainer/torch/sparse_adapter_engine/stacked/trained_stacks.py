"""What every pass has, for any model and rows: its trials' stacks with moments, their settings, and
a ring buffer of results."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.device.room import is_out_of_memory
from sparse_adapter_engine.errors import JobFailed

from .graphs import Graphs
from .hash_dropout import HashDropout, SiteKeys
from .operations import Operations
from .stack import Stack, StackedTrial, form
from .update import settings, update

# How many steps the device may be ahead of what the host has read.
RING = 64


@dataclass(frozen=True)
class TrainedTrial(StackedTrial):
    """A trial in training. The moments are AdamW's, in the parameters' shape."""

    seed: int
    train: job_pb2.Train
    first_moment: Tensor
    second_moment: Tensor


@dataclass(frozen=True)
class TrainedStep:
    """What every pass needs for one step, on the CPU: AdamW's settings (update.py), the step's
    number and the number of rows for each trial."""

    settings: Tensor
    steps: Tensor
    rows: list[int]


class TrainedStacks(ABC):
    """trials: those of one form are neighbours. row_parts: into how many parts each trial's rows of
    a step are split if they do not fit at once."""

    def __init__(
        self,
        backbone: Backbone,
        task_kind: int,
        trials: Sequence[TrainedTrial],
        operations: Operations,
        row_parts: int,
    ) -> None:
        self.trials, self.row_parts, self._operations = list(trials), row_parts, operations
        device, count = backbone.device, len(self.trials)
        self._device = device
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
        self._probabilities = [
            torch.tensor([trial.train.dropout for trial in own], device=device)
            for own in self._grouped
        ]
        self._graphs = Graphs(operations.graphs)

    @abstractmethod
    def prepare(self, rows: Sequence[Tensor], steps: Sequence[int]) -> TrainedStep:
        """One step's data. rows: int64 [n] of each trial; steps: of each, from 1. It changes
        nothing, because a thread calls it ahead of the device."""

    @abstractmethod
    def _differentiate_all(self, given: TrainedStep) -> None:
        """Computes losses and gradients of a step's rows, and passes them to `_keep`."""

    def step(self, given: TrainedStep) -> None:
        """Queues one step of every trial on the device; given: from `prepare`. If it raises
        OutOfMemoryError, the trials are as before the step."""
        self._steps.copy_(given.steps, non_blocking=True)
        self._settings.copy_(given.settings, non_blocking=True)
        self._differentiate_all(given)
        try:
            self._graphs.run("update", self._update)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            # Some weights may have changed already, so the step cannot be repeated.
            message = (
                f"out of memory in AdamW's own step ({error}); fewer trials in a cohort need less"
            )
            raise JobFailed(event_pb2.FAILURE_REASON_OUT_OF_MEMORY, message) from error
        self._queued += 1

    @property
    def is_full(self) -> bool:
        """Whether `take_results` must come before the next step."""
        return self._queued == RING

    def take_results(self) -> Tensor:
        """float32 [steps since the last call, trials, 3] on the CPU, as `update` returns them.
        Waits for the device."""
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

    def _settings_on_host(self, steps: Sequence[int]) -> tuple[Tensor, Tensor]:
        """AdamW's settings for these steps, and their numbers, as in TrainedStep."""
        given = [settings(trial.train, n) for trial, n in zip(self.trials, steps, strict=True)]
        values, numbers = torch.tensor(given), torch.tensor(steps)
        return (
            (values.pin_memory(), numbers.pin_memory())
            if self._device.type == "cuda"
            else (values, numbers)
        )

    def _keep(self, losses: Tensor, leaves: Sequence[Tensor], add: bool) -> None:
        """Keeps losses [trials], and the gradients of their sum for all stacks' leaves, two each.
        add: to the present ones instead of replacing them."""
        gradients = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
        for place, stack in enumerate(self._stacks):
            stack.keep_gradient(gradients[2 * place : 2 * place + 2], add)
        if add:
            self._losses.add_(losses.detach())
        else:
            self._losses.copy_(losses.detach())

    def _dropouts(self, before: Tensor, tokens: int) -> Iterator[HashDropout]:
        """Each stack's dropout; see HashDropout."""
        given = zip(
            self._grouped,
            self._site_keys,
            self._steps.split(self._sizes),
            before.split(self._sizes, 1),
            self._probabilities,
            strict=True,
        )
        operation = self._operations.dropout
        for own, keys, steps, gone, probabilities in given:
            highest = max(trial.train.dropout for trial in own)
            yield HashDropout(keys, steps, gone, tokens, probabilities, highest, operation)

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
    """Groups neighbours of one form."""
    found: list[list[TrainedTrial]] = []
    for trial in trials:
        if found and form(found[-1][0].adapter) == form(trial.adapter):
            found[-1].append(trial)
        else:
            found.append([trial])
    return found
