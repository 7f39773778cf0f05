"""What an encoder–decoder cannot take. Knows the contract and config.json only, so that a request is checked without loading PyTorch."""

from collections.abc import Iterator, Mapping
from typing import Any

from sparse_adapter.trainer.v1 import job_pb2

from . import adapter_forms as forms

ENCODER_DECODERS = ("bart", "t5")


def misfits(spec: job_pb2.JobSpec, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields of a job that this backbone's config.json rules out, and why. What a configuration leaves out is not looked at."""
    is_t5 = config.get("model_type") == "t5"
    for index, trial in enumerate(spec.trials):
        at, adapter = f"spec.trials[{index}].adapter", trial.adapter
        if forms.has_backbone(adapter):
            yield f"{at}.unfrozen", "is ALL; an encoder–decoder is not fine-tuned as a whole"
        if is_t5:
            yield from _t5_misfits(at, adapter, config)
    longest, asked = config.get("max_position_embeddings"), spec.predict.generation.max_length
    if spec.HasField("predict") and isinstance(longest, int) and asked > longest:
        yield "spec.predict.generation.max_length", f"{asked} is more than the {longest} positions that the backbone has"


def _t5_misfits(at: str, adapter: job_pb2.Adapter, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if forms.has_biases(adapter):
        yield f"{at}.unfrozen", "is BIASES; T5 has none"
    if adapter.ffn == job_pb2.FFN_MODULE_AFTER_NORM:
        yield f"{at}.ffn", "is AFTER_NORM, which is for blocks that normalize their sum; T5's normalize their input"
    if adapter.ffn == job_pb2.FFN_MODULE_LORA and str(config.get("feed_forward_proj", "")).startswith("gated"):
        reason = f"is LORA, which has one first projection; the backbone's feed-forward block, {config['feed_forward_proj']}, has two"
        yield f"{at}.ffn", reason
    hidden, heads, width = (config.get(name) for name in ("d_model", "num_heads", "d_kv"))
    reads_width = forms.has_prefix(adapter) or adapter.attention == job_pb2.ATTENTION_MODULE_LORA
    if reads_width and isinstance(hidden, int) and isinstance(heads, int) and isinstance(width, int) and heads * width != hidden:
        name = job_pb2.AttentionModule.Name(adapter.attention).removeprefix("ATTENTION_MODULE_")
        reason = f"is {name}, whose tensors are as wide as d_model, {hidden}; the backbone's attention is {heads * width} wide"
        yield f"{at}.attention", reason
