"""Runs jobs with the torch trainer's engine, without a server: for each `{root, spec}` line of JSON
the metrics and failures by trial.
"""

import json
import sys
from pathlib import Path

from google.protobuf.json_format import ParseDict
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.engine import Engine


class Recorder:
    def __init__(self) -> None:
        self.metrics_told: list[dict[str, object]] = []
        self.failures: dict[str, str] = {}

    def progress(self, *args: object) -> None: ...

    def checkpoint(self, *args: object) -> None: ...

    def warning(self, *args: object) -> None: ...

    def working(self) -> None: ...

    def environment(self, *args: object) -> None: ...

    def waiting(self, *args: object) -> None: ...

    def wait_for_room(self, error: OSError, path: Path) -> None:
        raise error

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        self.metrics_told += [
            {"trial": m.trial_id, "name": m.name, "step": m.step, "value": m.value} for m in metrics
        ]

    def trial_result(self, *args: object) -> None: ...

    def trial_failed(self, trial_id: str, failure: event_pb2.Failure) -> None:
        self.failures[trial_id] = failure.message

    def stop_requested(self) -> int:
        return trainer_pb2.CANCEL_MODE_UNSPECIFIED


for line in sys.stdin:
    request = json.loads(line)
    recorder = Recorder()
    Engine(Path(request["root"]), threads=2).run(
        ParseDict(request["spec"], job_pb2.JobSpec()), recorder
    )
    print(json.dumps({"metrics": recorder.metrics_told, "failures": recorder.failures}))
