"""What callers ask of a frozen model, whatever its family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """A layer that adapters stand in. at: what its names in Adapter of job.proto begin with; inner:
    f, of its feed-forward block; has_cross_attention: whether it has a second attention, whose
    names begin with `cross_`."""

    at: str
    inner: int
    has_cross_attention: bool = False


class Backbone(Protocol):
    """A loaded frozen model, as adapters, masks and files see it. How rows go through it is its
    task's matter (tasks/task.py)."""

    @property
    def model_type(self) -> str:
        """As config.json names it."""

    @property
    def hidden(self) -> int:
        """d of Adapter in job.proto."""

    @property
    def attention_width(self) -> int:
        """e of Adapter in job.proto: heads times the width of a head."""

    @property
    def blocks(self) -> Sequence[Block]:
        """Where adapters stand, in order of depth."""

    @property
    def prefix_mlps(self) -> Mapping[str, int]:
        """What the names of a prefix's MLPs begin with, and for how many attentions each makes keys
        and values.
        """

    @property
    def sizes(self) -> Mapping[str, int]:
        """As adapter_config.json tells them."""

    @property
    def own_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of the tensors of ALL in Adapter of job.proto. Asked only of a family
        that can be fine-tuned as a whole."""

    @property
    def pooler(self) -> tuple[Tensor, Tensor] | None:
        """Initial weight [d, d] and bias [d] of head.dense, where the backbone has them."""

    @property
    def row_invariant(self) -> bool:
        """Whether a row gets the same bits whatever rows are beside it."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the activations."""
