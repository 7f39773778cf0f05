"""A short self-test: does a trial's gradient on this machine depend on the other trials in its
cohort?

If not, a trial in a cohort gets the weights of its lone run bit for bit. This depends on BLAS,
processor and number of threads.
"""

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import BertConfig, BertModel

from sparse_adapter_engine.data.rows import PackedRows, Split
from sparse_adapter_engine.keys import generator
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part

from .encoder import Encoder
from .forward import forward
from .loading import from_transformers

_ROWS = 24
_CLASSES = 2


def rows_are_invariant(device: torch.device) -> bool:
    """Whether a trial's gradients have the same bits alone and between two others, through two
    layers of a random encoder 384 wide."""
    config = BertConfig(
        vocab_size=100,
        hidden_size=384,
        num_hidden_layers=2,
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=64,
    )
    backbone = from_transformers(
        BertModel(config, add_pooling_layer=False).to(device), has_pooler=False
    )
    split = _random_split()
    parts = [_part(backbone, split, seed) for seed in (1, 2, 3)]
    together = _gradients(backbone, parts)[1]
    alone = _gradients(backbone, [parts[1]])[0]
    return backbone.row_invariant and all(
        torch.equal(a, b) for a, b in zip(alone, together, strict=True)
    )


def _random_split() -> Split:
    random = generator(0, "invariance")
    lengths = torch.randint(3, 40, (3 * _ROWS,), generator=random)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    ids = torch.randint(0, 100, (int(offsets[-1]),), generator=random)
    return Split(
        "random",
        ids,
        torch.zeros_like(ids),
        offsets,
        torch.randint(0, _CLASSES, (3 * _ROWS,), generator=random),
    )


def _part(backbone: Encoder, split: Split, seed: int) -> Part[PackedRows]:
    adapter = job_pb2.Adapter(
        attention=job_pb2.ATTENTION_MODULE_SEQUENTIAL,
        ffn=job_pb2.FFN_MODULE_SEQUENTIAL,
        attention_bottleneck=8 * seed,
        ffn_bottleneck=8 * seed,
        scale=1,
        norm=job_pb2.ADAPTER_NORM_BEFORE,
        activation=job_pb2.ACTIVATION_SWISH,
        init=job_pb2.ADAPTER_INIT_GAUSSIAN,
        init_std=0.02,
    )
    shapes = layout(adapter, backbone, _CLASSES).shapes
    first = initialize(job_pb2.Trial(seed=seed, adapter=adapter), shapes, pooler=None)
    leaves = {name: tensor.to(backbone.device).requires_grad_() for name, tensor in first.items()}
    rows = torch.arange((seed - 1) * _ROWS, seed * _ROWS)
    return Part.of(seed - 1, split, rows, TrialModules(adapter, leaves, dropout=None))


def _gradients(backbone: Encoder, parts: list[Part[PackedRows]]) -> list[list[Tensor]]:
    kind = job_pb2.TASK_KIND_CLASSIFICATION
    losses = [
        loss(kind, found, part.pack)
        for part, found in zip(parts, forward(backbone, parts, kind), strict=True)
    ]
    leaves = [list(part.modules.tensors.values()) for part in parts]
    flat = iter(torch.autograd.grad(losses, [leaf for some in leaves for leaf in some]))
    return [[next(flat) for _ in some] for some in leaves]
