"""Digests of files on disk, each made once as long as the file stays as it is."""

import hashlib
import os
import threading
import time
from collections import OrderedDict
from io import BufferedReader
from pathlib import Path

import grpc

from sparse_adapter_trainer.refusals import Refusal

_MOST_REMEMBERED = 10_000
# For so long after a change another one may leave all the times as they are: file systems count in
# steps of up to two seconds.
_COARSEST_CLOCK_NS = 2_000_000_000

# Everything that changes if a file is replaced or written to.
Stamp = tuple[int, int, int, int, int]


class Digests:
    """Remembers digests by the files' stamps. May be used from any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[Stamp, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: BufferedReader) -> tuple[str, int]:
        """Digest and size of an open file, which is left at its beginning.

        Raises Refusal (ABORTED) if it is written to meanwhile.
        """
        before = _stamp(file)
        with self._lock:
            known = self._known.get(before)
        if known is not None:
            return known, before[2]
        is_settled = time.time_ns() - before[4] > _COARSEST_CLOCK_NS
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        if _stamp(file) != before:
            raise changed(file.name)
        if is_settled:
            self._remember(before, digest)
        return digest, before[2]

    def of_path(self, path: Path) -> tuple[str, int] | None:
        """Digest and size of a file; None if there is none."""
        file = open_file(path)
        if file is None:
            return None
        with file:
            return self.of(file)

    def _remember(self, stamp: Stamp, digest: str) -> None:
        with self._lock:
            self._known[stamp] = digest
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)


def open_file(path: Path) -> BufferedReader | None:
    """Opens a file for reading; None if there is none under this name."""
    try:
        return path.open("rb") if path.is_file() else None
    except (FileNotFoundError, NotADirectoryError):
        return None


def changed(name: object) -> Refusal:
    """A file did not stay as it was."""
    message = f"{name} changed while it was read; request it again"
    return Refusal(grpc.StatusCode.ABORTED, message)


def _stamp(file: BufferedReader) -> Stamp:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
