"""Trials, jobs and a reporter for tests of the engine."""

import shutil
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from torch import Tensor


def adapter(
    attention: str = "sequential", ffn: str = "sequential", width: int = 16, **fields: object
) -> job_pb2.Adapter:
    """Forms by their names in the contract, in lower case; both of the same width; norm before,
    ReLU, Gaussian, α 16.
    """
    values: dict[str, object] = {
        "attention": f"ATTENTION_MODULE_{attention.upper()}",
        "ffn": f"FFN_MODULE_{ffn.upper()}",
        "attention_bottleneck": 0 if attention == "none" else width,
        "ffn_bottleneck": 0 if ffn == "none" else width,
        "scale": 1,
        "norm": job_pb2.ADAPTER_NORM_BEFORE,
        "activation": job_pb2.ACTIVATION_RELU,
        "init": job_pb2.ADAPTER_INIT_GAUSSIAN,
        "init_std": 0.02,
        "lora_alpha": 16,
        "unfrozen": job_pb2.UNFROZEN_NONE,
    }
    return job_pb2.Adapter(**values | fields)


def trial(
    trial_id: str,
    seed: int = 1,
    width: int = 16,
    pruner: str = "none",
    sparsity: float = 0.0,
    **train: float,
) -> job_pb2.Trial:
    """A Houlsby trial; train settings are by their names in Train."""
    settings = {
        "batch_size": 8,
        "total_steps": 12,
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "warmup": 0.1,
        "schedule": job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
        "max_grad_norm": 1.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
    }
    return job_pb2.Trial(
        trial_id=trial_id,
        seed=seed,
        adapter=adapter(width=width),
        prune=job_pb2.Prune(
            pruner=f"PRUNER_{pruner.upper()}",
            sparsity=sparsity,
            scope=job_pb2.PRUNE_SCOPE_GLOBAL,
            scoring_rows=48 if pruner == "snip" else 0,
            rounds=1,
            control=job_pb2.MASK_CONTROL_NONE,
            structure=job_pb2.MASK_STRUCTURE_WEIGHTS,
            rules=job_pb2.MASK_RULES_EXACT,
        ),
        train=job_pb2.Train(**settings | train),
    )


def spec(backbone: str | Path, trials: list[job_pb2.Trial], **work: object) -> job_pb2.JobSpec:
    """A job on `datasets/cola` with one kind of work, by its name in JobSpec."""
    return job_pb2.JobSpec(
        backbone=job_pb2.Backbone(path=str(backbone), digest="b" * 64),
        dataset=job_pb2.Dataset(
            name="datasets/cola",
            digest="cola",
            task_kind=job_pb2.TASK_KIND_CLASSIFICATION,
            num_labels=2,
        ),
        trials=trials,
        **work,
    )


def train_work(**settings: float) -> job_pb2.TrainWork:
    return job_pb2.TrainWork(**{"log_every_steps": 5, "keep_checkpoints": 2} | settings)


def fresh_root(data: Path, root: Path) -> Path:
    """An artifact root with the data sets of another one."""
    shutil.copytree(data / "datasets", root / "datasets")
    return root


def weights(root: Path, trial_id: str) -> dict[str, Tensor]:
    return load_file(root / "trials" / trial_id / "adapter" / "adapter_model.safetensors")


class Told(NamedTuple):
    """A report of progress."""

    phase: int
    done: int
    total: int
    resumed: int
    trial_steps: dict[str, int]


class Recorder:
    """Keeps all that a job reports.

    Asks to stop with `stop` once a trial has done `stop_after` steps.
    """

    def __init__(
        self, stop: int = trainer_pb2.CANCEL_MODE_UNSPECIFIED, stop_after: int = 0
    ) -> None:
        self.results: dict[str, dict[str, float]] = {}
        self.artifacts: dict[str, list[event_pb2.Artifact]] = {}
        self.made_by: dict[str, list[event_pb2.Environment]] = {}
        self.environments: list[event_pb2.Environment] = []
        self.failures: dict[str, event_pb2.Failure] = {}
        self.warnings: list[tuple[str, str, str]] = []
        self.metric_values: dict[tuple[str, str, int], float] = {}
        self.checkpoints: list[tuple[str, int]] = []
        self.told: list[Told] = []
        self.moves = 0
        self._stop, self._stop_after = stop, stop_after

    @property
    def phases(self) -> list[int]:
        return [each.phase for each in self.told]

    def progress(
        self,
        phase: int,
        done: int,
        total: int,
        rows_per_second: float,
        trial_steps: dict[str, int],
        resumed: int = 0,
    ) -> None:
        self.told.append(Told(phase, done, total, resumed, trial_steps))

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        self.metric_values |= {
            (metric.trial_id, metric.name, metric.step): metric.value for metric in metrics
        }

    def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
        self.checkpoints.append((trial_id, step))

    def trial_result(
        self,
        trial_id: str,
        artifacts: list[event_pb2.Artifact],
        values: dict[str, float],
        environments: list[event_pb2.Environment],
    ) -> None:
        assert trial_id not in self.results, "one result a trial"
        self.results[trial_id], self.artifacts[trial_id] = values, artifacts
        self.made_by[trial_id] = environments

    def trial_failed(self, trial_id: str, failure: event_pb2.Failure) -> None:
        assert trial_id not in self.results, "one result a trial"
        self.results[trial_id], self.artifacts[trial_id] = {}, []
        self.failures[trial_id] = failure

    def environment(self, environment: event_pb2.Environment) -> None:
        self.environments.append(environment)

    def warning(self, trial_id: str, code: str, message: str) -> None:
        self.warnings.append((trial_id, code, message))

    def stop_requested(self) -> int:
        return self._stop if self.moves >= self._stop_after else trainer_pb2.CANCEL_MODE_UNSPECIFIED

    def working(self) -> None:
        self.moves += 1

    def wait_for_room(self, error: OSError, path: Path) -> None:
        raise error
