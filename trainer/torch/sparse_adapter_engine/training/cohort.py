"""The training loop. It trains a cohort: trials that share passes over the frozen backbone and
nothing else. Rounds of pruning during training (Zhu & Gupta 2017) come between steps.

A lone trial is a cohort of one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import Interrupted, TrialFailed
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Scores
from sparse_adapter_engine.masks.scoring import (
    Passed,
    Start,
    choose_scoring_rows,
    score,
    score_without_rows,
)
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.tasks.task import Task

from .checkpoint_clock import CheckpointClock
from .steps import Failures, Steps, make_steps
from .trial_run import TrialRun


@dataclass(frozen=True)
class Callbacks:
    """What the loop calls between steps."""

    metrics: Callable[[list[event_pb2.Metric]], None]
    # Returns the seconds that writing took.
    checkpoint: Callable[[TrialRun], float]
    finished: Callable[[TrialRun], None]
    failed: Callable[[TrialRun, event_pb2.Failure], None]


def train_cohort(
    task: Task,
    runs: list[TrialRun],
    work: job_pb2.TrainWork,
    pace: Pace,
    on: Callbacks,
) -> None:
    """Trains each run to its `until`. Each turn of the loop does the rounds of pruning that are
    due, then one step of every active trial. A trial that ends or fails leaves.

    Raises Cancelled, or Interrupted: after writing a checkpoint of each active trial, unless the
    stop was asked for while something waited for room on a disk.
    """
    cohort = _Cohort(runs, make_steps(task, runs), CheckpointClock(work.checkpoint_seconds))
    try:
        while cohort.active:
            _one_turn(cohort, task, work, pace, on)
    finally:
        cohort.close()


@dataclass
class _Cohort:
    """The active runs, what steps them, and when to save them. saved: the step of each run's newest
    checkpoint of this job, by trial id."""

    active: list[TrialRun]
    steps: list[Steps]
    clock: CheckpointClock
    saved: dict[str, int] = field(default_factory=dict)

    @property
    def positions(self) -> dict[str, int]:
        """Steps done by trial id."""
        return {run.trial.trial_id: run.position.step for run in self.active}

    @property
    def has_failures(self) -> bool:
        return any(steps.has_failures for steps in self.steps)

    def settle(self, on: Callbacks) -> None:
        """Brings the runs' results up to date; failed runs leave."""
        failures: Failures = {}
        for steps in self.steps:
            failures |= steps.settle()
        if failures:
            self.leave(failures, on)
            self.write_back(self.active)
            self.go_on()

    def leave(self, failures: Failures, on: Callbacks) -> None:
        """Reports failed runs, which are no longer active."""
        for run in self.active:
            if run.trial.trial_id in failures:
                on.failed(run, failures[run.trial.trial_id])
        self.active = [run for run in self.active if run.trial.trial_id not in failures]

    def save(self, runs: list[TrialRun], on: Callbacks) -> None:
        """Writes a checkpoint of each of these runs, which were written back."""
        seconds = 0.0
        for run in runs:
            seconds += on.checkpoint(run)
            self.saved[run.trial.trial_id] = run.position.step
        if all(run in runs for run in self.active):
            self.clock.wrote(seconds)

    def has_saved(self, run: TrialRun) -> bool:
        """Whether this job wrote a checkpoint of the run at its present step."""
        return self.saved.get(run.trial.trial_id) == run.position.step

    def write_back(self, runs: list[TrialRun]) -> None:
        """Brings weights and moments of settled runs up to date."""
        for steps in self.steps:
            steps.write_back(runs)

    def go_on(self) -> None:
        """From here on only the active runs step, with their present weights and masks."""
        for steps in self.steps:
            steps.keep(self.active)

    def close(self) -> None:
        for steps in self.steps:
            steps.close()


def _one_turn(
    cohort: _Cohort,
    task: Task,
    work: job_pb2.TrainWork,
    pace: Pace,
    on: Callbacks,
) -> None:
    if work.max_seconds:
        _fail_overdue(cohort, task, work.max_seconds, on)
        if not cohort.active:
            return
    began = time.monotonic()

    def checkpoint_is_due(run: TrialRun) -> bool:
        return (
            bool(work.checkpoint_every_steps)
            and run.position.step % work.checkpoint_every_steps == 0
        )

    if any(run.round_is_due for run in cohort.active):
        _prune_where_due(cohort, task, pace, on)
    for steps in cohort.steps:
        steps.step(lambda rows, trials: pace.advance(rows, trials, cohort.positions))
    stopping = pace.checkpoint_asked()
    logging = [
        run for run in cohort.active if run.ended or run.position.step % work.log_every_steps == 0
    ]
    # In stacked passes, bits depend on who shares them: no run may go back to where one that has
    # left was still there.
    leaving = bool(task.how.stacked) and any(run.ended for run in cohort.active)
    # In stacked passes, by time only where metrics are due: on a GPU, the loop waits for the steps'
    # results there anyway.
    may_wait = bool(logging) or not task.how.stacked
    all_due = stopping or leaving or (may_wait and cohort.clock.is_due())
    saving = [run for run in cohort.active if all_due or run.ended or checkpoint_is_due(run)]
    if logging or saving or cohort.has_failures:
        cohort.settle(on)
    seconds = time.monotonic() - began
    for run in cohort.active:
        run.position.seconds += seconds
    # Metrics come before the checkpoint that would keep them from being computed again.
    logging = [run for run in logging if run in cohort.active]
    if logging:
        on.metrics([metric for run in logging for metric in run.take_metrics()])
    saving = [run for run in saving if run in cohort.active]
    cohort.write_back(saving)
    cohort.save(saving, on)
    for run in saving:
        if run.ended:
            on.finished(run)
    if any(run.ended for run in cohort.active):
        cohort.active = [run for run in cohort.active if not run.ended]
        cohort.write_back(cohort.active)
        cohort.go_on()
    if stopping and cohort.active:
        raise Interrupted


