"""What is wrong in itself with a SubmitJobRequest, field by field (INVALID_ARGUMENT)."""

import re

from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.files.names import is_under_root
from sparse_adapter_engine.modules import forms

from .adapter import check_adapter
from .predict import check_predict_work
from .prune import check_prune
from .train import check_train, check_train_work
from .violations import Found, Violation, check_enum, list_violations

_JOB_ID = re.compile(r"[a-z0-9-]{1,128}")
_TRIAL_ID = re.compile(r"[a-z0-9-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?")


def invalid_fields(request: trainer_pb2.SubmitJobRequest) -> list[Violation]:
    """Everything in the request that is wrong in itself."""
    return list_violations(_check_request(request))


def invalid_identity(request: trainer_pb2.SubmitJobRequest) -> list[Violation]:
    """What is wrong with the job's id and digest, which is all that finding a job needs."""
    return list_violations(_check_identity(request))


def _check_request(request: trainer_pb2.SubmitJobRequest) -> Found:
    yield from _check_identity(request)
    spec = request.spec
    yield from _check_backbone(spec.backbone)
    yield from _check_dataset(spec.dataset)
    # Unset means FLOAT32.
    if spec.precision != job_pb2.PRECISION_UNSPECIFIED:
        yield from check_enum("spec.precision", spec.precision, job_pb2.Precision)
    yield from _check_trials(spec)
    yield from _check_work(spec)


def _check_trials(spec: job_pb2.JobSpec) -> Found:
    if not spec.trials:
        yield "spec.trials", "is empty; a job has at least one trial"
    seen: dict[str, int] = {}
    for index, trial in enumerate(spec.trials):
        at = f"spec.trials[{index}]"
        yield from _check_trial(at, trial, spec.dataset.task_kind)
        if trial.adapter.unfrozen_tensors and len(spec.trials) > 1:
            yield (
                f"{at}.adapter.unfrozen_tensors",
                f"is set in a job of {len(spec.trials)} trials; a trial that trains the backbone's "
                "own tensors is the only one of its job",
            )
        if trial.adapter.unfrozen == job_pb2.UNFROZEN_ALL and len(spec.trials) > 1:
            yield (
                f"{at}.adapter.unfrozen",
                f"is ALL in a job of {len(spec.trials)} trials; full fine-tuning is the only "
                "trial of its job",
            )
        trains_nothing = (
            not forms.modules(trial.adapter)
            and trial.adapter.unfrozen == job_pb2.UNFROZEN_NONE
            and not trial.adapter.unfrozen_tensors
        )
        if spec.dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION and trains_nothing:
            yield (
                f"{at}.adapter.attention",
                "is NONE, like ffn and unfrozen; summarization has no head, so that nothing would "
                "be trained",
            )
        if trial.trial_id in seen:
            yield (
                f"{at}.trial_id",
                f"{trial.trial_id!r} is also the id of spec.trials[{seen[trial.trial_id]}]; ids "
                "are unique in a job",
            )
        seen.setdefault(trial.trial_id, index)


def _check_identity(request: trainer_pb2.SubmitJobRequest) -> Found:
    if not _JOB_ID.fullmatch(request.job_id):
        yield "job_id", f"{request.job_id!r} is not 1 to 128 characters of a-z, 0-9 and '-'"
    if not _SHA256.fullmatch(request.spec_digest):
        yield "spec_digest", f"{request.spec_digest!r} is not a SHA-256 in 64 hexadecimal digits"


def _check_backbone(backbone: job_pb2.Backbone) -> Found:
    if backbone.path.startswith("backbones/") and not is_under_root(backbone):
        yield (
            "spec.backbone.path",
            f"{backbone.path!r} is not 'backbones/<digest>' with the digest of "
            "spec.backbone.digest",
        )
    elif not (backbone.path.startswith("/") or _HUB_ID.fullmatch(backbone.path)):
        yield (
            "spec.backbone.path",
            f"{backbone.path!r} is neither an absolute directory nor a hub id",
        )
    if not _DIGEST.fullmatch(backbone.digest):
        yield "spec.backbone.digest", f"{backbone.digest!r} is not a hexadecimal digest"


def _check_dataset(dataset: job_pb2.Dataset) -> Found:
    if not _DIGEST.fullmatch(dataset.digest):
        yield "spec.dataset.digest", f"{dataset.digest!r} is not a hexadecimal digest"
    if dataset.name != f"datasets/{dataset.digest}":
        yield (
            "spec.dataset.name",
            f"{dataset.name!r} is not 'datasets/<digest>' with the digest of spec.dataset.digest",
        )
    yield from check_enum("spec.dataset.task_kind", dataset.task_kind, job_pb2.TaskKind)
    if dataset.task_kind == job_pb2.TASK_KIND_CLASSIFICATION and dataset.num_labels < 2:
        yield (
            "spec.dataset.num_labels",
            f"{dataset.num_labels} is not at least 2, as classification needs",
        )
    if dataset.task_kind == job_pb2.TASK_KIND_REGRESSION and dataset.num_labels != 1:
        yield "spec.dataset.num_labels", f"{dataset.num_labels} is not 1, as regression needs"
    if dataset.task_kind == job_pb2.TASK_KIND_QUESTION_ANSWERING and dataset.num_labels != 2:
        yield (
            "spec.dataset.num_labels",
            f"{dataset.num_labels} is not 2, as question answering needs: start and end",
        )
    if dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION and dataset.num_labels != 0:
        yield "spec.dataset.num_labels", f"{dataset.num_labels} is not 0, as summarization needs"


def _check_trial(at: str, trial: job_pb2.Trial, task_kind: int) -> Found:
    if not _TRIAL_ID.fullmatch(trial.trial_id):
        yield f"{at}.trial_id", f"{trial.trial_id!r} is not 1 to 64 characters of a-z, 0-9 and '-'"
    yield from check_adapter(f"{at}.adapter", trial.adapter)
    yield from check_prune(f"{at}.prune", trial, task_kind)
    yield from check_train(f"{at}.train", trial.train)


def _check_work(spec: job_pb2.JobSpec) -> Found:
    work = spec.WhichOneof("work")
    if work is None:
        yield "spec", "has no work; set one of prune, train and predict"
    if work == "train":
        yield from check_train_work(spec.train)
    if work == "predict":
        yield from check_predict_work(spec)
