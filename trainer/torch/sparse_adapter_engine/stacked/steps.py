"""Steps of stacked trials, in passes that a thread feeds; results are read every few steps."""

import logging
from collections.abc import Callable, Hashable, Sequence

import torch
from sparse_adapter.trainer.v1 import event_pb2
from torch import Tensor

from sparse_adapter_engine.device.room import is_out_of_memory, release
from sparse_adapter_engine.files.checkpoints import Company
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.tasks.task import Task
from sparse_adapter_engine.training.trial_run import TrialRun

from .feeder import Feeder
from .operations import Operations
from .stack import form
from .trained_stacks import TrainedStacks, TrainedStep, TrainedTrial

_log = logging.getLogger(__name__)
# Each trial's step is padded to the largest of its pass, so trials whose batches differ by more do
# not share one.
_MOST_PADDED = 1.5


class StackedSteps:
    """See Steps in training/steps.py."""

    def __init__(
        self,
        task: Task,
        runs: Sequence[TrialRun],
        operations: Operations,
    ) -> None:
        self._task, self._operations = task, operations
        self._failures: dict[str, event_pb2.Failure] = {}
        self._passes: list[_Running] = []
        pass_tokens = task.how.pass_tokens
        if task.backbone.device.type == "cuda":
            room = task.measure_room(_trained(runs[0]), len(runs), operations)
            pass_tokens = room or pass_tokens
            _log.info("room for %d tokens in a pass", pass_tokens)
        alike: dict[Hashable, list[TrialRun]] = {}
        for run in runs:
            alike.setdefault(task.pass_key(run.trial.adapter), []).append(run)
        self._build(
            [
                company
                for some in alike.values()
                for company in _choose_companies(some, task.lengths, pass_tokens)
            ]
        )

    @property
    def has_failures(self) -> bool:
        """See Steps."""
        return bool(self._failures)

    def step(self, passed: Callable[[int, int], None]) -> None:
        """See Steps."""
        waiting = list(self._passes)
        while waiting:
            running = waiting.pop(0)
            if running.stacked.is_full:
                self._read(running)
            no_room = ""
            try:
                given = running.feeder.take()
                running.stacked.step(given)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                no_room = str(error)
            if no_room:
                # Outside the handler, where the error's frames would keep tensors alive.
                waiting = [*self._divide(running, no_room), *waiting]
                continue
            for run, rows in zip(running.runs, given.rows, strict=True):
                run.position.step += 1
                run.position.rows += rows
            running.rows.append(given.rows)
            passed(sum(given.rows), len(running.runs))

    def settle(self) -> dict[str, event_pb2.Failure]:
        """See Steps."""
        for running in self._passes:
            self._read(running)
        failures, self._failures = self._failures, {}
        return failures

    def write_back(self, runs: Sequence[TrialRun]) -> None:
        """See Steps."""
        for running in self._passes:
            if any(run in runs for run in running.runs):
                running.stacked.write_back()

    def keep(self, runs: Sequence[TrialRun]) -> None:
        """See Steps."""
        companies = [
            ([run for run in running.runs if run in runs], running.stacked.row_parts)
            for running in self._passes
        ]
        self.close()
        self._build([(some, parts) for some, parts in companies if some])

    def close(self) -> None:
        """See Steps."""
        for running in self._passes:
            running.feeder.close()
        self._passes = []

    def _build(self, companies: Sequence[tuple[list[TrialRun], int]]) -> None:
        try:
            for runs, row_parts in companies:
                self._passes.append(self._start(runs, row_parts))
        except BaseException:
            # Otherwise their threads would hold the device's memory forever.
            self.close()
            raise

    def _start(self, runs: list[TrialRun], row_parts: int) -> "_Running":
        trials = [_trained(run) for run in runs]
        stacked = self._task.stacked_pass(trials, self._operations, row_parts)
        for run in runs:
            company = [each.trial.trial_id for each in runs]
            run.position.company = Company(company, row_parts)
        return _Running(runs, stacked, self._task.rows, self._task.backbone.device)

    def _divide(self, running: "_Running", no_room: str) -> list["_Running"]:
        """Replaces a pass that does not fit on the device by passes of fewer trials, or by one of
        fewer rows at a time. Its trials are as before the step."""
        self._read(running)
        running.stacked.write_back()
        running.feeder.close()
        place, runs, parts = self._passes.index(running), running.runs, running.stacked.row_parts
        # The old pass must free its memory before the new ones are made.
        del running.stacked, running.feeder
        self._passes.pop(place)
        release()
        if len(runs) == 1 and parts >= runs[0].trial.train.batch_size:
            message = f"out of memory with one row at a time ({no_room})"
            reason = event_pb2.FAILURE_REASON_OUT_OF_MEMORY
            self._failures[runs[0].trial.trial_id] = event_pb2.Failure(
                reason=reason, message=message
            )
            return []
        half = (len(runs) + 1) // 2
        halves = (
            [(runs[:half], parts), (runs[half:], parts)] if len(runs) > 1 else [(runs, 2 * parts)]
        )
        made = []
        for number, some in enumerate(halves):
            made.append(self._start(*some))
            self._passes.insert(place + number, made[-1])
        return made

    def _read(self, running: "_Running") -> None:
        """Adds the device's results since the last call to the runs."""
        if not running.rows:
            return
        results = running.stacked.take_results().tolist()
        for step, (values, rows) in enumerate(zip(results, running.rows, strict=True)):
            behind = len(results) - 1 - step
            for run, found, own in zip(running.runs, values, rows, strict=True):
                trial_id = run.trial.trial_id
                if trial_id in self._failures or trial_id in running.failed:
                    continue
                loss, norm, total = found
                failure = run.note(run.position.step - behind, loss, norm, total, own)
                if failure:
                    self._failures[trial_id] = failure
                    running.failed.add(trial_id)
        running.rows = []


