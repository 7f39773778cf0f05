"""Cohorts of this project's trainer: the one file of the benchmark that knows how it is called."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_trainer.adapters import initialize, layout
from sparse_adapter_trainer.backbone import Backbone, from_transformers
from sparse_adapter_trainer.checkpoint import Position
from sparse_adapter_trainer.cohort import Callbacks, TrialRun, train_cohort
from sparse_adapter_trainer.dataset import Split
from sparse_adapter_trainer.encoder_decoder import EncoderDecoder, load_encoder_decoder
from sparse_adapter_trainer.keys import permutation
from sparse_adapter_trainer.model import CPU_PASS_TOKENS, GPU_PASS_TOKENS, Part
from sparse_adapter_trainer.modules import TrialModules
from sparse_adapter_trainer.optimizer import AdamW
from sparse_adapter_trainer.pairs import PairSplit
from sparse_adapter_trainer.progress import Pace

from .workloads import RandomRows

PRECISIONS = {
    "float32": job_pb2.PRECISION_FLOAT32,
    "tf32": job_pb2.PRECISION_TF32,
    "bf16": job_pb2.PRECISION_BF16,
}
_COMMON: dict[str, Any] = {
    "init": job_pb2.ADAPTER_INIT_GAUSSIAN,
    "init_std": 0.02,
    "unfrozen": job_pb2.UNFROZEN_NONE,
}
_BOTTLENECK: dict[str, Any] = {
    "scale": 1,
    "norm": job_pb2.ADAPTER_NORM_BEFORE,
    "activation": job_pb2.ACTIVATION_RELU,
}
_NO_ATTENTION, _NO_FFN = job_pb2.ATTENTION_MODULE_NONE, job_pb2.FFN_MODULE_NONE
# What is trained, by name. Widths are put in by `adapter`.
_FORMS: dict[str, dict[str, Any]] = {
    "Houlsby": {
        "attention": job_pb2.ATTENTION_MODULE_SEQUENTIAL,
        "ffn": job_pb2.FFN_MODULE_SEQUENTIAL,
        **_BOTTLENECK,
    },
    "parallel": {
        "attention": job_pb2.ATTENTION_MODULE_PARALLEL,
        "ffn": job_pb2.FFN_MODULE_PARALLEL,
        **_BOTTLENECK,
    },
    "Pfeiffer": {"attention": _NO_ATTENTION, "ffn": job_pb2.FFN_MODULE_AFTER_NORM, **_BOTTLENECK},
    "LoRA": {"attention": job_pb2.ATTENTION_MODULE_LORA, "ffn": _NO_FFN, "lora_alpha": 16},
    "prefix": {"attention": job_pb2.ATTENTION_MODULE_PREFIX, "ffn": _NO_FFN},
    "prompt": {"attention": job_pb2.ATTENTION_MODULE_PROMPT, "ffn": _NO_FFN},
    "BitFit": {"attention": _NO_ATTENTION, "ffn": _NO_FFN, "unfrozen": job_pb2.UNFROZEN_BIASES},
}


def adapter(form: str = "Houlsby", width: int = 64) -> job_pb2.Adapter:
    """form: a name in _FORMS; width: of bottlenecks, LoRA's rank, tokens of a prefix or a
    prompt."""
    fields = _COMMON | _FORMS[form]
    widths = {
        "attention_bottleneck": width if fields["attention"] != _NO_ATTENTION else 0,
        "ffn_bottleneck": width if fields["ffn"] != _NO_FFN else 0,
    }
    return job_pb2.Adapter(**fields, **widths)


def load(model: Any, precision: str) -> Backbone:
    """The trainer's backbone from Transformers' model; precision: a name in PRECISIONS."""
    return from_transformers(model, has_pooler=False)


@dataclass(frozen=True)
class Asked:
    """A trial of a cohort. first_step_only: no clipping and no first moment, so that `gradients`
    finds what the step had."""

    seed: int
    adapter: job_pb2.Adapter
    batch: int
    dropout: float = 0.0
    first_step_only: bool = False

    def trial(self) -> job_pb2.Trial:
        train = job_pb2.Train(
            batch_size=self.batch,
            total_steps=100_000,
            learning_rate=1e-3,
            weight_decay=0.01,
            schedule=job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            max_grad_norm=0 if self.first_step_only else 1,
            adam_beta1=0 if self.first_step_only else 0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
            dropout=self.dropout,
        )
        trial_id = f"seed-{self.seed}"
        return job_pb2.Trial(trial_id=trial_id, seed=self.seed, adapter=self.adapter, train=train)


class _Trials:
    """Trials in training over one backbone."""

    _backbone: Backbone | EncoderDecoder
    _split: Split | PairSplit
    _task_kind: int
    runs: list[TrialRun]

    def _start(self, trial: job_pb2.Trial) -> TrialRun:
        """At its first weights, with noise on biases and norms too."""
        found = layout(trial.adapter, self._backbone, num_labels=2, task_kind=self._task_kind)
        parameters = found.flatten(initialize(trial, found.shapes, self._backbone.pooler))
        random = torch.Generator().manual_seed(trial.seed)
        parameters += 0.02 * torch.randn(parameters.shape, generator=random)
        parameters = parameters.to(self._backbone.device)
        masks = {name: torch.ones(shape, dtype=torch.uint8) for name, shape in found.prunable_shapes.items()}
        optimizer = AdamW.fresh(parameters, found.decayed)
        return TrialRun(trial, found, parameters, masks, None, optimizer, Position(""), until=0)

    def step(self) -> None:
        """One step of every trial."""
        for run in self.runs:
            run.until += 1
        on_gpu = self._backbone.device.type == "cuda"
        work = job_pb2.TrainWork(log_every_steps=1_000_000)
        train_cohort(
            self._backbone,
            self._split,
            self._task_kind,
            self.runs,
            work,
            GPU_PASS_TOKENS if on_gpu else CPU_PASS_TOKENS,
            Pace(_Silent(), event_pb2.PHASE_TRAIN, 0),
            Callbacks(self._keep_losses, lambda run: None, lambda run: None, _raise),
        )

    def settle(self) -> None:
        """Waits, and brings weights, moments and losses up to date. Raises RuntimeError for a trial
        that has failed."""

    def take_losses(self) -> list[float]:
        """The loss of each trial's last step."""
        return list(self._losses)

    def _keep_losses(self, metrics: list[event_pb2.Metric]) -> None:
        self._losses = [metric.value for metric in metrics if metric.name == "loss"]

    def weights(self) -> list[dict[str, Tensor]]:
        """Of each trial, by name: copies."""
        return [{name: view.clone() for name, view in run.layout.views(run.parameters).items()} for run in self.runs]

    def gradients(self) -> list[dict[str, Tensor]]:
        """Of each trial by name, after one step of trials asked for with `first_step_only`."""
        return [run.layout.views(run.optimizer.first_moment) for run in self.runs]


