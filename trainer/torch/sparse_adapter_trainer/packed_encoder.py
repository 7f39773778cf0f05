"""The encoder's forward over packed rows: no padded token, and the last layer for the first token of each row only where no more is asked.

Several trials share one call: their rows are laid one trial after the other. Frozen layers run over all tokens at once; whatever belongs to
a trial (its modules, dropout, attention among its own rows) sees only the trial's own slice, at the shapes that it has alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import AttentionDropout, Prefix, attend
from .backbone import Backbone, Layer
from .dataset import PackedRows
from .feed_forward import feed_forward, is_blocked

# Where a trial may change what a frozen layer gives.
Site = Literal[
    "prompt", "embeddings", "query", "value", "attention_output", "attention_norm", "ffn_in", "ffn_out", "ffn_norm", "after_block"
]


class Modules(Protocol):
    """What one trial adds to the frozen encoder. Tensors are of the trial's own tokens, [n, …]; layers count from 0."""

    @property
    def sites(self) -> frozenset[Site]:
        """Where it changes anything: at other sites it is not asked."""

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        """The trial's result at a site, of the shape of `output`, which is what the frozen layer gave. inputs and what differs, by site:

        prompt             PackedRows.prompt of the tokens, int64 [n]; output is the sum of their embeddings, before the norm
        embeddings, attention_norm, ffn_norm   none
        query              the layer's input; the result is what is added to the query before its scaling, [n, d] or [d]
        value              the layer's input; output is key and value, [n, 2 d]
        attention_output   the block's input [n, d]
        ffn_in             the block's input [n, d]; output is [n, f], before the activation
        ffn_out            the block's input [n, d], and where a trial has the site ffn_in the
                           activated inner values [n, f]
        after_block        none; output is the layer's result, and the sum before its norm is added to the result, which is then normalized
        """

    def prefix(self, layer: int) -> Prefix | None:
        """Keys and values before those of each row's tokens, or None."""

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        """Drops attention probabilities, or None."""


def encode(
    backbone: Backbone,
    packs: Sequence[PackedRows],
    trials: Sequence[Modules],
    every_token: bool = False,
    twice_differentiable: bool = False,
) -> list[Tensor]:
    """The last hidden state of every row's first token, for each trial [rows, d], or of every token, [tokens, d], in the order of its pack.

    twice_differentiable: attention in operations whose gradient has a gradient, slower.
    """
    here = _Trials(trials, [pack.tokens for pack in packs])
    x = here.adapt("prompt", 0, _embed(backbone, packs), torch.cat([pack.prompt for pack in packs]))
    x = here.adapt("embeddings", 0, backbone.embedding_norm(x))
    last = len(backbone.layers) - 1
    for index, layer in enumerate(backbone.layers):
        key_value = here.adapt("value", index, layer.key_value(x), x)
        if index == last and not every_token:
            x, here = x[_first_tokens(packs)], _Trials(trials, [pack.rows for pack in packs])
        query = here.map("query", partial(_add_to_query, backbone.query_scale, index), layer.query(x), x)
        dropouts, prefixes = [trial.attention_dropout(index) for trial in trials], [trial.prefix(index) for trial in trials]
        context = attend(query, key_value, packs, dropouts, prefixes, backbone.heads, twice_differentiable)
        output = here.adapt("attention_output", index, layer.attention_output(context), x)
        # Added in place, here and below: no backward needs these outputs, and a fresh tensor of all tokens costs more than the sum.
        x = here.adapt("attention_norm", index, layer.attention_norm(output.add_(x)))
        if here.changes("ffn_in") or twice_differentiable or not is_blocked(layer):
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
    """The trials of a pass, and how many rows of a tensor each has."""

    trials: Sequence[Modules]
    sizes: list[int]

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        return self.map(site, lambda trial, *parts: trial.adapt(site, layer, *parts), output, *inputs)

    def changes(self, site: Site) -> bool:
        return any(site in trial.sites for trial in self.trials)

    def map(self, site: Site, change: Callable[..., Tensor], output: Tensor, *inputs: Tensor) -> Tensor:
        """`output` with the slices of trials that have this site changed: change(trial, slice of output, slices of inputs)."""
        if not self.changes(site):
            return output
        if len(self.trials) == 1:
            # The whole tensors: a slice of everything would cost a copy in the backward.
            return change(self.trials[0], output, *inputs)
        slices = zip(self.trials, *(tensor.split(self.sizes) for tensor in (output, *inputs)), strict=True)
        return torch.cat([change(trial, *parts) if site in trial.sites else parts[0] for trial, *parts in slices])


def _add_to_query(scale: float, index: int, trial: Modules, query: Tensor, x: Tensor) -> Tensor:
    return query.add(trial.adapt("query", index, query, x), alpha=scale)


def _after_block(layer: Layer, index: int, trial: Modules, x: Tensor, total: Tensor) -> Tensor:
    return layer.ffn_norm(trial.adapt("after_block", index, x).add_(total))


def _embed(backbone: Backbone, packs: Sequence[PackedRows]) -> Tensor:
    """The sum of every token's embeddings, [tokens, d]."""
    x = F.embedding(torch.cat([pack.input_ids for pack in packs]), backbone.word)
    x = x + F.embedding(torch.cat([pack.token_type_ids for pack in packs]), backbone.token_type)
    return x + F.embedding(torch.cat([pack.position_ids for pack in packs]) + backbone.position_offset, backbone.position)


def _first_tokens(packs: Sequence[PackedRows]) -> Tensor:
    begins = [0]
    for pack in packs:
        begins.append(begins[-1] + pack.tokens)
    return torch.cat([pack.first + begin for pack, (begin, _) in zip(packs, pairwise(begins), strict=True)])
