"""Whose turn it is at a trial that another trainer, perhaps of another host, works on."""

import errno
import json
import logging
import os
import threading
import time
import uuid
from pathlib import Path

import pytest
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.work import trial_locks
from sparse_adapter_engine.work.trial_locks import hold_trials

SPEC = job_pb2.JobSpec(trials=[job_pb2.Trial(trial_id="t2"), job_pb2.Trial(trial_id="t1")])
ELSEWHERE = {"pid": 1, "started": "0badb007-1", "host": "gpu2"}


class Reporter:
    def __init__(self, stop: int = trainer_pb2.CANCEL_MODE_UNSPECIFIED) -> None:
        self.notes: list[str] = []
        self.moves = 0
        self.stop = stop
        self.errors: list[OSError] = []

    def waiting(self, note: str) -> None:
        self.notes.append(note)

    def working(self) -> None:
        self.moves += 1

    def stop_requested(self) -> int:
        return self.stop

    def wait_for_room(self, error: OSError, path: Path) -> None:
        self.errors.append(error)


def hold_elsewhere(root: Path) -> Path:
    lock = root / "trials" / "t1" / "writer.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(ELSEWHERE))
    return lock


def locks(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.rglob("writer.lock"))


def test_a_job_holds_its_trials_and_cleans_up_after_the_dead(tmp_path: Path):
    checkpoints = tmp_path / "trials" / "t1" / "checkpoints"
    left = checkpoints / f".step-3.{uuid.uuid4().hex}"  # as earlier versions called it
    left.mkdir(parents=True)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(left, (long_ago, long_ago))
    with hold_trials(tmp_path, SPEC, Reporter()):
        assert locks(tmp_path) == ["t1", "t2"]
        assert list(checkpoints.iterdir()) == []
    assert locks(tmp_path) == []


def test_a_job_waits_for_room_for_its_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    link, reporter = os.link, Reporter()

    def link_when_there_is_room(source: Path, target: Path) -> None:
        if len(reporter.errors) < 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        link(source, target)

    monkeypatch.setattr(os, "link", link_when_there_is_room)
    with hold_trials(tmp_path, SPEC, reporter):
        assert locks(tmp_path) == ["t1", "t2"]
    assert len(reporter.errors) == 2


class Impatient(Reporter):
    """Asks to stop after some time, so that a test ends that would wait forever."""

    def stop_requested(self) -> int:
        too_long = self.moves > 200
        return trainer_pb2.CANCEL_MODE_CHECKPOINT if too_long else self.stop


def test_a_job_that_waits_touches_the_locks_it_has_whatever_becomes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(trial_locks, "_TOUCH_SECONDS", 0.02)
    monkeypatch.setattr(trial_locks, "_POLL_SECONDS", 0.02)
    first, second = (tmp_path / "trials" / name / "writer.lock" for name in ("t1", "t2"))
    second.parent.mkdir(parents=True)
    second.write_text(json.dumps(ELSEWHERE))
    utime, touched = os.utime, []

    def stale(path: Path) -> None:
        touched.append(path)
        if len(touched) == 1:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        utime(path)
        if len(touched) == 3:
            second.unlink()

    monkeypatch.setattr(os, "utime", stale)
    with caplog.at_level(logging.WARNING), hold_trials(tmp_path, SPEC, Impatient()):
        assert touched[:3] == [first] * 3
    assert [record.message for record in caplog.records] == [
        f"{first} cannot be touched: [Errno {errno.ESTALE}] {os.strerror(errno.ESTALE)}"
    ]


def test_a_job_waits_for_a_host_that_gives_signs_of_life(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(trial_locks, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(trial_locks, "_POLL_SECONDS", 0.02)
    lock, reporter = hold_elsewhere(tmp_path), Reporter()
    began = time.monotonic()

    def work_elsewhere() -> None:
        while time.monotonic() - began < 1:
            os.utime(lock)
            time.sleep(0.05)
        lock.unlink()

    thread = threading.Thread(target=work_elsewhere)
    thread.start()
    with hold_trials(tmp_path, SPEC, reporter):
        assert time.monotonic() - began >= 1
    thread.join()
    (note,) = reporter.notes
    assert note.startswith(
        "waiting for trial t1: another trainer works on it (process 1 on host gpu2); if that host "
    )
    assert note.endswith(f"or without {lock}")
    assert reporter.moves > 10


def test_a_job_goes_on_when_another_host_is_silent_for_long(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(trial_locks, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(trial_locks, "_POLL_SECONDS", 0.02)
    hold_elsewhere(tmp_path)
    with hold_trials(tmp_path, SPEC, Reporter()):
        assert locks(tmp_path) == ["t1", "t2"]
    assert locks(tmp_path) == []


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (trainer_pb2.CANCEL_MODE_CHECKPOINT, Interrupted),
        (trainer_pb2.CANCEL_MODE_ABORT, Cancelled),
    ],
)
def test_a_job_that_waits_can_be_stopped(tmp_path: Path, mode: int, error: type[Exception]):
    lock = hold_elsewhere(tmp_path)
    with pytest.raises(error), hold_trials(tmp_path, SPEC, Reporter(mode)):
        raise AssertionError("not held")
    assert json.loads(lock.read_text()) == ELSEWHERE
    assert locks(tmp_path) == ["t1"]
