"""PruneWork: draws and scores each trial's weights, and writes its mask."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.files.artifacts import read_metadata, write_tensors
from sparse_adapter_engine.files.digests import describe
from sparse_adapter_engine.files.environments import read_environments, to_metadata
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_engine.files.trials import mask_source, read_masks, trial_folder
from sparse_adapter_engine.masks.densities import densities, is_during_training
from sparse_adapter_engine.masks.pruning import Pruning, emptied
from sparse_adapter_engine.masks.scores import Masks, Scores
from sparse_adapter_engine.masks.scoring import (
    Start,
    group_starts,
    score,
    score_without_rows,
)
from sparse_adapter_engine.masks.scoring_head import head_rows, with_scoring_head
from sparse_adapter_engine.modules.layout import Layout
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.reporting import Reporter

from .context import Context, Loaded


def run_prune(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a prune job. A trial whose mask is on disk, made from the same inputs, is only
    reported."""
    waiting = [trial for trial in spec.trials if not _has_mask(context, spec, trial)]
    by_gradient = [
        trial
        for trial in waiting
        if find_pruner(trial.prune).reads_rows and not is_during_training(trial.prune)
    ]
    without_rows = [trial for trial in waiting if trial not in by_gradient]
    # Always in float32, whatever the precision of training: a mask is made once, and rounding
    # should not decide which weights rank first.
    loaded = context.load(
        spec, ["train"] if by_gradient else [], reporter, job_pb2.PRECISION_FLOAT32
    )
    for trial in spec.trials:
        if trial not in waiting:
            _report(
                context,
                loaded,
                trial,
                read_masks(trial_folder(context.root, trial.trial_id), loaded.layout(trial)),
                reporter,
            )
    starts = _starts(loaded, by_gradient, reporter) if by_gradient else []
    # Such a round sends one row through the trial's modules.
    flowing = [
        trial
        for trial in without_rows
        if find_pruner(trial.prune).flows_through_modules and not is_during_training(trial.prune)
    ]
    rounds = sum(len(densities(trial.prune)) for trial in flowing)
    known = _known_scores(context, loaded, starts)
    rows = sum(_count_rows(start) for start in starts)
    pace = Pace(reporter, event_pb2.PHASE_SCORE, rows + rounds)
    for trial in without_rows:
        with _failing_alone(trial.trial_id, reporter):
            _write(context, loaded, trial, *_masks_without_rows(loaded, trial, pace), reporter)
        pace.advance(0, 0)

    def passed(rows: int) -> None:
        pace.advance(rows, rows)
        pace.stop_between_passes()

    for start, scores in known:
        _keep(context, loaded, start, scores, reporter)
        pace.resume(_count_rows(start))
        pace.stop_between_passes()
    starts = [start for start in starts if start.prunings]
    for start in starts:
        start.weights = with_scoring_head(start, loaded.task("train"), passed)
    while starts := [start for start in starts if start.prunings]:
        for start, scores in zip(starts, score(loaded.task("train"), starts, passed), strict=True):
            key = _key(loaded, start)
            if key is not None:
                context.scores.put(key, scores)
            _keep(context, loaded, start, scores, reporter)


def _count_rows(start: Start) -> int:
    """How many rows go through the encoder for a start: for its head, and for all its rounds."""
    return head_rows(start) + start.scored_rows * len(densities(start.trial.prune))


def _known_scores(
    context: Context, loaded: Loaded, starts: list[Start]
) -> list[tuple[Start, Scores]]:
    """Those of the starts whose scores an earlier job has left in memory, with these."""
    keys = [(start, _key(loaded, start)) for start in starts]
    found = [(start, context.scores.find(key)) for start, key in keys if key is not None]
    return [(start, scores) for start, scores in found if scores is not None]


def _key(loaded: Loaded, start: Start) -> Hashable | None:
    """All that determines the scores of a start's only round. None where other jobs may not use
    them: they depend on masks, or their last bits on who is scored beside it."""
    if start.trial.prune.rounds > 1 or not loaded.backbone.row_invariant:
        return None
    inputs = (loaded.spec.backbone, loaded.spec.dataset, loaded.environment)
    return (*(each.SerializeToString(deterministic=True) for each in inputs), start.shared)


def _keep(
    context: Context, loaded: Loaded, start: Start, scores: Scores, reporter: Reporter
) -> None:
    """Does a round of a start's trials. Those whose rounds are over get their mask, and leave."""
    trials = {trial.trial_id: trial for trial in loaded.spec.trials}
    going_on: dict[str, Pruning] = {}
    for trial_id, pruning in start.prunings.items():
        with _failing_alone(trial_id, reporter):
            pruning.keep(scores)
            if pruning.done:
                masks, doubts = pruning.finished(), pruning.doubts
                _write(context, loaded, trials[trial_id], masks, doubts, reporter)
            else:
                going_on[trial_id] = pruning
    start.prunings = going_on