def _trained(run: TrialRun) -> TrainedTrial:
    return TrainedTrial(
        run.trial.adapter,
        run.layout,
        run.parameters,
        run.masks,
        run.trial.seed,
        run.trial.train,
        run.optimizer.first_moment,
        run.optimizer.second_moment,
    )


class _Running:
    """A pass at work: its runs, in the order of its trials, and the rows of each queued step."""

    def __init__(
        self, runs: list[TrialRun], stacked: TrainedStacks, total: int, device: torch.device
    ) -> None:
        self.runs, self.stacked = runs, stacked
        self.rows: list[list[int]] = []
        self.failed: set[str] = set()
        begun = [run.position.step for run in runs]

        def make(number: int) -> TrainedStep:
            if device.type == "cuda" and device.index is not None:
                # Each thread has its own current device, which pinned memory belongs to.
                torch.cuda.set_device(device)
            steps = [step + number for step in begun]
            rows = [run.choose_rows(step, total) for run, step in zip(runs, steps, strict=True)]
            return stacked.prepare(rows, [step + 1 for step in steps])

        self.feeder = Feeder(make)


def _choose_companies(
    runs: Sequence[TrialRun], lengths: Tensor, pass_tokens: int
) -> list[tuple[list[TrialRun], int]]:
    """Which runs make up each pass, and its row parts: as their checkpoints say if these agree,
    else runs of similar batch size up to pass_tokens, sorted by form."""
    waiting = {run.trial.trial_id: run for run in runs}
    found: list[tuple[list[TrialRun], int]] = []
    for run in runs:
        company = run.position.company
        if company is None or run.trial.trial_id not in waiting:
            continue
        # Trials that have ended or failed since are no longer here.
        mates = [waiting[one] for one in company.trials if one in waiting]
        if all(mate.position.company == company for mate in mates):
            found.append((mates, company.row_parts))
            waiting = {one: mate for one, mate in waiting.items() if mate not in mates}
    mean = float(lengths.float().mean())
    rest = sorted(waiting.values(), key=lambda run: run.trial.train.batch_size)
    tokens, smallest = 0.0, 0
    fresh: list[list[TrialRun]] = []
    for run in rest:
        batch = run.trial.train.batch_size
        own = batch * (mean + prompt_length(run.trial.adapter))
        if not fresh or tokens + own > pass_tokens or batch > _MOST_PADDED * smallest:
            fresh.append([])
            tokens, smallest = 0.0, batch
        fresh[-1].append(run)
        tokens += own
    for some in fresh:
        some.sort(key=lambda run: form(run.trial.adapter))
    return [*found, *((some, 1) for some in fresh)]
