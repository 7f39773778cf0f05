"""Giving freed memory back to the system."""

import ctypes
import sys


def give_back_freed_memory() -> None:
    """Asks the C library to return the memory of freed tensors.

    Passes of varying sizes fragment its heap: after a night a trainer would hold several times what
    a job needs. Only glibc keeps so much, and only glibc has this call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
