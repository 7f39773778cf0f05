"""Refusing weights that are NaN or infinite: every trial would fail on them in its own way."""

from typing import Any

import torch

from sparse_adapter_engine.errors import bad_artifact


def require_finite(path: str, model: Any) -> None:
    """Raises JobFailed (BAD_ARTIFACT) with the first tensor of a torch module that has NaN or
    infinite values. path: of its directory."""
    for name, tensor in model.named_parameters():
        # A sum is three times as fast as a look at each value. It can overflow, but not be finite
        # where a value is not.
        if tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all():
            continue
        count = int((~tensor.isfinite()).sum())
        raise bad_artifact(
            f"backbone {path}: {count} of {tensor.numel()} values of its tensor {name} are NaN or "
            "infinite"
        )
