"""Small files of the trainer's own state that are whole or not there, whatever dies."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Writes a temporary file, syncs it and renames it to `path`, which has one writer at a
    time."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def boot_id() -> str:
    """Names this boot of the machine; empty where the system does not tell (only Linux does)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""
