"""Files that are being uploaded, in `.uploads/` under the artifact root: `.part.<key>` has what has
arrived of a file, `<key>.lock` is there while an upload runs. The key is a digest of the file's
name and digest, so what was interrupted is found again by the next process, too."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_engine.files.durable import move_durably
from sparse_adapter_engine.files.lock_file import (
    clear_lock,
    lock_holder,
    name_holder,
    release,
    try_lock,
)
from sparse_adapter_engine.files.process_identity import is_elsewhere
from sparse_adapter_engine.files.room import describe_room, free_bytes
from sparse_adapter_trainer.refusals import Refusal, full_disk, invalid
from sparse_adapter_trainer.validation.violations import Violation

from .names import find_trial, locate

# What nobody continued for so long is removed.
_KEPT_SECONDS = 24 * 3600.0
# An upload to a trainer on another host that was silent for so long is taken for dead.
_SILENCE_SECONDS = 600.0
_READ_BYTES = 1 << 20
_PART = ".part."
NAME_FIELD = "header.artifact.name"


class Uploads:
    """All uploads to an artifact root. May be used from any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / ".uploads"
        self.remove_old()

    def transferred(self, artifact: event_pb2.Artifact) -> int:
        """How many bytes of a file have arrived."""
        try:
            return min(self._part(artifact).stat().st_size, artifact.size)
        except FileNotFoundError:
            return 0

    def begin(self, artifact: event_pb2.Artifact, offset: int) -> "Upload":
        """Continues a file at an offset.

        Raises Refusal: ABORTED if another upload of the file runs or a job writes its trial,
        OUT_OF_RANGE if less than `offset` has arrived, RESOURCE_EXHAUSTED if the disk has no room
        for the rest.
        """
        path = locate(self._root, NAME_FIELD, artifact.name)
        _require_no_writer(self._root, artifact.name)
        self.remove_old()
        part = self._part(artifact)
        lock = part.with_name(f"{part.name.removeprefix(_PART)}.lock")
        _take(lock, part, artifact.name)
        try:
            here = self.transferred(artifact)
            if offset > here:
                raise Refusal(
                    grpc.StatusCode.OUT_OF_RANGE,
                    f"header.offset: {offset} is past the {here} bytes of {artifact.name} that are "
                    "here; continue there",
                )
            needed, free = artifact.size - here, free_bytes(self._root)
            if needed > free:
                raise full_disk(
                    f"{describe_room(self._root)}, and {artifact.name} needs {needed / 1e6:,.0f} MB"
                )
            return Upload(self._root, artifact, path, part, lock, offset)
        except BaseException:
            release(lock)
            raise

    def remove_old(self) -> None:
        """Removes what was interrupted and not continued for a day."""
        for path in self._folder.glob(f"{_PART}*"):
            try:
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _part(self, artifact: event_pb2.Artifact) -> Path:
        key = hashlib.sha256(f"{artifact.name}\n{artifact.digest}".encode()).hexdigest()
        return self._folder / f"{_PART}{key[:32]}"


class Upload:
    """A file that arrives. It holds the file's lock until it is closed."""

    def __init__(
        self,
        root: Path,
        artifact: event_pb2.Artifact,
        path: Path,
        part: Path,
        lock: Path,
        offset: int,
    ) -> None:
        self._root = root
        self._artifact = artifact
        self._path = path
        self._part = part
        self._lock = lock
        self._hash = hashlib.sha256()
        self._size = offset
        # Unbuffered, so that what has arrived is in the file even if this process is killed.
        self._file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            self._file.truncate(offset)
            while block := self._file.read(_READ_BYTES):
                self._hash.update(block)
        except BaseException:
            self._file.close()
            raise

    def write(self, chunk: bytes) -> None:
        """Adds the next bytes. What the disk has room for is kept if it becomes full.

        Raises Refusal (INVALID_ARGUMENT) if they are more than the file has.
        """
        if self._size + len(chunk) > self._artifact.size:
            raise self._wrong_size("more")
        rest = memoryview(chunk)
        while rest:
            written = self._file.write(rest) or 0
            self._hash.update(rest[:written])
            self._size += written
            rest = rest[written:]

    def finish(self) -> None:
        """Gives the file its name.

        Raises Refusal: INVALID_ARGUMENT if not all of it has arrived, DATA_LOSS if it does not
        have its digest, ABORTED if a job writes its trial.
        """
        if self._size < self._artifact.size:
            raise self._wrong_size(f"only {self._size}")
        found = self._hash.hexdigest()
        if found != self._artifact.digest:
            self._part.unlink()
            raise Refusal(
                grpc.StatusCode.DATA_LOSS,
                f"{self._artifact.name}: what has arrived has digest {found}, not "
                f"{self._artifact.digest}; it has been removed, upload it from 0",
            )
        with _hold_trial(self._root, self._artifact.name):
            # Somebody may have made a link meanwhile.
            locate(self._root, NAME_FIELD, self._artifact.name)
            self._place()

    def _place(self) -> None:
        try:
            move_durably(self._part, self._path)
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            description = f"cannot be a file on the trainer's disk: {error}"
            raise invalid([Violation(field=NAME_FIELD, description=description)]) from None

    def close(self) -> None:
        """Ends the upload. What has arrived of an unfinished file stays."""
        self._file.close()
        release(self._lock)

    def _wrong_size(self, came: str) -> Refusal:
        description = f"{came} than the {self._artifact.size} bytes of header.artifact.size came"
        if came != "more":
            description = f"{came} of the {self._artifact.size} bytes of header.artifact.size came"
        return invalid([Violation(field="chunk", description=description)])


def _take(lock: Path, part: Path, name: str) -> None:
    while (holder := try_lock(lock)) is not None:
        silent = partial(_is_silent, part)
        if is_elsewhere(holder) and silent():
            clear_lock(lock, silent)
            continue
        raise Refusal(
            grpc.StatusCode.ABORTED,
            f"another upload of {name} is running ({name_holder(holder)}); ask what is missing "
            "again later",
        )


def _is_silent(part: Path) -> bool:
    try:
        return time.time() - part.stat().st_mtime > _SILENCE_SECONDS
    except FileNotFoundError:
        return True


def _require_no_writer(root: Path, name: str) -> None:
    trial = find_trial(name)
    if trial is None:
        return
    holder = lock_holder(root / "trials" / trial / "writer.lock")
    if holder is not None:
        raise _trial_is_taken(trial, name_holder(holder))


@contextmanager
def _hold_trial(root: Path, name: str) -> Iterator[None]:
    """Holds the lock of the trial that a file belongs to, if any."""
    trial = find_trial(name)
    if trial is None:
        yield
        return
    lock = root / "trials" / trial / "writer.lock"
    holder = try_lock(lock)
    if holder is not None:
        raise _trial_is_taken(trial, name_holder(holder))
    try:
        yield
    finally:
        release(lock)


def _trial_is_taken(trial: str, holder: str) -> Refusal:
    message = f"a job works on trial {trial} ({holder}); upload to it later"
    return Refusal(grpc.StatusCode.ABORTED, message)
