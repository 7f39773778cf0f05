"""Counts, without a GPU, the kernels that some work would launch: its operations that are not
views."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# These make or describe a tensor, and run nothing on a device.
_FREE = {
    "empty",
    "empty_like",
    "empty_strided",
    "empty_permuted",
    "new_empty",
    "new_empty_strided",
    "resize_",
    "set_",
    "lift",
    "lift_fresh",
    "detach",
    "_unsafe_view",
    "_reshape_alias",
    "squeeze_",
    "unsqueeze_",
    "t_",
    "transpose_",
    "is_same_size",
    "is_pinned",
    "record_stream",
    "sym_size",
    "sym_numel",
}
# The host reads their result, or its shape.
_WAITING = {
    "_local_scalar_dense",
    "item",
    "is_nonzero",
    "equal",
    "nonzero",
    "nonzero_numpy",
    "argwhere",
    "masked_select",
    "unique",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}


class KernelCount(TorchDispatchMode):
    """Counts within its `with` block, including the backward.

    operations: by name, what would be launched on a GPU. synchronizations: by name, what makes the
    host wait for a GPU: reading a value, a result whose shape depends on values, and copies between
    devices, except asynchronous ones from pinned memory. Reads of a CPU tensor's memory without an
    operation (`tolist`, `numpy`) are not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self.synchronizations: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return sum(self.operations.values())

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        if _waits(name, func, args, kwargs, result):
            self.synchronizations[name] += 1
        if name not in _FREE and name != "_local_scalar_dense" and not _is_view(func):
            self.operations[name] += 1
        return result


def _is_view(func: Any) -> bool:
    """Whether it returns only views of its arguments and does not change them."""
    aliases = [returned.alias_info for returned in func._schema.returns]
    return bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)


def _waits(
    name: str,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: Any,
) -> bool:
    if name in _WAITING:
        return True
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None and not _counts_are_plain(args)
    if name in _INDEXING:
        # A mask is first converted to indices.
        masks = (torch.bool, torch.uint8)
        return any(isinstance(index, Tensor) and index.dtype in masks for index in args[1])
    if name == "copy_":
        return _copy_waits(
            args[1],
            args[0],
            bool(kwargs.get("non_blocking", len(args) > 2 and args[2])),
        )
    if name == "_to_copy":
        return _copy_waits(args[0], result, bool(kwargs.get("non_blocking", False)))
    return False


def _counts_are_plain(args: tuple[Any, ...]) -> bool:
    return len(args) > 1 and isinstance(args[1], int)


def _copy_waits(source: Tensor, target: Tensor, non_blocking: bool) -> bool:
    if source.device == target.device:
        return False
    return not (non_blocking and source.device.type == "cpu" and source.is_pinned())
