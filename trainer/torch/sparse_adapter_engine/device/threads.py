"""How many threads PyTorch uses."""

import os

import torch


def use_threads(asked: int | None) -> int:
    """Sets PyTorch's threads to `asked`, at most (and by default) the cores that this process may
    use. Returns the number.

    More threads than cores make a step several times slower, since each product waits for its
    slowest thread.
    """
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    torch.set_num_threads(min(asked or cores, cores))
    return torch.get_num_threads()
