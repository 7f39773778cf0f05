"""Trials of one form with stacked tensors and gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.masks.scores import Masks
from sparse_adapter_engine.modules.dropout import Drops
from sparse_adapter_engine.modules.layout import Layout, layout
from sparse_adapter_engine.modules.trial_axis import StackedTrials
from sparse_adapter_engine.modules.trial_modules import TrialModules

from .layout import Family, StackedLayout


def form(adapter: job_pb2.Adapter) -> bytes:
    """A key that is equal for adapters that may share a stack: they compute the same except for
    their widths."""
    same = job_pb2.Adapter()
    same.CopyFrom(adapter)
    for drawn_or_wide in ("attention_bottleneck", "ffn_bottleneck", "init", "init_std"):
        same.ClearField(drawn_or_wide)
    serialized: bytes = same.SerializeToString(deterministic=True)
    return serialized


def widest(adapters: Sequence[job_pb2.Adapter]) -> job_pb2.Adapter:
    """An adapter of the same form, as wide as the widest."""
    wide = job_pb2.Adapter()
    wide.CopyFrom(adapters[0])
    wide.attention_bottleneck = max(adapter.attention_bottleneck for adapter in adapters)
    wide.ffn_bottleneck = max(adapter.ffn_bottleneck for adapter in adapters)
    return wide


@dataclass(frozen=True)
class StackedTrial:
    """A trial as a stack takes it. parameters: its flat vector, float32 [total of its layout];
    masks: by name."""

    adapter: job_pb2.Adapter
    layout: Layout
    parameters: Tensor
    masks: Masks


@dataclass
class Stack:
    """K trials of one form. parameters, gradient: float32 [K, total] on the device; if a trial is
    narrower than the widest, the rest of its row is 0 and stays so, because values that are 0 on
    both sides of a product get no gradient. removed: bool [K, prunable], True for masked weights;
    None if there are none.

    dtype: of the activations. For a pass the adapters' tensors are rounded to it; the head's stay
    float32.
    """

    adapters: Sequence[job_pb2.Adapter]
    layouts: Sequence[Layout]
    wide: job_pb2.Adapter
    layout: StackedLayout
    dtype: torch.dtype
    parameters: Tensor
    gradient: Tensor
    removed: Tensor | None = None
    axis: StackedTrials = field(init=False)
    lora_scales: dict[tuple[str, ...], Tensor] = field(init=False)

    @staticmethod
    def of(trials: Sequence["StackedTrial"], backbone: Backbone, task_kind: int) -> "Stack":
        """Stacks trials of one form, with their parameters and masks."""
        adapters, layouts = [trial.adapter for trial in trials], [trial.layout for trial in trials]
        wide = widest(adapters)
        # An encoder–decoder has no head.
        outputs = layouts[0].shapes.get("head.out.weight", (0,))[0]
        shapes = layout(wide, backbone, outputs, task_kind).shapes
        stacked = StackedLayout.of(shapes)
        parameters = torch.zeros(len(trials), stacked.total, device=backbone.device)
        gradient = torch.zeros_like(parameters)
        stack = Stack(adapters, layouts, wide, stacked, backbone.dtype, parameters, gradient)
        for place, trial in enumerate(trials):
            stack.put(parameters, place, trial.parameters)
        stack.set_masks([trial.masks for trial in trials])
        return stack

    def __post_init__(self) -> None:
        self.axis = StackedTrials(len(self.adapters))
        self.lora_scales = _lora_scales(self.adapters, self.parameters.device)

    @property
    def trials(self) -> int:
        return len(self.adapters)

    def put(self, into: Tensor, place: int, flat: Tensor) -> None:
        """Copies a trial's flat vector [total of its own layout] into row `place` of `into`."""
        for mine, theirs in self._pairs(into, place, flat):
            mine.copy_(theirs)

    def take(self, out_of: Tensor, place: int, flat: Tensor) -> None:
        """Copies row `place` of `out_of` into a trial's flat vector."""
        for mine, theirs in self._pairs(out_of, place, flat):
            theirs.copy_(mine)

    def _pairs(self, stacked: Tensor, place: int, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        rows = self.layout.views(stacked[place : place + 1])
        return [
            (rows[name][0][tuple(slice(size) for size in own.shape)], own)
            for name, own in self.layouts[place].views(flat).items()
        ]

    def set_masks(self, masks: Sequence[Masks]) -> None:
        """Takes each trial's masks, by name.

        The caller sets the weights that they remove to 0.
        """
        if all(bool(mask.all()) for one in masks for mask in one.values()):
            self.removed = None
            return
        removed = torch.zeros(self.trials, self.layout.prunable, dtype=torch.bool)
        prunable = [family for family in self.layout.families if family.names[0] in masks[0]]
        for place, one in enumerate(masks):
            parts = self.layout.split(removed[place : place + 1], prunable)
            for family, part in zip(prunable, parts, strict=True):
                for name, view in zip(family.names, part[0].unbind(0), strict=True):
                    view[tuple(slice(size) for size in one[name].shape)] = one[name] == 0
        self.removed = removed.to(self.parameters.device)

    def modules(self, dropout: Drops | None) -> tuple[TrialModules, list[Tensor]]:
        """The modules for one pass, and the leaves whose gradients `keep_gradient` takes."""
        adapter = self.layout.adapter
        low = self.parameters[:, :adapter].to(self.dtype).detach().requires_grad_()
        head = self.parameters[:, adapter:].detach().requires_grad_()
        tensors = self._named(low, self.layout.of_adapter) | self._named(head, self.layout.of_head)
        modules = TrialModules(self.wide, tensors, dropout, self.axis, lora_is_scaled=True)
        return modules, [low, head]

    def keep_gradient(self, gradients: Sequence[Tensor | None], add: bool) -> None:
        """Copies the leaves' gradients to `gradient`, or adds them. None: nothing depends on the
        leaf."""
        adapter = self.layout.adapter
        for into, found in zip(
            (self.gradient[:, :adapter], self.gradient[:, adapter:]), gradients, strict=True
        ):
            if found is None:
                if not add:
                    into.zero_()
            elif add:
                into.add_(found)
            else:
                into.copy_(found)

    def _named(self, flat: Tensor, families: Sequence[Family]) -> dict[str, Tensor]:
        """Tensors by name, after what can be done for all layers at once: LoRA's scale, and the
        affine part of a norm before a bottleneck, which moves into the down projection: down(g ⊙ z
        + c) = (W ⊙ g) z + (W c + b). So tokens are only normalized."""
        parts = {
            family.place: part
            for family, part in zip(families, self.layout.split(flat, families), strict=True)
        }
        names = {family.place: family.names for family in families}
        if self.wide.norm == job_pb2.ADAPTER_NORM_BEFORE:
            for site in [
                place.removesuffix("norm.weight")
                for place in parts
                if place.endswith(".norm.weight")
            ]:
                gain, shift = parts.pop(f"{site}norm.weight"), parts.pop(f"{site}norm.bias")
                weight = parts[f"{site}down.weight"]
                moved = (weight @ shift.unsqueeze(-1)).squeeze(-1)
                parts[f"{site}down.bias"] = parts[f"{site}down.bias"] + moved
                parts[f"{site}down.weight"] = weight * gain.unsqueeze(-2)
        for ends, scale in self.lora_scales.items():
            for place in [place for place in parts if place.endswith(ends)]:
                # Multiplied in float32: α / r for rank 12 is not a bfloat16 number.
                parts[place] = (parts[place] * scale).to(flat.dtype)
        return {
            name: view
            for place, part in parts.items()
            for name, view in zip(names[place], part.unbind(1), strict=True)
        }


def _lora_scales(
    adapters: Sequence[job_pb2.Adapter], device: torch.device
) -> dict[tuple[str, ...], Tensor]:
    """Each trial's α / r, float32 [K, 1, 1, 1], by the endings of the names that it scales."""
    widths: dict[tuple[str, ...], list[int]] = {}
    if adapters[0].attention == job_pb2.ATTENTION_MODULE_LORA:
        ends = ("query.up.weight", "value.up.weight")
        widths[ends] = [adapter.attention_bottleneck for adapter in adapters]
    if adapters[0].ffn == job_pb2.FFN_MODULE_LORA:
        widths[("ffn_in.up.weight", "ffn_out.up.weight")] = [
            adapter.ffn_bottleneck for adapter in adapters
        ]
    alpha = adapters[0].lora_alpha
    return {
        ends: torch.tensor([alpha / rank for rank in ranks], device=device).view(-1, 1, 1, 1)
        for ends, ranks in widths.items()
    }
