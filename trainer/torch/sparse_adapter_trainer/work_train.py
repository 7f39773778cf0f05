"""TrainWork: each trial is trained from its mask, or from its newest checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from .adapters import redraw
from .artifacts import describe, remove_folder
from .checkpoint import Position, finished_training, newest_checkpoint, write_adapter, write_checkpoint
from .cohort import Callbacks, TrialRun, train_cohort
from .context import Context, Loaded
from .dataset import require_labels
from .errors import JobFailed
from .optimizer import AdamW
from .progress import Pace
from .reporting import Reporter
from .trial_files import plain, read_masks, training_source, trial_folder
from .work_prune import sizes


def run_train(context: Context, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
    """Runs a train job. A trial whose adapter is there at the asked step, made from the same, is reported as it is."""
    loaded = context.load(spec, ["train"], reporter)
    require_labels(loaded.splits["train"], spec.dataset)
    writer = _Writer(context, loaded, reporter)
    runs = []
    for trial in spec.trials:
        try:
            run = _prepare(context, loaded, trial, reporter)
        except JobFailed as error:
            reporter.trial_result(trial.trial_id, [], {}, event_pb2.Failure(reason=error.reason, message=error.message))
            continue
        if isinstance(run, Position):
            writer.report(trial.trial_id, run)
        elif run.position.step == run.until:
            writer.finished(run)
        else:
            runs.append(run)
    total, done = sum(run.until for run in runs), sum(run.position.step for run in runs)
    pace = Pace(reporter, event_pb2.PHASE_TRAIN, total, done)
    on = Callbacks(reporter.metrics, writer.checkpoint, writer.finished, writer.failed)
    train_cohort(loaded.backbone, loaded.splits["train"], spec.dataset.task_kind, runs, spec.train, context.pass_tokens, pace, on)


def _prepare(context: Context, loaded: Loaded, trial: job_pb2.Trial, reporter: Reporter) -> TrialRun | Position:
    """The trial where it stands, or its position where it has been trained."""
    reporter.working()
    folder, layout = trial_folder(context.root, trial.trial_id), loaded.layout(trial)
    masks = read_masks(folder, layout)
    source = training_source(loaded.spec, trial, describe(context.root, folder / "masks.safetensors").digest)
    asked = loaded.spec.train.until_step
    until = min(asked, trial.train.total_steps) if asked else trial.train.total_steps
    finished = finished_training(folder, source, until)
    if finished:
        return finished
    # An adapter without matrices has no mask: the empty tensor stands for it.
    flat = [torch.empty(0, dtype=torch.uint8), *(masks[name].reshape(-1) for name in layout.prunable_shapes)]
    removed = (torch.cat(flat) == 0).to(context.device)
    resumed, passed_over = newest_checkpoint(folder, source, until, layout, context.device)
    for why in passed_over:
        reporter.warning(trial.trial_id, "checkpoint_passed_over", why)
    if resumed is None:
        _, weights = loaded.start(trial)
        if trial.prune.reinitialize:
            weights = redraw(trial, weights)
        parameters = layout.flatten(weights).to(context.device)
        return TrialRun(trial, layout, parameters, removed, AdamW.fresh(parameters, layout.decayed), Position(source), until)
    _warn_of_changes(trial, resumed.environment, context.environment, reporter)
    return TrialRun(trial, layout, resumed.parameters, removed, resumed.optimizer, resumed.position, until)


def _warn_of_changes(trial: job_pb2.Trial, before: dict[str, str], now: dict[str, str], reporter: Reporter) -> None:
    changed = [f"{name} {before.get(name)} → {now.get(name)}" for name in sorted(before | now) if before.get(name) != now.get(name)]
    if changed:
        message = (
            f"goes on in another environment than it began in, so last digits may differ from an uninterrupted run: {', '.join(changed)}"
        )
        reporter.warning(trial.trial_id, "environment_changed", message)


@dataclass(frozen=True)
class _Writer:
    """Puts a run's state on disk and tells of it."""

    context: Context
    loaded: Loaded
    reporter: Reporter

    def checkpoint(self, run: TrialRun) -> None:
        folder = self._folder(run.trial.trial_id)
        keep = self.loaded.spec.train.keep_checkpoints
        path = write_checkpoint(folder, run.position, run.layout, run.parameters, run.optimizer, self.context.environment, keep)
        self.reporter.checkpoint(run.trial.trial_id, run.position.step, describe(self.context.root, path))

    def finished(self, run: TrialRun) -> None:
        folder = self._folder(run.trial.trial_id)
        write_adapter(folder, run.layout, run.parameters, self._config(run), run.position)
        if run.position.step == run.trial.train.total_steps:
            # Nothing goes on from here. A sweep of hundreds of trials would leave some GB of optimizer state.
            remove_folder(folder / "checkpoints")
        self.report(run.trial.trial_id, run.position)

    def failed(self, run: TrialRun, failure: event_pb2.Failure) -> None:
        self.reporter.trial_result(run.trial.trial_id, [], {}, failure)

    def report(self, trial_id: str, position: Position) -> None:
        values = {"steps": position.step, "rows": position.rows, "wall_seconds": position.seconds}
        values["rows_per_second"] = position.rows / position.seconds
        self.reporter.trial_result(trial_id, [describe(self.context.root, self._folder(trial_id) / "adapter")], values)

    def _folder(self, trial_id: str) -> Path:
        return trial_folder(self.context.root, trial_id)

    def _config(self, run: TrialRun) -> dict[str, object]:
        """adapter_config.json. It holds no timings: equal training gives an equal digest."""
        spec, trial = self.loaded.spec, run.trial
        masks = read_masks(self._folder(trial.trial_id), run.layout)
        return {
            "format": 1,
            "source": run.position.source,
            "step": run.position.step,
            "base_model_type": self.loaded.backbone.model_type,
            "base_model_digest": spec.backbone.digest,
            "hidden_size": self.loaded.backbone.hidden,
            "num_layers": len(self.loaded.backbone.layers),
            "dataset_digest": spec.dataset.digest,
            "task_kind": job_pb2.TaskKind.Name(spec.dataset.task_kind),
            "num_labels": spec.dataset.num_labels,
            "seed": trial.seed,
            **{name: plain(getattr(trial, name)) for name in ("adapter", "prune", "train")},
            "sizes": sizes(run.layout, masks),
        }
