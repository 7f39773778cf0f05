"""What the engine reports while it works."""

from pathlib import Path
from typing import Protocol

from sparse_adapter.trainer.v1 import event_pb2


class Reporter(Protocol):
    """Where a job's events go. Called from the engine's one thread."""

    def progress(
        self, phase: int, done: int, total: int, rows_per_second: float, trial_steps: dict[str, int]
    ) -> None:
        """Work has progressed. Called at most twice a second, and after a pass that took longer."""

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        """Some trials' numbers at a step."""

    def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
        """A checkpoint is complete on disk."""

    def trial_result(
        self,
        trial_id: str,
        artifacts: list[event_pb2.Artifact],
        values: dict[str, float],
        failure: event_pb2.Failure | None = None,
    ) -> None:
        """A trial's part of the job has ended. Called once per trial."""

    def warning(self, trial_id: str, code: str, message: str) -> None:
        """Something a reader of the results should know."""

    def stop_requested(self) -> int:
        """A CancelMode; UNSPECIFIED means go on."""

    def working(self) -> None:
        """The working loop moved."""

    def wait_for_room(self, error: OSError, path: Path) -> None:
        """A write found the disk of `path` full. Returns after a pause, for the next try.

        Raises Cancelled if an abort was requested, Interrupted if a checkpoint was, which has no
        room either: the work goes on from the last one.
        """
