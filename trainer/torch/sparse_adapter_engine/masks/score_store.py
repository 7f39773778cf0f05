"""Scores that later jobs may use again.

A sweep's parts, and sweeps that follow one another, often prune trials that differ in what comes
after the scores: sparsity, control, learning rate.
"""

from collections import OrderedDict
from collections.abc import Hashable

from .scores import Scores

# Scores of 25 roberta-base adapters (Houlsby 64: 9 MB), or of a hundred of MiniLM: the seeds and
# pruners of a sweep, and little beside the gigabytes that training a cohort takes.
ROOM = 256 * 2**20


class ScoreStore:
    """Scores in memory, up to `room` bytes together; those that were used least recently go first.
    Nobody may change them."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._used = 0
        # Least recently used first.
        self._kept: OrderedDict[Hashable, Scores] = OrderedDict()

    def find(self, key: Hashable) -> Scores | None:
        """What was put under an equal key, unless it had to go."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: Hashable, scores: Scores) -> None:
        """Keeps scores under a key, which says everything that determines them. Scores larger than
        the whole room are not kept."""
        if _size(scores) > self._room:
            return
        if key in self._kept:
            self._used -= _size(self._kept.pop(key))
        self._kept[key] = scores
        self._used += _size(scores)
        while self._used > self._room:
            _, oldest = self._kept.popitem(last=False)
            self._used -= _size(oldest)

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self._used = 0


def _size(scores: Scores) -> int:
    """Bytes."""
    return sum(score.nbytes for score in scores.values())
