"""A trainer's jobs: their states, their queue, and how both survive the process.

`<state>/jobs/<job id>/` holds `spec.pb` (a JobSpec), `events.log` and `job.json` (the job as GetJob
returns it, and its unfinished runs). A state change is in the log before it is in job.json, so
after a crash the log is right. One job runs at a time, in the order of submission, so two jobs of a
trainer never work on the same trial at once.
"""

import json
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import json_format
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.files.durable import sync_folder, write_durably
from sparse_adapter_engine.files.process_identity import boot_id
from sparse_adapter_engine.files.temporary_names import remove_leftovers

from .event_log import EventLog

QUEUED = event_pb2.JOB_STATE_QUEUED
RUNNING = event_pb2.JOB_STATE_RUNNING
INTERRUPTED = event_pb2.JOB_STATE_INTERRUPTED
CANCELLED = event_pb2.JOB_STATE_CANCELLED
FAILED = event_pb2.JOB_STATE_FAILED
ENDED = frozenset({event_pb2.JOB_STATE_SUCCEEDED, FAILED, CANCELLED})


class QueueFull(Exception):
    """No room for another waiting job."""


class DigestDiffers(Exception):
    """A job with another specification has this id; the message is that job's spec_digest."""


class Stopping(Exception):
    """The trainer is stopping and accepts no more work."""


class BrokenState(Exception):
    """A job's files cannot be read; the message names the folder and says what to do."""


class Job:
    """A job in memory. Only JobStore changes it."""

    def __init__(self, folder: Path, record: trainer_pb2.Job, unfinished_runs: int) -> None:
        self.folder = folder
        self.record = record
        # Runs that began and never ended in order: each took the process down with it.
        self.unfinished_runs = unfinished_runs
        self.cancel_mode: int = trainer_pb2.CANCEL_MODE_UNSPECIFIED
        self._log: EventLog | None = None

    @property
    def log(self) -> EventLog:
        """The job's events, read from disk on first use."""
        if self._log is None:
            self._log = EventLog(self.folder / "events.log", self.record.log_id)
        return self._log

    @property
    def age_key(self) -> tuple[int, str]:
        """Sorts jobs from old to new; unique for each job."""
        return self.record.create_time.ToNanoseconds(), self.record.job_id

    def spec(self) -> job_pb2.JobSpec:
        """The specification, read from disk."""
        spec = job_pb2.JobSpec()
        spec.ParseFromString((self.folder / "spec.pb").read_bytes())
        return spec

    def save(self) -> None:
        """Writes job.json."""
        content = {
            "job": json_format.MessageToDict(self.record),
            "unfinished_runs": self.unfinished_runs,
            "boot_id": boot_id(),
        }
        write_durably(self.folder / "job.json", json.dumps(content, indent=2).encode())


