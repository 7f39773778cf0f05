"""A trainer without jobs frees its backbone, and works again afterwards."""

import threading
from pathlib import Path

import pytest
from server_support import IdleEngine

from sparse_adapter_trainer.jobs import JobStore, NothingToDo
from sparse_adapter_trainer.worker import Worker


class CountingEngine(IdleEngine):
    def __init__(self) -> None:
        super().__init__()
        self.unloads = 0
        self.unloaded = threading.Event()

    def unload(self) -> None:
        self.unloads += 1
        self.unloaded.set()


def test_no_job_in_time_is_said(tmp_path: Path) -> None:
    store = JobStore(tmp_path, queue_length=1, quarantine_after=3)
    with pytest.raises(NothingToDo):
        store.take(0.01)
    store.stop()
    assert store.take(0.01) is None


@pytest.mark.parametrize(("patience", "unloads"), [(0.02, 1), (None, 0)])
def test_an_idle_engine_is_unloaded_once(
    tmp_path: Path, patience: float | None, unloads: int
) -> None:
    engine = CountingEngine()
    worker = Worker(lambda: engine, patience)
    store = JobStore(tmp_path, queue_length=1, quarantine_after=3)
    worker.start(store)
    # That nothing happens can only be waited for, and not for long.
    assert engine.unloaded.wait(10 if unloads else 0.1) == (unloads > 0)
    store.stop()
    assert worker.join(5)
    assert engine.unloads == unloads
