"""A step's time, memory and kernels."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

Step = Callable[[], None]
BLOCKS = 3


@dataclass(frozen=True)
class Pace:
    """How long to measure. warm_up, warm_up_seconds: maximum steps and seconds to capture graphs
    and choose kernels; block_seconds: of each of three blocks, which have at least three steps."""

    warm_up: int = 60
    warm_up_seconds: float = 5.0
    block_seconds: float = 0.35

    def short(self) -> "Pace":
        """The pace for less important figures."""
        return replace(self, warm_up=self.warm_up // 2, block_seconds=self.block_seconds / 2)


QUICK = Pace(warm_up=2, warm_up_seconds=1.0, block_seconds=0.02)


@dataclass(frozen=True)
class Timing:
    """ms: per step, the median of the blocks; spread: the blocks' largest minus smallest, over the
    median; peak_gib: PyTorch's peak memory on the GPU, None on a CPU."""

    ms: float
    spread: float
    peak_gib: float | None


def free_memory(device: torch.device) -> None:
    """Frees a GPU's unused memory, and resets the peak."""
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(step: Step, device: torch.device, pace: Pace, between: Step = lambda: None) -> Timing:
    """Times a step with the host's time, because each block begins and ends with an idle device.
    between: called after each block, not timed."""
    began = time.perf_counter()
    for _ in range(pace.warm_up):
        step()
        wait(device)
        if time.perf_counter() - began > pace.warm_up_seconds:
            break
    between()
    began = time.perf_counter()
    step()
    wait(device)
    steps = max(3, int(pace.block_seconds / (time.perf_counter() - began)))
    blocks = []
    for _ in range(BLOCKS):
        began = time.perf_counter()
        for _ in range(steps):
            step()
        wait(device)
        blocks.append((time.perf_counter() - began) / steps * 1e3)
        between()
    median = statistics.median(blocks)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None
    return Timing(median, (max(blocks) - min(blocks)) / median, peak)


@dataclass(frozen=True)
class Kernels:
    """The kernels of one step on a GPU. busy_ms: the sum of their times."""

    count: int
    busy_ms: float


def profile_kernels(step: Step, device: torch.device, steps: int = 2) -> Kernels | None:
    """Measures with PyTorch's profiler, without memory copies and fills; None on a CPU."""
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    wait(device)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(steps):
            step()
        wait(device)
    on_gpu = torch.autograd.DeviceType.CUDA
    events = [event for event in profiled.events() if event.device_type == on_gpu]
    kernels = [event for event in events if not event.name.startswith(("Memcpy", "Memset"))]
    busy = sum(event.time_range.elapsed_us() for event in kernels)
    return Kernels(round(len(kernels) / steps), busy / steps / 1e3)


def bf16_ceiling(device: torch.device, small: bool) -> float:
    """Operations per second of a product of two bf16 matrices, 8192 × 8192."""
    n = 256 if small else 8192
    a, b = (torch.randn(n, n, device=device).bfloat16() for _ in range(2))

    def step() -> None:
        torch.mm(a, b)

    pace = QUICK if small else Pace(warm_up=5)
    return 2 * n**3 / (timed(step, device, pace).ms / 1e3)
