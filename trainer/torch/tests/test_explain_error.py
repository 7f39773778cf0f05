"""What ends the trainer is one sentence in its log, which users read."""

import os
import re
import subprocess
import sys
from pathlib import Path

TRAINER = [sys.executable, "-m", "sparse_adapter_trainer"]
FAULTY = """
import sys
from sparse_adapter_trainer.__main__ import main

def make_engine(options):
    raise ZeroDivisionError("a fault on purpose")

sys.exit(main(sys.argv[1:], make_engine))
"""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["--listen", f"unix:{folder}/t.sock", "--root", folder / "root", "--state", folder]
    env = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(
        [*command, *map(str, options)], env=env, capture_output=True, text=True, check=False
    )


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file")
    ended = run(TRAINER, tmp_path)
    assert ended.stderr == f"sparse_adapter_trainer: {tmp_path}/root: File exists\n"
    assert ended.returncode == 2


def test_a_fault_is_one_line_and_its_traceback_a_file(tmp_path: Path) -> None:

    ended = run([sys.executable, "-c", FAULTY], tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "this is a fault of sa-orch: ZeroDivisionError: a fault on purpose" in line
    found = re.search(r"\S+sa-orch-fault-\S+", line)
    assert found is not None
    assert "make_engine" in Path(found[0]).read_text()
