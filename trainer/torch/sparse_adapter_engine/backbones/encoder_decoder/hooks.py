"""Hooks in Transformers' BART and T5 at the places where trials' modules stand.

They call the modules that run now: those of one trial, at the shapes of its lone run and so with
the same bits; or those of a stack of trials, whose rows lie trial after trial.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sparse_adapter_engine.modules.forms import NORMED_USES
from sparse_adapter_engine.modules.sites import Site
from sparse_adapter_engine.modules.trial_modules import TrialModules

from .attention import Visible, attend_pairs
from .layers import STACKS, Attention, FeedForward

# Transformers' name for the attention of attention.py. No mask is registered under it, so
# Transformers makes none.
ATTENTION = "sparse_adapter"


_GATED_USES = (job_pb2.PREFIX_USE_CROSS_GATED, job_pb2.PREFIX_USE_CROSS_RELU_GATED)
_UNSCALED_USES = (job_pb2.PREFIX_USE_CROSS_RELU_NORMED, job_pb2.PREFIX_USE_CROSS_RELU_GATED)


@dataclass(frozen=True)
class _Apart:
    """Of a prefix that is read apart: scores [n, heads, queries, length] and what it gives, [n,
    queries, heads, dim]."""

    scores: Tensor
    context: Tensor


@dataclass
class Running:
    """What runs now: a trial's or a stack's modules on a group of rows."""

    modules: TrialModules
    visible: Visible
    twice_differentiable: bool = False
    # The input of the feed-forward block, and of the attention, that runs.
    ffn_input: Tensor | None = None
    attention_input: Tensor | None = None


class Hooks:
    """The hooks of a model, which reads trials' modules through them while `run` lasts."""

    def __init__(self, model: Any, attentions: list[Attention], ffns: list[FeedForward]) -> None:
        """model: a BartForConditionalGeneration or a T5ForConditionalGeneration; attentions, ffns:
        its parts."""
        self._dtype: torch.dtype = model.dtype
        self._running: Running | None = None
        for attention in attentions:
            self._stand_at_attention(attention)
        for ffn in ffns:
            self._stand_at_ffn(ffn)
        if model.config.model_type == "bart":
            self._stand_at_bart_embeddings(model.get_encoder(), model.get_decoder())
        else:
            self._stand_at_t5_embeddings(model.get_encoder(), model.get_decoder())

    @contextmanager
    def run(self, running: Running) -> Iterator[None]:
        """Within it the model runs for `running`."""
        self._running = running
        try:
            yield
        finally:
            self._running = None

    @property
    def _now(self) -> Running:
        assert self._running is not None, "the model runs only for a trial or a stack"
        return self._running

    def _change(
        self, module: Any, site: Site, change: Callable[[TrialModules, Tensor, Tensor], Tensor]
    ) -> None:
        """If the running modules have this site, change(modules, output, input) replaces the
        module's output, or the output's first part."""

        def changed(modules: TrialModules, output: Tensor, x: Tensor) -> Tensor:
            # Dropout's factors are float32, as are some models' own second projections.
            return change(modules, output.to(self._dtype), x.to(self._dtype)).to(self._dtype)

        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            modules = self._now.modules
            if site not in modules.sites:
                return output
            x = args[0] if args else kwargs["hidden_states"]
            if isinstance(output, tuple):
                return changed(modules, output[0], x), *output[1:]
            return changed(modules, output, x)

        module.register_forward_hook(hook, with_kwargs=True)

    def _stand_at_attention(self, attention: Attention) -> None:
        at = attention.at
        self._change(attention.query, "query", lambda trial, y, x: trial.plus(f"{at}query", y, x))
        self._change(attention.value, "value", lambda trial, y, x: trial.plus(f"{at}value", y, x))
        self._change(
            attention.module,
            "attention_output",
            lambda trial, y, x: trial.adapt_at(at, "attention_output", y, x),
        )
        if attention.norm is not None:
            self._change(
                attention.norm,
                "attention_norm",
                lambda trial, y, _: trial.adapt_at(at, "attention_norm", y),
            )
        attention.module.attend = partial(self._attend, attention)

        def keep_input(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._now.attention_input = args[0] if args else kwargs["hidden_states"]

        def change_context(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            now = self._now
            if "context" not in now.modules.sites:
                return None
            assert now.attention_input is not None, "the attention runs before its projection"
            x = now.attention_input.to(self._dtype)
            return now.modules.adapt_at(at, "context", args[0], x).to(self._dtype), *args[1:]

        attention.module.register_forward_pre_hook(keep_input, with_kwargs=True)
        attention.output.register_forward_pre_hook(change_context)

    def _stand_at_ffn(self, ffn: FeedForward) -> None:
        at, norm = ffn.at, ffn.norm

        def keep_input(_: Any, args: tuple[Any, ...]) -> None:
            self._now.ffn_input = args[0]

        def second(trial: TrialModules, y: Tensor, activated: Tensor) -> Tensor:
            block_input = self._now.ffn_input
            assert block_input is not None, "the first projection runs before the second"
            return trial.adapt_at(at, "ffn_out", y, block_input, activated)

        ffn.first.register_forward_pre_hook(keep_input)
        self._change(ffn.first, "ffn_in", lambda trial, y, x: trial.adapt_at(at, "ffn_in", y, x))
        self._change(ffn.second, "ffn_out", second)
        if norm is not None:
            self._change(norm, "ffn_norm", lambda trial, y, _: trial.adapt_at(at, "ffn_norm", y))
            # The frozen norm once more, without its hooks.
            self._change(
                norm,
                "after_block",
                lambda trial, y, z: norm.forward(trial.adapt_at(at, "after_block", y) + z),
            )

    def _stand_at_bart_embeddings(self, encoder: Any, decoder: Any) -> None:
        def positions(
            _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            """The row's own tokens count from 0, after the prompt."""
            places = torch.arange(args[0].shape[1], device=args[0].device) - self._prompt_length
            return args, kwargs | {"position_ids": places.clamp(min=0)}

        encoder.embed_positions.register_forward_pre_hook(positions, with_kwargs=True)
        encoder.layernorm_embedding.register_forward_pre_hook(
            lambda _, args: (self._prompted(args[0]), *args[1:])
        )
        self._change(
            encoder.layernorm_embedding,
            "embeddings",
            lambda trial, y, _: trial.dropped(y, "encoder.embeddings"),
        )
        self._change(
            decoder.layernorm_embedding,
            "embeddings",
            lambda trial, y, _: trial.dropped(y, "decoder.embeddings"),
        )

    def _stand_at_t5_embeddings(self, encoder: Any, decoder: Any) -> None:
        """T5 gives its first block the plain embeddings, because it has only relative positions."""

        def first_input(name: str, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x = self._prompted(args[0]) if name == "encoder" else args[0]
            return self._now.modules.dropped(x, f"{name}.embeddings").to(self._dtype), *args[1:]

        for name, stack in zip(STACKS, (encoder, decoder), strict=True):
            stack.block[0].register_forward_pre_hook(partial(first_input, name))

    @property
    def _prompt_length(self) -> int:
        prompt = self._now.modules.tensors.get("prompt")
        return 0 if prompt is None else prompt.shape[-2]

    def _prompted(self, x: Tensor) -> Tensor:
        """Embeddings [rows, tokens, d] with the prompt's vectors in the first places."""
        length = self._prompt_length
        if not length:
            return x
        # [1 or trials, 1, length, d], repeated for each trial's rows.
        prompts = self._now.modules.tensors["prompt"].view(-1, 1, length, x.shape[-1])
        before = prompts.expand(-1, x.shape[0] // prompts.shape[0], -1, -1).flatten(0, 1)
        return torch.cat([before, x[:, length:]], 1)

    def _attend(
        self,
        attention: Attention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        bias: Tensor | None,
    ) -> Tensor:
        """Attention [rows, queries, heads, dim] from query [rows, heads, queries, dim], with the
        trial's prefix before keys and values, which may come from a cache. bias: T5's, by
        distance."""
        now, kind = self._now, attention.kind
        prefix = now.modules.prefix_at(
            attention.at, f"prefix.{kind}.", attention.place, key.shape[1] * key.shape[3]
        )
        # T5's bias for cross-attention is all zeros.
        position_bias = None if kind == "cross" else bias
        dropout = now.modules.attention_dropout_at(attention.at)
        context = attend_pairs(
            kind,
            query,
            key,
            value,
            now.visible,
            scaling,
            position_bias,
            prefix,
            dropout,
            now.twice_differentiable,
        )
        if not now.modules.adapter.prefix_use:
            return context
        apart = self._attend_apart(attention, query, key, scaling)
        if now.modules.adapter.prefix_use not in _GATED_USES:
            return context + apart.context
        bias = now.visible.bias(kind, query.shape[2], key.shape[2], 0, position_bias, query)
        of_tokens = query @ key.repeat_interleave(len(query) // len(key), 0).mT * scaling
        of_tokens = of_tokens if bias is None else of_tokens + bias
        share = torch.sigmoid(apart.scores.logsumexp(-1) - of_tokens.logsumexp(-1))
        share = share.transpose(1, 2).unsqueeze(-1)
        return (1 - share) * context + share * apart.context

    def _attend_apart(
        self, attention: Attention, query: Tensor, key: Tensor, scaling: float
    ) -> "_Apart":
        """What a prefix that is read apart gives (PrefixUse of job.proto)."""
        now, (_, heads, _, dim) = self._now, query.shape
        if now.modules.adapter.prefix_use in NORMED_USES:
            assert now.attention_input is not None, "the attention runs before its projection"
            normed = now.modules.transformed(attention.at, now.attention_input.to(self._dtype))
            query = attention.query(normed).unflatten(-1, (heads, dim)).transpose(1, 2)
        if now.modules.adapter.prefix_use not in _UNSCALED_USES:
            query = query * scaling
        keys, values = (
            each.unflatten(1, (heads, dim))
            for each in now.modules.prefix_of(
                attention.at, f"prefix.{attention.kind}.", attention.place, heads * dim
            )
        )
        scores = torch.einsum("nhqd,lhd->nhql", query, keys)
        found = torch.einsum("nhql,lhd->nqhd", now.modules.weigh(scores), values)
        return _Apart(scores, found)


def _attention_of_trial(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    position_bias: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """The attention that Transformers' modules call under the name `ATTENTION`."""
    assert attention_mask is None, "no mask is registered under this name"
    return module.attend(query, key, value, scaling, position_bias), None


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, _attention_of_trial)
