"""Contenders of the benchmarks take turns in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (BENCH, *sys.path)))}
    return subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_a_trial_is_measured_beside_the_careful_loop_by_the_clock_and_by_processor_time(
    backbone_path: str,
) -> None:
    if "SA_ORCH_DATA" not in os.environ:
        pytest.skip("SA_ORCH_DATA names no directory with glue/MRPC")
    words = ("--rounds", "1", "--steps", "1", "--threads", "1", "--without-trainer")
    found = run(str(BENCH / "side_by_side.py"), backbone_path, *words)
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    for unit in ("rows_per_second", "rows_per_cpu_second"):
        assert list(result[unit]) == ["cohort_of_1", "careful_loop", "cohort_of_1_bf16"]
        assert min(result[unit].values()) > 0
    assert list(result["product_gflops"]) == ["float32", "float32_packed", "bfloat16_packed"]
    assert min(result["product_gflops"].values()) > 0
    assert result["processor"]
    ratio = result["rows_per_second"]["cohort_of_1"] / result["rows_per_second"]["careful_loop"]
    assert result["ratio"]["cohort_of_1 / careful_loop"] == pytest.approx(ratio)


def test_a_contender_that_ends_is_named_and_what_it_said_is_shown() -> None:
    script = (
        "from turns import Program, take_turns; "
        "take_turns({'broken': Program('careful_loop:mrpc_loop', {'backbone': '/nowhere'})}, "
        "threads=1, rounds=1, steps=1, warm_up=0)"
    )
    found = run("-c", script)
    assert found.returncode == 1
    assert "broken has ended; what it said is above" in found.stderr
    assert "/nowhere" in found.stderr


def test_more_threads_than_cores_are_refused() -> None:
    found = run(str(BENCH / "squad_side_by_side.py"), "/nowhere", "--threads", "1000")
    assert found.returncode == 1
    assert f"--threads 1000: cores of this machine: {os.cpu_count()}" in found.stderr
