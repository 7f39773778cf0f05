"""Cohorts of adapter trials on one GPU, compared with Transformers' loops for one trial.

    cd trainer/torch
    PYTHONPATH=../../gen/python python -m bench.gpu [--out FILE.json] [--budget-seconds 420]

Needs torch, Transformers and protobuf, and the contract's Python modules (`node bin/build.js` and
any command make them). Checks come before figures. Standard error shows the progress and the table;
the results are JSON, in --out or on standard output. Without a GPU it only counts the kernels that
a step would launch; `--device cpu --small` rehearses everything with tiny models."""

import argparse
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

try:
    import sparse_adapter.trainer.v1  # noqa: F401
except ModuleNotFoundError as error:
    sys.exit(
        f"{error}: PYTHONPATH must have the contract's modules, gen/python of this repository",
    )

from . import ours
from .checks import Checks
from .counted_step import count_step
from .figures import Figures, plan_of_ours
from .pairs import PairFigures
from .report import DeviceLost, Report, Row, say, table
from .sizes import FULL_SIZES, SMALL_SIZES, Sizes
from .trainer_with_adapters import trainer_with_adapters
from .workloads import COLA, FULL, MRPC

TOLD_FIRST = ("device", "driver", "torch", "triton", "transformers", "python")
# (K, multiple): what a cohort should reach, as a multiple of baseline B, on roberta-base and
# MRPC-like rows.
TARGETS = ((16, 13), (1, 5))


def main() -> None:
    arguments = _arguments()
    disable_progress_bar()
    # Shows what the trainer chooses for the device, and why.
    logging.basicConfig(format="%(message)s")
    logging.getLogger("sparse_adapter_engine").setLevel(logging.INFO)
    small = arguments.small
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    sizes = SMALL_SIZES if small else FULL_SIZES
    if small and device.type == "cpu":
        # With more threads, models this small only wait.
        torch.set_num_threads(1)
    report = Report(device, arguments.out, arguments.budget_seconds, small)
    say(", ".join(f"{name} {report.found[name]}" for name in TOLD_FIRST))
    try:
        if device.type == "cuda" or small:
            _measure(report, sizes, device, arguments.adapters_python)
        if device.type == "cpu":
            _count(report, sizes)
    except DeviceLost as error:
        say(f"the GPU's context is lost, nothing more runs on it: {error}")
        report.found["device_lost"] = str(error)
        _finish(report, arguments.out)
        # The rest of CUDA in this process could block a normal exit.
        os._exit(1)
    _finish(report, arguments.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the JSON file (default: standard output)",
    )
    parser.add_argument(
        "--budget-seconds",
        type=float,
        default=420,
        help="wall-clock limit; what does not fit is skipped, the least important first",
    )
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], help="default: the GPU if there is one"
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="a rehearsal: tiny models, meaningless figures",
    )
    parser.add_argument(
        "--adapters-python",
        default=sys.executable,
        help="a Python with the package adapters and the older Transformers that it needs "
        "(default: this one)",
    )
    return parser.parse_args()


