"""A trial's trained tensors: which there are, in what order, and how they are drawn.

A trial's tensors are views of one flat vector, laid out as [prunable matrices | other matrices |
biases and norms | tensors that stay as they are drawn]: the mask covers the first part, weight
decay the first two, training the first three.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.data.rows import CLASSIFICATION, QUESTION_ANSWERING, SUMMARIZATION
from sparse_adapter_engine.keys import generator

from .forms import (
    NORMED_USES,
    bottlenecks,
    has_backbone,
    has_biases,
    has_prefix,
    init_at,
    is_named,
    matrices,
    norm_at,
    prompt_length,
    unfrozen_names,
)

_HEAD_STD = 0.02
_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a trial's tensors in the order of its flat vector."""

    shapes: dict[str, tuple[int, ...]]
    # Counts of values: prunable weights, all matrices' weights, all that is trained, the adapter's
    # trained tensors, the head's, everything.
    prunable: int
    decayed: int
    trained: int
    adapter: int
    head: int
    total: int
    # Names of tensors that stay as they are drawn.
    frozen: frozenset[str] = frozenset()

    @property
    def prunable_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            name: shape
            for name, shape in self.shapes.items()
            if is_prunable(name) and name not in self.frozen
        }

    @property
    def trained_names(self) -> list[str]:
        return [name for name in self.shapes if name not in self.frozen]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Each tensor by its name, a view of flat [total]."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        """The flat vector [total] of tensors given by name."""
        return torch.cat([tensors[name].reshape(-1) for name in self.shapes])


def is_prunable(name: str) -> bool:
    return name.endswith(("down.weight", "up.weight"))


def layout(
    adapter: job_pb2.Adapter,
    backbone: Backbone,
    num_labels: int,
    task_kind: int = CLASSIFICATION,
) -> Layout:
    """The tensors of Adapter in job.proto for a backbone, and of the head for a kind of task."""
    d, e = backbone.hidden, backbone.attention_width
    shapes: dict[str, _Shape] = {}
    if has_backbone(adapter):
        own = backbone.own_shapes
        shapes |= {name: own[name] for name in unfrozen_names(adapter, list(own))}
    for block in backbone.blocks:
        layer = dict(_layer(adapter, d, e, block.inner))
        if block.has_cross_attention:
            layer |= {
                f"cross_{name}": shape
                for name, shape in layer.items()
                if not name.startswith("ffn")
            }
        shapes |= {f"{block.at}{name}": shape for name, shape in layer.items()}
    if has_prefix(adapter) and adapter.prefix_hidden:
        for mlp, attentions in backbone.prefix_mlps.items():
            h, out = adapter.prefix_hidden, attentions * 2 * e
            shapes |= {
                f"{mlp}embedding": (adapter.attention_bottleneck, d),
                f"{mlp}mlp.in.weight": (h, d),
                f"{mlp}mlp.in.bias": (h,),
            }
            shapes |= {f"{mlp}mlp.out.weight": (out, h), f"{mlp}mlp.out.bias": (out,)}
    if prompt_length(adapter):
        shapes["prompt"] = (prompt_length(adapter), d)
    if task_kind not in (QUESTION_ANSWERING, SUMMARIZATION):
        shapes |= {"head.dense.weight": (d, d), "head.dense.bias": (d,)}
    if task_kind != SUMMARIZATION:
        shapes |= {"head.out.weight": (num_labels, d), "head.out.bias": (num_labels,)}

    frozen = frozenset(name for name in shapes if is_named(name, adapter.frozen))

    def rank(name: str) -> int:
        if name in frozen:
            return 3
        is_decayed = len(shapes[name]) == 2 or name.endswith(".scale")
        return 0 if is_prunable(name) else 1 if is_decayed else 2

    shapes = dict(sorted(shapes.items(), key=lambda item: rank(item[0])))
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    return Layout(
        shapes,
        prunable=sum(size for name, size in sizes.items() if rank(name) == 0),
        decayed=sum(size for name, size in sizes.items() if rank(name) < 2),
        trained=sum(size for name, size in sizes.items() if rank(name) < 3),
        adapter=sum(
            size for name, size in sizes.items() if rank(name) < 3 and not name.startswith("head.")
        ),
        head=sum(size for name, size in sizes.items() if name.startswith("head.")),
        total=sum(sizes.values()),
        frozen=frozen,
    )


def _layer(adapter: job_pb2.Adapter, d: int, e: int, f: int) -> Iterator[tuple[str, _Shape]]:
    """Names within a layer and shapes."""
    prunable = matrices(adapter, d, e, f)
    yield from prunable.items()
    for site in bottlenecks(adapter):
        yield from (
            (f"{site}.down.bias", prunable[f"{site}.down.weight"][:1]),
            (f"{site}.up.bias", (d,)),
        )
        if norm_at(adapter, site) != job_pb2.ADAPTER_NORM_NONE:
            yield from ((f"{site}.norm.weight", (d,)), (f"{site}.norm.bias", (d,)))
        if adapter.learned_scale and site == "ffn":
            yield f"{site}.scale", (1,)
    if adapter.prefix_use in NORMED_USES:
        yield from (("transform_norm.weight", (d,)), ("transform_norm.bias", (d,)))
    if has_prefix(adapter) and not adapter.prefix_hidden:
        yield from (
            (f"prefix.{name}", (adapter.attention_bottleneck, e)) for name in ("key", "value")
        )
    if has_biases(adapter):
        for name in (
            "query",
            "value",
            "attention_output",
            "attention_norm",
            "ffn_in",
            "ffn_out",
            "ffn_norm",
        ):
            yield f"{name}.bias", (f if name == "ffn_in" else d,)


def initialize(
    trial: job_pb2.Trial, shapes: dict[str, _Shape], pooler: tuple[Tensor, Tensor] | None
) -> dict[str, Tensor]:
    """The trial's first weights, float32 on the CPU.

    Each is drawn at its true shape by a generator keyed by (seed, name).
    """
    tensors = {name: _initial(trial, name, shape, "init") for name, shape in shapes.items()}
    if trial.adapter.prefix_init == job_pb2.PREFIX_INIT_TORCH:
        tensors |= _torch_prefix(trial, shapes)
    if pooler is not None and "head.dense.weight" in shapes:
        weight, bias = pooler
        tensors |= {
            "head.dense.weight": weight.cpu().clone(),
            "head.dense.bias": bias.cpu().clone(),
        }
    return tensors


def _torch_prefix(trial: job_pb2.Trial, shapes: dict[str, _Shape]) -> dict[str, Tensor]:
    """A prefix's MLP as PREFIX_INIT_TORCH draws it."""
    drawn: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        random = generator(trial.seed, "init", name)
        if name.endswith("embedding") and name.startswith("prefix."):
            drawn[name] = torch.empty(shape).normal_(0, 1, generator=random)
        elif ".mlp." in name:
            inputs = shapes[f"{name.rsplit('.', 1)[0]}.weight"][1]
            bound = 1 / math.sqrt(inputs)
            drawn[name] = torch.empty(shape).uniform_(-bound, bound, generator=random)
    return drawn


def redraw(trial: job_pb2.Trial, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """First weights with the prunable matrices redrawn (Prune.reinitialize)."""
    return {
        name: _initial(trial, name, tuple(tensor.shape), "init again")
        if is_prunable(name)
        else tensor
        for name, tensor in tensors.items()
    }


def _initial(trial: job_pb2.Trial, name: str, shape: _Shape, purpose: str) -> Tensor:
    adapter, random = trial.adapter, generator(trial.seed, purpose, name)
    if name.endswith("norm.weight"):
        return torch.ones(shape)
    if name.endswith(".scale"):
        return torch.full(shape, adapter.scale)
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.startswith("head."):
        return torch.empty(shape).normal_(0, _HEAD_STD, generator=random)
    init = init_at(adapter, ".ffn" not in name)
    if init == job_pb2.ADAPTER_INIT_GAUSSIAN or not is_prunable(name):
        return torch.empty(shape).normal_(0, adapter.init_std, generator=random)
    if name.endswith("up.weight"):
        return torch.zeros(shape)
    # Kaiming uniform with a = √5: bound √(6 / ((1 + 5) · fan_in)).
    bound = 1 / math.sqrt(shape[1])
    return torch.empty(shape).uniform_(-bound, bound, generator=random)
