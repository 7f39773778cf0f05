"""A job's events on disk: append-only and numbered from 1 without gaps, across restarts.

The file is a sequence of records: `length` and `crc32` (uint32, little-endian), then that many
bytes of a serialized Event without its log_id, which belongs to the log and not to the event. An
event is in the file before anyone sees it, so killing the process loses nothing that was seen. A
power cut may lose what was not synced: the tail is then cut at the first broken record.
"""

import logging
import os
import struct
import threading
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2

_HEADER = struct.Struct("<II")
_log = logging.getLogger(__name__)


class EventLog:
    """One job's log. Any thread may append, one at a time; any thread may read at any time."""

    def __init__(self, path: Path, log_id: str) -> None:
        """Opens the log at `path`, or starts one. A torn tail is cut."""
        self.log_id = log_id
        self._path = path
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()
        self._writer: int | None = None
        # _ends[i] is where event i ends in the file, and event i + 1 begins.
        self._ends = array("Q", [0])
        if path.exists():
            self._index()

    @property
    def last_sequence(self) -> int:
        """The number of the newest event; 0 before the first."""
        return len(self._ends) - 1

    def append(self, event: event_pb2.Event, sync: bool) -> event_pb2.Event:
        """Numbers the event, stamps it and writes it; with `sync` it is on disk when this
        returns."""
        with self._lock:
            event.sequence = len(self._ends)
            event.log_id = ""
            event.time.GetCurrentTime()
            data = event.SerializeToString()
            record = _HEADER.pack(len(data), zlib.crc32(data)) + data
            self._write_whole(self._open_writer(), record, sync)
            self._ends.append(self._ends[-1] + len(record))
            listeners = list(self._listeners)
        for changed in listeners:
            changed()
        return event

    def read(self, after_sequence: int, limit: int) -> list[event_pb2.Event]:
        """The events after `after_sequence`, at most `limit`.

        Reads that part of the file at once.
        """
        last = min(after_sequence + limit, self.last_sequence)
        if last <= after_sequence:
            return []
        start, end = self._ends[after_sequence], self._ends[last]
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
        events = []
        for sequence in range(after_sequence, last):
            event = event_pb2.Event()
            event.MergeFromString(
                data[self._ends[sequence] - start + _HEADER.size : self._ends[sequence + 1] - start]
            )
            event.log_id = self.log_id
            events.append(event)
        return events

    def last_state(self) -> event_pb2.StateChanged | None:
        """The newest state change, or None."""
        chunk = 1000
        for end in range(self.last_sequence, 0, -chunk):
            start = max(end - chunk, 0)
            for event in reversed(self.read(start, end - start)):
                if event.WhichOneof("kind") == "state_changed":
                    return event.state_changed
        return None

    def listen(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Calls `changed` after each append, in the appending thread.

        Returns a function that ends this.
        """
        with self._lock:
            self._listeners.add(changed)

        def stop() -> None:
            with self._lock:
                self._listeners.discard(changed)

        return stop

    def close(self) -> None:
        """Closes the file. A later append opens it again."""
        with self._lock:
            if self._writer is not None:
                os.close(self._writer)
                self._writer = None

    def _open_writer(self) -> int:
        if self._writer is None:
            self._writer = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        return self._writer

    def _write_whole(self, fd: int, record: bytes, sync: bool) -> None:
        """Writes the record or nothing: a partial one, left by a full disk, would hide every later
        event, and one that could not be synced would be there twice after the next try."""
        try:
            written = 0
            while written < len(record):
                # A full disk takes a part, and then says that it is full.
                written += os.write(fd, record[written:])
            if sync:
                os.fsync(fd)
        except OSError:
            os.ftruncate(fd, self._ends[-1])
            raise

    def _index(self) -> None:
        data = self._path.read_bytes()
        position = 0
        while position + _HEADER.size <= len(data):
            length, checksum = _HEADER.unpack_from(data, position)
            end = position + _HEADER.size + length
            # A power cut may leave a hole, which reads as zeros and would pass for an empty record.
            if (
                length == 0
                or end > len(data)
                or zlib.crc32(data[position + _HEADER.size : end]) != checksum
            ):
                break
            self._ends.append(end)
            position = end
        if position < len(data):
            _log.warning(
                "%s: cut %d bytes of an unfinished event after event %d",
                self._path,
                len(data) - position,
                self.last_sequence,
            )
            os.truncate(self._path, position)
