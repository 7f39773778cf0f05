"""The head that weights are scored with: ScoringHead of job.proto."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.modules.forms import is_named
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Pack
from sparse_adapter_engine.tasks.task import Task
from sparse_adapter_engine.training.optimizer import AdamW

from .scoring import Passed, Start

# What the contract says of the steps of WARMED_UP.
_BATCH = 32
_ADAMW = job_pb2.Train(
    learning_rate=1e-3,
    schedule=job_pb2.LEARNING_RATE_SCHEDULE_CONSTANT,
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
)
# How many values that the head reads are kept for later steps; others are computed again.
_KEPT_VALUES = 64_000_000


def with_scoring_head(start: Start, task: Task, passed: Passed) -> dict[str, Tensor]:
    """A start's weights, with the head that they are scored with. task: of the training split;
    passed: called with the rows of each pass, `head_rows` in all."""
    match start.trial.prune.scoring_head:
        case job_pb2.SCORING_HEAD_PRIOR:
            outputs = start.weights["head.out.bias"].numel()
            return start.weights | {"head.out.bias": label_prior(task, outputs)}
        case job_pb2.SCORING_HEAD_WARMED_UP:
            return start.weights | _warmed_up(start, task, passed)
    return start.weights


def head_rows(start: Start) -> int:
    """How many rows go through the encoder for the head that a start is scored with."""
    return min(start.rows.numel(), _BATCH * start.trial.prune.scoring_head_steps)


def label_prior(task: Task, outputs: int) -> Tensor:
    """float32 [outputs]: log((n_c + 1) / (n + C)) of each class c, or the numbers' mean."""
    if task.classes is not None:
        counts = torch.bincount(task.classes, minlength=outputs).double()
        return ((counts + 1) / (counts.sum() + outputs)).log().float()
    assert task.numbers is not None, "a request for other labels' prior is refused"
    return task.numbers.double().mean().reshape(1).float()


def _warmed_up(start: Start, task: Task, passed: Passed) -> dict[str, Tensor]:
    """The head's tensors that are trained, after the steps of WARMED_UP, on the CPU."""
    trial, device = start.trial, task.backbone.device
    weights = {name: weight.to(device) for name, weight in start.weights.items()}
    head = {
        name: weight
        for name, weight in weights.items()
        if name.startswith("head.") and not is_named(name, trial.adapter.frozen)
    }
    if not head:
        passed(head_rows(start))
        return {}
    inputs = _HeadInputs(task, TrialModules(trial.adapter, weights, dropout=None), start.rows)
    flat = torch.cat([weight.flatten() for weight in head.values()])
    optimizer = AdamW.fresh(flat, decayed=0)

    def views(of: Tensor) -> dict[str, Tensor]:
        parts = of.split([weight.numel() for weight in head.values()])
        return {
            name: part.view(weight.shape)
            for (name, weight), part in zip(head.items(), parts, strict=True)
        }

    for step in range(trial.prune.scoring_head_steps):
        batch = inputs.of_step(step, passed)
        leaf = flat.detach().requires_grad_()
        modules = TrialModules(trial.adapter, weights | views(leaf), dropout=None)
        terms = sum(pack.terms for pack, _ in batch)
        mean = torch.stack(
            [
                loss(task.kind, modules.logits(hidden), pack, trial.train.label_smoothing)
                * (pack.terms / terms)
                for pack, hidden in batch
            ]
        ).sum()
        (gradient,) = torch.autograd.grad(mean, leaf)
        optimizer.update(flat, gradient, _ADAMW, step + 1)
        passed(0)
    return {name: weight.cpu() for name, weight in views(flat).items()}


@dataclass
class _HeadInputs:
    """What the head reads of each batch of these rows, by these modules. It stays the same from
    step to step, so the encoder runs once for each batch, as long as there is room."""

    task: Task
    modules: TrialModules
    rows: Tensor
    _kept: dict[int, list[tuple[Pack, Tensor]]] = field(default_factory=dict, init=False)
    _room: int = field(default_factory=lambda: _KEPT_VALUES, init=False)

    def of_step(self, step: int, passed: Passed) -> Sequence[tuple[Pack, Tensor]]:
        """A step's batch, in parts, each with what the head reads of it: see Task.head_inputs.
        step: counted from 0."""
        batches = self.rows.split(_BATCH)
        index = step % len(batches)
        if index in self._kept:
            return self._kept[index]
        found = self._compute(batches[index])
        size = sum(hidden.numel() for _, hidden in found)
        if size <= self._room:
            self._kept[index] = found
            self._room -= size
        if step < len(batches):
            passed(batches[index].numel())
        return found

    @torch.no_grad()
    def _compute(self, rows: Tensor) -> list[tuple[Pack, Tensor]]:
        task = self.task
        parts = [task.part(0, some, self.modules) for some in rows.split(task.scored_rows)]
        return [
            (part.pack, hidden)
            for group in task.passes(parts, task.how.pass_tokens)
            for part, hidden in zip(group, task.head_inputs(group), strict=True)
        ]
