"""A trainer with an engine of a few lines, for tests of the server alone: `python tiny_trainer.py
<script> <options of the trainer>`.

The script says what each job does: words joined by commas, one step each.
"""

import os
import signal
import sys
import time

from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.errors import Cancelled, Interrupted, JobFailed
from sparse_adapter_engine.reporting import Reporter
from sparse_adapter_trainer.__main__ import main


class ScriptedEngine:
    """Does what the script says."""

    def __init__(self, script: str) -> None:
        self.environment = {"torch": "0.0.0", "device": "cpu", "threads": "1"}
        self.architectures = ["bert"]
        self.device = "cpu"
        self.precisions = [job_pb2.PRECISION_FLOAT32]
        self._steps = script.split(",")

    def run(self, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
        for step in self._steps:
            self._step(step, spec, reporter)
        for trial in spec.trials:
            reporter.trial_result(trial.trial_id, [], {"steps": 1.0}, [])

    def unload(self) -> None:
        pass

    def _step(self, step: str, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
        first = spec.trials[0].trial_id
        word, _, argument = step.partition(":")
        if word == "metrics":
            for number in range(1, int(argument) + 1):
                reporter.metrics(
                    [event_pb2.Metric(trial_id=first, name="loss", step=number, value=1 / number)]
                )
        elif word == "checkpoint":
            reporter.checkpoint(
                first, 1, event_pb2.Artifact(name=f"trials/{first}/checkpoints/step-1")
            )
        elif word == "wait":
            while reporter.stop_requested() == trainer_pb2.CANCEL_MODE_UNSPECIFIED:
                reporter.working()
                time.sleep(0.01)
            raise (
                Interrupted
                if reporter.stop_requested() == trainer_pb2.CANCEL_MODE_CHECKPOINT
                else Cancelled
            )
        elif word == "stuck":
            time.sleep(1000)
        elif word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "fault":
            raise ZeroDivisionError("a fault on purpose")
        elif word == "sticky":
            raise RuntimeError("CUDA error: device-side assert triggered")
        elif word == "memory":
            raise RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            )
        elif word == "fail":
            raise JobFailed(event_pb2.FAILURE_REASON_BAD_ARTIFACT, "a file is missing")
        else:
            assert word == "done", word


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], lambda _: ScriptedEngine(sys.argv[1])))
