"""What an encoder–decoder cannot do.

Needs only the contract and config.json, so that requests are checked without loading PyTorch.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.modules import forms
from sparse_adapter_engine.pruners import PRUNERS

ENCODER_DECODERS = ("bart", "t5")


def misfits(spec: job_pb2.JobSpec, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields of a job that this backbone's config.json rules out, and why.

    Values that the configuration leaves out are not checked.
    """
    is_t5 = config.get("model_type") == "t5"
    for index, trial in enumerate(spec.trials):
        at, adapter = f"spec.trials[{index}].adapter", trial.adapter
        if forms.has_backbone(adapter):
            yield (
                f"{at}.unfrozen",
                "is ALL, or unfrozen_tensors is set; an encoder–decoder's own tensors are not "
                "trained",
            )
        if adapter.attention == job_pb2.ATTENTION_MODULE_CONCAT:
            yield f"{at}.attention", "is CONCAT, which is for encoders"
        if adapter.padded_tokens:
            yield (
                f"{at}.padded_tokens",
                f"{adapter.padded_tokens} is not 0, as for encoder–decoders",
            )
        if adapter.prefix_use == job_pb2.PREFIX_USE_CROSS_RELU:
            yield f"{at}.prefix_use", "is CROSS_RELU, which is for encoders; take CROSS_RELU_NORMED"
        if is_t5:
            yield from _t5_misfits(at, adapter)
        yield from _flow_misfits(f"spec.trials[{index}].prune", trial, config)
    longest, asked = config.get("max_position_embeddings"), spec.predict.generation.max_length
    if spec.HasField("predict") and isinstance(longest, int) and asked > longest:
        yield (
            "spec.predict.generation.max_length",
            f"{asked} is more than the {longest} positions that the backbone has",
        )


def _t5_misfits(at: str, adapter: job_pb2.Adapter) -> Iterator[tuple[str, str]]:
    if forms.has_biases(adapter):
        yield f"{at}.unfrozen", "is BIASES; T5 has none"
    if adapter.ffn == job_pb2.FFN_MODULE_AFTER_NORM:
        yield (
            f"{at}.ffn",
            "is AFTER_NORM, which is for blocks that normalize their sum; T5's normalize their "
            "input",
        )


def _flow_misfits(
    at: str, trial: job_pb2.Trial, config: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    hidden, lora = config.get("d_model"), trial.adapter.attention == job_pb2.ATTENTION_MODULE_LORA
    pruner = PRUNERS.get(trial.prune.pruner)
    if (
        pruner is None
        or not pruner.flows_through_modules
        or not lora
        or not isinstance(hidden, int)
    ):
        return
    width = attention_width(config, hidden)
    if width != hidden:
        reason = (
            f"is {pruner.label}, whose chain adds what LORA gives, {width} wide, to the hidden "
            f"state, {hidden} wide; take another pruner"
        )
        yield f"{at}.pruner", reason


def attention_width(config: Mapping[str, Any], hidden: int) -> int:
    """e of Adapter in job.proto: heads times the width of a head, which is d except in T5."""
    heads, width = config.get("num_heads"), config.get("d_kv")
    return (
        heads * width
        if config.get("model_type") == "t5" and isinstance(heads, int) and isinstance(width, int)
        else hidden
    )
