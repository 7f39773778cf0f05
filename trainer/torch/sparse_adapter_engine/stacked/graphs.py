"""Captures work on a GPU once and then replays it: thousands of launches become one."""

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

import torch

_log = logging.getLogger(__name__)
# Batches rarely have more shapes than this, and each graph takes memory and a second.
_MOST = 32


@cache
def _pool() -> Any:
    """The memory that all graphs of this process share, since they never run at the same time."""
    return torch.cuda.graph_pool_handle()


class Graphs:
    """on: whether anything is captured at all. Work under a key must run the same kernels on the
    same tensors each time."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._seen: Counter[Hashable] = Counter()
        self._made: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._pool = _pool() if on else None

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Runs the work, or replays it. A key's first run is never captured: libraries initialize
        in it, and some shapes occur only once."""
        if key in self._made:
            self._made[key].replay()
            return
        self._seen[key] += 1
        if not self._on or self._seen[key] == 1 or len(self._made) == _MOST:
            work()
            return
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local, because another thread prepares the next step meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                work()
        except RuntimeError as error:
            # This happens too if the graph's memory does not fit next to that of earlier steps.
            _log.warning("no graph of %s, and none from here on: %s", key, error)
            self._on = False
            del graph
            work()
            return
        self._made[key] = graph
        graph.replay()
