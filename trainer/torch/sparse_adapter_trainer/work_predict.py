"""PredictWork: logits, or generated texts, of each trial's trained adapter on some splits."""

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from .artifacts import Tensors, describe, read_metadata, read_tensors, write_tensors
from .context import Context, Loaded
from .dataset import QUESTION_ANSWERING, SUMMARIZATION, Split
from .encoder_decoder import EncoderDecoder
from .errors import JobFailed, bad_artifact
from .model import Part, forward, packed, pairs, passes
from .modules import TrialModules
from .pairs import PairSplit
from .precision import other_precision
from .progress import Pace
from .reporting import Reporter
from .trial_files import trial_folder

# Rows of one trial in a forward. Fixed, so that a logit does not depend on who else predicts.
_ROWS = 32
# Rows whose texts are generated together: a cache of keys and values for each beam takes much more memory than a forward.
_GENERATED_ROWS = 8


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
    source = f"{adapter.digest} {loaded.spec.dataset.name} {loaded.spec.backbone.digest}"
    if loaded.spec.dataset.task_kind == SUMMARIZATION:
        source += f" {loaded.spec.predict.generation.SerializeToString(deterministic=True).hex()}"
    if (precision := other_precision(loaded.spec)) is not None:
        source += f" {precision}"
    return source


def _has_predictions(context: Context, loaded: Loaded, trial: job_pb2.Trial, split: str) -> bool:
    path = trial_folder(context.root, trial.trial_id) / f"predictions.{split}.safetensors"
    return read_metadata(path).get("source") == _source(context, loaded, trial)


@torch.inference_mode()
def _predict(context: Context, loaded: Loaded, name: str, adapters: dict[str, tuple[job_pb2.Trial, Tensors]], pace: Pace) -> None:
    """Predicts one split with each adapter, writing each trial's file as soon as its last row is done."""
    split = loaded.splits[name]
    for trial_id, (trial, tensors) in adapters.items():
        modules = TrialModules(trial.adapter, tensors, dropout=None)
        if isinstance(split, PairSplit):
            predictions = _generated(loaded, split, modules, pace)
        else:
            predictions = _logits(context, loaded, split, modules, pace)
        path = trial_folder(context.root, trial_id) / f"predictions.{name}.safetensors"
        write_tensors(path, predictions, {"source": _source(context, loaded, trial)})


def _logits(context: Context, loaded: Loaded, split: Split, modules: TrialModules, pace: Pace) -> Tensors:
    dataset = loaded.spec.dataset
    every_token = dataset.task_kind == QUESTION_ANSWERING
    logits = torch.empty(split.input_ids.numel() if every_token else split.rows, dataset.num_labels)
    chunks = _chunks(split, _ROWS)
    parts = [Part.of(index, split, rows, modules) for index, rows in enumerate(chunks)]
    for group in passes(parts, context.pass_tokens):
        for part, found in zip(group, forward(loaded.backbone, group, dataset.task_kind), strict=True):
            logits[packed(part.pack).places if every_token else chunks[part.owner][part.pack.order]] = found.cpu()
        _advance(pace, sum(part.pack.rows for part in group))
    return {"logits": logits}


def _generated(loaded: Loaded, split: PairSplit, modules: TrialModules, pace: Pace) -> Tensors:
    """generated_ids and generated_offsets as Trial of job.proto says."""
    backbone, texts = loaded.backbone, [torch.empty(0, dtype=torch.int64)] * split.rows
    assert isinstance(backbone, EncoderDecoder), "pairs are an encoder–decoder's"
    for rows in _chunks(split, _GENERATED_ROWS):
        part = Part.of(0, split, rows, modules)
        found = backbone.generate(pairs(part.pack), modules, loaded.spec.predict.generation)
        for row, text in zip(rows[part.pack.order].tolist(), found, strict=True):
            texts[row] = text
        _advance(pace, part.pack.rows)
    lengths = torch.tensor([text.numel() for text in texts])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return {"generated_ids": torch.cat(texts).to(torch.int32), "generated_offsets": offsets}


def _advance(pace: Pace, rows: int) -> None:
    pace.advance(rows, rows)
    pace.stop_between_passes()


def _chunks(split: Split | PairSplit, rows: int) -> list[torch.Tensor]:
    """Rows by length, so that a forward has few distinct lengths, or little padding."""
    return list(split.lengths.argsort(stable=True).split(rows))
