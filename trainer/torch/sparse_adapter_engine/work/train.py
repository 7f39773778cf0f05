"""TrainWork: trains each trial from its mask, or from its newest checkpoint."""

import time
from dataclasses import dataclass
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import JobFailed, TrialFailed, bad_artifact
from sparse_adapter_engine.files.artifacts import remove_folder
from sparse_adapter_engine.files.checkpoints import (
    Position,
    State,
    finished_training,
    newest_checkpoint,
    write_adapter,
    write_checkpoint,
)
from sparse_adapter_engine.files.digests import describe
from sparse_adapter_engine.files.environments import continue_in, read_environments
from sparse_adapter_engine.files.room import write_when_there_is_room
from sparse_adapter_engine.files.trials import (
    plain,
    read_masks,
    trained_folder,
    training_source,
    trial_folder,
)
from sparse_adapter_engine.masks.densities import is_during_training
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.modules.layout import redraw
from sparse_adapter_engine.precision import read_precision
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.reporting import Reporter
from sparse_adapter_engine.training.cohort import Callbacks, train_cohort
from sparse_adapter_engine.training.optimizer import AdamW
from sparse_adapter_engine.training.steps import may_be_stacked
from sparse_adapter_engine.training.trial_run import TrialRun

from .context import Context, Loaded
from .prune import sizes, warn_of_emptied


