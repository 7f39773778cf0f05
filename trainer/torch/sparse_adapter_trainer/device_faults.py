"""GPU errors after which nothing more can run in the process: CUDA's "sticky" errors.

Such an error stays in the process's context: every later call fails with it until the process ends
(CUDA runtime API, error handling). They are recognized by number and text alone, without torch,
which the server does not import.
"""

from collections.abc import Iterator

# cudaError_t, which torch.AcceleratorError has in error_code.
_STICKY_CODES = frozenset(
    {
        214,  # cudaErrorECCUncorrectable
        220,  # cudaErrorNvlinkUncorrectable
        226,  # cudaErrorContained
        700,  # cudaErrorIllegalAddress
        702,  # cudaErrorLaunchTimeout
        709,  # cudaErrorContextIsDestroyed
        710,  # cudaErrorAssert
        714,  # cudaErrorHardwareStackError
        715,  # cudaErrorIllegalInstruction
        716,  # cudaErrorMisalignedAddress
        717,  # cudaErrorInvalidAddressSpace
        718,  # cudaErrorInvalidPc
        719,  # cudaErrorLaunchFailure
        721,  # cudaErrorTensorMemoryLeak
        999,  # cudaErrorUnknown
    }
)
# The same in the words of cudaGetErrorString and cuGetErrorString, for errors of libraries or
# Triton, which have no number.
_STICKY_WORDS = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "unspecified launch failure",
    "launch timed out",
    "hardware stack error",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
    "context is destroyed",
    "cuda error: unknown error",
    "cublas_status_execution_failed",
    "cublas_status_internal_error",
    "cudnn_status_execution_failed",
    "cudnn_status_internal_error",
)
# Words that show that a GPU raised the error: other texts may contain the words above too.
_OF_A_GPU = ("cuda", "cublas", "cudnn")


def breaks_the_device(error: BaseException) -> bool:
    """Whether this error, or one that it came from, is sticky.

    Running out of memory is not: smaller work may still run.
    """
    return any(_is_sticky(each) for each in _chain(error))


def _is_sticky(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError):
        return False
    # torch.OutOfMemoryError is a RuntimeError too, with number 2 (cudaErrorMemoryAllocation) or
    # none.
    if getattr(error, "error_code", None) in _STICKY_CODES:
        return True
    text = str(error).lower()
    return any(word in text for word in _OF_A_GPU) and any(word in text for word in _STICKY_WORDS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that caused it or were being handled when it was raised."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
