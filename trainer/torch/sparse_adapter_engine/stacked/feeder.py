"""A thread that prepares the next steps while the device works."""

import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

_T = TypeVar("_T")
_AHEAD = 2
_SECONDS = 0.1


class Feeder(Generic[_T]):
    """Gives make(0), make(1), …, each made before it is asked for.

    If make raises, so does `take`.
    """

    def __init__(self, make: Callable[[int], _T]) -> None:
        self._make = make
        self._made: Queue[_T | BaseException] = Queue(_AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

    def take(self) -> _T:
        """The next one."""
        found = self._made.get()
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Ends the thread and drops what it has made."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._made.get(timeout=_SECONDS)
            except Empty:
                continue
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._closed.is_set():
            try:
                made: _T | BaseException = self._make(number)
            except BaseException as error:
                made = error
            number += 1
            while not self._closed.is_set():
                try:
                    self._made.put(made, timeout=_SECONDS)
                    break
                except Full:
                    continue
