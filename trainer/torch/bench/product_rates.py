"""A layer's products with frozen weights as contenders. How fast a processor multiplies, and if it
is faster in oneDNN's packed layout, bounds what a trial can gain."""

from collections.abc import Callable

# Before torch: all have the trainer's settings, so that nothing but the product differs.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoConfig

from sparse_adapter_engine.backbones.encoder.frozen import pack, product

# About those of a batch of MRPC.
TOKENS = 1712


def ordinary(backbone: str) -> "Products":
    """As a loop multiplies."""
    return Products(backbone, lambda weight: weight, F.linear)


def packed(backbone: str, dtype: str) -> "Products":
    """As the trainer does. dtype: float32 or bfloat16."""
    return Products(backbone, lambda weight: pack(weight, getattr(torch, dtype)), product)


class Products:
    """Forward, for TOKENS tokens: query, key and value, attention's output, both of a feed-forward
    block. Each `run` does some more, and returns their operations in place of rows."""

    def __init__(
        self,
        backbone: str,
        prepare: Callable[[Tensor], Tensor],
        multiply: Callable[[Tensor, Tensor, None], Tensor],
    ) -> None:
        config = AutoConfig.from_pretrained(backbone)
        d, inner = config.hidden_size, config.intermediate_size
        shapes = [(d, d), (2 * d, d), (d, d), (inner, d), (d, inner)]
        self.multiply = multiply
        self.operands = [
            (torch.randn(TOKENS, into), prepare(torch.randn(out, into))) for out, into in shapes
        ]
        self.operations: int = sum(2 * TOKENS * out * into for out, into in shapes)

    def run(self, steps: int) -> int:
        for _ in range(steps):
            for x, weight in self.operands:
                self.multiply(x, weight, None)
        return steps * self.operations
