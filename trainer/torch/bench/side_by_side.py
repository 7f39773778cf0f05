"""One trial on MRPC (batch 32, Houlsby 64, dropout 0) by three contenders in turn, in one process with the same threads and rows.

    SA_ORCH_DATA=<dir with glue/> python side_by_side.py <backbone directory> [--rounds 10] [--steps 4] [--threads 2] [--without-trainer]

Prints rows per second over all rounds and the ratios as one JSON object, by the clock and by processor time, which other programs that run
at the same time disturb less.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Protocol

# Before torch: sets how idle OpenMP threads wait, for every contender.
import sparse_adapter_trainer  # noqa: F401

# isort: split

import torch
from careful_loop import CarefulLoop
from rows import mrpc
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_trainer.adapters import initialize, layout
from sparse_adapter_trainer.backbone import load_backbone
from sparse_adapter_trainer.checkpoint import Position
from sparse_adapter_trainer.cohort import Callbacks, TrialRun, train_cohort
from sparse_adapter_trainer.dataset import Split
from sparse_adapter_trainer.model import CPU_PASS_TOKENS
from sparse_adapter_trainer.optimizer import AdamW
from sparse_adapter_trainer.progress import Pace
from sparse_adapter_trainer.threads import use_threads

BATCH, WIDTH = 32, 64


class Contender(Protocol):
    """Trains on and on; `run` does some more steps and returns the rows of them."""

    def run(self, steps: int) -> int: ...


class Cohort:
    """This project's loop with a cohort of `count` equal trials of different seeds; `run` goes on by some steps."""

    def __init__(self, backbone: str, rows: list[dict[str, list[int]]], labels: list[int], count: int) -> None:
        self.backbone = load_backbone(backbone, torch.device("cpu"))
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        self.split = Split(
            "train",
            torch.tensor([token for row in rows for token in row["input_ids"]]),
            torch.tensor([kind for row in rows for kind in row["token_type_ids"]]),
            torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            torch.tensor(labels),
        )
        self.runs = [self._start(seed) for seed in range(1, count + 1)]

    def _start(self, seed: int) -> TrialRun:
        adapter = job_pb2.Adapter(
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
        train = job_pb2.Train(
            batch_size=BATCH,
            total_steps=10_000,
            learning_rate=1e-3,
            weight_decay=0.1,
            schedule=job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            max_grad_norm=1,
            adam_beta1=0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
        )
        trial = job_pb2.Trial(trial_id=f"seed-{seed}", seed=seed, adapter=adapter, train=train)
        found = layout(adapter, self.backbone, num_labels=2)
        parameters = found.flatten(initialize(trial, found.shapes, self.backbone.pooler))
        masks = {name: torch.ones(shape, dtype=torch.uint8) for name, shape in found.prunable_shapes.items()}
        optimizer = AdamW.fresh(parameters, found.decayed)
        return TrialRun(trial, found, parameters, masks, None, optimizer, Position(""), until=0)

    def run(self, steps: int) -> int:
        """Trains so many steps and returns the rows of them, all trials together."""
        for run in self.runs:
            run.until += steps
        before = sum(run.position.rows for run in self.runs)
        nothing = Callbacks(lambda metrics: None, lambda run: None, lambda run: None, lambda run, failure: sys.exit(failure.message))
        work = job_pb2.TrainWork(log_every_steps=10)
        pace = Pace(_Silent(), event_pb2.PHASE_TRAIN, 0)
        train_cohort(self.backbone, self.split, job_pb2.TASK_KIND_CLASSIFICATION, self.runs, work, CPU_PASS_TOKENS, pace, nothing)
        return sum(run.position.rows for run in self.runs) - before


class _Silent:
    """A reporter that tells nobody."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-trainer", action="store_true", help="leave Transformers' Trainer out (it needs the package accelerate)")
    arguments = parser.parse_args()
    threads = use_threads(arguments.threads)
    backbone = str(arguments.backbone)
    rows, labels = mrpc(backbone)
    contenders: dict[str, Contender] = {
        "cohort_of_1": Cohort(backbone, rows, labels, 1),
        "careful_loop": CarefulLoop(backbone, rows, labels, BATCH, WIDTH),
    }
    if not arguments.without_trainer:
        from hf_trainer import HuggingFaceTrainer

        contenders["hf_trainer_128"] = HuggingFaceTrainer(backbone, rows, labels, BATCH, WIDTH)
    for contender in contenders.values():
        contender.run(2)
    rows_done, wall, cpu = ({name: 0.0 for name in contenders} for _ in range(3))
    for _ in range(arguments.rounds):
        for name, contender in contenders.items():
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            rows_done[name] += contender.run(arguments.steps)
            wall[name] += time.perf_counter() - wall_began
            cpu[name] += time.process_time() - cpu_began
    rates = {name: rows_done[name] / wall[name] for name in contenders}
    cpu_rates = {name: rows_done[name] / cpu[name] for name in contenders}
    result = {"threads": threads, "rows_per_second": rates, "rows_per_cpu_second": cpu_rates}
    for unit, found in (("ratio", rates), ("cpu_ratio", cpu_rates)):
        result[unit] = {f"cohort_of_1 / {name}": found["cohort_of_1"] / rate for name, rate in found.items() if name != "cohort_of_1"}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
