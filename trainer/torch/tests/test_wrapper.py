"""A trainer ends with the process that started it in a terminal, even if that was killed early."""

import asyncio
import os
import subprocess
import sys

import pytest

from sparse_adapter_trainer.wrapper import stop_with_wrapper


async def is_stopped_at_once() -> bool:
    stop = asyncio.Event()
    looking = asyncio.ensure_future(stop_with_wrapper(stop))
    await asyncio.sleep(0)
    looking.cancel()
    return stop.is_set()


def test_a_wrapper_that_was_killed_before_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    monkeypatch.setenv("SA_ORCH_WRAPPER", str(child.pid))
    assert asyncio.run(is_stopped_at_once())


@pytest.mark.parametrize("named", ["", str(os.getppid()), str(os.getpid())])
def test_a_wrapper_that_lives_or_none(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SA_ORCH_WRAPPER", named)
    assert not asyncio.run(is_stopped_at_once())
