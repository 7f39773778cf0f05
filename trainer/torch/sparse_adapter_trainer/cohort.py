"""The training loop. It trains a cohort: trials that share passes over the frozen backbone and nothing else. A trial that is pruned during
training (Zhu & Gupta 2017) has its rounds between its steps.

A lone trial is a cohort of one.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from .adapters import Layout, is_prunable
from .backbone import Backbone
from .checkpoint import Position
from .dataset import Split
from .densities import densities
from .dropout import Dropout
from .encoder_decoder import EncoderDecoder
from .errors import Interrupted, TrialFailed
from .keys import permutation
from .model import Part, forward, loss, passes
from .modules import TrialModules
from .optimizer import AdamW, clip, learning_rate
from .pairs import PairSplit
from .progress import Pace
from .pruning import Pruning
from .scores import Masks, Scores
from .scoring import GRADIENT_PRUNERS, Passed, Start, score, score_without_rows, scoring_rows


@dataclass
class TrialRun:
    """One trial in training. parameters, gradient: its flat vectors, float32 [total], changed in place; masks: those it is trained with;
    pruning: where its rounds are during training, what they have kept so far, which is the masks."""

    trial: job_pb2.Trial
    layout: Layout
    parameters: Tensor
    masks: Masks
    pruning: Pruning | None
    optimizer: AdamW
    position: Position
    until: int
    gradient_norm: float = 0.0
    leaves: dict[str, Tensor] = field(init=False)
    gradient: Tensor = field(init=False)
    # bool [prunable], True where a weight is masked.
    _removed: Tensor = field(init=False)
    _epoch: int = -1
    _order: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        self._remove(self.masks)
        self.leaves = {name: view.detach().requires_grad_() for name, view in self.layout.views(self.parameters).items()}
        # Backward adds to it where it lies: of a whole backbone's gradients, joined afterwards, there would be two copies.
        self.gradient = torch.zeros_like(self.parameters)
        for name, view in self.layout.views(self.gradient).items():
            self.leaves[name].grad = view

    @property
    def ended(self) -> bool:
        return self.position.step >= self.until

    def _remove(self, masks: Masks) -> None:
        """Removed weights and their moments are 0, and stay so because `update` leaves them no gradient."""
        # An adapter without matrices has no mask: the empty tensor stands for it.
        flat = [torch.empty(0, dtype=torch.uint8), *(masks[name].reshape(-1) for name in self.layout.prunable_shapes)]
        self.masks, self._removed = masks, (torch.cat(flat) == 0).to(self.parameters.device)
        for tensor in (self.parameters, self.optimizer.first_moment, self.optimizer.second_moment):
            tensor[: self.layout.prunable].masked_fill_(self._removed, 0)

    @property
    def round_is_due(self) -> bool:
        """Whether a round of pruning comes before the next step."""
        if self.pruning is None or self.pruning.done:
            return False
        prune = self.trial.prune
        return self.position.step == prune.begin_step + self.position.rounds * prune.every_steps

    def prune(self, scores: Scores | None) -> event_pb2.Metric:
        """The round that is due, by these scores; None: it keeps all. Returns the density that the next step is done with.

        Raises TrialFailed where the scores are not finite or rank nothing.
        """
        assert self.pruning is not None, "only where a round is due"
        step = self.position.step + 1
        if scores is None:
            self.pruning.skip()
        else:
            try:
                self.pruning.keep(scores)
            except TrialFailed as error:
                at = f"round {self.position.rounds + 1} of {len(densities(self.trial.prune))}, before step {step}"
                raise TrialFailed(error.reason, f"{at}: {error.message}") from error
            self._remove(self.pruning.masks)
        self.position.rounds += 1
        density = (self.layout.prunable - int(self._removed.sum())) / self.layout.prunable
        return event_pb2.Metric(trial_id=self.trial.trial_id, name="density", step=step, value=density)

    def next_rows(self, total: int) -> Tensor:
        """Rows of the next step: the next batch_size of the epoch's permutation, the last step of an epoch what is left."""
        batch = self.trial.train.batch_size
        epoch, step = divmod(self.position.step, -(-total // batch))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(total, self.trial.seed, "order", epoch)
        return self._order[step * batch : (step + 1) * batch]

    def next_part(self, owner: int, split: Split | PairSplit) -> Part:
        train = self.trial.train
        dropout = Dropout(self.trial.seed, self.position.step + 1, train.dropout, train.attention_dropout)
        return Part.of(owner, split, self.next_rows(split.rows), TrialModules(self.trial.adapter, self.leaves, dropout))

    @torch.no_grad()
    def update(self, mean_loss: float, rows: int) -> None:
        """One optimizer step from the gradient, which is changed. Raises TrialFailed (NON_FINITE)."""
        step, gradient = self.position.step + 1, self.gradient
        gradient[: self.layout.prunable].masked_fill_(self._removed, 0)
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
    backbone: Backbone | EncoderDecoder,
    split: Split | PairSplit,
    task_kind: int,
    runs: list[TrialRun],
    work: job_pb2.TrainWork,
    pass_tokens: int,
    pace: Pace,
    on: Callbacks,
) -> None:
    """Trains each run to its `until`. Each turn of the loop is one step of every active trial, after the round of pruning where one is due;
    a trial that ends or fails leaves.

    Raises Interrupted, after a checkpoint of each active trial, or Cancelled.
    """
    active = list(runs)

    def checkpoint_is_due(run: TrialRun) -> bool:
        return bool(work.checkpoint_every_steps) and run.position.step % work.checkpoint_every_steps == 0

    while active:
        began = time.monotonic()
        try:
            failures = _prune_where_due(backbone, split, task_kind, active, pass_tokens, pace, on)
        except Interrupted:
            # Every run is as its last step left it: the interrupted rounds have changed nothing yet.
            for run in active:
                if not checkpoint_is_due(run):
                    on.checkpoint(run)
            raise
        active = _going_on(active, failures, on)
        failures = _one_step(backbone, split, task_kind, active, pass_tokens, pace)
        seconds = time.monotonic() - began
        active = _going_on(active, failures, on)
        for run in active:
            run.position.seconds += seconds
        # Metrics come before the checkpoint that would keep them from being computed again.
        logging = [run for run in active if run.ended or run.position.step % work.log_every_steps == 0]
        if logging:
            on.metrics([metric for run in logging for metric in run.take_metrics()])
        stopping = pace.checkpoint_asked()
        for run in active:
            if stopping or run.ended or checkpoint_is_due(run):
                on.checkpoint(run)
            if run.ended:
                on.finished(run)
        active = [run for run in active if not run.ended]
        if stopping and active:
            raise Interrupted


def _going_on(active: list[TrialRun], failures: dict[int, event_pb2.Failure], on: Callbacks) -> list[TrialRun]:
    """The runs without a failure, after telling of those with one."""
    for index, failure in failures.items():
        on.failed(active[index], failure)
    return [run for index, run in enumerate(active) if index not in failures]


def _prune_where_due(
    backbone: Backbone | EncoderDecoder,
    split: Split | PairSplit,
    task_kind: int,
    active: list[TrialRun],
    pass_tokens: int,
    pace: Pace,
    on: Callbacks,
) -> dict[int, event_pb2.Failure]:
    """The round of each run that has one before its next step. Returns failures by index in `active`.

    Raises Interrupted or Cancelled before it has changed anything.
    """
    due = [index for index, run in enumerate(active) if run.round_is_due]
    steps = {run.trial.trial_id: run.position.step for run in active}

    def passed(rows: int) -> None:
        pace.advance(rows, 0, steps)
        pace.stop_between_passes()

    scores = _round_scores(backbone, split, task_kind, [active[index] for index in due], pass_tokens, passed)
    failures: dict[int, event_pb2.Failure] = {}
    metrics: list[event_pb2.Metric] = []
    for index in due:
        try:
            metrics.append(active[index].prune(scores.get(active[index].trial.trial_id)))
        except TrialFailed as error:
            failures[index] = error.failure()
    if metrics:
        on.metrics(metrics)
    return failures


def _round_scores(
    backbone: Backbone | EncoderDecoder, split: Split | PairSplit, task_kind: int, due: list[TrialRun], pass_tokens: int, passed: Passed
) -> dict[str, Scores]:
    """By trial id: the scores of the weights as they are now; none of a run whose round keeps all."""
    scores: dict[str, Scores] = {}
    starts: list[Start] = []
    for run in due:
        trial, pruning = run.trial, run.pruning
        if pruning is None or pruning.keeps_all:
            continue
        weights = {name: leaf.detach() for name, leaf in run.leaves.items()}
        if trial.prune.pruner in GRADIENT_PRUNERS:
            starts.append(Start(trial, {trial.trial_id: pruning}, weights, scoring_rows(trial, split, task_kind)))
        else:
            prunable = {name: weight.cpu() for name, weight in weights.items() if is_prunable(name)}
            scores[trial.trial_id] = score_without_rows(trial, pruning, backbone, prunable)
            passed(0)
    if starts:
        found = score(backbone, split, task_kind, starts, pass_tokens, passed)
        scores |= {start.trial.trial_id: each for start, each in zip(starts, found, strict=True)}
    return scores


def _one_step(
    backbone: Backbone | EncoderDecoder, split: Split | PairSplit, task_kind: int, active: list[TrialRun], pass_tokens: int, pace: Pace
) -> dict[int, event_pb2.Failure]:
    """One step of every run, in passes of whole trials. Returns failures by index in `active`."""
    failures: dict[int, event_pb2.Failure] = {}
    parts = [run.next_part(index, split) for index, run in enumerate(active)]
    for group in passes(parts, pass_tokens):
        losses = [
            loss(task_kind, logits, part.pack, active[part.owner].trial.train.label_smoothing)
            for part, logits in zip(group, forward(backbone, group, task_kind), strict=True)
        ]
        for part in group:
            active[part.owner].gradient.zero_()
        torch.autograd.backward(losses)
        for part, mean_loss in zip(group, losses, strict=True):
            run = active[part.owner]
            try:
                run.update(float(mean_loss.detach()), part.pack.rows)
            except TrialFailed as error:
                failures[part.owner] = error.failure()
        steps = {run.trial.trial_id: run.position.step for run in active}
        pace.advance(sum(part.pack.rows for part in group), len(group), steps)
    return failures