class JobStore:
    """All jobs of one trainer. Every method may be called from any thread."""

    def __init__(self, state: Path, queue_length: int, quarantine_after: int) -> None:
        """Reads the jobs under `state`. A job that was queued or running becomes INTERRUPTED, or
        FAILED if `quarantine_after` of its runs took the process down with no checkpoint between
        them."""
        self.queue_length = queue_length
        self._quarantine_after = quarantine_after
        self._folder = state / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._jobs: dict[str, Job] = {}
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._stopping = False
        self._changed = threading.Condition(threading.RLock())
        for folder in sorted(self._folder.iterdir()):
            if folder.name.startswith("."):
                shutil.rmtree(folder)
            else:
                self._jobs[folder.name] = self._load(folder)

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
                job.cancel_mode = trainer_pb2.CANCEL_MODE_UNSPECIFIED
                self._set_state(job, QUEUED, detail="submitted again")
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

        A running job stops by itself; ABORT outranks CHECKPOINT.
        """
        with self._changed:
            before = self.snapshot(job)
            abort = mode == trainer_pb2.CANCEL_MODE_ABORT
            if job.record.state == RUNNING:
                job.cancel_mode = max(job.cancel_mode, mode)
            elif job.record.state == QUEUED:
                self._queue.remove(job)
                self._set_state(
                    job, CANCELLED if abort else INTERRUPTED, detail="stopped while it waited"
                )
            elif job.record.state == INTERRUPTED and abort:
                self._set_state(job, CANCELLED, detail="cancelled after it was interrupted")
            return before

    def take(self) -> Job | None:
        """Waits for the next job and starts a run of it; returns None once the trainer stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._queue)
            if self._stopping:
                return None
            job = self._queue.popleft()
            self._running = job
            job.record.runs += 1
            job.unfinished_runs += 1
            # One write for state and counters, so that the run is counted on disk before it begins.
            self._set_state(job, RUNNING, detail=f"run {job.record.runs}")
            return job

    def finish(
        self,
        job: Job,
        state: event_pb2.JobState,
        failure: event_pb2.Failure | None = None,
        detail: str = "",
    ) -> None:
        """Ends the run that `take` started."""
        with self._changed:
            self._running = None
            job.unfinished_runs = 0
            self._set_state(job, state, failure, detail)

    def emit(self, job: Job, event: event_pb2.Event) -> None:
        """Appends an event of the running job.

        A checkpoint is synced, and proves that the run got further than the last one.
        """
        checkpoint = event.WhichOneof("kind") == "checkpoint_written"
        job.log.append(event, sync=checkpoint)
        if checkpoint and job.unfinished_runs > 1:
            with self._changed:
                job.unfinished_runs = 1
                job.save()

    def stop(self) -> None:
        """Accepts no more work, and asks the running job to write a checkpoint and stop."""
        with self._changed:
            self._stopping = True
            if self._running is not None:
                self.cancel(self._running, trainer_pb2.CANCEL_MODE_CHECKPOINT)
            self._changed.notify_all()

    def forgive_running(self) -> None:
        """Does not count the present run: the process is about to exit during it, which is not the
        job's fault."""
        with self._changed:
            if self._running is not None:
                self._running.unfinished_runs -= 1
                self._running.save()

    def _create(self, job_id: str, spec_digest: str, spec: job_pb2.JobSpec) -> Job:
        making = self._folder / f".{job_id}"
        # A full disk may have left part of an earlier attempt.
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        job = Job(
            making,
            trainer_pb2.Job(job_id=job_id, spec_digest=spec_digest, log_id=uuid.uuid4().hex[:16]),
            unfinished_runs=0,
        )
        job.record.create_time.GetCurrentTime()
        write_durably(making / "spec.pb", spec.SerializeToString())
        self._set_state(job, QUEUED)
        job.log.close()
        # The rename makes the job exist whole or not at all.
        folder = self._folder / job_id
        making.rename(folder)
        sync_folder(self._folder)
        created = Job(folder, job.record, unfinished_runs=0)
        self._jobs[job_id] = created
        return created

    def _set_state(
        self,
        job: Job,
        state: event_pb2.JobState,
        failure: event_pb2.Failure | None = None,
        detail: str = "",
    ) -> None:
        changed = event_pb2.StateChanged(state=state, failure=failure, detail=detail)
        # The record changes first: a watcher that sees the event must find the new state.
        job.record.state = state
        if failure is not None:
            job.record.failure.CopyFrom(failure)
        job.record.update_time.GetCurrentTime()
        event = job.log.append(event_pb2.Event(state_changed=changed), sync=True)
        job.record.last_sequence = event.sequence
        job.save()
        if state in ENDED or state == INTERRUPTED:
            job.log.close()

    def _load(self, folder: Path) -> Job:
        remove_leftovers(folder)
        try:
            content = json.loads((folder / "job.json").read_bytes())
            record = json_format.ParseDict(content["job"], trainer_pb2.Job())
            job = Job(folder, record, content["unfinished_runs"])
            booted = content["boot_id"]
        except (OSError, ValueError, KeyError, json_format.ParseError) as error:
            raise BrokenState(
                f"{folder}: job.json cannot be read ({error}); move the folder away to go on "
                "without this job"
            ) from error
        if record.state in ENDED:
            return job
        if booted != boot_id():
            # The machine went down: events that a watcher saw may be lost, and their numbers will
            # be reused. A new log id makes such a watcher start again.
            record.log_id = uuid.uuid4().hex[:16]
        last = job.log.last_state()
        if last is not None and last.state in ENDED:
            record.state = last.state
            record.failure.CopyFrom(last.failure)
            record.last_sequence = job.log.last_sequence
            job.save()
        elif job.unfinished_runs >= self._quarantine_after:
            message = (
                f"{job.unfinished_runs} runs of this job crashed the trainer: it is "
                "not started again. See the trainer's log"
            )
            failure = event_pb2.Failure(
                reason=event_pb2.FAILURE_REASON_QUARANTINED, message=message
            )
            self._set_state(job, FAILED, failure)
        elif last is None or last.state != INTERRUPTED:
            self._set_state(job, INTERRUPTED, detail="the trainer went away")
        else:
            record.state = INTERRUPTED
            job.save()
        return job
