"""The PyTorch trainer with the brake of brake.ts: each pass takes at least the milliseconds in the
file that SA_ORCH_TEST_BRAKE names.

usage: braked_trainer.py <the trainer's options>
"""

import os
import runpy
import time
from pathlib import Path

from sparse_adapter_trainer.worker import JobReporter

BRAKE = Path(os.environ["SA_ORCH_TEST_BRAKE"])
working = JobReporter.working


def brake(reporter: JobReporter) -> None:
    if BRAKE.exists():
        BRAKE.with_suffix(".felt").touch()
        time.sleep(int(BRAKE.read_text() or 0) / 1000)
    working(reporter)


JobReporter.working = brake
runpy.run_module("sparse_adapter_trainer", run_name="__main__", alter_sys=True)
