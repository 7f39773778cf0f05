"""Writing on a disk that may be full: such a write is tried again until there is room."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sparse_adapter_engine.reporting import Reporter

T = TypeVar("T")


def is_full(error: BaseException) -> bool:
    """Whether a write failed because the disk is full or its user's quota is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe_full(error: OSError, path: Path) -> str:
    """For a person: which disk is full, and what is left of it. path: a file or folder on it, which
    need not exist."""
    return describe_room(path, "the quota is used up on" if error.errno == errno.EDQUOT else None)


def describe_room(path: Path, what: str | None = None) -> str:
    """For a person: what is left of the disk of `path`."""
    return f"{what or 'no room on'} the disk of {path}: {free_bytes(path) / 1e6:,.0f} MB free"


def free_bytes(path: Path) -> int:
    """What may still be written to the disk of a path, which need not exist."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def write_when_there_is_room(reporter: Reporter, path: Path, write: Callable[[], T]) -> T:
    """Calls `write`, which changes nothing if it fails, until the disk of `path` has room for it.

    Raises Cancelled or Interrupted if a stop is requested while it waits.
    """
    has_waited = False
    while True:
        try:
            result = write()
        except OSError as error:
            if not is_full(error):
                raise
            reporter.wait_for_room(error, path)
            has_waited = True
            continue
        if has_waited:
            reporter.working()
        return result