@contextmanager
def _failing_alone(trial_id: str, reporter: Reporter) -> Iterator[None]:
    """Makes a TrialFailed the trial's result, so that the job goes on."""
    try:
        yield
    except TrialFailed as error:
        reporter.trial_failed(trial_id, error.failure())


def _has_mask(context: Context, spec: job_pb2.JobSpec, trial: job_pb2.Trial) -> bool:
    source, *_ = _origin(trial_folder(context.root, trial.trial_id) / "masks.safetensors")
    return source == mask_source(spec, trial)


def _origin(path: Path) -> list[str]:
    """What a mask was made from, and the doubts about its scores, as `_write` stores them."""
    return read_metadata(path).get("source", "").split("\n")


def _starts(loaded: Loaded, trials: list[job_pb2.Trial], reporter: Reporter) -> list[Start]:
    loaded.require_labels("train")
    prunings: list[tuple[job_pb2.Trial, Pruning]] = []
    for trial in trials:
        with _failing_alone(trial.trial_id, reporter):
            prunings.append(
                (trial, Pruning(trial.prune, trial.seed, loaded.layout(trial).prunable_shapes))
            )
    return group_starts(prunings, loaded.task("train"), lambda trial: loaded.start(trial)[1])


def _masks_without_rows(
    loaded: Loaded, trial: job_pb2.Trial, pace: Pace
) -> tuple[Masks, list[str]]:
    """Finished masks, and the pruning's doubts."""
    shapes, prune = loaded.layout(trial).prunable_shapes, trial.prune
    if prune.pruner == job_pb2.PRUNER_NONE:
        return {name: torch.ones(shape, dtype=torch.uint8) for name, shape in shapes.items()}, []
    pruning = Pruning(prune, trial.seed, shapes)
    if is_during_training(prune):
        return pruning.masks, []
    _, tensors = loaded.start(trial)
    while not pruning.done:
        pruning.keep(score_without_rows(trial, pruning, loaded.backbone, tensors).scores)
        if find_pruner(prune).flows_through_modules:
            pace.advance(1, 1)
    return pruning.finished(), pruning.doubts


def _write(
    context: Context,
    loaded: Loaded,
    trial: job_pb2.Trial,
    masks: Masks,
    doubts: list[str],
    reporter: Reporter,
) -> None:
    path = trial_folder(context.root, trial.trial_id) / "masks.safetensors"
    # Doubts are further lines of the source, so that they are reported again when the mask is
    # reused.
    source = "\n".join([mask_source(loaded.spec, trial), *doubts])
    metadata = {"source": source} | to_metadata([loaded.environment])
    write_when_there_is_room(reporter, path, lambda: write_tensors(path, masks, metadata))
    _report(context, loaded, trial, masks, reporter)


def _report(
    context: Context, loaded: Loaded, trial: job_pb2.Trial, masks: Masks, reporter: Reporter
) -> None:
    path = trial_folder(context.root, trial.trial_id) / "masks.safetensors"
    _, *doubts = _origin(path)
    if doubts:
        reporter.warning(trial.trial_id, "degenerate_scores", _shortened(doubts, 4, "; "))
    warn_of_emptied(trial.trial_id, masks, reporter)
    reporter.trial_result(
        trial.trial_id,
        [describe(context.root, path)],
        sizes(loaded.layout(trial), masks),
        read_environments(path),
    )


def warn_of_emptied(trial_id: str, masks: Masks, reporter: Reporter) -> None:
    """Warns if a matrix has no weight left."""
    empty = emptied(masks)
    if empty:
        reporter.warning(
            trial_id, "layers_emptied", f"no weight was kept in {_shortened(empty, 8, ', ')}"
        )


def _shortened(parts: list[str], most: int, between: str) -> str:
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return between.join(parts[:most]) + more


def sizes(found: Layout, masks: Masks) -> dict[str, float]:
    """Counts of weights by the budget's rule: `kept` is kept prunable weights plus biases and
    norms; the head is counted separately."""
    kept = sum(int(mask.sum()) for mask in masks.values())
    return {
        # Nothing is removed from an adapter without matrices.
        "achieved_sparsity": 1 - kept / found.prunable if found.prunable else 0.0,
        "kept": kept + found.adapter - found.prunable,
        "prunable": found.prunable,
        "trainable": found.adapter,
        "head": found.head,
    }