class Cohort(_Trials):
    """Trials over one encoder on rows of a class each, or of an answer's places each."""

    def __init__(self, backbone: Backbone, rows: RandomRows, trials: Sequence[Asked]) -> None:
        answers = rows.labels.ndim == 2
        self._task_kind = job_pb2.TASK_KIND_QUESTION_ANSWERING if answers else job_pb2.TASK_KIND_CLASSIFICATION
        types = torch.zeros_like(rows.ids)
        self._backbone = backbone
        self._split = Split("train", rows.ids, types, rows.offsets, rows.labels)
        self.runs = [self._start(asked.trial()) for asked in trials]

    def first_rows(self) -> list[Tensor]:
        """Which rows each trial's first step has, int64 [batch]."""
        return [permutation(self._split.rows, run.trial.seed, "order", 0)[: run.trial.train.batch_size] for run in self.runs]


def load_pairs(model: Any, device: torch.device, precision: str) -> EncoderDecoder:
    """The trainer's encoder–decoder, from a model of Transformers that is written to a folder for
    it."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_encoder_decoder(folder, device)


class PairCohort(_Trials):
    """Trials over one encoder–decoder on texts with targets."""

    _task_kind = job_pb2.TASK_KIND_SUMMARIZATION

    def __init__(
        self,
        backbone: EncoderDecoder,
        texts: list[Tensor],
        targets: list[Tensor],
        trials: Sequence[Asked],
    ) -> None:
        ids, offsets = _packed(texts)
        target_ids, target_offsets = _packed(targets)
        self._backbone = backbone
        self._split = PairSplit("train", ids, offsets, target_ids, target_offsets)
        self.runs = [self._start(asked.trial()) for asked in trials]

    def generating(self, beams: int, longest: int) -> Callable[[], None]:
        """Generates with the first trial, a batch a call; batches are of like length, as in
        prediction."""
        run, split = self.runs[0], self._split
        asked = job_pb2.Generation(beams=beams, max_length=longest, length_penalty=1)
        modules = TrialModules(run.trial.adapter, run.layout.views(run.parameters), dropout=None)
        batches = cycle(split.lengths.argsort(stable=True).split(run.trial.train.batch_size))

        def generate() -> None:
            pack = Part.of(0, split, next(batches), modules).pack
            self._backbone.generate(pack, modules, asked)

        return generate


def _packed(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The rows one after the other, and where each begins and ends."""
    lengths = torch.tensor([row.numel() for row in rows])
    return torch.cat(rows), torch.nn.functional.pad(lengths.cumsum(0), (1, 0))


class _Silent:
    """A reporter that tells nobody."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: 0


def _raise(run: TrialRun, failure: event_pb2.Failure) -> None:
    raise RuntimeError(f"{run.trial.trial_id}: {failure.message}")
