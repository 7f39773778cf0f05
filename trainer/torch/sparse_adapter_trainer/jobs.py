"""A trainer's jobs: their states, their queue, and how both survive the process (job.py).

One job runs at a time, in the order of submission, so two jobs of a trainer never work on the same
trial at once.
"""

import logging
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.files.durable import sync_folder, write_durably
from sparse_adapter_engine.files.process_identity import boot_id
from sparse_adapter_engine.files.room import describe_full, is_full
from sparse_adapter_engine.files.temporary_names import remove_leftovers

from .job import Job, read_job
from .retention import Retention
from .work_counts import WorkCounts

_log = logging.getLogger(__name__)

QUEUED = event_pb2.JOB_STATE_QUEUED
RUNNING = event_pb2.JOB_STATE_RUNNING
INTERRUPTED = event_pb2.JOB_STATE_INTERRUPTED
CANCELLED = event_pb2.JOB_STATE_CANCELLED
FAILED = event_pb2.JOB_STATE_FAILED
STALLS_BEFORE_FAILURE = 2
ENDED = frozenset({event_pb2.JOB_STATE_SUCCEEDED, FAILED, CANCELLED})
SECONDS_BETWEEN_TRIES = 1.0


class QueueFull(Exception):
    """No room for another waiting job."""


class DigestDiffers(Exception):
    """A job with another specification has this id; the message is that job's spec_digest."""


class Stopping(Exception):
    """The trainer is stopping and accepts no more work."""


class NothingToDo(Exception):
    """No job came in the time that one waited."""


