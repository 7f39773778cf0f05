"""Giving freed memory back to the system."""

import ctypes
import sys


def give_back_freed_memory() -> None:
    """Asks the C library to return what it keeps of freed tensors.

    Passes of ever other sizes leave its heap full of holes, so that a trainer that runs for a night
    would come to hold several times what a job needs. Only glibc keeps so much, and only it has the
    call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
