"""Recognizing that a device is out of memory, and freeing some."""

import gc

import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device was out of memory, after which the process can go on."""
    text = str(error)
    signs = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    # Replayed graphs, pinned memory and Triton raise other exceptions for it.
    told = "CUDA" in text and "out of memory" in text
    return isinstance(error, torch.OutOfMemoryError) or told or any(sign in text for sign in signs)


def release() -> None:
    """Returns memory that is no longer used to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
