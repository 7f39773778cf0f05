"""The encoder's forward over packed rows: no padded token, and the last layer for the first token of each row only.

Several trials share one call: their rows are laid one trial after the other. Frozen layers run over all tokens at once; whatever belongs to
a trial (adapters, dropout, attention among its own rows) sees only the trial's own slice, at the shapes that it has alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import AttentionDropout, attend
from .backbone import Backbone
from .dataset import PackedRows


class Modules(Protocol):
    """What one trial adds to the frozen encoder. Tensors are of the trial's own rows, [n, d]; layers count from 0."""

    @property
    def after_ffn_norm(self) -> bool:
        """Whether the feed-forward adapter reads the block's normalized sum (Pfeiffer) rather than its output (Houlsby)."""

    def embeddings(self, x: Tensor) -> Tensor:
        """The embeddings' sum after its norm, dropped out."""

    def attention_dropout(self, layer: int) -> AttentionDropout | None:
        """Drops attention probabilities, or None."""

    def attention_output(self, layer: int, x: Tensor) -> Tensor:
        """The attention output projection, adapted and dropped out."""

    def ffn_output(self, layer: int, x: Tensor) -> Tensor:
        """The feed-forward output projection, adapted (unless after_ffn_norm) and dropped out."""

    def ffn_normed(self, layer: int, x: Tensor) -> Tensor:
        """Where after_ffn_norm: the adapter's output for the normalized sum."""


def encode(backbone: Backbone, packs: Sequence[PackedRows], trials: Sequence[Modules]) -> list[Tensor]:
    """The first token's last hidden state of every row: for each trial [rows, d], in the order of its pack."""
    sizes, rows = [pack.tokens for pack in packs], [pack.rows for pack in packs]
    x = _embed(backbone, packs)
    x = _join([trial.embeddings(part) for trial, part in zip(trials, _parts(x, sizes), strict=True)])
    last = len(backbone.layers) - 1
    for index, layer in enumerate(backbone.layers):
        dropouts = [trial.attention_dropout(index) for trial in trials]
        key_value = layer.key_value(x)
        if index == last:
            x, sizes = x[_first_tokens(packs)], rows
        context = attend(layer.query(x), key_value, packs, dropouts, backbone.heads)
        output = layer.attention_output(context)
        output = _join([trial.attention_output(index, part) for trial, part in zip(trials, _parts(output, sizes), strict=True)])
        # Added in place, here and below: no backward needs these outputs, and a fresh tensor of all tokens costs more than the sum.
        x = layer.attention_norm(output.add_(x))
        output = layer.ffn_out(layer.activation(layer.ffn_in(x)))
        total = _join([trial.ffn_output(index, part) for trial, part in zip(trials, _parts(output, sizes), strict=True)]).add_(x)
        x = layer.ffn_norm(total)
        # A cohort's trials are of one adapter kind.
        if trials[0].after_ffn_norm:
            adapted = _join([trial.ffn_normed(index, part) for trial, part in zip(trials, _parts(x, sizes), strict=True)])
            x = layer.ffn_norm(adapted.add_(total))
    return list(x.split(rows))


def _embed(backbone: Backbone, packs: Sequence[PackedRows]) -> Tensor:
    x = F.embedding(torch.cat([pack.input_ids for pack in packs]), backbone.word)
    x = x + F.embedding(torch.cat([pack.token_type_ids for pack in packs]), backbone.token_type)
    x = x + F.embedding(torch.cat([pack.position_ids for pack in packs]) + backbone.position_offset, backbone.position)
    return backbone.embedding_norm(x)


def _first_tokens(packs: Sequence[PackedRows]) -> Tensor:
    begins = [0]
    for pack in packs:
        begins.append(begins[-1] + pack.tokens)
    return torch.cat([pack.first + begin for pack, (begin, _) in zip(packs, pairwise(begins), strict=True)])


def _parts(x: Tensor, sizes: list[int]) -> Sequence[Tensor]:
    """Each trial's rows of x; x itself where there is one trial, which spares a copy in the backward."""
    return [x] if len(sizes) == 1 else x.split(sizes)


def _join(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