def _fail_overdue(cohort: _Cohort, task: Task, max_seconds: float, on: Callbacks) -> None:
    """Runs whose time is up leave, after a checkpoint from which a job with a higher limit goes
    on. In stacked passes the others are saved, too: see `leaving` in _one_turn."""

    def is_overdue(run: TrialRun) -> bool:
        return run.position.seconds >= max_seconds

    if not any(is_overdue(run) for run in cohort.active):
        return
    cohort.settle(on)
    overdue = [run for run in cohort.active if is_overdue(run)]
    cohort.write_back(cohort.active)
    cohort.save(cohort.active if task.how.stacked else overdue, on)
    cohort.leave({run.trial.trial_id: run.time_is_up(max_seconds) for run in overdue}, on)
    cohort.go_on()


def _prune_where_due(
    cohort: _Cohort,
    task: Task,
    pace: Pace,
    on: Callbacks,
) -> None:
    """Does the rounds that are due before the next step; runs whose round fails leave.

    Raises Interrupted or Cancelled; a stop asked for during the scoring, which changes nothing,
    comes after a checkpoint of each active run.
    """
    cohort.settle(on)
    cohort.write_back(cohort.active)
    due = [run for run in cohort.active if run.round_is_due]
    repeated = [run for run in due if run.trial.prune.repeats]
    due = [run for run in due if run not in repeated]

    def passed(rows: int) -> None:
        pace.advance(rows, 0, cohort.positions)
        pace.stop_between_passes()

    # Only here is every run as after its last step. What follows may be interrupted, too, while a
    # report waits for room, and a checkpoint would then have a round whose metrics are lost.
    try:
        scores = _round_scores(task, due, passed)
        masks = _repeated_rounds(task, repeated, passed)
    except Interrupted:
        cohort.save([run for run in cohort.active if not cohort.has_saved(run)], on)
        raise
    failures: Failures = {}
    metrics: list[event_pb2.Metric] = []
    for run in due:
        try:
            metrics.append(run.prune(scores.get(run.trial.trial_id)))
        except TrialFailed as error:
            failures[run.trial.trial_id] = error.failure()
    metrics += [run.adopt(*masks[run.trial.trial_id]) for run in repeated]
    if metrics:
        on.metrics(metrics)
    cohort.leave(failures, on)
    cohort.go_on()


def _repeated_rounds(
    task: Task, due: list[TrialRun], passed: Passed
) -> dict[str, tuple[Pruning, list[Scores]]]:
    """By trial id: all rounds of runs whose rounds take place together (Prune.repeats), and what
    each round's scoring leaves in gradients. Changes no run."""
    found: dict[str, tuple[Pruning, list[Scores]]] = {}
    for run in due:
        trial, pruning, left_over = run.trial, run.begin_rounds(), list[Scores]()
        weights = run.layout.views(run.parameters)
        while not pruning.done:
            if find_pruner(trial.prune).reads_rows:
                rows = choose_scoring_rows(trial, task)
                start = Start(trial, {trial.trial_id: pruning}, weights, rows)
                (scores,) = score(task, [start], passed)
                left = start.left_over
            else:
                on_cpu = {name: weight.cpu() for name, weight in weights.items()}
                now = score_without_rows(trial, pruning, task.backbone, on_cpu)
                scores, left = now.scores, now.left_over
                passed(0)
            pruning.keep(scores)
            if trial.prune.keeps_scoring_gradients:
                left_over.append(
                    {name: each for name, each in left.items() if name not in run.layout.frozen}
                )
        found[trial.trial_id] = (pruning, left_over)
    return found


def _round_scores(
    task: Task,
    due: list[TrialRun],
    passed: Passed,
) -> dict[str, Scores]:
    """By trial id: scores of the present weights; none for a run whose round keeps everything."""
    scores: dict[str, Scores] = {}
    starts: list[Start] = []
    for run in due:
        trial, pruning = run.trial, run.pruning
        if pruning is None or pruning.keeps_all:
            continue
        weights = {name: leaf.detach() for name, leaf in run.leaves.items()}
        if find_pruner(trial.prune).reads_rows:
            starts.append(
                Start(trial, {trial.trial_id: pruning}, weights, choose_scoring_rows(trial, task))
            )
        else:
            on_cpu = {name: weight.cpu() for name, weight in weights.items()}
            now = score_without_rows(trial, pruning, task.backbone, on_cpu)
            scores[trial.trial_id] = now.scores
            passed(0)
    if starts:
        found = score(task, starts, passed)
        scores |= {start.trial.trial_id: each for start, each in zip(starts, found, strict=True)}
    return scores
