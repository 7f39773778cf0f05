"""What the C library does with the memory of freed tensors."""

import ctypes
import os
import sys

# Parameters of glibc's mallopt (malloc.h), and what they are set to here: bytes, and a number of
# arenas. A step allocates and frees hundreds of megabytes. By default, their pages go back to the
# system and have to be filled with zeros again: 4,000 to 10,000 page faults a step of MRPC, half as
# many without. Training runs in a thread, whose arena would be made of 64 MiB pieces that do the
# same. Measured on two cores: a step takes 2 to 4 % less. Tensors larger than _MMAP_THRESHOLD still
# go back as soon as they are freed.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_SETTINGS = (
    (_MMAP_THRESHOLD, 32 << 20),
    (_TRIM_THRESHOLD, (2 << 30) - 1),
    (_TOP_PAD, 64 << 20),
    (_ARENA_MAX, 1),
)
_USERS_OWN = ("MALLOC_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Lets the process keep the memory of freed tensors for the next ones, until
    give_back_freed_memory. For glibc; to be called before there are threads. A user's own settings
    win."""
    mallopt = _c_library("mallopt")
    if mallopt is None or any(name.startswith(_USERS_OWN) for name in os.environ):
        return
    for parameter, value in _SETTINGS:
        mallopt(parameter, value)


def give_back_freed_memory() -> None:
    """Asks the C library to return the memory of freed tensors.

    Passes of varying sizes fragment its heap: after a night a trainer would hold several times what
    a job needs. Only glibc keeps so much, and only glibc has this call.
    """
    trim = _c_library("malloc_trim")
    if trim is not None:
        trim(0)


def _c_library(function: str) -> "ctypes._NamedFuncPointer | None":
    """A function of the C library, if it has it."""
    if sys.platform != "linux":
        return None
    found: ctypes._NamedFuncPointer | None = getattr(ctypes.CDLL(None), function, None)
    return found
