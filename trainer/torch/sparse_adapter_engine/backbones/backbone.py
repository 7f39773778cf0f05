"""What callers need from a frozen model of any family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """A layer that takes adapters. at: what its names in Adapter of job.proto begin with; inner: f,
    the inner width of its feed-forward block; has_cross_attention: whether it has a second
    attention, whose names begin with `cross_`."""

    at: str
    inner: int
    has_cross_attention: bool = False


class Backbone(Protocol):
    """A loaded frozen model, as adapters, masks and files see it. Its task decides how rows go
    through it (tasks/task.py)."""

    @property
    def model_type(self) -> str:
        """model_type in config.json."""

    @property
    def hidden(self) -> int:
        """d of Adapter in job.proto."""

    @property
    def attention_width(self) -> int:
        """e of Adapter in job.proto: heads times the width of a head."""

    @property
    def blocks(self) -> Sequence[Block]:
        """The layers that take adapters, in order of depth."""

    @property
    def prefix_mlps(self) -> Mapping[str, int]:
        """Each MLP that makes prefixes: what its names begin with, and for how many attentions it
        makes keys and values."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes that adapter_config.json records."""

    @property
    def own_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of the tensors that ALL in Adapter of job.proto trains. Used only for
        families that can be fine-tuned as a whole."""

    def frozen_matrix(self, name: str) -> Tensor:
        """An encoder's query.weight or value.weight [d, d] of a layer, named as in `own_shapes`:
        float32 on the CPU, within a rounding of what its files have. Raises KeyError for other
        names."""

    @property
    def pooler(self) -> tuple[Tensor, Tensor] | None:
        """Initial weight [d, d] and bias [d] of head.dense, if the backbone has them."""

    @property
    def row_invariant(self) -> bool:
        """Whether a row gets the same bits whatever other rows are computed with it."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of the activations."""
