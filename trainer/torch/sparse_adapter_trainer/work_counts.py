"""What the runs of jobs have done since the process began."""

from collections import Counter

from sparse_adapter.trainer.v1 import event_pb2


class WorkCounts:
    """Written by the engine's thread, read by others."""

    def __init__(self) -> None:
        # Training steps, all trials together.
        self.steps = 0
        # Of the running job; 0 without one.
        self.rows_per_second = 0.0
        # Runs of jobs that have ended, by state.
        self.ended: Counter[int] = Counter()
        self._of_run = 0

    def progress(self, progress: event_pb2.Progress) -> None:
        """Notes the progress of the present run."""
        self.rows_per_second = progress.rows_per_second
        if progress.phase == event_pb2.PHASE_TRAIN:
            steps = progress.done - progress.resumed
            self.steps += steps - self._of_run
            self._of_run = steps

    def end(self, state: int) -> None:
        """Notes how a run has ended."""
        self.rows_per_second = 0.0
        self._of_run = 0
        self.ended[state] += 1
