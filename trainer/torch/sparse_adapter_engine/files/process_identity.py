"""Which process a pid means, in the format of `common/process-identity.ts`, since both use the same
lock files."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def _host() -> str:
    name = socket.gethostname()
    return name if sys.platform == "linux" else name.split(".")[0]


# This host: SA_ORCH_HOST_ID, else its name; common/process-identity.ts says why.
HOST = os.environ.get("SA_ORCH_HOST_ID") or _host()


def identify(pid: int) -> dict[str, object] | None:
    """A living process's pid, start time and host, which together identify it.

    None if no process has this pid, or only a zombie. `started` is equal for the same process only:
    on Linux boot id and start tick, elsewhere the start date that `ps` prints.
    """
    started = _started_on_linux(pid) if sys.platform == "linux" else _started_by_ps(pid)
    return None if started is None else {"pid": pid, "started": started, "host": HOST}


def is_elsewhere(identity: Mapping[str, object]) -> bool:
    """Whether the process is one of another host, of which nothing can be known here."""
    host = identity.get("host")
    return isinstance(host, str) and host != HOST


def may_be_alive(identity: Mapping[str, object]) -> bool:
    """Whether the process lives here, or is one of another host."""
    if is_elsewhere(identity):
        return True
    pid = identity.get("pid")
    found = identify(pid) if isinstance(pid, int) else None
    return found is not None and found["started"] == identity.get("started")


def boot_id() -> str:
    """Identifies this boot of the machine; empty except on Linux."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


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
