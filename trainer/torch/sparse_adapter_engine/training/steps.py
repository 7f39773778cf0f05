"""How a cohort's steps are done: in slices, one trial after the other within a pass, or stacked
(stacked/). The same loop calls both (cohort.py)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.later_fields import set_later_fields
from sparse_adapter_engine.masks.densities import is_during_training
from sparse_adapter_engine.modules.forms import has_backbone, has_fixed_states
from sparse_adapter_engine.stacked.steps import StackedSteps
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.task import HeadTask, Task

from .trial_run import TrialRun

Failures = dict[str, event_pb2.Failure]
# Called after each pass with its numbers of rows and trials; may raise to stop.
Passed = Callable[[int, int], None]


class Steps(Protocol):
    """Steps of some trials. A failed run is left out until `settle` reports it."""

    @property
    def has_failures(self) -> bool:
        """Whether it is already known that `settle` will report a failure."""

    def step(self, passed: Passed) -> None:
        """Does one step of every run and counts it in its position; on a GPU it may still be
        queued."""

    def settle(self) -> Failures:
        """Waits, and brings the runs' losses and norms up to date. Returns the failures since the
        last call, by trial id; failed runs do not step again."""

    def write_back(self, runs: Sequence[TrialRun]) -> None:
        """Brings these runs' parameters and moments up to date. Call it after `settle`."""

    def keep(self, runs: Sequence[TrialRun]) -> None:
        """From here on steps only these runs, whose parameters or masks may have changed since they
        were written back."""

    def close(self) -> None:
        """Ends background threads."""


def may_be_stacked(run: TrialRun) -> bool:
    """Whether a stacked pass can do this trial's steps."""
    trial = run.trial
    return (
        not has_backbone(trial.adapter)
        # Stacked losses of classes are not smoothed; those of words are, which have no head.
        and not (run.layout.head and trial.train.label_smoothing)
        and trial.train.attention_dropout == 0
        and not only_sliced(trial)
    )


def only_sliced(trial: job_pb2.Trial) -> bool:
    """Whether a field is set that stacked passes do not have: see `LATER_FIELDS`. How a mask is
    made before training does not matter to them."""
    fields = [
        path
        for path in set_later_fields(trial)
        if is_during_training(trial.prune) or not path.startswith("prune.")
    ]
    return bool(fields) or (
        trial.adapter.norm == job_pb2.ADAPTER_NORM_UPDATE
        or trial.adapter.attention
        in (job_pb2.ATTENTION_MODULE_PARALLEL_CONTEXT, job_pb2.ATTENTION_MODULE_CONCAT)
    )


def make_steps(task: Task, runs: Sequence[TrialRun]) -> list[Steps]:
    """The steps of these runs: stacked if the device stacks and the trial allows it."""
    stacked: list[TrialRun] = []
    found: list[Steps] = []
    if task.how.stacked:
        stacked = [run for run in runs if may_be_stacked(run)]
        if stacked:
            found.append(StackedSteps(task, stacked, task.how.stacked))
    sliced = [run for run in runs if run not in stacked]
    only_heads = [run for run in sliced if trains_on_states(run, task)]
    head_task = task.head_task() if only_heads else None
    if head_task:
        found.append(HeadSteps(head_task, only_heads))
        sliced = [run for run in sliced if run not in only_heads]
    if sliced:
        found.append(SlicedSteps(task, sliced))
    return found


def trains_on_states(run: TrialRun, task: Task) -> bool:
    """Whether a trial has the frozen encoder's states of each row computed once. That pays off from
    an epoch on. It follows from the trial and its rows alone, because digits depend on it."""
    train = run.trial.train
    visited = train.total_steps * train.batch_size * (train.accumulated_batches or 1)
    drops = train.dropout > 0 or train.attention_dropout > 0
    return has_fixed_states(run.trial.adapter) and not drops and visited >= task.rows


@dataclass
class _Done:
    """What a run's step has come to so far: its loss, and how many rows went through."""

    loss: float = 0.0
    rows: int = 0


class SlicedSteps:
    """Each trial's modules see its own slice of a pass, at the shapes that it has alone."""

    def __init__(self, task: Task, runs: Sequence[TrialRun]) -> None:
        self._task, self._runs = task, list(runs)
        self._failures: Failures = {}

    @property
    def has_failures(self) -> bool:
        """See Steps."""
        return bool(self._failures)

    def step(self, passed: Passed) -> None:
        """See Steps."""
        going = [run for run in self._runs if run.trial.trial_id not in self._failures]
        waiting = [run.next_parts(index, self._task) for index, run in enumerate(going)]
        done = [_Done() for _ in going]
        while any(waiting):
            # A run's parts go one after the other; those of several runs share passes.
            shares = {index: parts.pop(0) for index, parts in enumerate(waiting) if parts}
            parts = [part for part, _ in shares.values()]
            for group in self._task.passes(parts, self._task.how.pass_tokens):
                losses = [
                    loss(
                        self._task.kind,
                        logits,
                        part.pack,
                        going[part.owner].trial.train.label_smoothing,
                    )
                    for part, logits in zip(group, self._task.logits(group), strict=True)
                ]
                for part in group:
                    if not done[part.owner].rows:
                        going[part.owner].gradient.zero_()
                torch.autograd.backward(
                    [
                        own if shares[part.owner][1] == 1 else own * shares[part.owner][1]
                        for part, own in zip(group, losses, strict=True)
                    ]
                )
                for part, mean_loss in zip(group, losses, strict=True):
                    own = done[part.owner]
                    own.loss += float(mean_loss.detach()) * shares[part.owner][1]
                    own.rows += part.pack.rows
                    if not waiting[part.owner]:
                        self._update(going[part.owner], own)
                finished = sum(not waiting[part.owner] for part in group)
                passed(sum(part.pack.rows for part in group), finished)

    def _update(self, run: TrialRun, done: "_Done") -> None:
        try:
            run.update(done.loss, done.rows)
        except TrialFailed as error:
            self._failures[run.trial.trial_id] = error.failure()

    def settle(self) -> Failures:
        """See Steps."""
        failures, self._failures = self._failures, {}
        self._runs = [run for run in self._runs if run.trial.trial_id not in failures]
        return failures

    def write_back(self, runs: Sequence[TrialRun]) -> None:
        """See Steps: each run is changed in place."""

    def keep(self, runs: Sequence[TrialRun]) -> None:
        """See Steps."""
        self._runs = [run for run in self._runs if run in runs]

    def close(self) -> None:
        """See Steps."""


class HeadSteps(SlicedSteps):
    """Steps of trials that train only the head, each row's states being computed once for all."""

    def __init__(self, task: HeadTask, runs: Sequence[TrialRun]) -> None:
        super().__init__(task, runs)
        self._head_task = task

    def step(self, passed: Passed) -> None:
        """See Steps."""
        rows = [
            batch
            for run in self._runs
            for batch in run.choose_batches(run.position.step, self._head_task.rows)
        ]
        # Before the steps, because at first it takes many passes.
        if rows:
            self._head_task.compute(torch.cat(rows), lambda: passed(0, 0))
        super().step(passed)
