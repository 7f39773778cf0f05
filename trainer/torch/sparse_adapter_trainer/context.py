"""What every kind of work needs: the root, the device, and the backbone and splits that were read last."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from .adapter_forms import has_backbone
from .adapters import Layout, initialize, layout
from .backbone import Backbone, load_backbone
from .dataset import Split, load_split
from .full_tuning import read_backbone_tensors
from .reporting import Reporter


@dataclass
class Context:
    """The engine's state between jobs. pass_tokens: tokens that a pass holds at most, of whole trials."""

    root: Path
    device: torch.device
    pass_tokens: int
    environment: dict[str, str]
    _backbones: dict[tuple[str, str], Backbone] = field(default_factory=dict)
    _splits: dict[tuple[str, ...], Split] = field(default_factory=dict)

    def load(self, spec: job_pb2.JobSpec, splits: list[str], reporter: Reporter) -> "Loaded":
        """Backbone and splits of a job, kept for the next job of the same. Raises JobFailed (BAD_ARTIFACT)."""
        reporter.progress(event_pb2.PHASE_LOAD, 0, 1 + len(splits), 0.0, {})
        key = (spec.backbone.path, spec.backbone.digest)
        if key not in self._backbones:
            # One at a time: two large backbones may not fit.
            self._backbones.clear()
            self._backbones[key] = load_backbone(spec.backbone.path, self.device)
        backbone = self._backbones[key]
        if not backbone.row_invariant and self.device.type == "cpu":
            message = (
                "on this processor a row's result depends on the rows beside it: a cohort's trials equal their lone runs to rounding only"
            )
            reporter.warning("", "not_row_invariant", message)
        wanted = {name: (*key, spec.dataset.name, str(spec.dataset.task_kind), str(spec.dataset.num_labels), name) for name in splits}
        self._splits = {key: split for key, split in self._splits.items() if key in wanted.values()}
        for name, key_of_split in wanted.items():
            reporter.working()
            if key_of_split not in self._splits:
                split = load_split(self.root, spec.dataset, name, backbone.vocabulary, backbone.token_types, backbone.longest)
                self._splits[key_of_split] = split
        return Loaded(spec, backbone, {name: self._splits[key] for name, key in wanted.items()})


@dataclass(frozen=True)
class Loaded:
    """A job with its backbone and splits in memory."""

    spec: job_pb2.JobSpec
    backbone: Backbone
    splits: dict[str, Split]

    def layout(self, trial: job_pb2.Trial) -> Layout:
        return layout(trial.adapter, self.backbone, self.spec.dataset.num_labels, self.spec.dataset.task_kind)

    def start(self, trial: job_pb2.Trial) -> tuple[Layout, dict[str, Tensor]]:
        """A trial's layout and its first weights, unmasked, on the CPU."""
        found = self.layout(trial)
        backbone = read_backbone_tensors(self.spec.backbone.path) if has_backbone(trial.adapter) else {}
        drawn = {name: shape for name, shape in found.shapes.items() if name not in backbone}
        return found, backbone | initialize(trial, drawn, self.backbone.pooler)
