"""Which parts an adapter has.

Needs only the contract, so that requests are checked without loading PyTorch.
"""

import re
from collections.abc import Sequence

from sparse_adapter.trainer.v1 import job_pb2

# Modules with a down and an up projection, biases, and possibly a norm.
_ATTENTION_BOTTLENECKS = (
    job_pb2.ATTENTION_MODULE_SEQUENTIAL,
    job_pb2.ATTENTION_MODULE_PARALLEL,
    job_pb2.ATTENTION_MODULE_PARALLEL_CONTEXT,
    job_pb2.ATTENTION_MODULE_CONCAT,
)
_FFN_BOTTLENECKS = (
    job_pb2.FFN_MODULE_SEQUENTIAL,
    job_pb2.FFN_MODULE_PARALLEL,
    job_pb2.FFN_MODULE_AFTER_NORM,
)


def modules(adapter: job_pb2.Adapter) -> list[str]:
    """The sites that have a module: `attention`, `ffn`."""
    found = [
        ("attention", adapter.attention != job_pb2.ATTENTION_MODULE_NONE),
        ("ffn", adapter.ffn != job_pb2.FFN_MODULE_NONE),
    ]
    return [name for name, there in found if there]


def bottlenecks(adapter: job_pb2.Adapter) -> list[str]:
    """The sites whose module is a bottleneck."""
    found = [
        ("attention", adapter.attention in _ATTENTION_BOTTLENECKS),
        ("ffn", adapter.ffn in _FFN_BOTTLENECKS),
    ]
    return [name for name, there in found if there]


def has_bottleneck(adapter: job_pb2.Adapter) -> bool:
    return bool(bottlenecks(adapter))


def has_lora(adapter: job_pb2.Adapter) -> bool:
    return (
        adapter.attention == job_pb2.ATTENTION_MODULE_LORA or adapter.ffn == job_pb2.FFN_MODULE_LORA
    )


def has_biases(adapter: job_pb2.Adapter) -> bool:
    """Whether the backbone's biases are trained."""
    return adapter.unfrozen == job_pb2.UNFROZEN_BIASES


def has_backbone(adapter: job_pb2.Adapter) -> bool:
    """Whether tensors of the backbone are trained in place: all, or some by name."""
    return adapter.unfrozen == job_pb2.UNFROZEN_ALL or bool(adapter.unfrozen_tensors)


def has_fixed_states(adapter: job_pb2.Adapter) -> bool:
    """Whether the last hidden states of a row are, but for dropout, the same at every step: nothing
    below the head is trained, and nothing is padded."""
    trained = modules(adapter) or has_biases(adapter) or has_backbone(adapter)
    return not trained and not adapter.padded_tokens


def unfrozen_names(adapter: job_pb2.Adapter, own: Sequence[str]) -> list[str]:
    """Which of a backbone's tensors, by their names in ALL of Adapter in job.proto, are trained
    in place."""
    if adapter.unfrozen == job_pb2.UNFROZEN_ALL:
        return list(own)
    return [name for name in own if is_named(name, adapter.unfrozen_tensors)]


def is_named(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns, in which `*` stands for any characters, is the name."""
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) for pattern in patterns
    )


# The uses of a prefix that norm the query's input.
NORMED_USES = (
    job_pb2.PREFIX_USE_CROSS,
    job_pb2.PREFIX_USE_CROSS_GATED,
    job_pb2.PREFIX_USE_CROSS_RELU_NORMED,
    job_pb2.PREFIX_USE_CROSS_RELU_GATED,
)


def norm_at(adapter: job_pb2.Adapter, site: str) -> int:
    """Where the bottleneck of a site, `attention` or `ffn`, normalizes."""
    own: int = adapter.attention_norm if site == "attention" else 0
    return own or adapter.norm


def scale_at(adapter: job_pb2.Adapter, site: str) -> float:
    """s of the bottleneck of a site; if it is trained, at the start."""
    own: float = adapter.attention_scale if site == "attention" else 0.0
    return own or adapter.scale


def init_at(adapter: job_pb2.Adapter, is_attention: bool) -> int:
    """How the matrices of a module are drawn."""
    own: int = adapter.attention_init if is_attention else 0
    return own or adapter.init


def has_prefix(adapter: job_pb2.Adapter) -> bool:
    return adapter.attention == job_pb2.ATTENTION_MODULE_PREFIX


def prompt_length(adapter: job_pb2.Adapter) -> int:
    """How many tokens a prompt adds to every row."""
    return (
        adapter.attention_bottleneck if adapter.attention == job_pb2.ATTENTION_MODULE_PROMPT else 0
    )


def has_matrices(adapter: job_pb2.Adapter) -> bool:
    """Whether there is anything to prune: a down and an up projection."""
    return has_bottleneck(adapter) or has_lora(adapter)


def matrices(
    adapter: job_pb2.Adapter, hidden: int, attention_width: int, inner: int
) -> dict[str, tuple[int, int]]:
    """Names within a layer, and shapes, of the prunable matrices. attention_width, inner: e and f
    of Adapter in job.proto."""
    attention, ffn = adapter.attention_bottleneck, adapter.ffn_bottleneck
    # By site: bottleneck, inputs, outputs.
    sites = {
        site: ({"attention": attention, "ffn": ffn}[site], hidden, hidden)
        for site in bottlenecks(adapter)
    }
    if adapter.attention == job_pb2.ATTENTION_MODULE_LORA:
        sites |= {
            "query": (attention, hidden, attention_width),
            "value": (attention, hidden, attention_width),
        }
    if adapter.ffn == job_pb2.FFN_MODULE_LORA:
        sites |= {"ffn_in": (ffn, hidden, inner), "ffn_out": (ffn, inner, hidden)}
    found: dict[str, tuple[int, int]] = {}
    for site, (width, inputs, outputs) in sites.items():
        found |= {f"{site}.down.weight": (width, inputs), f"{site}.up.weight": (outputs, width)}
    return found
