"""Runs a module, or a line of code, in a Python that the user's surroundings cannot change:

    python -I isolated.py [--python-path FOLDERS] MODULE [ARGUMENT]...
    python -I isolated.py [--python-path FOLDERS] -c CODE [ARGUMENT]...

In isolated mode, Python neither looks into the working directory, where a user's `random.py` or
`queue.py` may be, nor at PYTHONHOME, PYTHONPATH and their like. So it does not find the trainer's
own packages either: they are added here, before all others.

FOLDERS, separated by colons, are the user's own: they come after Python's own modules, which
they therefore cannot hide, and before its installed packages.
"""

import runpy
import signal
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = [str(HERE), str(HERE.parent.parent / "gen" / "python")]


def add_folders(path: list[str], theirs: list[str]) -> list[str]:
    """Where to look for modules: `path`, as Python starts with it, with ours and theirs."""
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    last = max(
        (i for i, folder in enumerate(path) if folder in standard or "lib-dynload" in folder),
        default=-1,
    )
    return [*OURS, *path[: last + 1], *theirs, *path[last + 1 :]]


def main(arguments: list[str]) -> None:
    """Runs what the arguments name."""
    # Ctrl-C while packages are loaded ends the process without a stack trace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    theirs: list[str] = []
    if arguments[0] == "--python-path":
        theirs = arguments[1].split(":")
        arguments = arguments[2:]
    sys.path[:] = add_folders(sys.path, theirs)
    if arguments[0] == "-c":
        sys.argv[:] = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})
    else:
        sys.argv[:] = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
