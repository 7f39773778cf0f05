"""Loading BERT and RoBERTa through Transformers."""

import math
from typing import Any

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import gelu
from transformers import AutoModel
from transformers.activations import ACT2FN

from sparse_adapter_engine.backbones.config import read_config
from sparse_adapter_engine.backbones.finite import require_finite
from sparse_adapter_engine.errors import bad_artifact

from .encoder import Encoder, Layer, LayerNorm
from .frozen import FALLBACK_ROWS, FrozenLinear, min_invariant_rows, pack

ARCHITECTURES = ("bert", "roberta")


def load_encoder(
    path: str, device: torch.device, precision: int = job_pb2.PRECISION_FLOAT32
) -> Encoder:
    """Loads a frozen backbone. precision: see from_transformers. Raises as `load_model` does."""
    model, has_pooler = load_model(path)
    return from_transformers(model.to(device), has_pooler, precision)


def load_model(path: str) -> tuple[Any, bool]:
    """The BertModel or RobertaModel of a Hugging Face directory or hub id, in float32 on the CPU,
    and whether it has a pooler for the head.

    Raises JobFailed (BAD_ARTIFACT) if it is missing, broken, not finite or not supported.
    """
    config = read_config(path)
    _require_supported(path, config)
    try:
        model, loading = AutoModel.from_pretrained(
            path, config=config, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise bad_artifact(f"backbone {path}: its weights cannot be loaded: {error}") from error
    missing = {name for name in loading["missing_keys"] if not name.startswith("pooler.")}
    if missing:
        raise bad_artifact(f"backbone {path}: its weights have no {min(missing)}")
    # Weights without a pooler (roberta-base) would get a random one from Transformers.
    has_pooler = config.model_type == "bert" and not any(
        name.startswith("pooler.") for name in loading["missing_keys"]
    )
    require_finite(path, model, unused=None if has_pooler else "pooler.")
    return model, has_pooler


def layer_modules(layer: Any) -> dict[str, Any]:
    """Linear and LayerNorm modules of a Transformers layer, by their tensors' names in Adapter of
    job.proto."""
    attention = layer.attention
    return {
        "query": attention.self.query,
        "key": attention.self.key,
        "value": attention.self.value,
        "attention_output": attention.output.dense,
        "attention_norm": attention.output.LayerNorm,
        "ffn_in": layer.intermediate.dense,
        "ffn_out": layer.output.dense,
        "ffn_norm": layer.output.LayerNorm,
    }


def _require_supported(path: str, config: Any) -> None:
    if config.model_type not in ARCHITECTURES:
        raise bad_artifact(
            f"backbone {path}: model_type {config.model_type!r} is not one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    if getattr(config, "position_embedding_type", "absolute") not in (None, "absolute"):
        raise bad_artifact(
            f"backbone {path}: position_embedding_type {config.position_embedding_type!r} is not "
            "'absolute'"
        )


def from_transformers(
    model: Any, has_pooler: bool, precision: int = job_pb2.PRECISION_FLOAT32
) -> Encoder:
    """Takes the tensors of a BertModel or RobertaModel, float32 on their device. The model itself
    is not needed afterwards.

    precision: of job.proto. With BF16 a GPU keeps weights and activations in bfloat16. A CPU rounds
    only the operands and results of the layers' products to bfloat16, and everything else is
    float32.
    """
    products = torch.bfloat16 if precision == job_pb2.PRECISION_BF16 else torch.float32
    config = model.config
    model.requires_grad_(False)
    measured: dict[tuple[int, int], int] = {}
    on_gpu = model.device.type != "cpu"
    # A GPU picks its kernels by shape.
    invariant = not on_gpu
    dtype = products if on_gpu else torch.float32

    query_scale = 1 / math.sqrt(config.hidden_size // config.num_attention_heads)

    def linear(weight: Tensor, bias: Tensor) -> FrozenLinear:
        nonlocal invariant
        shape = (weight.shape[0], weight.shape[1])
        bias = bias.to(dtype)
        packed, transposed = pack(weight, products), pack(weight.t(), products)
        if on_gpu:
            measured[shape] = FALLBACK_ROWS
        if shape not in measured:
            rows = min_invariant_rows(packed, transposed, shape)
            measured[shape], invariant = rows or FALLBACK_ROWS, invariant and rows is not None
        return FrozenLinear(packed, transposed, bias, measured[shape])

    def dense(module: Any) -> FrozenLinear:
        return linear(module.weight.data, module.bias.data)

    def norm(module: Any) -> LayerNorm:
        return LayerNorm(
            module.weight.data.to(dtype), module.bias.data.to(dtype), config.layer_norm_eps
        )

    def layer(module: Any) -> Layer:
        parts = layer_modules(module)
        query, key, value = parts["query"], parts["key"], parts["value"]
        return Layer(
            # Attention's 1 / √dim, applied once.
            query=linear(query.weight.data * query_scale, query.bias.data * query_scale),
            key_value=linear(
                torch.cat([m.weight.data for m in (key, value)]),
                torch.cat([m.bias.data for m in (key, value)]),
            ),
            key_bias=key.bias.data.to(dtype),
            attention_output=dense(parts["attention_output"]),
            attention_norm=norm(parts["attention_norm"]),
            ffn_in=dense(parts["ffn_in"]),
            activation=gelu if config.hidden_act == "gelu" else ACT2FN[config.hidden_act],
            ffn_out=dense(parts["ffn_out"]),
            ffn_norm=norm(parts["ffn_norm"]),
        )

    embeddings = model.embeddings
    # RoBERTa counts positions from padding_idx + 1.
    offset = config.pad_token_id + 1 if config.model_type == "roberta" else 0
    return Encoder(
        model_type=config.model_type,
        hidden=config.hidden_size,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        query_scale=query_scale,
        vocabulary=config.vocab_size,
        token_types=config.type_vocab_size,
        padding_token=config.pad_token_id or 0,
        longest=config.max_position_embeddings - offset,
        position_offset=offset,
        word=embeddings.word_embeddings.weight.data.to(dtype),
        position=embeddings.position_embeddings.weight.data.to(dtype),
        token_type=embeddings.token_type_embeddings.weight.data.to(dtype),
        embedding_norm=norm(embeddings.LayerNorm),
        layers=tuple(layer(module) for module in model.encoder.layer),
        pooler=(model.pooler.dense.weight.data, model.pooler.dense.bias.data)
        if has_pooler
        else None,
        row_invariant=invariant,
    )
