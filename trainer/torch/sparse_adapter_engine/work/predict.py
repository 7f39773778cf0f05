"""PredictWork: logits, or generated texts, of each trial's trained adapter on some splits."""

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.data.rows import QUESTION_ANSWERING, SUMMARIZATION, Split
from sparse_adapter_engine.errors import JobFailed, bad_artifact
from sparse_adapter_engine.files.artifacts import (
    Tensors,
    describe,
    read_metadata,
    read_tensors,
    write_tensors,
)
from sparse_adapter_engine.files.trials import trial_folder
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.parts import Part, forward, packed, passes
from sparse_adapter_engine.precision import other_precision, precision_of
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.reporting import Reporter

from .context import Context, Loaded
from .predict_texts import Adapted, companies, generate_texts


def run_predict(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a predict job.

    A split whose predictions are there, of the same adapter, is not predicted again.
    """
    loaded = context.load(spec, list(spec.predict.splits), reporter, precision_of(spec))
    adapters: dict[str, Tensors] = {}
    for trial in spec.trials:
        try:
            adapters[trial.trial_id] = _read_adapter(context, loaded, trial)
        except JobFailed as error:
            reporter.trial_result(
                trial.trial_id,
                [],
                {},
                event_pb2.Failure(reason=error.reason, message=error.message),
            )
    trials = [trial for trial in spec.trials if trial.trial_id in adapters]
    waiting = {
        name: [trial for trial in trials if not _has_predictions(context, loaded, trial, name)]
        for name in loaded.splits
    }
    pace = Pace(
        reporter,
        event_pb2.PHASE_PREDICT,
        total=sum(loaded.splits[name].rows * len(some) for name, some in waiting.items()),
    )
    for name, some in waiting.items():
        _predict(
            context,
            loaded,
            name,
            {trial.trial_id: (trial, adapters[trial.trial_id]) for trial in some},
            pace,
        )
    for trial in trials:
        folder = trial_folder(context.root, trial.trial_id)
        artifacts = [
            describe(context.root, folder / f"predictions.{name}.safetensors")
            for name in loaded.splits
        ]
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
def _predict(
    context: Context,
    loaded: Loaded,
    name: str,
    adapters: dict[str, tuple[job_pb2.Trial, Tensors]],
    pace: Pace,
) -> None:
    """Predicts one split with each adapter, writing each trial's file as soon as its last row is
    done.
    """
    split = loaded.splits[name]
    if isinstance(split, PairSplit):
        _generate(context, loaded, split, adapters, pace)
        return
    for trial, tensors in adapters.values():
        predictions = _logits(
            context, loaded, split, TrialModules(trial.adapter, tensors, dropout=None), pace
        )
        _write(context, loaded, split.name, trial, predictions)


def _generate(
    context: Context,
    loaded: Loaded,
    split: PairSplit,
    adapters: dict[str, tuple[job_pb2.Trial, Tensors]],
    pace: Pace,
) -> None:
    backbone, is_stacked = loaded.backbone, loaded.how.stacked is not None
    assert isinstance(backbone, EncoderDecoder), "pairs are an encoder–decoder's"
    adapted = [
        Adapted(trial_id, trial.adapter, loaded.layout(trial), tensors)
        for trial_id, (trial, tensors) in adapters.items()
    ]
    for company in companies(adapted, is_stacked):
        asked = loaded.spec.predict.generation
        texts = generate_texts(
            backbone, split, company, asked, is_stacked, lambda rows: _advance(pace, rows)
        )
        for one, predictions in zip(company, texts, strict=True):
            trial, _ = adapters[one.trial_id]
            _write(context, loaded, split.name, trial, predictions)


def _write(
    context: Context, loaded: Loaded, split: str, trial: job_pb2.Trial, predictions: Tensors
) -> None:
    path = trial_folder(context.root, trial.trial_id) / f"predictions.{split}.safetensors"
    write_tensors(path, predictions, {"source": _source(context, loaded, trial)})


def _logits(
    context: Context, loaded: Loaded, split: Split, modules: TrialModules, pace: Pace
) -> Tensors:
    dataset = loaded.spec.dataset
    every_token = dataset.task_kind == QUESTION_ANSWERING
    logits = torch.empty(split.input_ids.numel() if every_token else split.rows, dataset.num_labels)
    chunks = _chunks(split, loaded.how.rows_of_part(int(split.lengths.max())))
    parts = [Part.of(index, split, rows, modules) for index, rows in enumerate(chunks)]
    for group in passes(parts, loaded.how.pass_tokens):
        results = forward(loaded.backbone, group, dataset.task_kind, attention=loaded.how.attention)
        for part, found in zip(group, results, strict=True):
            logits[
                packed(part.pack).places if every_token else chunks[part.owner][part.pack.order]
            ] = found.cpu()
        _advance(pace, sum(part.pack.rows for part in group))
    return {"logits": logits}


def _advance(pace: Pace, rows: int) -> None:
    pace.advance(rows, rows)
    pace.stop_between_passes()


def _chunks(split: Split, rows: int) -> list[torch.Tensor]:
    """Rows by length, so that a forward has few distinct lengths, or little padding."""
    return list(split.lengths.argsort(stable=True).split(rows))
