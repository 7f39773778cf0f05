"""Full fine-tuning, or training of some tensors (UNFROZEN_ALL and unfrozen_tensors in job.proto): a
trial's own copies of the backbone's tensors replace the frozen ones."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sparse_adapter_engine.products import linear

from .encoder import Dense, Encoder, Layer, LayerNorm
from .frozen import FrozenLinear
from .loading import layer_modules, load_model


def read_backbone_tensors(path: str) -> dict[str, Tensor]:
    """The tensors to train, as the backbone's files have them, float32 on the CPU. An Encoder keeps
    its products only in another layout.

    Raises JobFailed (BAD_ARTIFACT) as `load_model` does.
    """
    model, _ = load_model(path)
    embeddings = model.embeddings
    modules = {
        "embeddings.word": embeddings.word_embeddings,
        "embeddings.position": embeddings.position_embeddings,
        "embeddings.token_type": embeddings.token_type_embeddings,
        "embeddings.norm": embeddings.LayerNorm,
    }
    for index, layer in enumerate(model.encoder.layer):
        modules |= {
            f"layers.{index}.{name}": module for name, module in layer_modules(layer).items()
        }
    found = {
        f"{at}.{name}": tensor.data
        for at, module in modules.items()
        for name, tensor in module.named_parameters()
    }
    return {name: tensor for name, tensor in found.items() if not name.endswith("key.bias")}


def trained_backbone(frozen: Encoder, tensors: dict[str, Tensor]) -> Encoder:
    """The backbone with a trial's tensors, named as in Adapter of job.proto, in place of its own.
    Gradients reach them."""

    def dense(at: str, like: Dense, scale: float = 1.0) -> Dense:
        weight, bias = tensors.get(f"{at}.weight"), tensors.get(f"{at}.bias")
        # Weights are scaled and joined rather than results: a batch has more tokens than a matrix
        # has columns.
        if scale != 1:
            weight, bias = (None if one is None else one * scale for one in (weight, bias))
        return _product(like, weight, bias)

    def key_value(at: str, like: Layer) -> Dense:
        keys, values, bias = (
            tensors.get(f"{at}.{name}") for name in ("key.weight", "value.weight", "value.bias")
        )
        if bias is not None:
            bias = torch.cat([like.key_bias, bias])
        if keys is None or values is None:
            # A request for one of the two is refused.
            return _product(like.key_value, None, bias)
        return _product(like.key_value, torch.cat([keys, values]), bias)

    def norm(at: str, like: LayerNorm) -> LayerNorm:
        return replace(
            like,
            weight=tensors.get(f"{at}.weight", like.weight),
            bias=tensors.get(f"{at}.bias", like.bias),
        )

    def layer(index: int, like: Layer) -> Layer:
        at = f"layers.{index}"
        return replace(
            like,
            query=dense(f"{at}.query", like.query, frozen.query_scale),
            key_value=key_value(at, like),
            attention_output=dense(f"{at}.attention_output", like.attention_output),
            attention_norm=norm(f"{at}.attention_norm", like.attention_norm),
            ffn_in=dense(f"{at}.ffn_in", like.ffn_in),
            ffn_out=dense(f"{at}.ffn_out", like.ffn_out),
            ffn_norm=norm(f"{at}.ffn_norm", like.ffn_norm),
        )

    return replace(
        frozen,
        word=tensors.get("embeddings.word.weight", frozen.word),
        position=tensors.get("embeddings.position.weight", frozen.position),
        token_type=tensors.get("embeddings.token_type.weight", frozen.token_type),
        embedding_norm=norm("embeddings.norm", frozen.embedding_norm),
        layers=tuple(layer(index, like) for index, like in enumerate(frozen.layers)),
    )


def _product(frozen: Dense, weight: Tensor | None, bias: Tensor | None) -> Dense:
    """A frozen product with a trained weight, a trained bias, both or neither in its place."""
    assert isinstance(frozen, FrozenLinear), "the products of a loaded encoder"
    if weight is not None:
        return partial(linear, weight=weight, bias=frozen.bias if bias is None else bias)
    if bias is None:
        return frozen
    unbiased, trained = replace(frozen, bias=torch.zeros_like(frozen.bias)), bias
    return lambda x: unbiased(x) + trained
