"""One pass: the rows of several trials through the frozen backbone, each with its own adapter,
dropout and head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from sparse_adapter_engine.backbones.encoder.encoder import Backbone
from sparse_adapter_engine.backbones.encoder.full_tuning import trained_backbone
from sparse_adapter_engine.backbones.encoder.packed_encoder import PackedTrials, Rows, encode
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.pairs import PaddedPairs, PairSplit
from sparse_adapter_engine.data.rows import QUESTION_ANSWERING, SUMMARIZATION, PackedRows, Split
from sparse_adapter_engine.modules.forms import has_backbone, prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.attention import Attend
from sparse_adapter_engine.stacked.batch import alone

# Tokens of one pass: more spills a CPU's caches, less starves its matrix products.
CPU_PASS_TOKENS = 2_500
GPU_PASS_TOKENS = 65_536
# Rows of one trial in a forward of scoring and predicting on a GPU: enough to fill it.
GPU_PART_ROWS = 512
# And its tokens: scores are taken in float32, where padded attention keeps its probabilities.
GPU_PART_TOKENS = 32_768


@dataclass(frozen=True)
class Part:
    """What one trial brings to a pass: some rows, packed, and its modules. owner: whose part it is,
    for the caller.
    """

    owner: int
    pack: PackedRows | PaddedPairs
    modules: TrialModules

    @staticmethod
    def of(owner: int, split: Split | PairSplit, rows: Tensor, modules: TrialModules) -> "Part":
        """Rows (int64 [n]) of a split for these modules: with room for their prompt, on their
        device.
        """
        pack = split.pack(rows, prompt_length(modules.adapter))
        return Part(owner, pack.to(next(iter(modules.tensors.values())).device), modules)


def forward(
    backbone: Backbone | EncoderDecoder,
    parts: Sequence[Part],
    task_kind: int,
    twice_differentiable: bool = False,
    attention: Attend | None = None,
) -> list[Tensor]:
    """Logits [rows, num_labels] of each part's rows, or for QUESTION_ANSWERING [own tokens, 2] of
    theirs, in the order of its pack, or for SUMMARIZATION [target tokens, vocabulary].

    twice_differentiable: see `encode`. attention: of rows of variable length, where the device has
    such (a GPU): then an encoder's parts run one by one; None: they share passes.
    """
    if isinstance(backbone, EncoderDecoder):
        return [
            backbone.logits(pairs(part.pack), part.modules, twice_differentiable) for part in parts
        ]
    if attention is not None and not twice_differentiable:
        return [_forward_alone(backbone, part, task_kind, attention) for part in parts]
    packs = [packed(part.pack) for part in parts]
    modules = [_in_type(backbone, part.modules) for part in parts]
    trained, rows = _trained(backbone, modules), PackedTrials(packs)
    return _logits(trained, rows, packs, modules, task_kind, twice_differentiable)


def _forward_alone(backbone: Backbone, part: Part, task_kind: int, attention: Attend) -> Tensor:
    """The logits of one part, of a trial that drops no attention probabilities or by PackedTrials."""
    pack, modules = packed(part.pack), _in_type(backbone, part.modules)
    rows: Rows = PackedTrials([pack])
    if modules.attention_dropout(0) is None:
        rows = alone(pack, modules.adapter, attention, backbone.device)
    (logits,) = _logits(_trained(backbone, [modules]), rows, [pack], [modules], task_kind, False)
    return logits


def _logits(
    backbone: Backbone,
    rows: Rows,
    packs: Sequence[PackedRows],
    modules: Sequence[TrialModules],
    task_kind: int,
    twice_differentiable: bool,
) -> list[Tensor]:
    every_token = task_kind == QUESTION_ANSWERING
    hidden = encode(backbone, rows, modules, every_token, twice_differentiable)
    if every_token:
        # Without what fills the pack up, and without prompts.
        hidden = [h[: pack.tokens] for pack, h in zip(packs, hidden, strict=True)]
        hidden = [
            h[pack.prompt < 0] if prompt_length(own.adapter) else h
            for own, pack, h in zip(modules, packs, hidden, strict=True)
        ]
    else:
        hidden = [h[: pack.rows] for pack, h in zip(packs, hidden, strict=True)]
    return [own.logits(h.float()) for own, h in zip(modules, hidden, strict=True)]


def _trained(backbone: Backbone, modules: Sequence[TrialModules]) -> Backbone:
    """The backbone itself, or with a trial's tensors in it: such a trial is the only one of its
    job, so that all modules are its own."""
    own = modules[0]
    return trained_backbone(backbone, own.tensors) if has_backbone(own.adapter) else backbone


def _in_type(backbone: Backbone, modules: TrialModules) -> TrialModules:
    """The modules with their tensors, but for the head's, in the type of the activations."""
    if backbone.dtype == torch.float32:
        return modules
    tensors = {
        name: tensor if name.startswith("head.") else tensor.to(backbone.dtype)
        for name, tensor in modules.tensors.items()
    }
    return replace(modules, tensors=tensors)


def packed(pack: PackedRows | PaddedPairs) -> PackedRows:
    """The pack, where the backbone is an encoder."""
    assert isinstance(pack, PackedRows), "an encoder's rows"
    return pack


def pairs(pack: PackedRows | PaddedPairs) -> PaddedPairs:
    """The pack, where the backbone is an encoder–decoder."""
    assert isinstance(pack, PaddedPairs), "an encoder–decoder's rows"
    return pack


def loss(
    task_kind: int, logits: Tensor, pack: PackedRows | PaddedPairs, label_smoothing: float = 0.0
) -> Tensor:
    """Mean loss over the rows of a pack: cross-entropy of classes, squared error of numbers, the
    mean cross-entropy of start and end; or over its target tokens: cross-entropy of words,
    label-smoothed (Szegedy et al. 2016)."""
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
    parts, labels = (
        logits.split([rows * length for rows, length in groups]),
        pack.labels.split([rows for rows, _ in groups]),
    )
    sums = [
        cross_entropy(part.view(rows, length, 2), places, reduction="sum")
        for part, places, (rows, length) in zip(parts, labels, groups, strict=True)
    ]
    return torch.stack(sums).sum() / (2 * pack.rows)


def passes(parts: Sequence[Part], pass_tokens: int) -> list[list[Part]]:
    """Whole parts, in their order, in passes of at most pass_tokens tokens; a larger part has a
    pass of its own. So has a part of pairs: an encoder–decoder's parts run one by one anyway."""
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