class JobStore:
    """All jobs of one trainer. Every method may be called from any thread."""

    def __init__(
        self,
        state: Path,
        queue_length: int,
        quarantine_after: int,
        retention: Retention | None = None,
    ) -> None:
        """Reads the jobs under `state`. A job that was queued or running becomes INTERRUPTED, or
        FAILED if `quarantine_after` of its runs took the process down with no checkpoint between
        them."""
        self.queue_length = queue_length
        # For a person: what the working thread waits for; empty while it works.
        self.waiting_for = ""
        # What its runs have done, for whoever asks.
        self.counts = WorkCounts()
        self._quarantine_after = quarantine_after
        self._retention = retention or Retention()
        self.folder = state / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._stopping = False
        self._changed = threading.Condition(threading.RLock())
        for folder in sorted(self.folder.iterdir()):
            if folder.name.startswith("."):
                shutil.rmtree(folder)
            else:
                self._jobs[folder.name] = self._load(folder)
        self._forget_old()

    def submit(
        self, job_id: str, spec_digest: str, spec: job_pb2.JobSpec
    ) -> tuple[trainer_pb2.Job, bool]:
        """Creates and queues the job, queues it again if it is INTERRUPTED, or just finds it.
        Returns it and whether it was created.

        Raises DigestDiffers, QueueFull or Stopping.
        """
        with self._changed:
            job = self._jobs.get(job_id)
            if job is not None and job.record.spec_digest != spec_digest:
                raise DigestDiffers(job.record.spec_digest)
            if job is not None and job.record.state != INTERRUPTED:
                return self.snapshot(job), False
            if self._stopping:
                raise Stopping
            if len(self._queue) >= self.queue_length:
                raise QueueFull
            created = job is None
            if job is None:
                job = self._create(job_id, spec_digest, spec)
            else:
                self._set_state(job, QUEUED, detail="submitted again")
                job.cancel_mode = trainer_pb2.CANCEL_MODE_UNSPECIFIED
            self._queue.append(job)
            self._changed.notify_all()
            return self.snapshot(job), created

    def find(self, job_id: str) -> Job | None:
        """The job, or None if it is unknown."""
        with self._changed:
            return self._jobs.get(job_id)

    def snapshot(self, job: Job) -> trainer_pb2.Job:
        """The job as it is now, with its place in the queue: how many jobs run or wait before
        it."""
        with self._changed:
            record = trainer_pb2.Job()
            record.CopyFrom(job.record)
            # An ended job's record already has the number, so its log need not be read.
            if job.record.state not in ENDED:
                record.last_sequence = job.log.last_sequence
            if job.record.state == QUEUED:
                record.queue_position = self._queue.index(job) + (self._running is not None)
            return record

    def newest_first(self, states: Iterable[int]) -> list[Job]:
        """The jobs in any of these states, or all jobs if none is given."""
        wanted = set(states)
        with self._changed:
            jobs = [job for job in self._jobs.values() if not wanted or job.record.state in wanted]
        return sorted(jobs, key=lambda job: job.age_key, reverse=True)

    def cancel(self, job: Job, mode: int) -> trainer_pb2.Job:
        """Asks the job to stop and returns it as it was.

        A running job stops by itself, and so does a waiting one if the disk is too full to say that
        it has stopped; ABORT outranks CHECKPOINT.
        """
        with self._changed:
            before = self.snapshot(job)
            abort = mode == trainer_pb2.CANCEL_MODE_ABORT
            if job.record.state in (RUNNING, QUEUED):
                job.cancel_mode = max(job.cancel_mode, mode)
            if job.record.state == QUEUED:
                self._set_state(
                    job, CANCELLED if abort else INTERRUPTED, detail="stopped while it waited"
                )
                self._queue.remove(job)
            elif job.record.state == INTERRUPTED and abort:
                self._set_state(job, CANCELLED, detail="cancelled after it was interrupted")
            return before

    def take(self, patience_seconds: float | None = None) -> Job | None:
        """Waits for the next job, and for room on the disk, and starts a run of it; returns None
        once the trainer stops. Raises NothingToDo if there is no job for that long."""
        with self._changed:
            while True:
                if not self._changed.wait_for(
                    lambda: self._stopping or self._queue, patience_seconds
                ):
                    raise NothingToDo
                if self._stopping:
                    return None
                job = self._queue[0]
                try:
                    self._start_run(job)
                except OSError as error:
                    self.wait_for_room(error, job.folder)
                else:
                    self._queue.popleft()
                    self._running = job
                    self.waiting_for = ""
                    return job

    def wait_for_room(self, error: OSError, path: Path) -> None:
        """Says that the disk of `path` is full, and waits a moment or until the trainer stops.
        Raises any other error."""
        if not is_full(error):
            raise error
        waiting_for = describe_full(error, path)
        with self._changed:
            if not self.waiting_for:
                _log.warning("%s", waiting_for)
            self.waiting_for = waiting_for
            self._changed.wait(SECONDS_BETWEEN_TRIES)

    def _start_run(self, job: Job) -> None:
        # Before the run begins: a crash right after it must leave the mark.
        write_durably(job.running_mark, boot_id().encode())
        try:
            self._set_state(job, RUNNING, detail=f"run {job.record.runs + 1}", runs=1)
        except OSError:
            job.running_mark.unlink(missing_ok=True)
            raise

    def finish(
        self,
        job: Job,
        state: event_pb2.JobState,
        failure: event_pb2.Failure | None = None,
        detail: str = "",
        stalls: int | None = None,
    ) -> None:
        """Ends the run that `take` started. Waits for room on the disk; if the trainer stops
        meanwhile, the job is INTERRUPTED for the next process."""
        while not self._end_run(job, state, failure, detail, stalls):
            if self._stopping:
                break
        self.waiting_for = ""

    def _end_run(
        self,
        job: Job,
        state: event_pb2.JobState,
        failure: event_pb2.Failure | None,
        detail: str,
        stalls: int | None,
    ) -> bool:
        """Returns whether the disk had room for it."""
        with self._changed:
            try:
                self._set_state(job, state, failure, detail, crashes=0, stalls=stalls)
            except OSError as error:
                self.wait_for_room(error, job.folder)
                return False
            # Still under the lock: whoever sees that the run has ended sees it counted.
            self.counts.end(state)
            self._running = None
            job.running_mark.unlink(missing_ok=True)
            self._forget_old()
            return True

    def running(self) -> Job | None:
        """The job that runs now."""
        return self._running

    def end_stalled_run(self, job: Job, seconds: float) -> None:
        """Ends a run whose loop did not move for so long.

        The next run continues it, unless this job was stuck before with no checkpoint since: then
        it has failed.
        """
        still = f"the loop did not move for {seconds:.0f} s"
        stalls = job.stalls + 1
        if job.cancel_mode == trainer_pb2.CANCEL_MODE_ABORT:
            self.finish(job, CANCELLED, detail=f"cancelled; {still}")
        elif stalls < STALLS_BEFORE_FAILURE:
            detail = f"{still}, so the trainer restarts"
            self.finish(job, INTERRUPTED, detail=detail, stalls=stalls)
        else:
            message = (
                f"{still}, as before the trainer was restarted for it; the trainer's log has "
                "where it was"
            )
            failure = event_pb2.Failure(reason=event_pb2.FAILURE_REASON_STALLED, message=message)
            self.finish(job, FAILED, failure, stalls=stalls)

    def emit(self, job: Job, event: event_pb2.Event) -> None:
        """Appends an event of the running job.

        A checkpoint is synced, and proves that the run got further than the last one.
        """
        checkpoint = event.WhichOneof("kind") == "checkpoint_written"

        def append() -> None:
            job.log.append(event, sync=checkpoint)

        if checkpoint and (job.crashes > 0 or job.stalls > 0):
            with self._changed:
                job.change(job.record, crashes=0, stalls=0, first=append)
        else:
            append()

    def stop(self) -> None:
        """Accepts no more work, and asks the running job to write a checkpoint and stop.

        If the process is killed before the job has stopped, that is not the job's fault.
        """
        with self._changed:
            self._stopping = True
            if self._running is not None:
                self._running.running_mark.unlink(missing_ok=True)
                self.cancel(self._running, trainer_pb2.CANCEL_MODE_CHECKPOINT)
            self._changed.notify_all()

    def _forget_old(self) -> None:
        """Forgets ended jobs as the retention says, but never one that a client is watching."""
        ended = [job for job in self._jobs.values() if job.record.state in ENDED]
        for job in self._retention.choose(ended, time.time()):
            if job.is_watched:
                continue
            # The name goes first: what is left after a crash is no job.
            leaving = self.folder / f".{job.record.job_id}"
            try:
                job.folder.rename(leaving)
                del self._jobs[job.record.job_id]
                shutil.rmtree(leaving)
            except OSError as error:
                _log.warning("an old job cannot be removed: %s", error)

    def _create(self, job_id: str, spec_digest: str, spec: job_pb2.JobSpec) -> Job:
        making = self.folder / f".{job_id}"
        # A full disk may have left part of an earlier attempt.
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        job = Job(
            making,
            trainer_pb2.Job(job_id=job_id, spec_digest=spec_digest, log_id=uuid.uuid4().hex[:16]),
            crashes=0,
        )
        job.record.create_time.GetCurrentTime()
        try:
            write_durably(making / "spec.pb", spec.SerializeToString())
            self._set_state(job, QUEUED)
        finally:
            job.log.close()
        # The rename makes the job exist whole or not at all.
        folder = self.folder / job_id
        making.rename(folder)
        sync_folder(self.folder)
        created = Job(folder, job.record, crashes=0)
        self._jobs[job_id] = created
        return created

    def _set_state(
        self,
        job: Job,
        state: event_pb2.JobState,
        failure: event_pb2.Failure | None = None,
        detail: str = "",
        runs: int = 0,
        crashes: int | None = None,
        stalls: int | None = None,
    ) -> None:
        """Changes the job on disk and then in memory, or neither if the disk is full. A watcher
        that sees the event waits for the lock to see the job. runs: to add. crashes, stalls: None
        leaves them."""
        changed = event_pb2.StateChanged(state=state, failure=failure, detail=detail)
        record = trainer_pb2.Job()
        record.CopyFrom(job.record)
        record.state = state
        if failure is not None:
            record.failure.CopyFrom(failure)
        record.update_time.GetCurrentTime()
        record.runs += runs
        record.last_sequence = job.log.last_sequence + 1

        def append() -> None:
            job.log.append(event_pb2.Event(state_changed=changed), sync=True)

        try:
            job.change(record, crashes, stalls, append)
        finally:
            # Also of an interrupted job that could not be queued again.
            if job.record.state in ENDED or job.record.state == INTERRUPTED:
                job.log.close()

    def _load(self, folder: Path) -> Job:
        remove_leftovers(folder)
        job, booted = read_job(folder)
        record = job.record
        if record.state in ENDED:
            return job
        crashed = job.crashed
        crashes = job.crashes + crashed
        if booted != boot_id():
            # The machine went down: events that a watcher saw may be lost, and their numbers will
            # be reused. A new log id makes such a watcher start again.
            record.log_id = uuid.uuid4().hex[:16]
        last = job.log.last_state()
        if last is not None and last.state in ENDED:
            record.state = last.state
            record.failure.CopyFrom(last.failure)
            record.last_sequence = job.log.last_sequence
            job.change(record, crashes)
        elif crashes >= self._quarantine_after:
            message = (
                f"{crashes} runs of this job crashed the trainer: it is "
                "not started again. See the trainer's log"
            )
            failure = event_pb2.Failure(
                reason=event_pb2.FAILURE_REASON_QUARANTINED, message=message
            )
            self._set_state(job, FAILED, failure, crashes=crashes)
        elif last is None or last.state != INTERRUPTED:
            detail = "the trainer crashed" if crashed else "the trainer went away"
            self._set_state(job, INTERRUPTED, detail=detail, crashes=crashes)
        else:
            record.state = INTERRUPTED
            job.change(record, crashes)
        # Only now: whoever dies before this must count the crash again.
        job.running_mark.unlink(missing_ok=True)
        return job
