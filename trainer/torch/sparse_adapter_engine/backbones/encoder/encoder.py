"""BERT's and RoBERTa's tensors, as the packed encoder reads them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Block

from .frozen import FrozenLinear

_NORMS = ("attention_norm", "ffn_norm")
# x [rows, in] → x · Wᵀ + b, [rows, out]: a FrozenLinear, or a product with trained tensors
# (full_tuning.py).
Dense = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LayerNorm:
    """A LayerNorm over the last dimension; weight, bias [d]."""

    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.layer_norm(
            x, self.weight.shape, self.weight, self.bias, self.eps
        )


@dataclass(frozen=True)
class Layer:
    """One encoder layer. Its queries are scaled for attention; keys and values are one product, in
    this order. key_bias: [d], part of that product."""

    query: Dense
    key_value: Dense
    key_bias: Tensor
    attention_output: Dense
    attention_norm: LayerNorm
    ffn_in: Dense
    activation: Callable[[Tensor], Tensor]
    ffn_out: Dense
    ffn_norm: LayerNorm


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder: a Backbone (backbones/backbone.py). hidden: d. inner: f, the width inside
    the feed-forward block. query_scale: 1 / √dim, already in the layers' queries. longest: maximum
    tokens per row. pooler: initial weight [d, d] and bias [d] of head.dense, or None.

    row_invariant: whether every layer's products give a row the same bits whatever other rows are
    computed with it.
    """

    model_type: str
    hidden: int
    inner: int
    heads: int
    query_scale: float
    vocabulary: int
    token_types: int
    padding_token: int
    longest: int
    position_offset: int
    word: Tensor
    position: Tensor
    token_type: Tensor
    embedding_norm: LayerNorm
    layers: tuple[Layer, ...]
    pooler: tuple[Tensor, Tensor] | None
    row_invariant: bool

    @property
    def device(self) -> torch.device:
        return self.word.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the activations."""
        return self.word.dtype

    @property
    def blocks(self) -> list[Block]:
        """The layers that take adapters, in order of depth."""
        return [Block(f"layers.{index}.", self.inner) for index in range(len(self.layers))]

    @property
    def attention_width(self) -> int:
        """e of Adapter in job.proto: heads times the width of a head."""
        return self.hidden

    @property
    def prefix_mlps(self) -> dict[str, int]:
        """See Backbone."""
        return {"prefix.": len(self.layers)}

    @property
    def sizes(self) -> dict[str, int]:
        """See Backbone."""
        return {"hidden_size": self.hidden, "num_layers": len(self.layers)}

    @property
    def own_shapes(self) -> dict[str, tuple[int, ...]]:
        """See Backbone."""
        d, f = self.hidden, self.inner
        matrices = {
            "query": (d, d),
            "key": (d, d),
            "value": (d, d),
            "attention_output": (d, d),
            "ffn_in": (f, d),
            "ffn_out": (d, f),
        }
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word.weight": tuple(self.word.shape),
            "embeddings.position.weight": tuple(self.position.shape),
            "embeddings.token_type.weight": tuple(self.token_type.shape),
            "embeddings.norm.weight": (d,),
            "embeddings.norm.bias": (d,),
        }
        for index in range(len(self.layers)):
            at = f"layers.{index}"
            shapes |= {f"{at}.{name}.weight": shape for name, shape in matrices.items()} | {
                f"{at}.{name}.weight": (d,) for name in _NORMS
            }
            shapes |= {
                f"{at}.{name}.bias": shape[:1] for name, shape in matrices.items() if name != "key"
            }
            shapes |= {f"{at}.{name}.bias": (d,) for name in _NORMS}
        return shapes

    def frozen_matrix(self, name: str) -> Tensor:
        """See Backbone."""
        _, index, part, _ = name.split(".")
        layer = self.layers[int(index)]
        if part == "query":
            return _unpacked(layer.query) / self.query_scale
        if part == "value":
            return _unpacked(layer.key_value)[self.hidden :]
        raise KeyError(name)


def _unpacked(dense: Dense) -> Tensor:
    """A frozen layer's matrix [out, in], float32 on the CPU."""
    assert isinstance(dense, FrozenLinear), "only where the backbone is frozen"
    weight = dense.weight.to_dense() if dense.weight.is_mkldnn else dense.weight
    return weight.float().cpu()
