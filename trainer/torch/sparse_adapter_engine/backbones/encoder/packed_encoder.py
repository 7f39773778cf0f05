"""The encoder's forward over packed rows: no padding, and the last layer only for each row's first
token if no others are needed.

Several trials share one call, their rows laid out trial after trial. Frozen layers run over all
tokens at once. What belongs to a trial (its modules, dropout, attention within its rows) sees only
the trial's own slice, at the shapes that it has alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from sparse_adapter_engine.data.rows import PackedRows
from sparse_adapter_engine.modules.sites import AttentionDropout, Prefix, Site

from .attention import attend, attend_masked
from .encoder import Encoder, Layer
from .feed_forward import feed_forward, is_blocked


class Modules(Protocol):
    """What one trial, or a stack of trials, adds to the frozen encoder.

    Tensors hold its own tokens, [n, …]; layers count from 0.
    """

    @property
    def sites(self) -> frozenset[Site]:
        """Where it changes anything; it is not called at other sites."""

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        """The trial's result at a site, in the shape of `output`, the frozen layer's result.
        inputs, and exceptions, by site:

        prompt             Rows.prompt of the tokens, [n]; output is the sum of their embeddings,
                           before the norm
        embeddings, attention_norm, ffn_norm   none
        value              the layer's input; output is key and value, [n, 2 d]
        context            the layer's input [n, d]; output is the attention's result [n, d]
        attention_output   the block's input [n, d]
        ffn_in             the block's input [n, d]; output is [n, f], before the activation
        ffn_out            the block's input [n, d], and if a trial has the site ffn_in the
                           activated inner values [n, f]
        after_block        none; output is the layer's result, and the sum before its norm is
                           added to the result, which is then normalized
        """

    def add_to_query(self, layer: int, query: Tensor, x: Tensor, scale: float) -> Tensor:
        """Site `query`: query [n, d] plus `scale` times what the trial adds for the layer's input
        x."""

    def prefix(self, layer: int) -> Prefix | None:
        """Keys and values to put before those of each row's tokens, or None."""

    def concatenated(self, layer: int, key_value: Tensor) -> Tensor | None:
        """Keys and values [tokens, 2 d], one for each of its own, to put before those of each
        row's tokens, or None."""

    def cross(
        self,
        layer: int,
        context: Tensor,
        query: Tensor,
        x: Tensor,
        heads: int,
        project: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Site `cross`: context [n, d] plus what attention to a prefix apart gives. query [n, d]:
        scaled; x: the layer's input; project: the layer's query projection, scaled."""

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        """What drops attention probabilities, or None."""


class Rows(Protocol):
    """The rows of some trials, one after the other, trial after trial.

    input_ids, token_type_ids, position_ids, prompt: integers [tokens], as in PackedRows. first:
    integers [rows], where each row begins. token_sizes, row_sizes: tokens and rows of each Modules,
    in order.
    """

    @property
    def input_ids(self) -> Tensor: ...
    @property
    def token_type_ids(self) -> Tensor: ...
    @property
    def position_ids(self) -> Tensor: ...
    @property
    def prompt(self) -> Tensor: ...
    @property
    def first(self) -> Tensor: ...
    @property
    def token_sizes(self) -> list[int]: ...
    @property
    def row_sizes(self) -> list[int]: ...

    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        dropouts: Sequence[AttentionDropout | None],
        prefixes: Sequence[Prefix | None],
        heads: int,
        twice_differentiable: bool,
        befores: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """Attention from each token (query [tokens, d]), or from each row's first (query [rows,
        d]), to the tokens of its row. dropouts, prefixes and, if there are any, befores
        (Modules.concatenated): one for each Modules."""


def _join(name: str) -> "cached_property[Tensor]":
    """One tensor of all packs, concatenated."""
    return cached_property(lambda trials: torch.cat([getattr(pack, name) for pack in trials.packs]))


@dataclass(frozen=True)
class PackedTrials:
    """Rows as each trial has packed them."""

    packs: Sequence[PackedRows]

    input_ids = _join("input_ids")
    token_type_ids = _join("token_type_ids")
    position_ids = _join("position_ids")
    prompt = _join("prompt")

    @cached_property
    def first(self) -> Tensor:
        begins = [0]
        for pack in self.packs:
            begins.append(begins[-1] + pack.tokens)
        return torch.cat(
            [
                pack.first + begin
                for pack, (begin, _) in zip(self.packs, pairwise(begins), strict=True)
            ]
        )

    @property
    def token_sizes(self) -> list[int]:
        return [pack.tokens for pack in self.packs]

    @property
    def row_sizes(self) -> list[int]:
        return [pack.rows for pack in self.packs]

    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        dropouts: Sequence[AttentionDropout | None],
        prefixes: Sequence[Prefix | None],
        heads: int,
        twice_differentiable: bool,
        befores: Sequence[Tensor | None] = (),
    ) -> Tensor:
        """See Rows."""
        if befores or any(pack.padding is not None for pack in self.packs):
            befores = befores or [None] * len(self.packs)
            return attend_masked(query, key_value, self.packs, dropouts, prefixes, befores, heads)
        return attend(query, key_value, self.packs, dropouts, prefixes, heads, twice_differentiable)


def encode(
    backbone: Encoder,
    rows: Rows,
    trials: Sequence[Modules],
    every_token: bool = False,
    twice_differentiable: bool = False,
) -> list[Tensor]:
    """For each trial, the last hidden states of its rows' first tokens, [rows, d], or of all
    tokens, [tokens, d], in the order of `rows`.

    twice_differentiable: attention in operations whose gradient has a gradient, slower.
    """
    here = _Trials(trials, rows.token_sizes, twice_differentiable)
    # A stacked pass has few operations, each over all tokens.
    in_blocks = isinstance(rows, PackedTrials) and not twice_differentiable
    x = here.adapt("prompt", 0, _embed(backbone, rows), rows.prompt)
    x = here.adapt("embeddings", 0, backbone.embedding_norm(x))
    last = len(backbone.layers) - 1
    for index, layer in enumerate(backbone.layers):
        key_value = here.adapt("value", index, layer.key_value(x), x)
        befores = here.concatenated(index, key_value)
        if index == last and not every_token:
            x = x.index_select(0, rows.first)
            here = _Trials(trials, rows.row_sizes, twice_differentiable)
        query = here.map(
            "query", partial(_add_to_query, backbone.query_scale, index), layer.query(x), x
        )
        dropouts, prefixes = (
            [trial.attention_dropout(index) for trial in trials],
            [trial.prefix(index) for trial in trials],
        )
        given = (query, key_value, dropouts, prefixes, backbone.heads, twice_differentiable)
        context = rows.attend(*given, befores) if befores else rows.attend(*given)
        cross = partial(_attend_apart, layer, index, backbone.heads)
        context = here.map("cross", cross, context, query, x)
        context = here.adapt("context", index, context, x)
        output = here.adapt("attention_output", index, layer.attention_output(context), x)
        # Added in place, here and below: no backward needs these outputs, and a new tensor of all
        # tokens costs more than the sum.
        x = here.adapt("attention_norm", index, layer.attention_norm(output.add_(x)))
        if here.changes("ffn_in") or not (in_blocks and is_blocked(layer)):
            inner = layer.activation(here.adapt("ffn_in", index, layer.ffn_in(x), x))
            output = here.adapt("ffn_out", index, layer.ffn_out(inner), x, inner)
        else:
            output = here.adapt("ffn_out", index, feed_forward(layer, x), x)
        total = output.add_(x)
        x = here.adapt("ffn_norm", index, layer.ffn_norm(total))
        x = here.map("after_block", partial(_after_block, layer, index), x, total)
    return list(x.split(here.sizes))


@dataclass(frozen=True)
class _Trials:
    """The trials of a pass, and how many rows of a tensor each has.

    always_split: also if there is only one trial. The gradient of a gradient is summed in an order
    that follows from the graph, and must be the same beside others.
    """

    trials: Sequence[Modules]
    sizes: list[int]
    always_split: bool

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        return self.map(
            site, lambda trial, *parts: trial.adapt(site, layer, *parts), output, *inputs
        )

    def concatenated(self, layer: int, key_value: Tensor) -> list[Tensor | None]:
        """For each trial, see Modules; empty if there is nothing."""
        if not self.changes("concatenated"):
            return []
        parts = zip(self.trials, key_value.split(self.sizes), strict=True)
        return [trial.concatenated(layer, part) for trial, part in parts]

    def changes(self, site: Site) -> bool:
        return any(site in trial.sites for trial in self.trials)

    def map(
        self, site: Site, change: Callable[..., Tensor], output: Tensor, *inputs: Tensor
    ) -> Tensor:
        """`output` in which the slices of trials that have this site are replaced by change(trial,
        slice of output, slices of inputs)."""
        if not self.changes(site):
            return output
        if len(self.trials) == 1 and not self.always_split:
            # The whole tensors: a slice of everything would cost a copy in the backward.
            return change(self.trials[0], output, *inputs)
        slices = zip(
            self.trials, *(tensor.split(self.sizes) for tensor in (output, *inputs)), strict=True
        )
        return torch.cat(
            [change(trial, *parts) if site in trial.sites else parts[0] for trial, *parts in slices]
        )


def _add_to_query(scale: float, index: int, trial: Modules, query: Tensor, x: Tensor) -> Tensor:
    return trial.add_to_query(index, query, x, scale)


def _attend_apart(
    layer: Layer,
    index: int,
    heads: int,
    trial: Modules,
    context: Tensor,
    query: Tensor,
    x: Tensor,
) -> Tensor:
    return trial.cross(index, context, query, x, heads, layer.query)


def _after_block(layer: Layer, index: int, trial: Modules, x: Tensor, total: Tensor) -> Tensor:
    return layer.ffn_norm(trial.adapt("after_block", index, x).add_(total))


def _embed(backbone: Encoder, rows: Rows) -> Tensor:
    """The sum of every token's embeddings, [tokens, d]."""
    x = F.embedding(rows.input_ids, backbone.word)
    x = x + F.embedding(rows.token_type_ids, backbone.token_type)
    return x + F.embedding(rows.position_ids + backbone.position_offset, backbone.position)
