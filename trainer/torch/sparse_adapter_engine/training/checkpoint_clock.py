"""When checkpoints are due by time."""

import time
from collections.abc import Callable

# The first checkpoint of a run; each later one comes when the run has lasted twice as long, up to
# the interval that was asked for. So a run that ends early has got somewhere.
FIRST_SECONDS = 10.0
# The next checkpoint waits for this many times the seconds that writing the last one took: writing
# takes less than 5 % of the time.
TIMES_THE_COST = 20.0


class CheckpointClock:
    """When a run's next checkpoints are due by time. interval: seconds between them; 0 for never.
    now: a clock, in seconds."""

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval, self._now = interval, now
        self._began = self._last = now()
        self._cost = 0.0

    def is_due(self) -> bool:
        """Whether checkpoints should be written now."""
        if self._interval == 0:
            return False
        wait = min(self._interval, max(FIRST_SECONDS, self._last - self._began))
        return self._now() - self._last >= max(wait, TIMES_THE_COST * self._cost)

    def wrote(self, seconds: float) -> None:
        """Notes that checkpoints have just been written, which took this many seconds."""
        self._last, self._cost = self._now(), seconds
