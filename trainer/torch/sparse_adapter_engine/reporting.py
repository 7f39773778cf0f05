"""What the engine reports while it works."""

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

    def waiting(self, note: str) -> None:
        """Another trainer's job works on a trial; the note says which, for a person."""

    def stop_requested(self) -> int:
        """A CancelMode; UNSPECIFIED means go on."""

    def working(self) -> None:
        """The working loop moved."""
