"""A device that has no room, and giving room back."""

import gc

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device had no room: the process can go on."""
    text = str(error)
    signs = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    # A replayed graph, pinned memory and Triton have exceptions of their own for it.
    told = "CUDA" in text and "out of memory" in text
    return isinstance(error, torch.OutOfMemoryError) or told or any(sign in text for sign in signs)


def release() -> None:
    """Gives what is no longer held back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
