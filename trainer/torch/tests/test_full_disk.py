"""What a trainer does where its disk is full: it waits, says so and goes on, and nothing that it
could not write has happened."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_support import Recorder
from server_support import valid_request
from sparse_adapter.trainer.v1 import event_pb2, trainer_pb2

from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.files.artifacts import write_folder
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_trainer.event_log import EventLog
from sparse_adapter_trainer.job import Job
from sparse_adapter_trainer.jobs import JobStore
from sparse_adapter_trainer.worker import JobReporter

QUEUED = event_pb2.JOB_STATE_QUEUED
RUNNING = event_pb2.JOB_STATE_RUNNING
SUCCEEDED = event_pb2.JOB_STATE_SUCCEEDED
INTERRUPTED = event_pb2.JOB_STATE_INTERRUPTED
CANCELLED = event_pb2.JOB_STATE_CANCELLED


@dataclass
class Disk:
    """A disk that a test fills: it takes the bytes and refuses to keep them, as one does that
    allocates late."""

    full: bool = False


@pytest.fixture(params=[errno.ENOSPC, errno.EDQUOT], ids=["full", "over quota"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk, sync = Disk(), os.fsync

    def fsync(fd: int) -> None:
        if disk.full:
            raise OSError(request.param, os.strerror(request.param))
        sync(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("sparse_adapter_trainer.jobs.SECONDS_BETWEEN_TRIES", 0.01)
    return disk


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "state", queue_length=4, quarantine_after=3)


def submit(store: JobStore, job_id: str = "job-1") -> Job:
    request = valid_request(store.folder, job_id)
    store.submit(request.job_id, request.spec_digest, request.spec)
    job = store.find(job_id)
    assert job is not None
    return job


def states(job: Job) -> list[int]:
    """Those in its log."""
    kept = EventLog(job.folder / "events.log", "").read(0, 1000)
    return [each.state_changed.state for each in kept if each.HasField("state_changed")]


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def refuse_now(job: Callable[[], object]) -> None:
    with pytest.raises(OSError, match=r"No space|quota"):
        job()


def test_an_event_that_cannot_be_kept_is_not_in_the_log_and_the_next_has_its_number(
    disk: Disk, tmp_path: Path
) -> None:
    log = EventLog(tmp_path / "log", "log")
    event = event_pb2.Event(warning=event_pb2.Warning(code="one"))
    disk.full = True
    refuse_now(lambda: log.append(event, sync=True))
    disk.full = False
    log.append(event, sync=True)
    assert [each.sequence for each in EventLog(tmp_path / "log", "log").read(0, 9)] == [1]


def test_an_interrupted_job_is_not_queued_until_its_log_says_so(
    disk: Disk, store: JobStore
) -> None:
    job = submit(store)
    store.cancel(job, trainer_pb2.CANCEL_MODE_CHECKPOINT)
    disk.full = True
    refuse_now(lambda: submit(store))
    assert job.record.state == INTERRUPTED
    assert states(job) == [QUEUED, INTERRUPTED]
    disk.full = False
    assert submit(store).record.state == QUEUED
    assert store.take() is job
    assert states(job) == [QUEUED, INTERRUPTED, QUEUED, RUNNING]


def test_a_new_job_that_finds_no_room_leaves_nothing(disk: Disk, store: JobStore) -> None:
    disk.full = True
    refuse_now(lambda: submit(store))
    assert store.find("job-1") is None
    disk.full = False
    assert submit(store).record.state == QUEUED


def test_a_submission_whose_event_finds_no_room_leaves_no_file_open(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, opened = os.write, []

    def refuse(descriptor: int, data: bytes) -> int:
        opened.append(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store.cancel(submit(store, "interrupted"), trainer_pb2.CANCEL_MODE_CHECKPOINT)
    monkeypatch.setattr(os, "write", refuse)
    for job_id in ("new", "interrupted"):
        refuse_now(lambda job_id=job_id: submit(store, job_id))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened[-1])
    monkeypatch.setattr(os, "write", write)
    assert submit(store, "new").record.state == QUEUED


def test_runs_begin_and_end_once_there_is_room(disk: Disk, store: JobStore) -> None:
    job = submit(store)
    disk.full = True
    taking = in_thread(store.take)
    wait_until(lambda: store.waiting_for)
    assert f"the disk of {job.folder}" in store.waiting_for
    assert job.record.state == QUEUED
    disk.full = False
    taking.join(10)
    assert (job.record.state, job.record.runs, store.waiting_for) == (RUNNING, 1, "")

    disk.full = True
    ending = in_thread(lambda: store.finish(job, SUCCEEDED))
    wait_until(lambda: store.waiting_for)
    assert job.record.state == RUNNING
    disk.full = False
    ending.join(10)
    assert (job.record.state, store.waiting_for) == (SUCCEEDED, "")
    assert states(job) == [QUEUED, RUNNING, SUCCEEDED]


def test_a_trainer_that_is_stopped_does_not_wait_and_its_job_goes_on_in_the_next(
    disk: Disk, store: JobStore, tmp_path: Path
) -> None:
    job = submit(store)
    store.take()
    disk.full = True
    store.stop()
    store.finish(job, INTERRUPTED)
    assert store.take() is None
    disk.full = False
    found = JobStore(tmp_path / "state", queue_length=4, quarantine_after=1).find("job-1")
    assert found is not None and found.record.state == INTERRUPTED


@pytest.fixture
def reporter(store: JobStore) -> Iterator[JobReporter]:
    job = submit(store)
    store.take()
    yield JobReporter(store, job, moved=lambda: None)


@pytest.mark.parametrize(
    ("mode", "ends"),
    [
        (trainer_pb2.CANCEL_MODE_ABORT, Cancelled),
        (trainer_pb2.CANCEL_MODE_CHECKPOINT, Interrupted),
    ],
)
def test_a_job_that_waits_for_room_can_be_stopped(
    disk: Disk,
    store: JobStore,
    reporter: JobReporter,
    tmp_path: Path,
    mode: int,
    ends: type[Exception],
) -> None:
    job, ended = store.find("job-1"), []
    assert job is not None

    def write() -> None:
        with pytest.raises(ends):
            write_when_there_is_room(
                reporter, tmp_path / "folder", lambda: write_folder(tmp_path / "folder", {"a": b""})
            )
        ended.append(True)

    disk.full = True
    writing = in_thread(write)
    wait_until(lambda: store.waiting_for)
    store.cancel(job, mode)
    writing.join(10)
    assert ended
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_what_a_job_reports_is_kept_once_there_is_room(
    disk: Disk, store: JobStore, reporter: JobReporter
) -> None:
    job = store.find("job-1")
    assert job is not None
    disk.full = True
    artifact = event_pb2.Artifact(name="checkpoint")
    telling = in_thread(lambda: reporter.checkpoint("t0", 1, artifact))
    wait_until(lambda: store.waiting_for)
    disk.full = False
    telling.join(10)
    assert not store.waiting_for
    kept = EventLog(job.folder / "events.log", "").read(0, 9)
    assert [each.WhichOneof("kind") for each in kept] == [
        "state_changed",
        "state_changed",
        "checkpoint_written",
    ]


def test_other_errors_of_the_disk_are_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_when_there_is_room(
            Recorder(), tmp_path, lambda: (tmp_path / "none" / "file").write_bytes(b"")
        )
