"""One pass: the rows of several trials through the frozen backbone, each with its own adapter, dropout and head."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from .adapter_forms import has_backbone, prompt_length
from .backbone import Backbone
from .dataset import QUESTION_ANSWERING, SUMMARIZATION, PackedRows, Split
from .encoder_decoder import EncoderDecoder
from .full_tuning import trained_backbone
from .modules import TrialModules
from .packed_encoder import PackedTrials, encode
from .pairs import PaddedPairs, PairSplit

# Tokens of one pass: more spills a CPU's caches, less starves its matrix products.
CPU_PASS_TOKENS = 2_500
GPU_PASS_TOKENS = 65_536


@dataclass(frozen=True)
class Part:
    """What one trial brings to a pass: some rows, packed, and its modules. owner: whose part it is, for the caller."""

    owner: int
    pack: PackedRows | PaddedPairs
    modules: TrialModules

    @staticmethod
    def of(owner: int, split: Split | PairSplit, rows: Tensor, modules: TrialModules) -> "Part":
        """Rows (int64 [n]) of a split for these modules: with room for their prompt, on their device."""
        pack = split.pack(rows, prompt_length(modules.adapter))
        return Part(owner, pack.to(next(iter(modules.tensors.values())).device), modules)


def forward(backbone: Backbone | EncoderDecoder, parts: Sequence[Part], task_kind: int, twice_differentiable: bool = False) -> list[Tensor]:
    """Logits [rows, num_labels] of each part's rows, or for QUESTION_ANSWERING [own tokens, 2] of theirs, in the order of its pack, or for
    SUMMARIZATION [target tokens, vocabulary]. twice_differentiable: see `encode`."""
    if isinstance(backbone, EncoderDecoder):
        return [backbone.logits(pairs(part.pack), part.modules, twice_differentiable) for part in parts]
    own = parts[0].modules
    if has_backbone(own.adapter):
        # Such a trial is the only one of its job: all parts are its own.
        backbone = trained_backbone(backbone, own.tensors)
    every_token = task_kind == QUESTION_ANSWERING
    packs = [packed(part.pack) for part in parts]
    hidden = encode(backbone, PackedTrials(packs), [part.modules for part in parts], every_token, twice_differentiable)
    if every_token:
        prompted = [prompt_length(part.modules.adapter) > 0 for part in parts]
        hidden = [h[pack.prompt < 0] if has else h for pack, has, h in zip(packs, prompted, hidden, strict=True)]
    return [part.modules.logits(h) for part, h in zip(parts, hidden, strict=True)]


def packed(pack: PackedRows | PaddedPairs) -> PackedRows:
    """The pack, where the backbone is an encoder."""
    assert isinstance(pack, PackedRows), "an encoder's rows"
    return pack


def pairs(pack: PackedRows | PaddedPairs) -> PaddedPairs:
    """The pack, where the backbone is an encoder–decoder."""
    assert isinstance(pack, PaddedPairs), "an encoder–decoder's rows"
    return pack


def loss(task_kind: int, logits: Tensor, pack: PackedRows | PaddedPairs, label_smoothing: float = 0.0) -> Tensor:
    """Mean loss over the rows of a pack: cross-entropy of classes, squared error of numbers, the mean cross-entropy of start and end;
    or over its target tokens: cross-entropy of words, label-smoothed (Szegedy et al. 2016)."""
    if task_kind == job_pb2.TASK_KIND_CLASSIFICATION:
        return cross_entropy(logits, pack.labels)
    if task_kind == SUMMARIZATION:
        return cross_entropy(logits, pack.labels, label_smoothing=label_smoothing)
    if task_kind == QUESTION_ANSWERING:
        return _span_loss(logits, packed(pack))
    return mse_loss(logits.squeeze(-1), pack.labels)


def _span_loss(logits: Tensor, pack: PackedRows) -> Tensor:
    """A row's start is one class among its tokens, its end another."""
    groups = pack.own_groups
    parts, labels = logits.split([rows * length for rows, length in groups]), pack.labels.split([rows for rows, _ in groups])
    sums = [
        cross_entropy(part.view(rows, length, 2), places, reduction="sum")
        for part, places, (rows, length) in zip(parts, labels, groups, strict=True)
    ]
    return torch.stack(sums).sum() / (2 * pack.rows)


def passes(parts: Sequence[Part], pass_tokens: int) -> list[list[Part]]:
    """Whole parts, in their order, in passes of at most pass_tokens tokens; a larger part has a pass of its own. So
    has a part of pairs: an encoder–decoder's parts run one by one anyway."""
    if any(isinstance(part.pack, PaddedPairs) for part in parts):
        return [[part] for part in parts]
    result: list[list[Part]] = []
    tokens = 0
    for part in parts:
        if not result or tokens + part.pack.tokens > pass_tokens:
            result.append([])
            tokens = 0
        result[-1].append(part)
        tokens += part.pack.tokens
    return result
