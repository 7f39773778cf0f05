"""The trained modules of a trial: which tensors there are, how they are drawn, and what they compute.

A trial's tensors are views of one flat vector, laid out as [prunable matrices | head matrices | biases and norms]: the mask covers the
first part, weight decay the first two.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from .keys import generator

LAYER_NORM_EPS = 1e-5
_HEAD_STD = 0.02
_ACTIVATIONS: dict[int, Callable[[Tensor], Tensor]] = {
    job_pb2.ACTIVATION_RELU: F.relu,
    job_pb2.ACTIVATION_GELU: F.gelu,
    job_pb2.ACTIVATION_SWISH: F.silu,
}


@dataclass(frozen=True)
class Layout:
    """Names and shapes of a trial's tensors in the order of its flat vector."""

    shapes: dict[str, tuple[int, ...]]
    # Numbers of values: prunable weights, prunable weights and head matrices, adapter tensors, all.
    prunable: int
    decayed: int
    adapter: int
    total: int

    @property
    def prunable_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, shape in self.shapes.items() if is_prunable(name)}

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Each tensor by its name, a view of flat [total]."""
        parts = flat.split([math.prod(shape) for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def flatten(self, tensors: dict[str, Tensor]) -> Tensor:
        """The flat vector [total] of tensors given by name."""
        return torch.cat([tensors[name].reshape(-1) for name in self.shapes])


def is_prunable(name: str) -> bool:
    return name.endswith(("down.weight", "up.weight"))


def layout(adapter: job_pb2.Adapter, layers: int, hidden: int, num_labels: int) -> Layout:
    """The tensors of Adapter in job.proto for a backbone of this many layers and this hidden size."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index in range(layers):
        for module, width in (("attention", adapter.attention_bottleneck), ("ffn", adapter.ffn_bottleneck)):
            if module == "attention" and adapter.kind == job_pb2.ADAPTER_KIND_PFEIFFER:
                continue
            prefix = f"layers.{index}.{module}"
            shapes |= {f"{prefix}.down.weight": (width, hidden), f"{prefix}.down.bias": (width,)}
            shapes |= {f"{prefix}.up.weight": (hidden, width), f"{prefix}.up.bias": (hidden,)}
            if adapter.norm != job_pb2.ADAPTER_NORM_NONE:
                shapes |= {f"{prefix}.norm.weight": (hidden,), f"{prefix}.norm.bias": (hidden,)}
    shapes |= {"head.dense.weight": (hidden, hidden), "head.dense.bias": (hidden,)}
    shapes |= {"head.out.weight": (num_labels, hidden), "head.out.bias": (num_labels,)}

    def rank(name: str) -> int:
        return 0 if is_prunable(name) else 1 if name in ("head.dense.weight", "head.out.weight") else 2

    shapes = dict(sorted(shapes.items(), key=lambda item: rank(item[0])))
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    return Layout(
        shapes,
        prunable=sum(size for name, size in sizes.items() if rank(name) == 0),
        decayed=sum(size for name, size in sizes.items() if rank(name) < 2),
        adapter=sum(size for name, size in sizes.items() if not name.startswith("head.")),
        total=sum(sizes.values()),
    )


def initialize(trial: job_pb2.Trial, shapes: dict[str, tuple[int, ...]], pooler: tuple[Tensor, Tensor] | None) -> dict[str, Tensor]:
    """The trial's first weights, float32 on the CPU. Each is drawn at its true shape by a generator keyed with (seed, name)."""
    tensors = {name: _initial(trial, name, shape) for name, shape in shapes.items()}
    if pooler is not None:
        weight, bias = pooler
        tensors |= {"head.dense.weight": weight.cpu().clone(), "head.dense.bias": bias.cpu().clone()}
    return tensors


def _initial(trial: job_pb2.Trial, name: str, shape: tuple[int, ...]) -> Tensor:
    adapter, random = trial.adapter, generator(trial.seed, "init", name)
    if name.endswith("norm.weight"):
        return torch.ones(shape)
    if name.endswith("bias"):
        return torch.zeros(shape)
    if name.startswith("head."):
        return torch.empty(shape).normal_(0, _HEAD_STD, generator=random)
    if adapter.init == job_pb2.ADAPTER_INIT_GAUSSIAN:
        return torch.empty(shape).normal_(0, adapter.init_std, generator=random)
    if name.endswith("up.weight"):
        return torch.zeros(shape)
    # Kaiming uniform with a = √5: bound √(6 / ((1 + 5) · fan_in)).
    bound = 1 / math.sqrt(shape[1])
    return torch.empty(shape).uniform_(-bound, bound, generator=random)


def bottleneck(adapter: job_pb2.Adapter, tensors: dict[str, Tensor], prefix: str, x: Tensor, residual: bool) -> Tensor:
    """A bottleneck module's output for x [n, d]: (x +) s · up(f(down(x))), normalized before or after as the adapter says."""

    def norm(y: Tensor) -> Tensor:
        weight, bias = tensors[f"{prefix}.norm.weight"], tensors[f"{prefix}.norm.bias"]
        return F.layer_norm(y, weight.shape, weight, bias, LAYER_NORM_EPS)

    inner = norm(x) if adapter.norm == job_pb2.ADAPTER_NORM_BEFORE else x
    inner = F.linear(inner, tensors[f"{prefix}.down.weight"], tensors[f"{prefix}.down.bias"])
    out = F.linear(_ACTIVATIONS[adapter.activation](inner), tensors[f"{prefix}.up.weight"], tensors[f"{prefix}.up.bias"])
    if adapter.scale != 1:
        out.mul_(adapter.scale)
    if residual:
        out.add_(x)
    return norm(out) if adapter.norm == job_pb2.ADAPTER_NORM_AFTER else out


def head(tensors: dict[str, Tensor], hidden: Tensor, drop: Callable[[Tensor, str], Tensor]) -> Tensor:
    """Logits [rows, num_labels] of first tokens' hidden states [rows, d]: out(drop(tanh(dense(drop(h)))))."""
    dense = F.linear(drop(hidden, "head.dense"), tensors["head.dense.weight"], tensors["head.dense.bias"])
    return F.linear(drop(torch.tanh(dense), "head.out"), tensors["head.out.weight"], tensors["head.out.bias"])
