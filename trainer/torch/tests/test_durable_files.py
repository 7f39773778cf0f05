"""What is on disk after a write, and after one that failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparse_adapter_engine.files.artifacts import write_folder
from sparse_adapter_engine.files.durable import write_durably


def run_in_small_files(script: str, folder: Path) -> str:
    """Runs a script where no file may grow beyond 4 KiB: the system writes that much and refuses
    the rest, as a full disk does.
    """
    program = f"""
from pathlib import Path
from sparse_adapter_engine.files.artifacts import write_folder
from sparse_adapter_engine.files.durable import write_durably
folder = Path({str(folder)!r})
try:
    {script}
except OSError as error:
    print(error.strerror)
"""
    command = ["sh", "-c", 'ulimit -f 8; exec "$0" -c "$1"', sys.executable, program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write_durably(tmp_path / "job.json", data)
    assert (tmp_path / "job.json").read_bytes() == b"two"
    assert names(tmp_path) == ["job.json"]


def test_the_file_is_synced_before_it_is_renamed_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(fd: int) -> None:
        calls.append("sync")
        fsync(fd)

    def note_rename(old: Path, new: Path) -> None:
        calls.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    write_durably(tmp_path / "job.json", b"one")
    assert calls == ["sync", "rename", "sync"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_durably(tmp_path / "job.json", b"old")
    printed = run_in_small_files("write_durably(folder / 'job.json', bytes(1_000_000))", tmp_path)
    assert printed == "File too large"
    assert (tmp_path / "job.json").read_bytes() == b"old"
    assert names(tmp_path) == ["job.json"]


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "adapter", {"a": b"old"})
    files = "{'a': b'new', 'b': bytes(1_000_000)}"
    printed = run_in_small_files(f"write_folder(folder / 'adapter', {files})", tmp_path)
    assert printed == "File too large"
    assert (tmp_path / "adapter" / "a").read_bytes() == b"old"
    assert (names(tmp_path), names(tmp_path / "adapter")) == (["adapter"], ["a"])


def test_a_folder_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "job.json" / "inner").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_durably(tmp_path / "job.json", b"new")
    assert names(tmp_path) == ["job.json"]
