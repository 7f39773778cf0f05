"""PredictWork: logits, or generated texts, of each trial's trained adapter on some splits."""

from functools import partial
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.data.rows import SUMMARIZATION
from sparse_adapter_engine.errors import JobFailed, bad_artifact
from sparse_adapter_engine.files.artifacts import (
    Tensors,
    read_metadata,
    read_tensors,
    write_tensors,
)
from sparse_adapter_engine.files.digests import describe
from sparse_adapter_engine.files.environments import (
    Environments,
    read_environments,
    to_metadata,
)
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_engine.files.trials import trained_folder, trial_folder
from sparse_adapter_engine.precision import other_precision, read_precision
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.reporting import Reporter
from sparse_adapter_engine.tasks.task import Adapted

from .context import Context, Loaded


def run_predict(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a predict job.

    A split whose predictions by the same adapter are on disk is not predicted again.
    """
    loaded = context.load(spec, list(spec.predict.splits), reporter, read_precision(spec))
    adapters: dict[str, Tensors] = {}
    for trial in spec.trials:
        reporter.working()
        try:
            adapters[trial.trial_id] = _read_adapter(context, loaded, trial)
        except JobFailed as error:
            reporter.trial_failed(
                trial.trial_id, event_pb2.Failure(reason=error.reason, message=error.message)
            )
    trials = [trial for trial in spec.trials if trial.trial_id in adapters]
    waiting: dict[str, list[job_pb2.Trial]] = {name: [] for name in loaded.splits}
    for name, some in waiting.items():
        for trial in trials:
            reporter.working()
            if not _has_predictions(context, loaded, trial, name):
                some.append(trial)
    pace = Pace(
        reporter,
        event_pb2.PHASE_PREDICT,
        total=sum(loaded.task(name).rows * len(some) for name, some in waiting.items()),
    )
    for name, some in waiting.items():
        _predict(
            context,
            loaded,
            name,
            [
                Adapted(
                    trial.trial_id, trial.adapter, loaded.layout(trial), adapters[trial.trial_id]
                )
                for trial in some
            ],
            pace,
            reporter,
        )
    for trial in trials:
        folder = trial_folder(context.root, trial.trial_id)
        files = [folder / _file_name(spec, name) for name in loaded.splits]
        artifacts = [describe(context.root, file) for file in files]
        reporter.trial_result(trial.trial_id, artifacts, {}, _made_by(files))


def _file_name(spec: job_pb2.JobSpec, split: str) -> str:
    step = f".step{spec.predict.at_step}" if spec.predict.at_step else ""
    return f"predictions.{split}{step}.safetensors"


def _made_by(files: list[Path]) -> Environments:
    """What made these files, each environment once."""
    found: Environments = []
    for file in files:
        found += [each for each in read_environments(file) if each not in found]
    return found


def _read_adapter(context: Context, loaded: Loaded, trial: job_pb2.Trial) -> Tensors:
    path = _adapter(context, loaded, trial) / "adapter_model.safetensors"
    tensors = read_tensors(path)
    for name, shape in loaded.layout(trial).shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            raise bad_artifact(f"{path}: tensor {name} is missing or is not of shape {shape}")
    return {name: tensor.to(context.device) for name, tensor in tensors.items()}


def _adapter(context: Context, loaded: Loaded, trial: job_pb2.Trial) -> Path:
    step = loaded.spec.predict.at_step or trial.train.total_steps
    return trained_folder(context.root, trial, step) / "adapter"


def _source(context: Context, loaded: Loaded, trial: job_pb2.Trial) -> str:
    adapter = describe(context.root, _adapter(context, loaded, trial))
    source = f"{adapter.digest} {loaded.spec.dataset.name} {loaded.spec.backbone.digest}"
    if loaded.spec.dataset.task_kind == SUMMARIZATION:
        source += f" {loaded.spec.predict.generation.SerializeToString(deterministic=True).hex()}"
    if (precision := other_precision(loaded.spec)) is not None:
        source += f" {precision}"
    return source


def _has_predictions(context: Context, loaded: Loaded, trial: job_pb2.Trial, split: str) -> bool:
    path = trial_folder(context.root, trial.trial_id) / _file_name(loaded.spec, split)
    return read_metadata(path).get("source") == _source(context, loaded, trial)


@torch.inference_mode()
def _predict(
    context: Context,
    loaded: Loaded,
    split: str,
    trials: list[Adapted],
    pace: Pace,
    reporter: Reporter,
) -> None:
    """Predicts one split with each adapter, and writes each trial's file as soon as its last row is
    done."""

    def passed(rows: int) -> None:
        pace.advance(rows, rows)
        pace.stop_between_passes()

    by_id = {trial.trial_id: trial for trial in loaded.spec.trials}
    predicted = loaded.task(split).predict(trials, loaded.spec.predict.generation, passed)
    for trial_id, predictions in predicted:
        path = trial_folder(context.root, trial_id) / _file_name(loaded.spec, split)
        source = _source(context, loaded, by_id[trial_id])
        metadata = {"source": source} | to_metadata([loaded.environment])
        write = partial(write_tensors, path, predictions, metadata)
        write_when_there_is_room(reporter, path, write)
