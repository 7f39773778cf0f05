"""One pass: the rows of several trials through the frozen encoder, each with its own adapter, dropout and head."""

from collections.abc import Sequence
from dataclasses import dataclass

from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from .adapters import bottleneck, head
from .attention import AttentionDropout
from .backbone import Backbone
from .dataset import PackedRows
from .dropout import Dropout
from .packed_encoder import encode

# Tokens of one pass: more spills a CPU's caches, less starves its matrix products.
CPU_PASS_TOKENS = 2_500
GPU_PASS_TOKENS = 65_536


@dataclass
class TrialModules:
    """One trial's modules, by name as in Adapter of job.proto, and its dropout (None: off)."""

    adapter: job_pb2.Adapter
    tensors: dict[str, Tensor]
    dropout: Dropout | None

    @property
    def after_ffn_norm(self) -> bool:
        return self.adapter.kind == job_pb2.ADAPTER_KIND_PFEIFFER

    def embeddings(self, x: Tensor) -> Tensor:
        return self._dropped(x, "embeddings")

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        return self.dropout.attention(layer) if self.dropout else None

    def attention_output(self, layer: int, x: Tensor) -> Tensor:
        site = f"layers.{layer}.attention"
        if not self.after_ffn_norm:
            x = bottleneck(self.adapter, self.tensors, site, x, residual=True)
        return self._dropped(x, site)

    def ffn_output(self, layer: int, x: Tensor) -> Tensor:
        site = f"layers.{layer}.ffn"
        if not self.after_ffn_norm:
            x = bottleneck(self.adapter, self.tensors, site, x, residual=True)
        return self._dropped(x, site)

    def ffn_normed(self, layer: int, x: Tensor) -> Tensor:
        return bottleneck(self.adapter, self.tensors, f"layers.{layer}.ffn", x, residual=False)

    def logits(self, hidden: Tensor) -> Tensor:
        return head(self.tensors, hidden, self._dropped)

    def _dropped(self, x: Tensor, site: str) -> Tensor:
        return self.dropout(x, site) if self.dropout else x


@dataclass(frozen=True)
class Part:
    """What one trial brings to a pass: some rows, packed, and its modules. owner: whose part it is, for the caller."""

    owner: int
    pack: PackedRows
    modules: TrialModules


def forward(backbone: Backbone, parts: Sequence[Part]) -> list[Tensor]:
    """Logits [rows, num_labels] of each part's rows, in the order of its pack."""
    hidden = encode(backbone, [part.pack for part in parts], [part.modules for part in parts])
    return [part.modules.logits(h) for part, h in zip(parts, hidden, strict=True)]


def loss(task_kind: int, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean loss over rows: cross-entropy for classes int64 [rows], squared error for numbers float32 [rows]."""
    if task_kind == job_pb2.TASK_KIND_CLASSIFICATION:
        return cross_entropy(logits, labels)
    return mse_loss(logits.squeeze(-1), labels)


def passes(parts: Sequence[Part], pass_tokens: int) -> list[list[Part]]:
    """Whole parts, in their order, in passes of at most pass_tokens tokens; a larger part has a pass of its own."""
    result: list[list[Part]] = []
    tokens = 0
    for part in parts:
        if not result or tokens + part.pack.tokens > pass_tokens:
            result.append([])
            tokens = 0
        result[-1].append(part)
        tokens += part.pack.tokens
    return result
