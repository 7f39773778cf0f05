"""What the engine reports while it works."""

from pathlib import Path
from typing import Protocol

from sparse_adapter.trainer.v1 import event_pb2


class Reporter(Protocol):
    """Where a job's events go. Called from the engine's one thread."""

    def progress(
        self,
        phase: int,
        done: int,
        total: int,
        rows_per_second: float,
        trial_steps: dict[str, int],
        resumed: int = 0,
    ) -> None:
        """Work has progressed. Called at most twice a second, and after a pass that took longer.
        resumed: as in Progress."""

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        """Some trials' numbers at a step."""

    def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
        """A checkpoint is complete on disk."""

    def environment(self, environment: event_pb2.Environment) -> None:
        """What computes the job. Called once, before any work."""

    def trial_result(
        self,
        trial_id: str,
        artifacts: list[event_pb2.Artifact],
        values: dict[str, float],
        environments: list[event_pb2.Environment],
    ) -> None:
        """A trial's part of the job is done; `environments` made the artifacts. Called once per
        trial, or trial_failed is."""

    def trial_failed(self, trial_id: str, failure: event_pb2.Failure) -> None:
        """A trial's part of the job has failed."""

    def warning(self, trial_id: str, code: str, message: str) -> None:
        """Something a reader of the results should know."""

    def waiting(self, note: str) -> None:
        """Another trainer's job works on a trial; the note says which, for a person."""

    def stop_requested(self) -> int:
        """A CancelMode; UNSPECIFIED means go on."""

    def working(self) -> None:
        """The working loop moved."""

    def wait_for_room(self, error: OSError, path: Path) -> None:
        """A write found the disk of `path` full. Returns after a pause, for the next try.

        Raises Cancelled if an abort was requested, Interrupted if a checkpoint was, which has no
        room either: the work goes on from the last one.
        """
