"""Turns what ends the trainer into one sentence; its log is shown to users.

The traceback of a fault of this program goes into a file of its own.
"""

import os
import sys
import tempfile
import traceback
from dataclasses import dataclass


@dataclass(frozen=True)
class Explained:
    """A sentence for people, and the exit status."""

    message: str
    exit_status: int


def explain_system_error(error: OSError) -> Explained:
    """Says which file the operating system refused, and why."""
    named = [os.fsdecode(name) for name in (error.filename2, error.filename) if name is not None]
    where = f"{named[0]}: " if named else ""
    return Explained(f"{where}{error.strerror or error}", exit_status=2)


def explain_fault(error: BaseException) -> Explained:
    """Writes the traceback to a file and says where."""
    lines = [sys.version, " ".join(sys.argv), "".join(traceback.format_exception(error))]
    first = f"{type(error).__name__}: {error}".split("\n")[0]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="sa-orch-fault-", suffix=".txt", delete=False
        ) as file:
            file.write("\n".join(lines))
        kept = f"the details, for a report of it, are in {file.name}"
    except OSError as failure:
        kept = f"its details could not be kept: {failure}"
    return Explained(f"this is a fault of sa-orch: {first}; {kept}", exit_status=1)
