"""The training loop. It trains a cohort: trials that share passes over the frozen backbone and nothing else.

A lone trial is a cohort of one.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from .adapters import Layout
from .backbone import Backbone
from .checkpoint import Position
from .dataset import Split
from .dropout import Dropout
from .errors import Interrupted, TrialFailed
from .keys import permutation
from .model import Part, forward, loss, passes
from .modules import TrialModules
from .optimizer import AdamW, clip, learning_rate
from .progress import Pace


@dataclass
class TrialRun:
    """One trial in training. parameters: its flat vector, float32 [total], updated in place; removed: bool [prunable], True if masked."""

    trial: job_pb2.Trial
    layout: Layout
    parameters: Tensor
    removed: Tensor
    optimizer: AdamW
    position: Position
    until: int
    gradient_norm: float = 0.0
    leaves: dict[str, Tensor] = field(init=False)
    _epoch: int = -1
    _order: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        self.parameters[: self.layout.prunable].masked_fill_(self.removed, 0)
        self.leaves = {name: view.detach().requires_grad_() for name, view in self.layout.views(self.parameters).items()}

    @property
    def ended(self) -> bool:
        return self.position.step >= self.until

    def next_rows(self, total: int) -> Tensor:
        """Rows of the next step: the next batch_size of the epoch's permutation, the last step of an epoch what is left."""
        batch = self.trial.train.batch_size
        epoch, step = divmod(self.position.step, -(-total // batch))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(total, self.trial.seed, "order", epoch)
        return self._order[step * batch : (step + 1) * batch]

    def next_part(self, owner: int, split: Split) -> Part:
        train = self.trial.train
        dropout = Dropout(self.trial.seed, self.position.step + 1, train.dropout, train.attention_dropout)
        pack = split.pack(self.next_rows(split.rows)).to(self.parameters.device)
        return Part(owner, pack, TrialModules(self.trial.adapter, self.leaves, dropout))

    @torch.no_grad()
    def update(self, mean_loss: float, gradient: Tensor, rows: int) -> None:
        """One optimizer step from the flat gradient [total], which is changed. Raises TrialFailed (NON_FINITE)."""
        step = self.position.step + 1
        gradient[: self.layout.prunable].masked_fill_(self.removed, 0)
        norm = float(torch.linalg.vector_norm(gradient))
        self._require_finite(step, "loss", mean_loss)
        self._require_finite(step, "the gradient's norm", norm)
        clip(gradient, norm, self.trial.train.max_grad_norm)
        self.optimizer.update(self.parameters, gradient, self.trial.train, step)
        self._require_finite(step, "the weights' sum", float(self.parameters.sum()))
        self.gradient_norm = norm
        self.position.step = step
        self.position.rows += rows
        self.position.loss_sum += mean_loss * rows
        self.position.loss_rows += rows

    def _require_finite(self, step: int, name: str, value: float) -> None:
        if not math.isfinite(value):
            message = f"{name} is {value} at step {step}; a lower learning rate (now {self.trial.train.learning_rate:g}) may help"
            raise TrialFailed(event_pb2.FAILURE_REASON_NON_FINITE, message)

    def take_metrics(self) -> list[event_pb2.Metric]:
        """Metrics of the step just done; the next loss is the mean from here on."""
        position = self.position
        values = {
            "loss": position.loss_sum / position.loss_rows,
            "learning_rate": learning_rate(self.trial.train, position.step),
            "grad_norm": self.gradient_norm,
        }
        position.loss_sum, position.loss_rows = 0.0, 0
        return [event_pb2.Metric(trial_id=self.trial.trial_id, name=n, step=position.step, value=v) for n, v in values.items()]


@dataclass(frozen=True)
class Callbacks:
    """What the loop calls between steps."""

    metrics: Callable[[list[event_pb2.Metric]], None]
    checkpoint: Callable[[TrialRun], None]
    finished: Callable[[TrialRun], None]
    failed: Callable[[TrialRun, event_pb2.Failure], None]


def train_cohort(
    backbone: Backbone,
    split: Split,
    task_kind: int,
    runs: list[TrialRun],
    work: job_pb2.TrainWork,
    pass_tokens: int,
    pace: Pace,
    on: Callbacks,
) -> None:
    """Trains each run to its `until`. Each turn of the loop is one step of every active trial; one that ends or fails leaves.

    Raises Interrupted, after a checkpoint of each active trial, or Cancelled.
    """
    active = list(runs)
    while active:
        began = time.monotonic()
        failures = _one_step(backbone, split, task_kind, active, pass_tokens, pace)
        seconds = time.monotonic() - began
        for index, failure in failures.items():
            on.failed(active[index], failure)
        active = [run for index, run in enumerate(active) if index not in failures]
        for run in active:
            run.position.seconds += seconds
        # Metrics come before the checkpoint that would keep them from being computed again.
        logging = [run for run in active if run.ended or run.position.step % work.log_every_steps == 0]
        if logging:
            on.metrics([metric for run in logging for metric in run.take_metrics()])
        stopping = pace.checkpoint_asked()
        for run in active:
            if stopping or run.ended or (work.checkpoint_every_steps and run.position.step % work.checkpoint_every_steps == 0):
                on.checkpoint(run)
            if run.ended:
                on.finished(run)
        active = [run for run in active if not run.ended]
        if stopping and active:
            raise Interrupted


def _one_step(
    backbone: Backbone, split: Split, task_kind: int, active: list[TrialRun], pass_tokens: int, pace: Pace
) -> dict[int, event_pb2.Failure]:
    """One step of every run, in passes of whole trials. Returns failures by index in `active`."""
    failures: dict[int, event_pb2.Failure] = {}
    parts = [run.next_part(index, split) for index, run in enumerate(active)]
    for group in passes(parts, pass_tokens):
        losses = [loss(task_kind, logits, part.pack) for part, logits in zip(group, forward(backbone, group, task_kind), strict=True)]
        gradients = iter(torch.autograd.grad(losses, [leaf for part in group for leaf in active[part.owner].leaves.values()]))
        for part, mean_loss in zip(group, losses, strict=True):
            run = active[part.owner]
            gradient = torch.cat([next(gradients).reshape(-1) for _ in run.leaves])
            try:
                run.update(float(mean_loss.detach()), gradient, part.pack.rows)
            except TrialFailed as error:
                failures[part.owner] = error.failure()
        steps = {run.trial.trial_id: run.position.step for run in active}
        pace.advance(sum(part.pack.rows for part in group), len(group), steps)
    return failures
