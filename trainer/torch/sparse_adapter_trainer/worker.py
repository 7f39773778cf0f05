"""The one thread that does tensor work: it makes the engine, then runs one job after the other."""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.errors import Cancelled, Interrupted, JobFailed
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_engine.reporting import Reporter

from .device_faults import breaks_the_device
from .job import Job
from .jobs import CANCELLED, FAILED, INTERRUPTED, JobStore, NothingToDo

_log = logging.getLogger(__name__)


class EngineLike(Protocol):
    """What the worker needs from an engine."""

    environment: dict[str, str]
    architectures: list[str]
    # `cpu`, `cuda` or `cuda:<index>`.
    device: str
    # The precisions it can compute at; FLOAT32 is one of them.
    precisions: list[job_pb2.Precision]

    def run(self, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
        """Runs the job to its end. Raises JobFailed, Interrupted or Cancelled."""

    def unload(self) -> None:
        """Frees what it keeps in memory for a next job."""


class Worker:
    """Runs the jobs of a store.

    The engine is made and called in one thread only, as torch's per-thread settings need.
    """

    def __init__(
        self, make_engine: Callable[[], EngineLike], unload_after_seconds: float | None = None
    ) -> None:
        """unload_after_seconds: without a job for that long, the engine frees its backbone; None:
        never."""
        self.engine: Future[EngineLike] = Future()
        self._make_engine = make_engine
        self._unload_after_seconds = unload_after_seconds
        self._store: Future[JobStore] = Future()
        self._last_moved = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def start(self, store: JobStore) -> None:
        """Starts taking jobs."""
        self._store.set_result(store)

    def join(self, timeout_seconds: float) -> bool:
        """Waits for the thread to end after JobStore.stop; returns whether it has."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def seconds_since_work(self) -> float:
        """How long ago the running job's loop last moved."""
        return time.monotonic() - self._last_moved

    def _run(self) -> None:
        try:
            engine = self._make_engine()
        except BaseException as error:
            self.engine.set_exception(error)
            return
        self.engine.set_result(engine)
        store = self._store.result()
        try:
            while (job := self._take(engine, store)) is not None:
                self.moved()
                self._run_job(engine, store, job)
        except BaseException:
            # For example, the device is broken. A trainer without its working thread must not look
            # alive.
            _log.critical("the working thread cannot go on; the trainer leaves", exc_info=True)
            logging.shutdown()
            os._exit(1)

    def _take(self, engine: EngineLike, store: JobStore) -> Job | None:
        try:
            return store.take(self._unload_after_seconds)
        except NothingToDo:
            engine.unload()
            _log.info("idle for %g s: freed backbone and data", self._unload_after_seconds)
            return store.take()

    def moved(self) -> None:
        """Notes that the loop moved."""
        self._last_moved = time.monotonic()

    def _run_job(self, engine: EngineLike, store: JobStore, job: Job) -> None:
        reporter = JobReporter(store, job, self.moved)
        try:
            spec = job.spec()
            _run_on_device(engine, spec, reporter)
            silent = [
                trial.trial_id
                for trial in spec.trials
                if trial.trial_id not in reporter.trials_with_result
            ]
            if silent:
                raise RuntimeError(f"the engine reported no result for {', '.join(silent)}")
        except Interrupted:
            detail = "stopped on request; it goes on from what is on disk"
            store.finish(job, INTERRUPTED, detail=detail)
        except Cancelled:
            store.finish(job, CANCELLED, detail="cancelled")
        except JobFailed as error:
            store.finish(job, FAILED, event_pb2.Failure(reason=error.reason, message=error.message))
        except MemoryError as error:
            message = f"out of memory ({error}); a smaller cohort may fit"
            store.finish(
                job,
                FAILED,
                event_pb2.Failure(reason=event_pb2.FAILURE_REASON_OUT_OF_MEMORY, message=message),
            )
        except Exception as error:
            _log.exception("job %s failed", job.record.job_id)
            message = f"a fault in the trainer (see its log): {type(error).__name__}: {error}"
            store.finish(
                job,
                FAILED,
                event_pb2.Failure(reason=event_pb2.FAILURE_REASON_INTERNAL, message=message),
            )
        else:
            store.finish(job, event_pb2.JOB_STATE_SUCCEEDED)


class BrokenDevice(BaseException):
    """Nothing more can run in this process.

    The job stays as after a crash, counted, for the next process.
    """


def _run_on_device(engine: EngineLike, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    try:
        engine.run(spec, reporter)
    except Exception as error:
        if breaks_the_device(error):
            raise BrokenDevice(
                f"nothing more can run on the GPU here: {type(error).__name__}: {error}"
            ) from error
        raise


class JobReporter:
    """Writes the engine's reports about a job into the job's log."""

    def __init__(self, store: JobStore, job: Job, moved: Callable[[], None]) -> None:
        self.trials_with_result: set[str] = set()
        self._store = store
        self._job = job
        self._moved = moved

    def progress(
        self,
        phase: int,
        done: int,
        total: int,
        rows_per_second: float,
        trial_steps: dict[str, int],
        resumed: int = 0,
    ) -> None:
        """See Reporter."""
        steps = [
            event_pb2.TrialStep(trial_id=trial_id, step=step)
            for trial_id, step in trial_steps.items()
        ]
        progress = event_pb2.Progress(
            phase=cast("event_pb2.Phase", phase),
            done=done,
            total=total,
            rows_per_second=rows_per_second,
            trial_steps=steps,
            resumed=resumed,
        )
        self._store.counts.progress(progress)
        self._emit(event_pb2.Event(progress=progress))

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        """See Reporter."""
        self._emit(event_pb2.Event(metrics=event_pb2.Metrics(metrics=metrics)))

    def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
        """See Reporter."""
        self._emit(
            event_pb2.Event(
                checkpoint_written=event_pb2.CheckpointWritten(
                    trial_id=trial_id, step=step, artifact=artifact
                )
            )
        )

    def environment(self, environment: event_pb2.Environment) -> None:
        """See Reporter."""
        self._emit(event_pb2.Event(environment=environment))

    def trial_result(
        self,
        trial_id: str,
        artifacts: list[event_pb2.Artifact],
        values: dict[str, float],
        environments: list[event_pb2.Environment],
    ) -> None:
        """See Reporter."""
        self._end_trial(
            event_pb2.TrialResult(
                trial_id=trial_id, artifacts=artifacts, values=values, environments=environments
            )
        )

    def trial_failed(self, trial_id: str, failure: event_pb2.Failure) -> None:
        """See Reporter."""
        self._end_trial(event_pb2.TrialResult(trial_id=trial_id, failure=failure))

    def warning(self, trial_id: str, code: str, message: str) -> None:
        """See Reporter."""
        self._emit(
            event_pb2.Event(
                warning=event_pb2.Warning(trial_id=trial_id, code=code, message=message)
            )
        )

    def waiting(self, note: str) -> None:
        """See Reporter."""
        progress = event_pb2.Progress(phase=event_pb2.PHASE_WAIT, note=note)
        self._emit(event_pb2.Event(progress=progress))

    def stop_requested(self) -> int:
        """See Reporter."""
        return self._job.cancel_mode

    def working(self) -> None:
        """See Reporter."""
        self._moved()
        self._store.waiting_for = ""

    def wait_for_room(self, error: OSError, path: Path) -> None:
        """See Reporter."""
        self._moved()
        self._store.wait_for_room(error, path)
        if self._job.cancel_mode == trainer_pb2.CANCEL_MODE_ABORT:
            raise Cancelled
        if self._job.cancel_mode == trainer_pb2.CANCEL_MODE_CHECKPOINT:
            raise Interrupted

    def _end_trial(self, result: event_pb2.TrialResult) -> None:
        self._emit(event_pb2.Event(trial_result=result))
        self.trials_with_result.add(result.trial_id)

    def _emit(self, event: event_pb2.Event) -> None:
        self.working()
        emit = partial(self._store.emit, self._job, event)
        write_when_there_is_room(self, self._job.folder, emit)
