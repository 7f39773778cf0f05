"""A trial has one writer at a time, of whichever trainer and host: the job that holds its lock.

TrainerService in trainer.proto says what the files are.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.files.lock_file import (
    Holder,
    clear_lock,
    lock_holder,
    name_holder,
    release,
    try_lock,
)
from sparse_adapter_engine.files.process_identity import is_elsewhere
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_engine.files.temporary_names import remove_leftovers
from sparse_adapter_engine.files.trials import trial_folder
from sparse_adapter_engine.reporting import Reporter

_TOUCH_SECONDS = 30.0
# A holder of another host that was silent for so long is taken for dead.
SILENCE_SECONDS = 600.0
_POLL_SECONDS = 0.5
_log = logging.getLogger(__name__)


@contextmanager
def hold_trials(root: Path, spec: job_pb2.JobSpec, reporter: Reporter) -> Iterator[None]:
    """Holds the locks of a job's trials, after waiting for them and for room on the disk, and
    removes what dead writers left in their folders.

    Raises Interrupted or Cancelled if the job is to stop while it waits.
    """
    with ExitStack() as held:
        paths: list[Path] = []
        # From the start: those that are held must not look abandoned while the next one is awaited.
        released = threading.Event()
        threading.Thread(target=_keep_touching, args=(paths, released), daemon=True).start()
        held.callback(released.set)
        # In one order everywhere, so that two jobs never wait for each other.
        for trial_id in sorted(trial.trial_id for trial in spec.trials):
            folder = trial_folder(root, trial_id)
            path = folder / "writer.lock"
            _take(path, trial_id, reporter)
            held.callback(release, path)
            paths.append(path)
            for each in (folder, folder / "checkpoints", *folder.glob("rungs/step-*")):
                remove_leftovers(each)
        yield


def _take(path: Path, trial_id: str, reporter: Reporter) -> None:
    take = partial(write_when_there_is_room, reporter, path, lambda: try_lock(path))
    told, touched, since = "", 0.0, time.monotonic()
    while (holder := take()) is not None:
        note = _note(path, trial_id, holder)
        if note != told:
            reporter.waiting(note)
            told = note
        reporter.working()
        stop = reporter.stop_requested()
        if stop == trainer_pb2.CANCEL_MODE_ABORT:
            raise Cancelled
        if stop == trainer_pb2.CANCEL_MODE_CHECKPOINT:
            raise Interrupted
        # Seen changes count, not times: the clocks of two hosts may differ.
        now_touched = _read_time(path)
        if now_touched != touched:
            touched, since = now_touched, time.monotonic()
        elif is_elsewhere(holder) and time.monotonic() - since > SILENCE_SECONDS:
            clear = partial(_clear_silent_lock, path, holder, touched)
            write_when_there_is_room(reporter, path, clear)
            continue
        time.sleep(_POLL_SECONDS)


def _clear_silent_lock(path: Path, holder: Holder, touched: float) -> None:
    clear_lock(path, lambda: lock_holder(path) == holder and _read_time(path) == touched)


def _note(path: Path, trial_id: str, holder: Holder) -> str:
    note = f"waiting for trial {trial_id}: another trainer works on it ({name_holder(holder)})"
    if not is_elsewhere(holder):
        return note
    minutes = f"{SILENCE_SECONDS / 60:.0f} minutes"
    return f"{note}; if that host is gone, this goes on after {minutes}, or without {path}"


def _read_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _keep_touching(paths: list[Path], released: threading.Event) -> None:
    while not released.wait(_TOUCH_SECONDS):
        for path in list(paths):
            try:
                os.utime(path)
            except FileNotFoundError:
                # Somebody removed it; this job is not stopped for that.
                continue
            except OSError as error:
                _log.warning("%s cannot be touched: %s", path, error)
