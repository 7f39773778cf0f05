"""What a trainer counts of its work, as others see it."""

import threading
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_trainer.jobs import JobStore

SUCCEEDED = event_pb2.JOB_STATE_SUCCEEDED


def test_whoever_sees_that_a_run_has_ended_sees_it_counted(tmp_path: Path) -> None:
    store = JobStore(tmp_path, queue_length=1, quarantine_after=1)
    store.submit("job", "0" * 64, job_pb2.JobSpec())
    job = store.take()
    assert job is not None
    seen: list[int] = []

    def look() -> None:
        # As the metrics do, which name the running jobs first.
        running = len(store.newest_first([event_pb2.JOB_STATE_RUNNING]))
        seen.append(store.counts.ended[SUCCEEDED] - running)

    observer = threading.Thread(target=look)
    # It looks as soon as the event can be read, before the run's end is complete.
    job.log.listen(observer.start)
    store.finish(job, SUCCEEDED)
    observer.join(10)
    assert seen == [1]
