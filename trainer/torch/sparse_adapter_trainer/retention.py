"""Which ended jobs a trainer forgets: the old ones, and the oldest beyond a size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

# Whoever watched a job that has just ended may still come back for its log.
KEPT_SECONDS = 3600.0
BYTES_PER_MB = 1_000_000


class Ended(Protocol):
    """What counts of a job that has ended."""

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch."""

    @property
    def size(self) -> int:
        """Bytes on disk."""


AnyEnded = TypeVar("AnyEnded", bound=Ended)


@dataclass(frozen=True)
class Retention:
    """How long ended jobs are kept.

    days: since their end; megabytes: of all of them together, but never one that ended within the
    last hour.
    """

    days: float = 14.0
    megabytes: float = 1000.0

    def choose(self, ended: Sequence[AnyEnded], now: float) -> list[AnyEnded]:
        """The jobs to forget, the oldest first. now: seconds since the epoch."""
        oldest_first = sorted(ended, key=lambda job: job.ended_at)
        excess = sum(job.size for job in oldest_first) - self.megabytes * BYTES_PER_MB
        chosen = []
        for job in oldest_first:
            age = now - job.ended_at
            if age > self.days * 86400 or (excess > 0 and age > KEPT_SECONDS):
                chosen.append(job)
                excess -= job.size
        return chosen
