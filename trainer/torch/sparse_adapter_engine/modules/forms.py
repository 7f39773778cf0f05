"""Which parts an adapter has.

Needs only the contract, so that requests are checked without loading PyTorch.
"""

from sparse_adapter.trainer.v1 import job_pb2

# Modules with a down and an up projection, biases, and possibly a norm.
_ATTENTION_BOTTLENECKS = (job_pb2.ATTENTION_MODULE_SEQUENTIAL, job_pb2.ATTENTION_MODULE_PARALLEL)
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
    """Whether the whole backbone is trained, in place."""
    return adapter.unfrozen == job_pb2.UNFROZEN_ALL


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
