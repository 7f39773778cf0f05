"""A process that trains keeps the memory of freed tensors for the next step."""

import os
import platform
import subprocess
import sys

import pytest

# Page faults of the fourth of four equal rounds, each of which fills and frees ten tensors of
# 6 MiB.
_ROUNDS = """
import resource, threading
import sparse_adapter_engine
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def one_round():
    tensors = [torch.ones(6 << 18) for _ in range(10)]
    del tensors

def run():
    for _ in range(3):
        one_round()
    before = faults()
    one_round()
    print(faults() - before)

run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
_PAGES = 10 * (6 << 20) // os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
@pytest.mark.parametrize(
    ("users_own", "is_kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)]
)
def test_freed_memory_is_kept_unless_the_user_says_otherwise(
    users_own: dict[str, str], is_kept: bool
) -> None:
    names = ("MALLOC_", "GLIBC_TUNABLES")
    others = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    printed = subprocess.run(
        [sys.executable, "-c", _ROUNDS],
        env=others | users_own,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    in_main_thread, in_other_thread = map(int, printed.split())
    assert (in_main_thread < _PAGES / 10) == is_kept
    assert (in_other_thread < _PAGES / 10) == is_kept
