"""Captures work on a GPU once and then replays it: thousands of launches become one."""

import logging
import weakref
from collections import Counter
from collections.abc import Callable, Hashable

import torch

_log = logging.getLogger(__name__)
# Batches rarely have more shapes than this, and each graph takes memory and a second.
_MOST = 32


class _Pool:
    """Memory that graphs share, since they never run at the same time. It is given back with the
    last of its users, for other work to use."""

    _newest: weakref.ref["_Pool"] | None = None

    def __init__(self) -> None:
        self.handle = torch.cuda.graph_pool_handle()
        # PyTorch ends a pool with its last graph, and refuses to capture into an ended one.
        self._anchor = torch.cuda.CUDAGraph()
        number = torch.zeros(1, device="cuda")
        with torch.cuda.graph(self._anchor, pool=self.handle, capture_error_mode="thread_local"):
            number.add_(1)

    @classmethod
    def shared(cls) -> "_Pool":
        """The one that is in use, or a new one."""
        pool = cls._newest() if cls._newest else None
        if pool is None:
            pool = cls()
            cls._newest = weakref.ref(pool)
        return pool


class Graphs:
    """on: whether anything is captured at all. Work under a key must run the same kernels on the
    same tensors each time."""

    def __init__(self, on: bool) -> None:
        self._seen: Counter[Hashable] = Counter()
        self._made: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._pool = _Pool.shared() if on else None

    @property
    def made(self) -> int:
        """How many graphs there are."""
        return len(self._made)

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Runs the work, or replays it. A key's first run is never captured: libraries initialize
        in it, and some shapes occur only once."""
        if key in self._made:
            self._made[key].replay()
            return
        self._seen[key] += 1
        if not self._pool or self._seen[key] == 1 or len(self._made) == _MOST:
            work()
            return
        graph = torch.cuda.CUDAGraph()
        try:
            # Thread-local, because another thread prepares the next step meanwhile.
            with torch.cuda.graph(graph, pool=self._pool.handle, capture_error_mode="thread_local"):
                work()
        except RuntimeError as error:
            # This happens too if the graph's memory does not fit next to that of earlier steps.
            _log.warning("no graph of %s, and none from here on: %s", key, error)
            self._pool = None
            del graph
            _renew_generator()
            work()
            return
        self._made[key] = graph
        graph.replay()


def _renew_generator() -> None:
    """A capture that fails can leave the device's random generator waiting for the capture's end:
    it would refuse every draw from then on."""
    default = torch.cuda.default_generators[torch.cuda.current_device()]
    seed = default.initial_seed()
    default.graphsafe_set_state(torch.Generator(default.device).graphsafe_get_state())
    default.manual_seed(seed)
