"""Baseline T: Transformers' Trainer with the package `adapters`, in its own process and possibly
another Python."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from .report import Report, Skip
from .sizes import Sizes
from .workloads import MRPC

_PROGRAM = Path(__file__).with_name("adapters_program.py")


def trainer_with_adapters(report: Report, sizes: Sizes, device: torch.device, python: str) -> None:
    """Reports one trial on MRPC-like rows padded to 128. Raises Skip if that Python has no
    `adapters`."""
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('adapters') is None)"
    if subprocess.run([python, "-c", probe], capture_output=True).returncode != 0:
        raise Skip(
            f"{python} does not have the package adapters; --adapters-python names one that does"
        )
    asked = {
        "shape": asdict(sizes.base),
        "lengths": MRPC.draw(sizes.rows, torch.Generator().manual_seed(1)).tolist(),
        "width": sizes.width,
        "batch": sizes.batch,
        "steps": 3 if sizes.small else 60,
        "device": device.type,
    }
    answer = subprocess.run(
        [python, str(_PROGRAM)],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        check=True,
    )
    found = json.loads(answer.stdout)
    report.row(
        {
            "contender": "baseline T",
            "shape": sizes.base.name,
            "data": MRPC.name,
            "precision": "bf16",
            "trials": 1,
            "ms": round(found["ms"], 3),
            "rows_s": round(sizes.batch / found["ms"] * 1e3, 1),
            "peak_gib": found["peak_gib"],
            "versions": found["versions"],
        }
    )
