"""Names for what is still being written: `.<name>.<writer>.<8 hex digits>`, beside the final place,
as in `common/temporary-names.ts`. The writer in it lets others see whether a leftover may go."""

import hashlib
import os
import re
import shutil
import time
import uuid
from pathlib import Path

from .process_identity import HOST, identify

# What nobody can be asked about any more is left over after a day.
_OLD_SECONDS = 24 * 3600
# What a name of a half-written file or folder looks like, those of earlier versions included.
_LEFTOVER = re.compile(r"\..+\.[0-9a-f-]{8,36}")
_NAME = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-\w*\.[0-9a-f]{8}")
_HOST_MARK = hashlib.sha256(HOST.encode()).hexdigest()[:8]


def name_beside(path: Path) -> Path:
    """A unique name in the same folder that begins with a dot and names this process."""
    return path.with_name(f".{path.name}.{_mark_of(os.getpid())}.{uuid.uuid4().hex[:8]}")


def remove_leftovers(folder: Path) -> None:
    """Removes what writers that are gone left unfinished in a folder.

    What another process is writing, here or on another host, stays, unless it is older than a day.
    So does what others keep there.
    """
    for path in folder.glob(".*"):
        if _LEFTOVER.fullmatch(path.name) is None:
            continue
        if not (_writer_is_gone(path.name) or _is_old(path)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _writer_is_gone(name: str) -> bool:
    found = _NAME.fullmatch(name)
    if found is None or found[1] != _HOST_MARK:
        return False
    return f".{_mark_of(int(found[2]))}." not in name


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _OLD_SECONDS
    except FileNotFoundError:
        return False


def _mark_of(pid: int) -> str:
    """Host, pid and start time of a process; without the latter if there is no such process."""
    started = (identify(pid) or {"started": ""})["started"]
    return f"{_HOST_MARK}-{pid}-{re.sub(r'[^A-Za-z0-9_]', '', str(started))}"
