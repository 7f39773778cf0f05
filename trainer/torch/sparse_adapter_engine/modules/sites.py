"""Where a trial may change the frozen model, and with what."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

# Where a trial may change a frozen layer's output.
Site = Literal[
    "prompt",
    "embeddings",
    "query",
    "value",
    "concatenated",
    "cross",
    "context",
    "attention_output",
    "attention_norm",
    "ffn_in",
    "ffn_out",
    "ffn_norm",
    "after_block",
]
# Returns factors for attention probabilities in a shape on a device: 0 if dropped, else 1 / (1 −
# probability).
AttentionDropout = Callable[[torch.Size, torch.device], Tensor]
# Keys and values, [length, d] each.
Prefix = tuple[Tensor, Tensor]
