"""The names of tensors in the code published with SparseAdapter."""

import re
from collections.abc import Mapping

from torch import Tensor

_ENCODER_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
_BART_LAYER = {
    "query": "self_attn.q_proj",
    "value": "self_attn.v_proj",
    "cross_query": "encoder_attn.q_proj",
    "cross_value": "encoder_attn.v_proj",
    "ffn_in": "fc1",
    "ffn_out": "fc2",
}
_EMBEDDINGS = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
}
_HEADS = {
    "head.dense": ("classifier.dense", "bert.pooler.dense"),
    "head.out": ("classifier.out_proj", "classifier", "qa_outputs"),
}
_PREFIX_MLPS = {"": "", "encoder.": "_enc", "decoder.": "", "cross.": "2"}


def official_name(name: str, arch: str, known: Mapping[str, Tensor]) -> str:
    """The published name of a tensor of Adapter in job.proto; known: the model's parameters. Raises
    KeyError if it has none."""
    for found in _candidates(name, arch):
        if found in known:
            return found
    raise KeyError(f"{name} has no counterpart in the published model")


def _candidates(name: str, arch: str) -> list[str]:
    at, last = name.rsplit(".", 1)
    if at in _HEADS:
        return [f"pretrained_model.{one}.{last}" for one in _HEADS[at]]
    if at in _EMBEDDINGS:
        return [f"pretrained_model.{arch}.{_EMBEDDINGS[at]}.{last}"]
    mlp = re.fullmatch(
        r"prefix\.(encoder\.|decoder\.|cross\.|)(embedding|mlp\.(in|out)\.(.*))", name
    )
    if mlp:
        which = _PREFIX_MLPS[mlp[1]]
        if mlp[2] == "embedding":
            return [f"prompt_model.wte{which}.weight"]
        number = {"in": 0, "out": 2}[mlp[3]]
        return [f"prompt_model.control_trans{which}.{number}.{mlp[4]}"]
    layer = re.fullmatch(r"(encoder\.|decoder\.|)layers\.(\d+)\.(.*)", name)
    if layer is None:
        return []
    stack, index, inner = layer.groups()
    if arch == "bart":
        return _bart(stack, index, inner)
    before = f"pretrained_model.{arch}.encoder.layer.{index}."
    own = re.fullmatch(r"(attention|ffn)\.(down|up|norm|scale)(\.\w+)?", inner)
    if own:
        place = {
            "attention": ("attention.output.ef_attn_adapter", "attention.self.ef_attn_adapter"),
            "ffn": ("output.ef_ffn_adapter", "ef_ffn_adapter"),
        }[own[1]]
        return [f"{before}{one}.{_inside(own[2])}{own[3] or ''}" for one in place]
    return _shared(
        before, inner, _ENCODER_LAYER, "attention.self", [f"decoder_self_attn_{{}}.{index}"]
    )


def _bart(stack: str, index: str, inner: str) -> list[str]:
    before = f"pretrained_model.model.{stack}layers.{index}."
    own = re.fullmatch(r"(attention|cross_attention|ffn)\.(down|up|norm|scale)(\.\w+)?", inner)
    if own:
        place = {
            "attention": "self_attn.ef_attn_adapter",
            "cross_attention": "encoder_attn.ef_attn_adapter",
            "ffn": "ef_ffn_adapter",
        }[own[1]]
        return [f"{before}{place}.{_inside(own[2])}{own[3] or ''}"]
    kind = "encoder_attn" if stack == "encoder." else "decoder_self_attn"
    prefixes = [f"decoder_cross_attn_{{}}.{index}"]
    if not inner.startswith("cross_"):
        prefixes = [f"{kind}_{{}}.{index}"]
    attention = "encoder_attn" if inner.startswith("cross_") else "self_attn"
    return _shared(before, inner, _BART_LAYER, attention, prefixes)


def _shared(
    before: str, inner: str, parts: Mapping[str, str], attention: str, prefixes: list[str]
) -> list[str]:
    own = inner.removeprefix("cross_")
    if own.startswith("prefix."):
        return [
            f"prompt_model.{one.format(own.removeprefix('prefix.'))}.weight" for one in prefixes
        ]
    if own.startswith("transform_norm."):
        return [f"{before}{attention}.ef_transform_layer_norm.{own.rsplit('.', 1)[1]}"]
    lora = re.fullmatch(r"(\w+)\.(down|up)\.weight", inner)
    if lora:
        return [f"{before}{parts[lora[1]]}.ef_lora_{'A' if lora[2] == 'down' else 'B'}"]
    at, last = inner.rsplit(".", 1)
    return [f"{before}{parts[at]}.{last}"]


def _inside(part: str) -> str:
    return {
        "down": "down_proj",
        "up": "up_proj",
        "norm": "adapter_layer_norm_before",
        "scale": "scale",
    }[part]
