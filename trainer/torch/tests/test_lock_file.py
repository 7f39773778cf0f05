"""Locks and temporary names between processes and hosts, as in common/lock-file.ts."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparse_adapter_engine.files.lock_file import lock_holder, try_lock
from sparse_adapter_engine.files.process_identity import HOST, identify
from sparse_adapter_engine.files.temporary_names import name_beside, remove_leftovers
from sparse_adapter_trainer.listening import CannotListen, lock_or_refuse

GONE = {"pid": 1, "started": "0badb007-1"}


def test_a_lock_is_held_by_this_process_until_its_file_is_gone(tmp_path: Path):
    path = tmp_path / "deep" / "a.lock"
    assert try_lock(path) is None
    assert try_lock(path) == identify(os.getpid())
    path.unlink()
    assert lock_holder(path) is None
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(
    "content",
    ["", "13936\n", "null", '{"pid": 1}', json.dumps(GONE), json.dumps({**GONE, "host": HOST})],
    ids=["empty", "number", "null", "no start", "older version", "machine restarted"],
)
def test_a_lock_of_nobody_or_of_a_process_before_the_restart_is_taken(tmp_path: Path, content: str):
    path = tmp_path / "a.lock"
    path.write_text(content)
    assert lock_holder(path) is None
    assert try_lock(path) is None
    assert lock_holder(path) == identify(os.getpid())


def test_a_lock_of_another_host_is_kept_and_refused_with_the_way_out(tmp_path: Path):
    path = tmp_path / "lock"
    holder = {**GONE, "host": "login2"}
    path.write_text(json.dumps(holder))
    assert try_lock(path) == holder
    with pytest.raises(CannotListen) as refused:
        lock_or_refuse(path, "the state folder /state")
    assert "(process 1 on host login2, since 2" in str(refused.value)
    assert "already uses the state folder /state; stop it there, or remove " in str(refused.value)
    assert str(path) in str(refused.value)
    assert json.loads(path.read_text()) == holder


def test_leftovers_go_only_when_their_writer_is_gone_or_they_are_older_than_a_day(tmp_path: Path):
    own = name_beside(tmp_path / "step-1")
    program = (
        "from pathlib import Path; import sys\n"
        "from sparse_adapter_engine.files.temporary_names import name_beside\n"
        "name_beside(Path(sys.argv[1])).mkdir()"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "step-2"], check=True)
    (dead,) = tmp_path.iterdir()
    elsewhere = tmp_path / f".step-3.{'0' * 8}-1-x.{'0' * 8}"
    old = tmp_path / f".step-4.{'0' * 8}-1-x.{'0' * 8}"
    for path in (own, elsewhere, old):
        path.mkdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    (tmp_path / "step-5").mkdir()
    theirs = tmp_path / ".git"
    theirs.mkdir()
    os.utime(theirs, (two_days_ago, two_days_ago))

    remove_leftovers(tmp_path)

    assert not dead.exists()
    stay = {own.name, elsewhere.name, "step-5", theirs.name}
    assert {path.name for path in tmp_path.iterdir()} == stay
