"""Refusing weights that are NaN or infinite: every trial would fail on them in its own way."""

from itertools import chain
from typing import Any

import torch

from sparse_adapter_engine.errors import bad_artifact


def require_finite(path: str, model: Any, unused: str | None = None) -> None:
    """Raises JobFailed (BAD_ARTIFACT) with the first weight of a torch module that has NaN or
    infinite values. path: of its directory. unused: what the names of weights begin with that
    nothing reads."""
    saved = model.state_dict()
    # BART's bias of the logits is a buffer. What is not saved is no weight.
    buffers = [
        (name, buffer)
        for name, buffer in model.named_buffers()
        if name in saved and buffer.is_floating_point()
    ]
    for name, tensor in chain(model.named_parameters(), buffers):
        if unused is not None and name.startswith(unused):
            continue
        # A sum is three times as fast as a look at each value. It can overflow, but not be finite
        # where a value is not.
        if tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all():
            continue
        count = int((~tensor.isfinite()).sum())
        raise bad_artifact(
            f"backbone {path}: {count} of {tensor.numel()} values of its tensor {name} are NaN or "
            "infinite"
        )
