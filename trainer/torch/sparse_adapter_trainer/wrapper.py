"""Ends a trainer together with the `sa-orch trainer` that started it in a terminal."""

import asyncio
import os

SECONDS_BETWEEN_LOOKS = 0.5


async def stop_with_wrapper(stop: asyncio.Event) -> None:
    """Sets `stop` once the process that SA_ORCH_WRAPPER names is gone: one that was killed could
    hand on no signal. Does nothing if it is not this process's parent."""
    wrapper = os.getppid()
    if os.environ.get("SA_ORCH_WRAPPER") != str(wrapper):
        return
    while os.getppid() == wrapper:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    stop.set()
