"""What a trial's modules compute, and where: Adapter of job.proto."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from .adapter_forms import has_biases
from .attention import AttentionDropout, Prefix
from .dropout import Dropout
from .packed_encoder import Site
from .products import linear

_LAYER_NORM_EPS = 1e-5
_ACTIVATIONS: dict[int, Callable[[Tensor], Tensor]] = {
    job_pb2.ACTIVATION_RELU: F.relu,
    job_pb2.ACTIVATION_GELU: F.gelu,
    job_pb2.ACTIVATION_SWISH: F.silu,
}
_SITES_OF_ATTENTION: dict[int, tuple[Site, ...]] = {
    job_pb2.ATTENTION_MODULE_SEQUENTIAL: ("attention_output",),
    job_pb2.ATTENTION_MODULE_PARALLEL: ("attention_output",),
    job_pb2.ATTENTION_MODULE_LORA: ("query", "value"),
    job_pb2.ATTENTION_MODULE_PROMPT: ("prompt",),
}
_SITES_OF_FFN: dict[int, tuple[Site, ...]] = {
    job_pb2.FFN_MODULE_SEQUENTIAL: ("ffn_out",),
    job_pb2.FFN_MODULE_PARALLEL: ("ffn_out",),
    job_pb2.FFN_MODULE_LORA: ("ffn_in", "ffn_out"),
    job_pb2.FFN_MODULE_AFTER_NORM: ("after_block",),
}
_SITES_OF_BIASES: tuple[Site, ...] = ("query", "value", "attention_output", "attention_norm", "ffn_in", "ffn_out", "ffn_norm")
_SITES_OF_DROPOUT: tuple[Site, ...] = ("embeddings", "attention_output", "ffn_out")


@dataclass
class TrialModules:
    """One trial's tensors for one forward, by name as in Adapter of job.proto, and its dropout (None: off)."""

    adapter: job_pb2.Adapter
    tensors: dict[str, Tensor]
    dropout: Dropout | None
    # By MLP: the prefixes that it makes.
    _made: dict[str, list[Tensor]] = field(default_factory=dict, init=False)

    @cached_property
    def sites(self) -> frozenset[Site]:
        sites = (*_SITES_OF_ATTENTION.get(self.adapter.attention, ()), *_SITES_OF_FFN.get(self.adapter.ffn, ()))
        sites += _SITES_OF_BIASES if has_biases(self.adapter) else ()
        return frozenset(sites + (_SITES_OF_DROPOUT if self.dropout and self.dropout.probability > 0 else ()))

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        if site == "prompt":
            vectors = F.embedding(inputs[0].clamp(min=0), self.tensors["prompt"])
            return torch.where(inputs[0].unsqueeze(1) < 0, output, vectors)
        if site == "embeddings":
            return self.dropped(output, site)
        return self.adapt_at(f"layers.{layer}.", site, output, *inputs)

    def adapt_at(self, at: str, site: Site, output: Tensor, *inputs: Tensor) -> Tensor:
        """The trial's result at a site of a block, as `Modules` of packed_encoder.py says. at: what the block's names begin with, for
        example `layers.3.`, or `decoder.layers.3.cross_`."""
        match site:
            case "query":
                return self.beside(f"{at}query", inputs[0])
            case "value":
                key, value = output.chunk(2, dim=1)
                return torch.cat([key, value + self.beside(f"{at}value", inputs[0])], dim=1)
            case "attention_output":
                return self.dropped(self._attention_output(at, output, inputs[0]), f"{at}attention")
            case "ffn_in":
                return output + self.beside(f"{at}ffn_in", inputs[0])
            case "ffn_out":
                return self.dropped(self._ffn_output(at, output, *inputs), f"{at}ffn")
            case "after_block":
                return self._bottleneck(f"{at}ffn", output, residual=False)
            case "attention_norm" | "ffn_norm":
                return output + self.tensors[f"{at}{site}.bias"]
        raise ValueError(f"{site} is not a site of a block")

    def prefix(self, layer: int) -> Prefix | None:
        return self.prefix_at(f"layers.{layer}.", "prefix.", layer)

    def prefix_at(self, at: str, mlp: str, layer: int, width: int | None = None) -> Prefix | None:
        """Keys and values before the tokens' own, or None. at: as in `adapt_at`; mlp: what the names of the MLP that makes them begin with;
        layer: the block's place among those that this MLP makes prefixes for; width: of the attention, None where it is d."""
        if self.adapter.attention != job_pb2.ATTENTION_MODULE_PREFIX:
            return None
        if not self.adapter.prefix_hidden:
            return self.tensors[f"{at}prefix.key"], self.tensors[f"{at}prefix.value"]
        if mlp not in self._made:
            self._made[mlp] = self._prefixes(mlp, width)
        return self._made[mlp][2 * layer], self._made[mlp][2 * layer + 1]

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        return self.attention_dropout_at(f"layers.{layer}.")

    def attention_dropout_at(self, at: str) -> AttentionDropout | None:
        """Drops attention probabilities of one forward, or None. at: as in `adapt_at`."""
        return self.dropout.attention(f"{at}attention") if self.dropout else None

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [n, num_labels] of hidden states [n, d]: out(drop(tanh(dense(drop(h))))), or out(h) of a head without dense."""
        if "head.dense.weight" not in self.tensors:
            return linear(hidden, self.tensors["head.out.weight"], self.tensors["head.out.bias"])
        dense = linear(self.dropped(hidden, "head.dense"), self.tensors["head.dense.weight"], self.tensors["head.dense.bias"])
        return linear(self.dropped(torch.tanh(dense), "head.out"), self.tensors["head.out.weight"], self.tensors["head.out.bias"])

    def _attention_output(self, at: str, output: Tensor, block_input: Tensor) -> Tensor:
        match self.adapter.attention:
            case job_pb2.ATTENTION_MODULE_SEQUENTIAL:
                return self._bottleneck(f"{at}attention", output, residual=True)
            case job_pb2.ATTENTION_MODULE_PARALLEL:
                return output + self._bottleneck(f"{at}attention", block_input, residual=False)
        return output + self.tensors[f"{at}attention_output.bias"] if has_biases(self.adapter) else output

    def _ffn_output(self, at: str, output: Tensor, block_input: Tensor, *activated: Tensor) -> Tensor:
        match self.adapter.ffn:
            case job_pb2.FFN_MODULE_SEQUENTIAL:
                return self._bottleneck(f"{at}ffn", output, residual=True)
            case job_pb2.FFN_MODULE_PARALLEL:
                return output + self._bottleneck(f"{at}ffn", block_input, residual=False)
            case job_pb2.FFN_MODULE_LORA:
                return output + self._low_rank(f"{at}ffn_out", *activated)
        return output + self.tensors[f"{at}ffn_out.bias"] if has_biases(self.adapter) else output

    def _bottleneck(self, prefix: str, x: Tensor, residual: bool) -> Tensor:
        """(x +) s · up(f(down(x))) of x […, d], normalized before or after as the adapter says."""
        adapter, tensors = self.adapter, self.tensors

        def norm(y: Tensor) -> Tensor:
            weight, bias = tensors[f"{prefix}.norm.weight"], tensors[f"{prefix}.norm.bias"]
            return F.layer_norm(y, weight.shape, weight, bias, _LAYER_NORM_EPS)

        inner = norm(x) if adapter.norm == job_pb2.ADAPTER_NORM_BEFORE else x
        inner = linear(inner, tensors[f"{prefix}.down.weight"], tensors[f"{prefix}.down.bias"])
        out = linear(_ACTIVATIONS[adapter.activation](inner), tensors[f"{prefix}.up.weight"], tensors[f"{prefix}.up.bias"])
        if adapter.scale != 1:
            out.mul_(adapter.scale)
        if residual:
            out.add_(x)
        return norm(out) if adapter.norm == job_pb2.ADAPTER_NORM_AFTER else out

    def beside(self, at: str, x: Tensor) -> Tensor:
        """What is added to a projection of x […, inputs]: a bias of its outputs, or LoRA's update."""
        return self.tensors[f"{at}.bias"] if has_biases(self.adapter) else self._low_rank(at, x)

    def _low_rank(self, prefix: str, x: Tensor) -> Tensor:
        """(α / r) · up(down(x))."""
        down = self.tensors[f"{prefix}.down.weight"]
        return linear(linear(x, down), self.tensors[f"{prefix}.up.weight"]).mul_(self.adapter.lora_alpha / down.shape[0])

    def _prefixes(self, mlp: str, width: int | None) -> list[Tensor]:
        """Each layer's key and value [length, width], by the MLP that makes them all."""
        named = {name.removeprefix(mlp): tensor for name, tensor in self.tensors.items() if name.startswith(mlp)}
        length, hidden = named["embedding"].shape
        inner = torch.tanh(linear(named["embedding"], named["mlp.in.weight"], named["mlp.in.bias"]))
        out = linear(inner, named["mlp.out.weight"], named["mlp.out.bias"])
        return list(out.view(length, -1, width or hidden).unbind(1))

    def dropped(self, x: Tensor, site: str) -> Tensor:
        """x with the trial's dropout, keyed by the site's name."""
        return self.dropout(x, site) if self.dropout else x
