"""Whether a mask's structure fits an adapter's matrices.

Needs only the contract, so that requests are checked without loading PyTorch.
"""

from collections.abc import Mapping

from sparse_adapter.trainer.v1 import job_pb2


def misfit(prune: job_pb2.Prune, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str] | None:
    """The name of a field of Prune that does not fit prunable matrices of these shapes, and why;
    None if all fit."""
    if prune.structure == job_pb2.MASK_STRUCTURE_N_M:
        return _uneven_groups(prune, shapes)
    if (
        prune.structure == job_pb2.MASK_STRUCTURE_UNITS
        and prune.scope == job_pb2.PRUNE_SCOPE_GLOBAL
    ):
        return _unequal_units(shapes)
    return None


def _uneven_groups(
    prune: job_pb2.Prune, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, str] | None:
    for name, (_, columns) in shapes.items():
        if columns % prune.group_size:
            reason = (
                f"{prune.group_size} does not divide the {columns} columns of {name}; every "
                "prunable matrix has a multiple of it"
            )
            return "group_size", reason
    return None


def _unequal_units(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str] | None:
    sizes = {
        name.removesuffix(".down.weight"): inputs + shapes[name.replace(".down.", ".up.")][0]
        for name, (_, inputs) in shapes.items()
        if name.endswith(".down.weight")
    }
    first = next(iter(sizes))
    for module, size in sizes.items():
        if size != sizes[first]:
            units = f"one of {first} has {sizes[first]} weights, one of {module} {size}"
            return "scope", f"is GLOBAL, which takes units of equal size; {units}: it is LOCAL"
    return None
