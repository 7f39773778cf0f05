"""What a valid specification asks for and this trainer cannot do or does not have on its disk,
field by field (FAILED_PRECONDITION)."""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from sparse_adapter.trainer.v1 import capabilities_pb2, job_pb2

from sparse_adapter_engine.handled import SETTINGS
from sparse_adapter_engine.later_fields import set_later_fields
from sparse_adapter_engine.precision import read_precision

from .backbone_config import check_backbone_config
from .violations import Found, Violation, list_violations, write_name

# By work: the file that its trials need on the disk, and the work that writes it.
_NEEDED = {
    "train": ("masks.safetensors", "prune"),
    "predict": ("adapter/adapter_model.safetensors", "train"),
}


def unmet_preconditions(
    spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities, root: Path
) -> list[Violation]:
    """Everything that a valid specification asks for and this trainer cannot do or does not have.
    root: the artifact root."""
    return list_violations(_check_preconditions(spec, capabilities, root))


def _check_preconditions(
    spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities, root: Path
) -> Found:
    if len(spec.trials) > capabilities.max_cohort:
        yield (
            "spec.trials",
            f"has {len(spec.trials)} trials; this trainer takes at most {capabilities.max_cohort} "
            "in a job",
        )
    yield from _check_supported(
        "spec.dataset.task_kind", spec.dataset.task_kind, capabilities.task_kinds, job_pb2.TaskKind
    )
    yield from _check_supported(
        "spec.precision", read_precision(spec), capabilities.precisions, job_pb2.Precision
    )
    yield from check_backbone_config(spec, capabilities, root)
    yield from _check_splits(spec, root / spec.dataset.name)
    at_step = spec.predict.at_step
    if at_step and "predict.at_step" not in capabilities.fields:
        yield "spec.predict.at_step", "is set; this trainer does not handle the field"
    for index, trial in enumerate(spec.trials):
        at = f"spec.trials[{index}]"
        yield from _check_trial_supported(at, trial, capabilities)
        yield from _check_earlier_work(at, trial, spec.WhichOneof("work") or "", root, at_step)


def _check_trial_supported(
    at: str, trial: job_pb2.Trial, capabilities: capabilities_pb2.Capabilities
) -> Found:
    yield from _check_supported(
        f"{at}.adapter.attention",
        trial.adapter.attention,
        capabilities.attention_modules,
        job_pb2.AttentionModule,
    )
    yield from _check_supported(
        f"{at}.adapter.ffn", trial.adapter.ffn, capabilities.ffn_modules, job_pb2.FfnModule
    )
    yield from _check_supported(
        f"{at}.adapter.unfrozen",
        trial.adapter.unfrozen,
        capabilities.unfrozen,
        job_pb2.Unfrozen,
    )
    yield from _check_supported(
        f"{at}.prune.pruner", trial.prune.pruner, capabilities.pruners, job_pb2.Pruner
    )
    for (message, name), (enum, supported) in SETTINGS.items():
        value = getattr(getattr(trial, message), name)
        # One that the contract does not have is wrong in itself, wherever it counts.
        if value and value in enum.values():
            yield from _check_supported(f"{at}.{message}.{name}", value, supported, enum)
    for path in set_later_fields(trial):
        if path not in capabilities.fields:
            yield f"{at}.{path}", "is set; this trainer does not handle the field"
    if trial.prune.pruner != job_pb2.PRUNER_NONE:
        yield from _check_supported(
            f"{at}.prune.structure",
            trial.prune.structure,
            capabilities.mask_structures,
            job_pb2.MaskStructure,
        )
        yield from _check_supported(
            f"{at}.prune.rules", trial.prune.rules, capabilities.mask_rules, job_pb2.MaskRules
        )
        if trial.prune.every_steps and not capabilities.prunes_during_training:
            yield (
                f"{at}.prune.every_steps",
                f"{trial.prune.every_steps} is not 0; this trainer does not prune during training",
            )


def _check_earlier_work(
    at: str, trial: job_pb2.Trial, work: str, root: Path, at_step: int
) -> Found:
    """at_step: the step that a job predicts at; 0 for the last."""
    if work not in _NEEDED:
        return
    file, earlier = _NEEDED[work]
    if at_step:
        file, earlier = f"rungs/step-{at_step}/{file}", f"train with until_step {at_step}"
    name = f"trials/{trial.trial_id}/{file}"
    if not (root / name).is_file():
        yield at, f"{name} does not exist; a job that does {earlier} writes it"


def _check_splits(spec: job_pb2.JobSpec, folder: Path) -> Found:
    if not (folder / "dataset.json").is_file():
        yield (
            "spec.dataset.name",
            f"{spec.dataset.name}/dataset.json does not exist under the trainer's artifact root",
        )
        return
    if spec.HasField("predict"):
        for index, split in enumerate(spec.predict.splits):
            if not (folder / f"{split}.safetensors").is_file():
                yield (
                    f"spec.predict.splits[{index}]",
                    f"{spec.dataset.name}/{split}.safetensors does not exist",
                )
    elif not (folder / "train.safetensors").is_file():
        yield "spec.dataset.name", f"{spec.dataset.name}/train.safetensors does not exist"


def _check_supported(
    field: str, value: int, supported: Iterable[int], enum: EnumTypeWrapper
) -> Found:
    if value not in supported:
        yield (
            field,
            f"{write_name(enum, value)} is not supported by this trainer; it supports "
            f"{', '.join(write_name(enum, each) for each in supported)}",
        )
