"""How often a job reports progress, and where it learns that it should stop."""

import time

from sparse_adapter.trainer.v1 import trainer_pb2

from .errors import Cancelled, Interrupted
from .reporting import Reporter

SECONDS_BETWEEN_PROGRESS = 0.5


class Pace:
    """Limits the rate of one phase's progress events, and passes requests to stop to the working
    loop."""

    def __init__(self, reporter: Reporter, phase: int, total: int, resumed: int = 0) -> None:
        """resumed: units of the phase that are done, but not by this run."""
        self._reporter, self._phase, self._total = reporter, phase, total
        self._done = self._resumed = resumed
        self._rows = 0
        self._last = time.monotonic()

    def resume(self, units: int) -> None:
        """Notes units of the phase that an earlier run has done. Raises as `advance` does."""
        self._resumed += units
        self.advance(0, units)

    def advance(self, rows: int, done: int, trial_steps: dict[str, int] | None = None) -> None:
        """Notes the end of a pass over `rows` rows, which finished `done` units of the phase.
        Raises Cancelled if an abort was requested."""
        self._rows += rows
        self._done += done
        self._reporter.working()
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_PROGRESS or self._done == self._total:
            rate = self._rows / max(now - self._last, 1e-9)
            self._reporter.progress(
                self._phase, self._done, self._total, rate, trial_steps or {}, self._resumed
            )
            self._rows, self._last = 0, now
        if self._reporter.stop_requested() == trainer_pb2.CANCEL_MODE_ABORT:
            raise Cancelled

    def checkpoint_asked(self) -> bool:
        return self._reporter.stop_requested() == trainer_pb2.CANCEL_MODE_CHECKPOINT

    def stop_between_passes(self) -> None:
        """For work without checkpoints of its own: raises Interrupted if a stop was requested.
        Finished trials are on disk."""
        if self.checkpoint_asked():
            raise Interrupted
