"""Counts the kernels of a cohort's step, on the CPU path that mirrors the GPU's."""

from collections import Counter
from contextlib import closing

import torch

from . import ours
from .kernel_count import KernelCount
from .models import random_roberta
from .report import Report, say
from .sizes import Sizes
from .workloads import MRPC, random_rows


def count_step(report: Report, sizes: Sizes, trials: int) -> None:
    """Counts forward, backward and update of one step of full batches: Houlsby adapters, MRPC-like
    rows, float32. All layers, but narrow: widths do not change the count, and a wide cohort of
    sixteen would need more memory than many machines have."""
    shape, device = sizes.base.narrow(), torch.device("cpu")
    rows = random_rows(MRPC.draw(sizes.rows, torch.Generator().manual_seed(1)), shape)
    adapter = ours.adapter(width=sizes.width)
    asked = [ours.Asked(seed, adapter, sizes.batch) for seed in range(1, trials + 1)]
    loaded = ours.load(random_roberta(shape, device), "float32")
    with closing(ours.Cohort(loaded, rows, asked)) as cohort, KernelCount() as counted:
        cohort.step()
    report.found.setdefault("kernel_counts", []).append(
        {
            "trials": trials,
            "shape": shape.name,
            "operations": counted.total,
            "by_name": dict(counted.operations.most_common()),
            "synchronizations": dict(counted.synchronizations),
        }
    )
    say(f"kernels of a step, {shape.name}, K = {trials}: {counted.total}")
    say(f"  the most: {_words(counted.operations)}")
    say(f"  what the host waits for: {_words(counted.synchronizations) or 'nothing'}")


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.most_common(12))
