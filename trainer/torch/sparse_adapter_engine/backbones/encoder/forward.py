"""One pass: the rows of several trials through the frozen encoder, each with its own adapter,
dropout and head.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sparse_adapter_engine.data.rows import QUESTION_ANSWERING, PackedRows
from sparse_adapter_engine.modules.forms import has_backbone, prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.attention import Attend
from sparse_adapter_engine.stacked.batch import alone
from sparse_adapter_engine.tasks.part import Part

from .encoder import Encoder
from .full_tuning import trained_backbone
from .packed_encoder import PackedTrials, Rows, encode


def forward(
    backbone: Encoder,
    parts: Sequence[Part[PackedRows]],
    task_kind: int,
    twice_differentiable: bool = False,
    attention: Attend | None = None,
) -> list[Tensor]:
    """Each part's logits in the order of its pack: [rows, num_labels], or [own tokens, 2] for
    QUESTION_ANSWERING. See `head_inputs`."""
    inputs = head_inputs(backbone, parts, task_kind, twice_differentiable, attention)
    return [part.modules.logits(hidden) for part, hidden in zip(parts, inputs, strict=True)]


def head_inputs(
    backbone: Encoder,
    parts: Sequence[Part[PackedRows]],
    task_kind: int,
    twice_differentiable: bool = False,
    attention: Attend | None = None,
) -> list[Tensor]:
    """What each part's head reads, float32 in the order of its pack: [rows, d], or [own tokens, d]
    for QUESTION_ANSWERING.

    twice_differentiable: see `encode`. attention: for rows of variable length, if the device (a
    GPU) has one: then parts run one by one. None: they share passes.
    """
    if attention is not None and not twice_differentiable:
        return [_inputs_alone(backbone, part, task_kind, attention) for part in parts]
    packs = [part.pack for part in parts]
    modules = [_in_type(backbone, part.modules) for part in parts]
    trained, rows = _trained(backbone, modules), PackedTrials(packs)
    return _inputs(trained, rows, packs, modules, task_kind, twice_differentiable)


def _inputs_alone(
    backbone: Encoder, part: Part[PackedRows], task_kind: int, attention: Attend
) -> Tensor:
    """Those of one part; by PackedTrials if the trial drops attention probabilities."""
    pack, modules = part.pack, _in_type(backbone, part.modules)
    rows: Rows = PackedTrials([pack])
    # A device's attention for rows of variable length has neither.
    if modules.attention_dropout(0) is None and not needs_masks(pack, modules):
        rows = alone(pack, modules.adapter, attention, backbone.device)
    (hidden,) = _inputs(_trained(backbone, [modules]), rows, [pack], [modules], task_kind, False)
    return hidden


def needs_masks(pack: PackedRows, modules: TrialModules) -> bool:
    """Whether attention has keys that some of a row's tokens must not read: padding, or those of
    CONCAT."""
    return pack.padding is not None or "concatenated" in modules.sites


def _inputs(
    backbone: Encoder,
    rows: Rows,
    packs: Sequence[PackedRows],
    modules: Sequence[TrialModules],
    task_kind: int,
    twice_differentiable: bool,
) -> list[Tensor]:
    every_token = task_kind == QUESTION_ANSWERING
    hidden = encode(backbone, rows, modules, every_token, twice_differentiable)
    if every_token:
        # Without filling and prompts.
        hidden = [h[: pack.row_tokens] for pack, h in zip(packs, hidden, strict=True)]
        hidden = [
            h[pack.prompt[: pack.row_tokens] < 0] if prompt_length(own.adapter) else h
            for own, pack, h in zip(modules, packs, hidden, strict=True)
        ]
    else:
        hidden = [h[: pack.rows] for pack, h in zip(packs, hidden, strict=True)]
    return [h.float() for h in hidden]


def _trained(backbone: Encoder, modules: Sequence[TrialModules]) -> Encoder:
    """The backbone itself, or the backbone with a trial's tensors in it. Such a trial is alone in
    its job, so all modules are its own."""
    own = modules[0]
    return trained_backbone(backbone, own.tensors) if has_backbone(own.adapter) else backbone


def _in_type(backbone: Encoder, modules: TrialModules) -> TrialModules:
    """The modules with all tensors but the head's in the type of the activations."""
    if backbone.dtype == torch.float32:
        return modules
    tensors = {
        name: tensor if name.startswith("head.") else tensor.to(backbone.dtype)
        for name, tensor in modules.tensors.items()
    }
    return replace(modules, tensors=tensors)
