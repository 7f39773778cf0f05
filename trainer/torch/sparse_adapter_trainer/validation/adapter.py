"""What is wrong in itself with a trial's adapter."""

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.modules import forms

from .violations import Found, check_at_least_one, check_enum, check_positive, write_number


def check_adapter(at: str, adapter: job_pb2.Adapter) -> Found:
    yield from check_enum(f"{at}.attention", adapter.attention, job_pb2.AttentionModule)
    yield from check_enum(f"{at}.ffn", adapter.ffn, job_pb2.FfnModule)
    for name in forms.modules(adapter):
        yield from check_at_least_one(
            f"{at}.{name}_bottleneck", getattr(adapter, f"{name}_bottleneck")
        )
    if forms.has_bottleneck(adapter):
        yield from check_positive(f"{at}.scale", adapter.scale)
        yield from check_enum(f"{at}.norm", adapter.norm, job_pb2.AdapterNorm)
        yield from check_enum(f"{at}.activation", adapter.activation, job_pb2.Activation)
    if forms.has_lora(adapter):
        yield from check_positive(f"{at}.lora_alpha", adapter.lora_alpha)
    if forms.has_matrices(adapter):
        yield from check_enum(f"{at}.init", adapter.init, job_pb2.AdapterInit)
    drawn_by_init = forms.has_matrices(adapter) and adapter.init == job_pb2.ADAPTER_INIT_GAUSSIAN
    if forms.has_prefix(adapter) or forms.prompt_length(adapter) or drawn_by_init:
        yield from check_positive(f"{at}.init_std", adapter.init_std)
    yield from check_enum(f"{at}.unfrozen", adapter.unfrozen, job_pb2.Unfrozen)
    yield from _check_parts(at, adapter)
    if adapter.unfrozen != job_pb2.UNFROZEN_NONE and forms.modules(adapter):
        yield (
            f"{at}.unfrozen",
            "is not NONE beside a module; parts of the backbone are trained where attention and "
            "ffn are NONE",
        )


def _check_parts(at: str, adapter: job_pb2.Adapter) -> Found:
    """Fields that need a module of some kind."""
    found = forms.bottlenecks(adapter)
    if adapter.attention_scale < 0:
        yield f"{at}.attention_scale", f"{write_number(adapter.attention_scale)} is negative"
    if adapter.learned_scale and "ffn" not in found:
        yield f"{at}.learned_scale", "is true, and there is no bottleneck at ffn"
    if adapter.prefix_use and not forms.has_prefix(adapter):
        yield f"{at}.prefix_use", "is set, and attention is not PREFIX"
    keys = [
        name
        for name in ("key.weight", "value.weight")
        if forms.is_named(f"layers.0.{name}", adapter.unfrozen_tensors)
    ]
    if len(keys) == 1:
        yield (
            f"{at}.unfrozen_tensors",
            f"names {keys[0]} alone; the weights of key and value are one product, and are trained "
            "together or not at all",
        )
    if adapter.unfrozen == job_pb2.UNFROZEN_BIASES and adapter.unfrozen_tensors:
        yield f"{at}.unfrozen", "is BIASES beside unfrozen_tensors; it is NONE, and those are named"