def _measure(report: Report, sizes: Sizes, device: torch.device, adapters_python: str) -> None:
    """All parts, the most important first."""
    checks, figures = Checks(report, sizes, device), Figures(report, sizes, device)

    def baselines(shape: Any, lengths: Any, *names: str) -> None:
        for name in names:
            work = partial(figures.baseline, name, shape, lengths)
            report.part(f"baseline {name}, {shape.name}, {lengths.name}", work, at_most=25)

    def cohorts(shape: Any, lengths: Any, *trials: int, **more: Any) -> None:
        for asked in plan_of_ours(sizes, shape, lengths, *trials, **more):
            words = f"{asked.name}, {shape.name}, {lengths.name}, {asked.precision}"
            report.part(f"{words}, K = {asked.trials}", partial(figures.measure, asked), at_most=40)

    for precision in ("bf16", "float32"):
        choose = partial(ours.choose_operations, device.type, precision)
        report.part(f"choice of operations in {precision}", choose, at_most=90)
    report.part("checks of gradients", checks.gradients, at_most=60)
    report.part("checks of curves", checks.curves, at_most=60)
    report.part("checks of repeats", checks.repeats, at_most=40)
    report.part("measured peak", figures.measure_ceiling, at_most=15)
    base, many = sizes.base, sizes.many
    baselines(base, MRPC, "B", "A")
    cohorts(base, MRPC, 16, 1, 64, 4)
    baselines(base, COLA, "B")
    cohorts(base, COLA, 16, 1, 64)
    baselines(sizes.minilm, MRPC, "B")
    cohorts(sizes.minilm, MRPC, 16, 1, 64)
    cohorts(base, MRPC, 16, 1, precision="tf32")
    cohorts(base, MRPC, 16, 1, precision="float32")
    baselines(base, FULL, "B")
    cohorts(base, FULL, 16, 1)
    cohorts(base, MRPC, 16, mixed=True)
    cohorts(base, MRPC, 16, dropout=0.1)
    baselines(sizes.large, MRPC, "B")
    cohorts(sizes.large, MRPC, 16, 1)
    baselines(base, sizes.answers, "B")
    cohorts(base, sizes.answers, 4, 1)
    figures.forget()
    _measure_pairs(report, PairFigures(report, sizes, device), min(4, many))
    for form in ("LoRA", "prefix", "Pfeiffer", "parallel", "BitFit", "prompt"):
        cohorts(base, MRPC, many, form=form)
    figures.forget()
    with_adapters = partial(trainer_with_adapters, report, sizes, device, adapters_python)
    report.part(
        "baseline T, Transformers' Trainer with the package adapters",
        with_adapters,
        at_most=120,
        least=30,
    )


def _measure_pairs(report: Report, pairs: PairFigures, many: int) -> None:
    part = partial(report.part, at_most=45)
    part("baseline B, BART-base", pairs.baseline_training)
    part("baseline B, BART-base, generate", pairs.baseline_generation)
    for precision in ours.PAIR_PRECISIONS:
        for trials in (1, many):
            work = partial(pairs.training, trials, precision)
            part(f"ours, BART-base, {precision}, K = {trials}", work)
        part(f"ours, BART-base, generate, {precision}", partial(pairs.generation, precision))


def _count(report: Report, sizes: Sizes) -> None:
    for trials in (1, sizes.many):
        name = f"kernels of a step, K = {trials}"
        report.part(name, partial(count_step, report, sizes, trials), at_most=600)


def _finish(report: Report, out: Path | None) -> None:
    rows: list[Row] = report.found["rows"]
    if rows:
        say(f"\n{table(rows)}\n")
    for check in report.found["checks"]:
        verdict = "" if check.get("holds", True) else " DOES NOT HOLD"
        say(f"check  {check['check']}: {check['value']}{verdict}")
    for precision, names in report.found.get("chosen", {}).items():
        say(f"chosen in {precision}: {', '.join(f'{what} {name}' for what, name in names.items())}")
    for where in ("skipped", "failed"):
        for each in report.found[where]:
            say(f"{where}  {each['part']}: {each['reason']}")
    if rows:
        report.found["targets"] = [_target(rows, *target) for target in TARGETS]
        for target in report.found["targets"]:
            say("K = {trials}: {to_baseline_b} x B, at least {least} x wanted".format(**target))
    report.write()
    if out is None:
        print(json.dumps(report.found, indent=2))


def _target(rows: list[Row], trials: int, least: float) -> dict[str, Any]:
    """to_baseline_b: None if it was not measured."""
    wanted = {
        "contender": "ours",
        "shape": "roberta-base",
        "data": MRPC.name,
        "precision": "bf16",
        "trials": trials,
    }
    found = [row["to_baseline_b"] for row in rows if wanted.items() <= row.items()]
    return {"trials": trials, "to_baseline_b": found[-1] if found else None, "least": least}


if __name__ == "__main__":
    main()
