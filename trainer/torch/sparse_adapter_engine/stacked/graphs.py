"""Work on a GPU that is captured once and then replayed: thousands of launches become one."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import torch

_log = logging.getLogger(__name__)
# More shapes of a batch than this are rare, and each graph takes memory and a second.
_MOST = 32


@cache
def _pool() -> Any:
    """The memory of all graphs of this process: they never run at the same time."""
    return torch.cuda.graph_pool_handle()


class Graphs:
    """on: whether anything is captured at all. Work that is run under a key must do the same
    kernels on the same tensors each time."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._seen: Counter[Hashable] = Counter()
        self._made: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._pool = _pool() if on else None

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Runs the work, or replays it. The first time of a key is never captured: libraries set
        themselves up in it, and some shapes occur once."""
        if key in self._made:
            self._made[key].replay()
            return
        self._seen[key] += 1
        if not self._on or self._seen[key] == 1 or len(self._made) == _MOST:
            work()
            return
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local: another thread prepares the next step meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                work()
        except RuntimeError as error:
            # Also where there is no room for its memory beside that of the steps before it, which
            # fitted.
            _log.warning("no graph of %s, and none from here on: %s", key, error)
            self._on = False
            del graph
            work()
            return
        self._made[key] = graph
        graph.replay()