def run_train(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a train job.

    A trial whose adapter is on disk at the requested step, made from the same inputs, is only
    reported.
    """
    loaded = context.load(spec, ["train"], reporter, read_precision(spec))
    loaded.require_labels("train")
    writer = _Writer(context, loaded, reporter)
    runs = []
    for trial in spec.trials:
        try:
            run = _prepare(context, loaded, trial, reporter)
            if isinstance(run, Position):
                writer.over(trial, run)
            elif run.position.step == run.until:
                writer.finished(run)
            else:
                runs.append(run)
        except (JobFailed, TrialFailed) as error:
            reporter.trial_failed(
                trial.trial_id, event_pb2.Failure(reason=error.reason, message=error.message)
            )
    for run in runs:
        if loaded.how.stacked and not may_be_stacked(run):
            why = (
                "stacked passes cannot train it (tensors of the backbone, attention dropout, or a "
                "setting that they lack), so its steps run outside them"
            )
            reporter.warning(run.trial.trial_id, "not_stacked", why)
    total, done = sum(run.until for run in runs), sum(run.position.step for run in runs)
    pace = Pace(reporter, event_pb2.PHASE_TRAIN, total, done)
    on = Callbacks(reporter.metrics, writer.checkpoint, writer.finished, writer.failed)
    train_cohort(
        loaded.task("train"),
        runs,
        spec.train,
        pace,
        on,
    )


def _prepare(
    context: Context, loaded: Loaded, trial: job_pb2.Trial, reporter: Reporter
) -> TrialRun | Position:
    """The trial, ready to train on, or its position if it has been trained."""
    reporter.working()
    folder, layout = trial_folder(context.root, trial.trial_id), loaded.layout(trial)
    masks = read_masks(folder, layout)
    source = training_source(
        loaded.spec, trial, describe(context.root, folder / "masks.safetensors").digest
    )
    asked = loaded.spec.train.until_step
    until = min(asked, trial.train.total_steps) if asked else trial.train.total_steps
    finished = finished_training(
        trained_folder(context.root, trial, until), source, until, is_during_training(trial.prune)
    )
    if finished:
        return finished
    pruning = None
    if is_during_training(trial.prune):
        pruning = Pruning(trial.prune, trial.seed, layout.prunable_shapes)
        if not all(mask.all() for mask in masks.values()):
            raise bad_artifact(
                f"{folder / 'masks.safetensors'}: has zeros, but the trial is pruned during "
                "training (prune.every_steps "
                f"{trial.prune.every_steps}); the job that prunes writes ones"
            )
    resumed, passed_over = newest_checkpoint(folder, source, until, layout, context.device)
    for why in passed_over:
        reporter.warning(trial.trial_id, "checkpoint_passed_over", why)
    if resumed is None:
        _, weights = loaded.start(trial)
        if trial.prune.reinitialize:
            weights = redraw(trial, weights)
        parameters = layout.flatten(weights).to(context.device)
        return TrialRun(
            trial,
            layout,
            parameters,
            masks,
            pruning,
            AdamW.fresh(parameters, layout.decayed, layout.trained),
            Position(source),
            until,
            [loaded.environment],
        )
    if pruning:
        masks = resumed.masks
        if not trial.prune.repeats:
            pruning.go_on(masks, resumed.position.rounds)
    _warn_of_changes(trial, resumed.environments[-1], loaded.environment, reporter)
    return TrialRun(
        trial,
        layout,
        resumed.parameters,
        masks,
        pruning,
        resumed.optimizer,
        resumed.position,
        until,
        continue_in(resumed.environments, loaded.environment),
    )


def _warn_of_changes(
    trial: job_pb2.Trial,
    before: event_pb2.Environment,
    now: event_pb2.Environment,
    reporter: Reporter,
) -> None:
    # A name that is no longer reported does not count as changed.
    changed = [
        f"{name} {before.details.get(name)} → {value}"
        for name, value in sorted(now.details.items())
        if before.details.get(name) != value
    ]
    if changed:
        message = (
            "continues in another environment than it began in, so last digits may differ from an "
            f"uninterrupted run: {', '.join(changed)}"
        )
        reporter.warning(trial.trial_id, "environment_changed", message)


@dataclass(frozen=True)
class _Writer:
    """Writes a run's state to disk and reports it."""

    context: Context
    loaded: Loaded
    reporter: Reporter

    def checkpoint(self, run: TrialRun) -> float:
        """Returns the seconds that writing took, without those of waiting for room."""
        folder = self._folder(run.trial.trial_id)
        keep = self.loaded.spec.train.keep_checkpoints
        masks = run.masks if run.pruning else {}
        state = State(run.position, run.parameters, run.optimizer, masks, run.environments)

        def write() -> tuple[event_pb2.Artifact, float]:
            began = time.monotonic()
            return write_checkpoint(folder, run.layout, state, keep), time.monotonic() - began

        artifact, seconds = write_when_there_is_room(self.reporter, folder, write)
        artifact.name = f"trials/{run.trial.trial_id}/{artifact.name}"
        self.reporter.checkpoint(run.trial.trial_id, run.position.step, artifact)
        return seconds

    def finished(self, run: TrialRun) -> None:
        position, environments = run.position, run.environments
        folder = trained_folder(self.context.root, run.trial, position.step)
        masks = run.masks if run.pruning else {}
        config = self._config(run)
        write_when_there_is_room(
            self.reporter,
            folder,
            lambda: write_adapter(
                folder, run.layout, run.refresh(), masks, config, position, environments
            ),
        )
        self.over(run.trial, run.position)

    def over(self, trial: job_pb2.Trial, position: Position) -> None:
        """Reports the adapter that is on disk, without which checkpoints are needed no more."""
        if position.step == trial.train.total_steps:
            # Nothing resumes from here, and a sweep of hundreds of trials would leave some GB of
            # optimizer state.
            remove_folder(self._folder(trial.trial_id) / "checkpoints")
        self.report(trial, position)

    def failed(self, run: TrialRun, failure: event_pb2.Failure) -> None:
        self.reporter.trial_failed(run.trial.trial_id, failure)

    def report(self, trial: job_pb2.Trial, position: Position) -> None:
        """Reports the adapter that is on disk."""
        values = {"steps": position.step, "rows": position.rows, "wall_seconds": position.seconds}
        values["rows_per_second"] = position.rows / position.seconds
        adapter = trained_folder(self.context.root, trial, position.step) / "adapter"
        if is_during_training(trial.prune):
            layout = self.loaded.layout(trial)
            masks = read_masks(adapter, layout)
            warn_of_emptied(trial.trial_id, masks, self.reporter)
            values |= sizes(layout, masks)
        made_by = read_environments(adapter / "adapter_model.safetensors")
        artifacts = [describe(self.context.root, adapter)]
        self.reporter.trial_result(trial.trial_id, artifacts, values, made_by)

    def _folder(self, trial_id: str) -> Path:
        return trial_folder(self.context.root, trial_id)

    def _config(self, run: TrialRun) -> dict[str, object]:
        """adapter_config.json. It holds no timings: equal training gives an equal digest."""
        spec, trial = self.loaded.spec, run.trial
        return {
            "format": 1,
            "source": run.position.source,
            "step": run.position.step,
            "base_model_type": self.loaded.backbone.model_type,
            "base_model_digest": spec.backbone.digest,
            **self.loaded.backbone.sizes,
            "dataset_digest": spec.dataset.digest,
            "task_kind": job_pb2.TaskKind.Name(spec.dataset.task_kind),
            "num_labels": spec.dataset.num_labels,
            "seed": trial.seed,
            **{name: plain(getattr(trial, name)) for name in ("adapter", "prune", "train")},
            "sizes": sizes(run.layout, run.masks),
        }
