"""`python fill_event_log.py <state folder> <events>`: writes a job with this many events for a
trainer to serve."""

import json
import sys
import time
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_trainer.jobs import JobStore


def main(state: Path, events: int) -> None:
    store = JobStore(state, queue_length=1, quarantine_after=1)
    store.submit("filled", "0" * 64, job_pb2.JobSpec())
    job = store.take()
    assert job is not None
    started = time.perf_counter()
    # QUEUED, RUNNING and SUCCEEDED are events as well.
    for step in range(1, events - 2):
        values = {"loss": 1 / step, "learning_rate": 1e-3, "grad_norm": 1.0}
        metrics = [
            event_pb2.Metric(trial_id=f"t{0:016x}", name=name, step=step, value=value)
            for name, value in values.items()
        ]
        store.emit(job, event_pb2.Event(metrics=event_pb2.Metrics(metrics=metrics)))
    seconds = time.perf_counter() - started
    store.finish(job, event_pb2.JOB_STATE_SUCCEEDED)
    print(
        json.dumps(
            {
                "job_id": "filled",
                "events": job.log.last_sequence,
                "written_per_s": round(events / seconds),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
