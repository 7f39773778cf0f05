"""What a trial's modules compute, and where: Adapter of job.proto."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.modules.sites import AttentionDropout, Prefix, Site

from .dropout import Drops
from .forms import has_biases, norm_at, scale_at
from .trial_axis import ONE_TRIAL, TrialAxis

_LAYER_NORM_EPS = 1e-5
_ACTIVATIONS: dict[int, Callable[[Tensor], Tensor]] = {
    job_pb2.ACTIVATION_RELU: F.relu,
    job_pb2.ACTIVATION_GELU: F.gelu,
    job_pb2.ACTIVATION_SWISH: F.silu,
}
_SITES_OF_ATTENTION: dict[int, tuple[Site, ...]] = {
    job_pb2.ATTENTION_MODULE_SEQUENTIAL: ("attention_output",),
    job_pb2.ATTENTION_MODULE_PARALLEL: ("attention_output",),
    job_pb2.ATTENTION_MODULE_PARALLEL_CONTEXT: ("context",),
    job_pb2.ATTENTION_MODULE_CONCAT: ("concatenated",),
    job_pb2.ATTENTION_MODULE_LORA: ("query", "value"),
    job_pb2.ATTENTION_MODULE_PROMPT: ("prompt",),
}
_SITES_OF_FFN: dict[int, tuple[Site, ...]] = {
    job_pb2.FFN_MODULE_SEQUENTIAL: ("ffn_out",),
    job_pb2.FFN_MODULE_PARALLEL: ("ffn_out",),
    job_pb2.FFN_MODULE_LORA: ("ffn_in", "ffn_out"),
    job_pb2.FFN_MODULE_AFTER_NORM: ("after_block",),
}
_SITES_OF_BIASES: tuple[Site, ...] = (
    "query",
    "value",
    "attention_output",
    "attention_norm",
    "ffn_in",
    "ffn_out",
    "ffn_norm",
)
_RELU_USES = (
    job_pb2.PREFIX_USE_CROSS_RELU,
    job_pb2.PREFIX_USE_CROSS_RELU_NORMED,
    job_pb2.PREFIX_USE_CROSS_RELU_GATED,
)
_SITES_OF_DROPOUT: tuple[Site, ...] = ("embeddings", "attention_output", "ffn_out")


@dataclass
class TrialModules:
    """One trial's tensors for one forward, named as in Adapter of job.proto, and its dropout (None:
    off); or those of several trials of one form, stacked (stacked/stack.py).

    axis: which of the two it is. lora_is_scaled: whether LoRA's up projections already include α /
    r, as in a stack, whose trials may differ in rank.
    """

    adapter: job_pb2.Adapter
    tensors: dict[str, Tensor]
    dropout: Drops | None
    axis: TrialAxis = ONE_TRIAL
    lora_is_scaled: bool = False
    # By MLP: the prefixes that it makes.
    _made: dict[str, list[Tensor]] = field(default_factory=dict, init=False)

    @cached_property
    def sites(self) -> frozenset[Site]:
        sites = (
            *_SITES_OF_ATTENTION.get(self.adapter.attention, ()),
            *_SITES_OF_FFN.get(self.adapter.ffn, ()),
        )
        sites += _SITES_OF_BIASES if has_biases(self.adapter) else ()
        sites += ("cross",) if self.adapter.prefix_use else ()
        return frozenset(
            sites + (_SITES_OF_DROPOUT if self.dropout and self.dropout.probability > 0 else ())
        )

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        if site == "prompt":
            vectors = self.axis.choose(self.tensors["prompt"], inputs[0].clamp(min=0))
            return torch.where(inputs[0].unsqueeze(1) < 0, output, vectors)
        if site == "embeddings":
            return self.dropped(output, site)
        return self.adapt_at(f"layers.{layer}.", site, output, *inputs)

    def adapt_at(self, at: str, site: Site, output: Tensor, *inputs: Tensor) -> Tensor:
        """The trial's result at a site of a block; see `Modules` in packed_encoder.py. at: what the
        block's names begin with, for example `layers.3.` or `decoder.layers.3.cross_`."""
        match site:
            case "value":
                key, value = output.chunk(2, dim=1)
                return torch.cat([key, self.plus(f"{at}value", value, inputs[0])], dim=1)
            case "context":
                return self._parallel(f"{at}attention", output, inputs[0])
            case "attention_output":
                return self.dropped(self._attention_output(at, output, inputs[0]), f"{at}attention")
            case "ffn_in":
                return self.plus(f"{at}ffn_in", output, inputs[0])
            case "ffn_out" if self.adapter.ffn_after_dropout:
                return self._ffn_output(at, self.dropped(output, f"{at}ffn"), *inputs)
            case "ffn_out":
                return self.dropped(self._ffn_output(at, output, *inputs), f"{at}ffn")
            case "after_block":
                return self._bottleneck(f"{at}ffn", output, onto=None)
            case "attention_norm" | "ffn_norm":
                return self.axis.add(output, self.tensors[f"{at}{site}.bias"])
        raise ValueError(f"{site} is not a site of a block")

    def add_to_query(self, layer: int, query: Tensor, x: Tensor, scale: float) -> Tensor:
        return self.plus(f"layers.{layer}.query", query, x, scale)

    def concatenated(self, layer: int, key_value: Tensor) -> Tensor | None:
        if self.adapter.attention != job_pb2.ATTENTION_MODULE_CONCAT:
            return None
        at = f"layers.{layer}.attention"
        return torch.cat([self._bottleneck(at, x, onto=None) for x in key_value.chunk(2, 1)], 1)

    def cross(
        self,
        layer: int,
        context: Tensor,
        query: Tensor,
        x: Tensor,
        heads: int,
        project: Callable[[Tensor], Tensor],
    ) -> Tensor:
        if self.adapter.prefix_use == job_pb2.PREFIX_USE_CROSS:
            query = project(self.transformed(f"layers.{layer}.", x))
        prefix = self.prefix_of(f"layers.{layer}.", "prefix.", layer)
        key, value = (each.unflatten(1, (heads, -1)) for each in prefix)
        scores = torch.einsum("nhd,lhd->nhl", query.unflatten(1, (heads, -1)), key)
        found = torch.einsum("nhl,lhd->nhd", self.weigh(scores), value)
        return context + found.flatten(1)

    def weigh(self, scores: Tensor) -> Tensor:
        """The weights of a prefix that is read apart (PrefixUse), from scores […, length]."""
        if self.adapter.prefix_use in _RELU_USES:
            return F.relu(scores)
        return torch.softmax(scores, -1)

    def transformed(self, at: str, x: Tensor) -> Tensor:
        """x after the norm of PREFIX_USE_CROSS."""
        weight, bias = (self.tensors[f"{at}transform_norm.{each}"] for each in ("weight", "bias"))
        return self.axis.norm(x, weight, bias, _LAYER_NORM_EPS)

    def prefix(self, layer: int) -> Prefix | None:
        return self.prefix_at(f"layers.{layer}.", "prefix.", layer)

    def prefix_at(self, at: str, mlp: str, layer: int, width: int | None = None) -> Prefix | None:
        """Keys and values before the tokens' own, or None. at: as in `adapt_at`; mlp: what the
        names of the MLP that makes them begin with; layer: the block's index among those that this
        MLP makes prefixes for; width: of the attention, None if it is d."""
        if self.adapter.attention != job_pb2.ATTENTION_MODULE_PREFIX or self.adapter.prefix_use:
            return None
        return self.prefix_of(at, mlp, layer, width)

    def prefix_of(self, at: str, mlp: str, layer: int, width: int | None = None) -> Prefix:
        if not self.adapter.prefix_hidden:
            return self.tensors[f"{at}prefix.key"], self.tensors[f"{at}prefix.value"]
        if mlp not in self._made:
            self._made[mlp] = self._prefixes(mlp, width)
        return self._made[mlp][2 * layer], self._made[mlp][2 * layer + 1]

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        return self.attention_dropout_at(f"layers.{layer}.")

    def attention_dropout_at(self, at: str) -> AttentionDropout | None:
        """What drops one forward's attention probabilities, or None. at: as in `adapt_at`."""
        return self.dropout.attention(f"{at}attention") if self.dropout else None

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [n, num_labels] of hidden states [n, d]: out(drop(tanh(dense(drop(h))))), or
        out(h) for a head without dense."""
        linear, tensors = self.axis.linear, self.tensors
        if "head.dense.weight" in tensors:
            dense = linear(
                self.dropped(hidden, "head.dense"),
                tensors["head.dense.weight"],
                tensors["head.dense.bias"],
            )
            hidden = self.dropped(torch.tanh(dense), "head.out")
        return linear(hidden, tensors["head.out.weight"], tensors["head.out.bias"])

    def _attention_output(self, at: str, output: Tensor, block_input: Tensor) -> Tensor:
        match self.adapter.attention:
            case job_pb2.ATTENTION_MODULE_SEQUENTIAL:
                return self._bottleneck(f"{at}attention", output, onto=output)
            case job_pb2.ATTENTION_MODULE_PARALLEL:
                return self._parallel(f"{at}attention", output, block_input)
        return self._with_bias(f"{at}attention_output", output)

    def _ffn_output(
        self, at: str, output: Tensor, block_input: Tensor, activated: Tensor | None = None
    ) -> Tensor:
        match self.adapter.ffn:
            case job_pb2.FFN_MODULE_SEQUENTIAL:
                return self._bottleneck(f"{at}ffn", output, onto=output)
            case job_pb2.FFN_MODULE_PARALLEL:
                return self._parallel(f"{at}ffn", output, block_input)
            case job_pb2.FFN_MODULE_LORA:
                assert activated is not None, "given where a trial has the site ffn_in"
                return self._plus_low_rank(f"{at}ffn_out", output, activated)
        return self._with_bias(f"{at}ffn_out", output)

    def _with_bias(self, at: str, output: Tensor) -> Tensor:
        return (
            self.axis.add(output, self.tensors[f"{at}.bias"])
            if has_biases(self.adapter)
            else output
        )

    def _parallel(self, at: str, output: Tensor, block_input: Tensor) -> Tensor:
        if norm_at(self.adapter, _site(at)) == job_pb2.ADAPTER_NORM_AFTER:
            return output + self._bottleneck(at, block_input, onto=None)
        return self._bottleneck(at, block_input, onto=output)

    def _bottleneck(self, at: str, x: Tensor, onto: Tensor | None) -> Tensor:
        """(onto +) s · up(f(down(x))) for x […, d], normalized before or after as the adapter
        says."""
        adapter, tensors, axis = self.adapter, self.tensors, self.axis
        place, scale = norm_at(adapter, _site(at)), scale_at(adapter, _site(at))
        learned = tensors.get(f"{at}.scale")

        def norm(y: Tensor) -> Tensor:
            # In a stack the next projection may include the affine part.
            return axis.norm(
                y, tensors.get(f"{at}.norm.weight"), tensors.get(f"{at}.norm.bias"), _LAYER_NORM_EPS
            )

        inner = norm(x) if place == job_pb2.ADAPTER_NORM_BEFORE else x
        inner = _ACTIVATIONS[adapter.activation](
            axis.linear(inner, tensors[f"{at}.down.weight"], tensors[f"{at}.down.bias"])
        )
        if adapter.inner_dropout:
            inner = self._dropped_inside(inner, at)
        weight, bias = tensors[f"{at}.up.weight"], tensors[f"{at}.up.bias"]
        if place == job_pb2.ADAPTER_NORM_UPDATE or learned is not None:
            out = axis.linear(inner, weight, bias) * (scale if learned is None else learned)
            out = norm(out) if place == job_pb2.ADAPTER_NORM_UPDATE else out
            out = out if onto is None else out + onto
        elif onto is not None:
            out = axis.onto(onto, inner, weight, bias, scale)
        else:
            out = axis.linear(inner, weight, bias)
            if scale != 1:
                out.mul_(scale)
        return norm(out) if place == job_pb2.ADAPTER_NORM_AFTER else out

    def flow(self, at: str, width: int) -> Tensor:
        """What the bottleneck whose names begin with `at` gives [1, width] for an input of ones,
        with a residual."""
        ones = self.tensors[f"{at}.down.weight"].new_ones(1, width)
        return self._bottleneck(at, ones, onto=ones)

    def _dropped_inside(self, inner: Tensor, at: str) -> Tensor:
        """The bottleneck's values after dropout; see Adapter.inner_dropout in job.proto."""
        if self.dropout is None or at.startswith("layers.") or _site(at) == "ffn":
            return self.dropped(inner, f"{at}.inner")
        factors = self.dropout.attention(f"{at}.inner")
        return inner if factors is None else inner * factors(inner.shape, inner.device)

    def plus(self, at: str, y: Tensor, x: Tensor, scale: float = 1.0) -> Tensor:
        """A projection's result y […, outputs] for x […, inputs], plus `scale` times what the trial
        adds to it: a bias, or LoRA's update."""
        if has_biases(self.adapter):
            return self.axis.add(y, self.tensors[f"{at}.bias"], scale)
        return self._plus_low_rank(at, y, x, scale)

    def _plus_low_rank(self, at: str, y: Tensor, x: Tensor, scale: float = 1.0) -> Tensor:
        """y + scale · (α / r) · up(down(x))."""
        down, up = self.tensors[f"{at}.down.weight"], self.tensors[f"{at}.up.weight"]
        own = 1.0 if self.lora_is_scaled else self.adapter.lora_alpha / down.shape[0]
        return self.axis.onto(y, self.axis.linear(x, down), up, None, own * scale)

    def _prefixes(self, mlp: str, width: int | None) -> list[Tensor]:
        """Each layer's key and value [(K,) length, width], computed by the MLP that makes them
        all."""
        named = {
            name.removeprefix(mlp): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(mlp)
        }
        embedding, linear = named["embedding"], self.axis.linear
        inner = torch.tanh(
            linear(
                embedding.reshape(-1, embedding.shape[-1]),
                named["mlp.in.weight"],
                named["mlp.in.bias"],
            )
        )
        out = linear(inner, named["mlp.out.weight"], named["mlp.out.bias"])
        return list(out.view(*embedding.shape[:-1], -1, width or embedding.shape[-1]).unbind(-2))

    def dropped(self, x: Tensor, site: str) -> Tensor:
        """x after the trial's dropout, keyed by the site's name."""
        return self.dropout(x, site) if self.dropout else x


def _site(at: str) -> str:
    """The site of a bottleneck, `attention` or `ffn`, whose names begin with `at`."""
    return "attention" if at.endswith("attention") else "ffn"
