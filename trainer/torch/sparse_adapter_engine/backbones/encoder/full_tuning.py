"""Full fine-tuning (UNFROZEN_ALL in job.proto): a trial's own copies of the backbone's tensors
replace the frozen ones."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from sparse_adapter_engine.products import linear

from .encoder import Encoder, Layer, LayerNorm
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

    def dense(at: str) -> partial[Tensor]:
        return partial(linear, weight=tensors[f"{at}.weight"], bias=tensors[f"{at}.bias"])

    def norm(at: str, like: LayerNorm) -> LayerNorm:
        return replace(like, weight=tensors[f"{at}.weight"], bias=tensors[f"{at}.bias"])

    def layer(index: int, like: Layer) -> Layer:
        at = f"layers.{index}"
        key_value = torch.cat([tensors[f"{at}.key.weight"], tensors[f"{at}.value.weight"]])
        return replace(
            like,
            # Weights are scaled and joined rather than results: a batch has more tokens than a
            # matrix has columns.
            query=partial(
                linear,
                weight=tensors[f"{at}.query.weight"] * scale,
                bias=tensors[f"{at}.query.bias"] * scale,
            ),
            key_value=partial(
                linear,
                weight=key_value,
                bias=torch.cat([like.key_bias, tensors[f"{at}.value.bias"]]),
            ),
            attention_output=dense(f"{at}.attention_output"),
            attention_norm=norm(f"{at}.attention_norm", like.attention_norm),
            ffn_in=dense(f"{at}.ffn_in"),
            ffn_out=dense(f"{at}.ffn_out"),
            ffn_norm=norm(f"{at}.ffn_norm", like.ffn_norm),
        )

    scale = frozen.query_scale
    return replace(
        frozen,
        word=tensors["embeddings.word.weight"],
        position=tensors["embeddings.position.weight"],
        token_type=tensors["embeddings.token_type.weight"],
        embedding_norm=norm("embeddings.norm", frozen.embedding_norm),
        layers=tuple(layer(index, like) for index, like in enumerate(frozen.layers)),
    )
