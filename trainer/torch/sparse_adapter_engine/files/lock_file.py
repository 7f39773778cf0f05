"""A lock between processes that ends with its holder, in the files of `common/lock-file.ts`: the
file identifies the holder and its host, and the lock of a holder that is known to be dead is void.
Whether a process of another host lives cannot be known here, so its lock counts until somebody
removes the file."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from .process_identity import identify, is_elsewhere, may_be_alive
from .temporary_names import name_beside

# Clearing a dead holder's lock takes well under a millisecond, so a guard this old was left by a
# process that died meanwhile.
_GUARD_TIMEOUT_SECONDS = 10

Holder = dict[str, object]


def try_lock(path: Path) -> Holder | None:
    """Takes the lock for this process, or returns its holder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while not _create(path):
        holder = lock_holder(path)
        if holder is not None:
            return holder
        clear_lock(path, lambda: lock_holder(path) is None)
    return None


def lock_holder(path: Path) -> Holder | None:
    """The process that holds the lock: one that lives, or one of another host, which may live.

    A file that identifies no process does not count: its writer was killed.
    """
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and may_be_alive(found) else None


def release(path: Path) -> None:
    """Removes this process's lock, unless it has become another process's."""
    if lock_holder(path) == identify(os.getpid()):
        path.unlink(missing_ok=True)


def name_holder(holder: Holder) -> str:
    """A holder, for people, with its host if that is another one."""
    where = f" on host {holder['host']}" if is_elsewhere(holder) else ""
    return f"process {holder.get('pid')}{where}"


def describe_holder(path: Path, holder: Holder) -> str:
    """Who holds the lock, and since when, for people."""
    try:
        taken = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return name_holder(holder)
    return f"{name_holder(holder)}, since {taken:%Y-%m-%dT%H:%M:%S}Z"


def way_out(path: Path, holder: Holder) -> str:
    """What to do about a holder of another host."""
    return f"stop it there, or remove {path} if host {holder['host']} is gone"


def _create(path: Path) -> bool:
    """Creates a complete file, or returns False if there is one."""
    temporary = name_beside(path)
    try:
        with temporary.open("x") as file:
            json.dump(identify(os.getpid()), file)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def clear_lock(path: Path, is_void: Callable[[], bool]) -> None:
    """Removes a lock that is void, under a guard: of two processes that find it, the slower one
    must not remove the faster one's new lock. is_void: asked once more under the guard."""
    guard = path.with_name(f"{path.name}.clearing")
    try:
        guard.mkdir()
    except FileExistsError:
        try:
            if time.time() - guard.stat().st_mtime > _GUARD_TIMEOUT_SECONDS:
                guard.rmdir()
        except FileNotFoundError:
            pass
        return
    try:
        if is_void():
            path.unlink(missing_ok=True)
    finally:
        guard.rmdir()
