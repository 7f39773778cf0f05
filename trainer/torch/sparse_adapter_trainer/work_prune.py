"""PruneWork: each trial's weights are drawn and scored, and its mask is written."""

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from .adapters import Layout, is_prunable
from .artifacts import describe, read_metadata, write_tensors
from .context import Context, Loaded
from .dataset import require_labels
from .errors import TrialFailed
from .progress import Pace
from .pruning import Masks, Scores, emptied, magnitude_scores, make_masks, random_scores
from .reporting import Reporter
from .scoring import distinct_starts, score_snip
from .trial_files import mask_source, read_masks, trial_folder


def run_prune(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a prune job. A trial whose mask is there, made from the same, is reported as it is."""
    waiting = [trial for trial in spec.trials if not _has_mask(context, spec, trial)]
    needs_gradient = [trial for trial in waiting if trial.prune.pruner == job_pb2.PRUNER_SNIP]
    loaded = context.load(spec, ["train"] if needs_gradient else [], reporter)
    for trial in spec.trials:
        if trial not in waiting:
            _report(context, loaded, trial, read_masks(trial_folder(context.root, trial.trial_id), loaded.layout(trial)), reporter)
    snip = _snip(context, loaded, needs_gradient, reporter) if needs_gradient else {}
    pace = Pace(reporter, event_pb2.PHASE_SCORE, total=0)
    for trial in waiting:
        try:
            masks = _masks(loaded, trial, snip)
        except TrialFailed as error:
            reporter.trial_result(trial.trial_id, [], {}, error.failure())
            continue
        path = trial_folder(context.root, trial.trial_id) / "masks.safetensors"
        write_tensors(path, masks, {"source": mask_source(spec, trial)})
        _report(context, loaded, trial, masks, reporter)
        pace.advance(0, 0)


def _has_mask(context: Context, spec: job_pb2.JobSpec, trial: job_pb2.Trial) -> bool:
    path = trial_folder(context.root, trial.trial_id) / "masks.safetensors"
    return read_metadata(path).get("source") == mask_source(spec, trial)


def _snip(context: Context, loaded: Loaded, trials: list[job_pb2.Trial], reporter: Reporter) -> dict[str, Scores]:
    split, dataset = loaded.splits["train"], loaded.spec.dataset
    require_labels(split, dataset)
    starts = distinct_starts(trials, split, loaded.start)
    pace = Pace(reporter, event_pb2.PHASE_SCORE, total=sum(start.rows.numel() for start in starts))
    return score_snip(loaded.backbone, split, dataset.task_kind, starts, context.pass_tokens, pace)


def _masks(loaded: Loaded, trial: job_pb2.Trial, snip: dict[str, Scores]) -> Masks:
    found, prune = loaded.layout(trial), trial.prune
    if prune.pruner == job_pb2.PRUNER_NONE:
        return {name: torch.ones(shape, dtype=torch.uint8) for name, shape in found.prunable_shapes.items()}
    if prune.pruner == job_pb2.PRUNER_RAND:
        scores = random_scores(trial.seed, found.prunable_shapes)
    elif prune.pruner == job_pb2.PRUNER_MAG:
        _, weights = loaded.start(trial)
        scores = magnitude_scores({name: weight for name, weight in weights.items() if is_prunable(name)})
    else:
        scores = snip[trial.trial_id]
    return make_masks(prune, trial.seed, scores)


def _report(context: Context, loaded: Loaded, trial: job_pb2.Trial, masks: Masks, reporter: Reporter) -> None:
    empty = emptied(masks)
    if empty:
        more = f" and {len(empty) - 8} more" if len(empty) > 8 else ""
        reporter.warning(trial.trial_id, "layers_emptied", f"no weight was kept in {', '.join(empty[:8])}{more}")
    path = trial_folder(context.root, trial.trial_id) / "masks.safetensors"
    reporter.trial_result(trial.trial_id, [describe(context.root, path)], sizes(loaded.layout(trial), masks))


def sizes(found: Layout, masks: Masks) -> dict[str, float]:
    """Counts of weights by the budget's rule: `kept` are prunable weights kept, biases and norms; the head is counted apart."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    return {
        "achieved_sparsity": 1 - kept / found.prunable,
        "kept": kept + found.adapter - found.prunable,
        "prunable": found.prunable,
        "trainable": found.adapter,
        "head": found.total - found.adapter,
    }
