"""PredictWork: logits of each trial's trained adapter on some splits."""

from collections.abc import Iterator

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from .artifacts import Tensors, describe, read_metadata, read_tensors, write_tensors
from .context import Context, Loaded
from .dataset import QUESTION_ANSWERING, Split
from .errors import JobFailed, bad_artifact
from .model import Part, forward, passes
from .modules import TrialModules
from .progress import Pace
from .reporting import Reporter
from .trial_files import trial_folder

# Rows of one trial in a forward. Fixed, so that a logit does not depend on who else predicts.
_ROWS = 32


def run_predict(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a predict job. A split whose predictions are there, of the same adapter, is not predicted again."""
    loaded = context.load(spec, list(spec.predict.splits), reporter)
    adapters: dict[str, Tensors] = {}
    for trial in spec.trials:
        try:
            adapters[trial.trial_id] = _read_adapter(context, loaded, trial)
        except JobFailed as error:
            reporter.trial_result(trial.trial_id, [], {}, event_pb2.Failure(reason=error.reason, message=error.message))
    trials = [trial for trial in spec.trials if trial.trial_id in adapters]
    waiting = {name: [trial for trial in trials if not _has_predictions(context, loaded, trial, name)] for name in loaded.splits}
    pace = Pace(reporter, event_pb2.PHASE_PREDICT, total=sum(loaded.splits[name].rows * len(some) for name, some in waiting.items()))
    for name, some in waiting.items():
        _predict(context, loaded, name, {trial.trial_id: (trial, adapters[trial.trial_id]) for trial in some}, pace)
    for trial in trials:
        folder = trial_folder(context.root, trial.trial_id)
        artifacts = [describe(context.root, folder / f"predictions.{name}.safetensors") for name in loaded.splits]
        reporter.trial_result(trial.trial_id, artifacts, {})


def _read_adapter(context: Context, loaded: Loaded, trial: job_pb2.Trial) -> Tensors:
    path = trial_folder(context.root, trial.trial_id) / "adapter" / "adapter_model.safetensors"
    tensors = read_tensors(path)
    for name, shape in loaded.layout(trial).shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape:
            raise bad_artifact(f"{path}: tensor {name} is missing or is not of shape {shape}")
    return {name: tensor.to(context.device) for name, tensor in tensors.items()}


def _source(context: Context, loaded: Loaded, trial: job_pb2.Trial) -> str:
    adapter = describe(context.root, trial_folder(context.root, trial.trial_id) / "adapter")
    return f"{adapter.digest} {loaded.spec.dataset.name} {loaded.spec.backbone.digest}"


def _has_predictions(context: Context, loaded: Loaded, trial: job_pb2.Trial, split: str) -> bool:
    path = trial_folder(context.root, trial.trial_id) / f"predictions.{split}.safetensors"
    return read_metadata(path).get("source") == _source(context, loaded, trial)


@torch.inference_mode()
def _predict(context: Context, loaded: Loaded, name: str, adapters: dict[str, tuple[job_pb2.Trial, Tensors]], pace: Pace) -> None:
    """Predicts one split with each adapter, writing each trial's file as soon as its last row is done."""
    split, dataset = loaded.splits[name], loaded.spec.dataset
    every_token = dataset.task_kind == QUESTION_ANSWERING
    for trial_id, (trial, tensors) in adapters.items():
        logits = torch.empty(split.input_ids.numel() if every_token else split.rows, dataset.num_labels)
        modules = TrialModules(trial.adapter, tensors, dropout=None)
        chunks = list(_chunks(split))
        parts = [Part.of(index, split, rows, modules) for index, rows in enumerate(chunks)]
        for group in passes(parts, context.pass_tokens):
            for part, found in zip(group, forward(loaded.backbone, group, dataset.task_kind), strict=True):
                logits[part.pack.places if every_token else chunks[part.owner][part.pack.order]] = found.cpu()
            rows = sum(part.pack.rows for part in group)
            pace.advance(rows, rows)
            pace.stop_between_passes()
        path = trial_folder(context.root, trial_id) / f"predictions.{name}.safetensors"
        write_tensors(path, {"logits": logits}, {"source": _source(context, loaded, trial)})


def _chunks(split: Split) -> Iterator[torch.Tensor]:
    """Rows by length, so that a forward has few distinct lengths."""
    yield from split.lengths.argsort(stable=True).split(_ROWS)
