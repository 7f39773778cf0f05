"""Ends a trainer together with the `sa-orch trainer` that started it in a terminal."""

import asyncio
import os

from sparse_adapter_engine.files.process_identity import identify

SECONDS_BETWEEN_LOOKS = 0.5


async def stop_with_wrapper(stop: asyncio.Event) -> None:
    """Sets `stop` once the process that SA_ORCH_WRAPPER names is gone: one that was killed could
    hand on no signal. Does nothing if it is not this process's parent."""
    named = os.environ.get("SA_ORCH_WRAPPER", "")
    if not named.isdecimal():
        return
    wrapper = int(named)
    if os.getppid() != wrapper:
        # It ended before this look; or something else stands between, whose end says nothing.
        if identify(wrapper) is None:
            stop.set()
        return
    while os.getppid() == wrapper:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    stop.set()
