"""This project's training loop as a contender."""

import sys
from typing import cast

# Before torch: sets how idle OpenMP threads wait.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
from rows import MRPC_BATCH, SQUAD_BATCH, WIDTH, Row, mrpc, squad
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split
from sparse_adapter_engine.device.how import CPU_PASS_TOKENS, How
from sparse_adapter_engine.files.checkpoints import Position
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.reporting import Reporter
from sparse_adapter_engine.tasks.rows import RowTask
from sparse_adapter_engine.training.cohort import Callbacks, train_cohort
from sparse_adapter_engine.training.optimizer import AdamW
from sparse_adapter_engine.training.trial_run import TrialRun

HOULSBY = job_pb2.Adapter(
    attention=job_pb2.ATTENTION_MODULE_SEQUENTIAL,
    ffn=job_pb2.FFN_MODULE_SEQUENTIAL,
    attention_bottleneck=WIDTH,
    ffn_bottleneck=WIDTH,
    scale=1,
    norm=job_pb2.ADAPTER_NORM_BEFORE,
    activation=job_pb2.ACTIVATION_RELU,
    init=job_pb2.ADAPTER_INIT_GAUSSIAN,
    init_std=0.02,
)


def mrpc_trial(backbone: str, precision: str) -> "Cohort":
    """precision: a name in the contract."""
    rows, labels = mrpc(backbone)
    kind, value = job_pb2.TASK_KIND_CLASSIFICATION, job_pb2.Precision.Value(precision)
    return Cohort(backbone, rows, torch.tensor(labels), kind, MRPC_BATCH, 1, value)


def squad_trial(backbone: str) -> "Cohort":
    rows, places = squad(backbone)
    kind = job_pb2.TASK_KIND_QUESTION_ANSWERING
    return Cohort(backbone, rows, torch.tensor(places), kind, SQUAD_BATCH, 1)


class Cohort:
    """This project's loop with a cohort of `count` trials that differ only in seed; each `run` does
    some more steps."""

    def __init__(
        self,
        backbone: str,
        rows: list[Row],
        labels: Tensor,
        task_kind: job_pb2.TaskKind,
        batch: int,
        count: int,
        precision: job_pb2.Precision = job_pb2.PRECISION_FLOAT32,
    ) -> None:
        """rows: input_ids and token_type_ids of each. labels: as in Split. task_kind: one with two
        outputs."""
        self.backbone = load_encoder(backbone, torch.device("cpu"), precision)
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        self.split = Split(
            "train",
            torch.tensor([token for row in rows for token in row["input_ids"]]),
            torch.tensor([kind for row in rows for kind in row["token_type_ids"]]),
            torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            labels,
        )
        self.task_kind = task_kind
        self.runs = [self._start(seed, batch) for seed in range(1, count + 1)]

    def _start(self, seed: int, batch: int) -> TrialRun:
        train = job_pb2.Train(
            batch_size=batch,
            total_steps=10_000,
            learning_rate=1e-3,
            weight_decay=0.1,
            schedule=job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            max_grad_norm=1,
            adam_beta1=0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
        )
        trial = job_pb2.Trial(trial_id=f"seed-{seed}", seed=seed, adapter=HOULSBY, train=train)
        found = layout(HOULSBY, self.backbone, num_labels=2, task_kind=self.task_kind)
        parameters = found.flatten(initialize(trial, found.shapes, self.backbone.pooler))
        masks = {
            name: torch.ones(shape, dtype=torch.uint8)
            for name, shape in found.prunable_shapes.items()
        }
        optimizer = AdamW.fresh(parameters, found.decayed)
        return TrialRun(trial, found, parameters, masks, None, optimizer, Position(""), until=0)

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had in all trials."""
        for run in self.runs:
            run.until += steps
        before = sum(run.position.rows for run in self.runs)
        nothing = Callbacks(
            lambda metrics: None,
            lambda run: 0.0,
            lambda run: None,
            lambda run, failure: sys.exit(failure.message),
        )
        work = job_pb2.TrainWork(log_every_steps=10)
        pace = Pace(cast(Reporter, _Silent()), event_pb2.PHASE_TRAIN, 0)
        train_cohort(
            RowTask(self.backbone, self.split, self.task_kind, How(CPU_PASS_TOKENS)),
            self.runs,
            work,
            pace,
            nothing,
        )
        return sum(run.position.rows for run in self.runs) - before


class _Silent:
    """A reporter that reports nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: 0
