"""Ends a trainer whose working loop is stuck: nothing inside the process can free a thread that is
inside the framework's own code, or waits for a device."""

import faulthandler
import logging
import os
import sys
import threading
import time

from .job import Job
from .jobs import JobStore
from .worker import Worker

# The trainer's exit status if the running job's loop is stuck.
STUCK_STATUS = 3
_LOOKS = 20
_END_SECONDS = 10
_log = logging.getLogger(__name__)


def watch_for_stall(worker: Worker, store: JobStore, limit_seconds: float) -> None:
    """Starts watching the running job's loop, in a thread of its own.

    Once the loop has not moved for `limit_seconds`, its run is ended, the log gets the stack of
    every thread, and the process exits with STUCK_STATUS, so that whoever supervises it starts it
    again.
    """
    thread = threading.Thread(
        target=_watch, args=(worker, store, limit_seconds), name="watchdog", daemon=True
    )
    thread.start()


def _watch(worker: Worker, store: JobStore, limit_seconds: float) -> None:
    job = _wait_for_stall(worker, store, limit_seconds)
    message = "job %s has not moved for %.0f s; the trainer exits with status %d. Its threads:"
    _log.critical(message, job.record.job_id, limit_seconds, STUCK_STATUS)
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    # The stuck thread may hold the store's lock; then the run counts as one that never ended.
    ending = threading.Thread(target=store.end_stalled_run, args=(job, limit_seconds), daemon=True)
    ending.start()
    ending.join(_END_SECONDS)
    logging.shutdown()
    os._exit(STUCK_STATUS)


def _wait_for_stall(worker: Worker, store: JobStore, limit_seconds: float) -> Job:
    """Waits until a job has not moved for so long, and returns it.

    Looks are counted, not seconds: a process that was stopped, or a laptop that slept, is not
    stuck.
    """
    still = 0
    looked = time.monotonic()
    while True:
        time.sleep(limit_seconds / _LOOKS)
        job = store.running()
        since_look = time.monotonic() - looked
        looked += since_look
        # A job that waits for room on a full disk is not stuck.
        is_still = worker.seconds_since_work() > since_look and not store.waiting_for
        still = still + 1 if job is not None and is_still else 0
        if job is not None and still >= _LOOKS:
            return job
