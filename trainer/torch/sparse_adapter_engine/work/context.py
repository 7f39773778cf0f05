"""What every kind of work needs: the root, the device, and the backbone and splits of the last
job."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.backbones.download import download
from sparse_adapter_engine.backbones.encoder.full_tuning import read_backbone_tensors
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.masks.score_store import ScoreStore
from sparse_adapter_engine.modules.forms import has_backbone
from sparse_adapter_engine.modules.layout import Layout, initialize, layout
from sparse_adapter_engine.reporting import Reporter
from sparse_adapter_engine.tasks.families import FAMILIES, Family
from sparse_adapter_engine.tasks.task import Task


@dataclass
class Context:
    """The engine's state between jobs. how: how the device computes at a precision. environment:
    what computes at a precision. scores: those of the loaded backbone's adapters at their first
    weights. Cached backbones and splits are passed only to the family that loaded them."""

    root: Path
    device: torch.device
    how: Callable[[int], How]
    environment: Callable[[job_pb2.Precision], event_pb2.Environment]
    scores: ScoreStore = field(default_factory=ScoreStore)
    _backbones: dict[tuple[str, str, str, int], Any] = field(default_factory=dict)
    _splits: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def load(
        self,
        spec: job_pb2.JobSpec,
        splits: list[str],
        reporter: Reporter,
        precision: job_pb2.Precision,
    ) -> "Loaded":
        """A job's backbone and splits, cached for the next job. precision: at which the backbone
        computes. Raises JobFailed (BAD_ARTIFACT)."""
        # TF32 would round a GPU's float32 products to 10 bits.
        fast = precision == job_pb2.PRECISION_TF32
        torch.set_float32_matmul_precision("high" if fast else "highest")
        torch.backends.cudnn.allow_tf32 = fast
        # Only now, so that the self-test runs with the job's settings.
        how = self.how(precision)
        environment = self.environment(precision)
        reporter.environment(environment)
        reporter.progress(event_pb2.PHASE_LOAD, 0, 1 + len(splits), 0.0, {})
        family = FAMILIES[spec.dataset.task_kind]
        path, digest = spec.backbone.path, spec.backbone.digest
        key = (path, digest, family.name, precision)
        if key not in self._backbones:
            # Between its prune jobs a sweep may train at another precision.
            if not any(loaded[:3] == key[:3] for loaded in self._backbones):
                self.scores.clear()
            # One at a time: two large backbones may not fit.
            self._backbones.clear()
            if not path.startswith("/"):
                download(path, reporter.working)
            self._backbones[key] = family.load_backbone(path, self.device, precision)
        backbone = self._backbones[key]
        family.require_fit(backbone, spec)
        if not backbone.row_invariant:
            where = "on this processor" if self.device.type == "cpu" else "on a GPU"
            message = (
                f"{where} a row's result depends on the other rows of its pass: a cohort's trials "
                "equal their lone runs only up to rounding"
            )
            reporter.warning("", "not_row_invariant", message)
        wanted = {
            name: (
                path,
                digest,
                spec.dataset.name,
                str(spec.dataset.task_kind),
                str(spec.dataset.num_labels),
                name,
            )
            for name in splits
        }
        self._splits = {key: split for key, split in self._splits.items() if key in wanted.values()}
        for name, key_of_split in wanted.items():
            reporter.working()
            if key_of_split not in self._splits:
                self._splits[key_of_split] = family.load_split(
                    backbone, self.root, spec.dataset, name
                )
        found = {name: self._splits[key] for name, key in wanted.items()}
        return Loaded(spec, family, backbone, how, found, environment)

    def unload(self) -> None:
        """Forgets backbone, splits and scores."""
        self._backbones.clear()
        self._splits.clear()
        self.scores.clear()


@dataclass(frozen=True)
class Loaded:
    """A job with its backbone and splits in memory, and what computes it."""

    spec: job_pb2.JobSpec
    family: Family[Any, Any]
    backbone: Backbone
    how: How
    splits: dict[str, Any]
    environment: event_pb2.Environment

    def task(self, name: str) -> Task:
        """What the job's trials do with a split."""
        kind = self.spec.dataset.task_kind
        return self.family.make_task(self.backbone, self.splits[name], kind, self.how)

    def require_labels(self, name: str) -> None:
        """Raises JobFailed (BAD_ARTIFACT) if a row of a split to learn from has no label or no
        target."""
        self.family.require_labels(self.splits[name], self.spec.dataset)

    def layout(self, trial: job_pb2.Trial) -> Layout:
        return layout(
            trial.adapter, self.backbone, self.spec.dataset.num_labels, self.spec.dataset.task_kind
        )

    def start(self, trial: job_pb2.Trial) -> tuple[Layout, dict[str, Tensor]]:
        """A trial's layout and its first weights, unmasked, on the CPU."""
        found = self.layout(trial)
        own = read_backbone_tensors(self.spec.backbone.path) if has_backbone(trial.adapter) else {}
        backbone = {name: tensor for name, tensor in own.items() if name in found.shapes}
        drawn = {name: shape for name, shape in found.shapes.items() if name not in backbone}
        return found, backbone | initialize(trial, drawn, self.backbone.pooler)
