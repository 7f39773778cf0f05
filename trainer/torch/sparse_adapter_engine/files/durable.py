"""Small files of the trainer's own state, each whole or absent after any crash."""

import os
from collections.abc import Callable
from pathlib import Path

from .temporary_names import name_beside


def write_durably(path: Path, data: bytes, first: Callable[[], None] | None = None) -> None:
    """Writes a temporary file, syncs it, renames it to `path` and syncs the folder.

    A write that fails, on a full disk for example, leaves the old content and nothing else.

    first: called once the data is on disk, before it gets its name. So where `first` writes
    something else, neither is changed unless both have room.
    """
    temporary = name_beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if first:
            first()
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move_durably(source: Path, path: Path) -> None:
    """Gives a written file its name, once its content is on disk. Missing folders are created."""
    fd = os.open(source, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
