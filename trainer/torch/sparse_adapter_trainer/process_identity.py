"""Which process a pid means, in the format of `common/process-identity.ts`, since both use the same
lock files."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sparse_adapter_engine.files.durable import boot_id


def identify(pid: int) -> dict[str, object] | None:
    """A living process's pid and start time, which together identify it for the life of the
    machine.

    None if no process has this pid, or only a zombie. `started` is equal for the same process only:
    on Linux boot id and start tick, elsewhere the start date that `ps` prints.
    """
    started = _started_on_linux(pid) if sys.platform == "linux" else _started_by_ps(pid)
    return None if started is None else {"pid": pid, "started": started}


def is_alive(identity: Mapping[str, object]) -> bool:
    """Whether this process is alive; another one with its pid does not count."""
    pid = identity.get("pid")
    return isinstance(pid, int) and identify(pid) == identity


def _started_on_linux(pid: int) -> str | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name, in parentheses, may hold spaces: count fields after it. State is the 3rd
    # field, start time the 22nd.
    fields = text[text.rindex(")") + 2 :].split(" ")
    return None if fields[0] in ("Z", "X") else f"{boot_id()[:8]}-{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    found = re.match(r"\s*(\S+)\s+(.+?)\s*$", done.stdout)
    return None if found is None or found[1].startswith("Z") else found[2]
