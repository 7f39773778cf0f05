"""What the engine tells while it works, and how often."""

import time
from collections.abc import Sequence
from typing import Protocol

from sparse_adapter.trainer.v1 import event_pb2, trainer_pb2

from .errors import Cancelled, Interrupted

SECONDS_BETWEEN_PROGRESS = 0.5


class Reporter(Protocol):
    """Where a job's events go. Called from the engine's one thread."""

    def progress(self, phase: int, done: int, total: int, rows_per_second: float, trial_steps: dict[str, int]) -> None:
        """Work went on. Called at most twice a second, and after a pass that took longer."""

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        """Numbers of trials at a step."""

    def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
        """A checkpoint is complete on disk."""

    def trial_result(
        self, trial_id: str, artifacts: list[event_pb2.Artifact], values: dict[str, float], failure: event_pb2.Failure | None = None
    ) -> None:
        """A trial's part of the job has ended. Called once a trial."""

    def warning(self, trial_id: str, code: str, message: str) -> None:
        """Something a reader of the results should know."""

    def stop_requested(self) -> int:
        """A CancelMode; UNSPECIFIED means go on."""

    def working(self) -> None:
        """The working loop moved."""


class Pace:
    """Limits the rate of progress events of one phase, and carries the requests to stop into the working loop."""

    def __init__(self, reporter: Reporter, phase: int, total: int, done: int = 0) -> None:
        self._reporter, self._phase, self._total, self._done = reporter, phase, total, done
        self._rows = 0
        self._last = time.monotonic()

    def advance(self, rows: int, done: int, trial_steps: dict[str, int] | None = None) -> None:
        """A pass over `rows` rows has ended; `done` units of the phase were finished by it. Raises Cancelled where an abort was asked."""
        self._rows += rows
        self._done += done
        self._reporter.working()
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_PROGRESS or self._done == self._total:
            rate = self._rows / max(now - self._last, 1e-9)
            self._reporter.progress(self._phase, self._done, self._total, rate, trial_steps or {})
            self._rows, self._last = 0, now
        if self._reporter.stop_requested() == trainer_pb2.CANCEL_MODE_ABORT:
            raise Cancelled

    def checkpoint_asked(self) -> bool:
        return self._reporter.stop_requested() == trainer_pb2.CANCEL_MODE_CHECKPOINT

    def stop_between_passes(self) -> None:
        """For work without checkpoints of its own: raises Interrupted where a stop was asked. Finished trials are on disk."""
        if self.checkpoint_asked():
            raise Interrupted


def trial_ids(ids: Sequence[str]) -> str:
    """A few ids for a message."""
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
