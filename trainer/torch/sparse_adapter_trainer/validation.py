"""What is wrong with a SubmitJobRequest, field by field.

`invalid_fields` needs nothing but the request (INVALID_ARGUMENT); `unmet_preconditions` looks at
what this trainer can do and has on its disk (FAILED_PRECONDITION) and expects a request that is
valid. Both return violations with the field's path in the request.
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.rpc.error_details_pb2 import BadRequest
from sparse_adapter.trainer.v1 import capabilities_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.backbones.encoder_decoder.limits import (
    ENCODER_DECODERS,
    attention_width,
    misfits,
)
from sparse_adapter_engine.masks.limits import misfit
from sparse_adapter_engine.modules import forms
from sparse_adapter_engine.precision import read_precision
from sparse_adapter_engine.pruners import PRUNERS
from sparse_adapter_engine.pruners.pruner import Pruner

Violation: TypeAlias = BadRequest.FieldViolation
MOST_VIOLATIONS = 20

_JOB_ID = re.compile(r"[a-z0-9-]{1,128}")
_TRIAL_ID = re.compile(r"[a-z0-9-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_SPLIT = re.compile(r"[a-z0-9_-]{1,64}")
# By kind of encoder–decoder: its stacks, and what config.json calls their feed-forward blocks'
# inner width.
_INNER_WIDTHS = {
    "bart": {"encoder.": "encoder_ffn_dim", "decoder.": "decoder_ffn_dim"},
    "t5": {"encoder.": "d_ff", "decoder.": "d_ff"},
}
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?")


def bad_request(violations: list[Violation]) -> BadRequest:
    """At most 20 violations, the last one "and N more": a longer trailer breaks the connection."""
    if len(violations) > MOST_VIOLATIONS:
        shown = violations[: MOST_VIOLATIONS - 1]
        violations = [
            *shown,
            Violation(
                field=violations[len(shown)].field,
                description=f"and {len(violations) - len(shown)} more",
            ),
        ]
    return BadRequest(field_violations=violations)


def invalid_fields(request: trainer_pb2.SubmitJobRequest) -> list[Violation]:
    """Everything in the request that is wrong in itself."""
    return [
        Violation(field=field, description=description) for field, description in _request(request)
    ]


def invalid_identity(request: trainer_pb2.SubmitJobRequest) -> list[Violation]:
    """What is wrong with the job's id and digest, which is all that finding a job needs."""
    return [
        Violation(field=field, description=description) for field, description in _identity(request)
    ]


def unmet_preconditions(
    spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities, root: Path
) -> list[Violation]:
    """Everything that a valid specification asks for and this trainer, with artifact root `root`,
    cannot do or does not have.
    """
    return [
        Violation(field=field, description=description)
        for field, description in _preconditions(spec, capabilities, root)
    ]


_Found = Iterator[tuple[str, str]]


def _request(request: trainer_pb2.SubmitJobRequest) -> _Found:
    yield from _identity(request)
    spec = request.spec
    if not (spec.backbone.path.startswith("/") or _HUB_ID.fullmatch(spec.backbone.path)):
        yield (
            "spec.backbone.path",
            f"{spec.backbone.path!r} is neither an absolute directory nor a hub id",
        )
    if not _DIGEST.fullmatch(spec.backbone.digest):
        yield "spec.backbone.digest", f"{spec.backbone.digest!r} is not a hexadecimal digest"
    yield from _dataset(spec.dataset)
    # Not set is FLOAT32.
    if spec.precision != job_pb2.PRECISION_UNSPECIFIED:
        yield from _enum("spec.precision", spec.precision, job_pb2.Precision)
    if not spec.trials:
        yield "spec.trials", "is empty; a job has at least one trial"
    seen: dict[str, int] = {}
    for index, trial in enumerate(spec.trials):
        at = f"spec.trials[{index}]"
        yield from _trial(at, trial)
        if forms.has_backbone(trial.adapter) and len(spec.trials) > 1:
            yield (
                f"{at}.adapter.unfrozen",
                f"is ALL in a job of {len(spec.trials)} trials; full fine-tuning is the only "
                "trial of its job",
            )
        trains_nothing = (
            not forms.modules(trial.adapter) and trial.adapter.unfrozen == job_pb2.UNFROZEN_NONE
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
    yield from _work(spec)


def _identity(request: trainer_pb2.SubmitJobRequest) -> _Found:
    if not _JOB_ID.fullmatch(request.job_id):
        yield "job_id", f"{request.job_id!r} is not 1 to 128 characters of a-z, 0-9 and '-'"
    if not _SHA256.fullmatch(request.spec_digest):
        yield "spec_digest", f"{request.spec_digest!r} is not a SHA-256 in 64 hexadecimal digits"


def _dataset(dataset: job_pb2.Dataset) -> _Found:
    if not _DIGEST.fullmatch(dataset.digest):
        yield "spec.dataset.digest", f"{dataset.digest!r} is not a hexadecimal digest"
    if dataset.name != f"datasets/{dataset.digest}":
        yield (
            "spec.dataset.name",
            f"{dataset.name!r} is not 'datasets/<digest>' with the digest of spec.dataset.digest",
        )
    yield from _enum("spec.dataset.task_kind", dataset.task_kind, job_pb2.TaskKind)
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


def _trial(at: str, trial: job_pb2.Trial) -> _Found:
    if not _TRIAL_ID.fullmatch(trial.trial_id):
        yield f"{at}.trial_id", f"{trial.trial_id!r} is not 1 to 64 characters of a-z, 0-9 and '-'"
    yield from _adapter(f"{at}.adapter", trial.adapter)
    yield from _prune(f"{at}.prune", trial)
    yield from _train(f"{at}.train", trial.train)


def _adapter(at: str, adapter: job_pb2.Adapter) -> _Found:
    yield from _enum(f"{at}.attention", adapter.attention, job_pb2.AttentionModule)
    yield from _enum(f"{at}.ffn", adapter.ffn, job_pb2.FfnModule)
    for name in forms.modules(adapter):
        yield from _at_least_one(f"{at}.{name}_bottleneck", getattr(adapter, f"{name}_bottleneck"))
    if forms.has_bottleneck(adapter):
        yield from _positive(f"{at}.scale", adapter.scale)
        yield from _enum(f"{at}.norm", adapter.norm, job_pb2.AdapterNorm)
        yield from _enum(f"{at}.activation", adapter.activation, job_pb2.Activation)
    if forms.has_lora(adapter):
        yield from _positive(f"{at}.lora_alpha", adapter.lora_alpha)
    if forms.has_matrices(adapter):
        yield from _enum(f"{at}.init", adapter.init, job_pb2.AdapterInit)
    drawn_by_init = forms.has_matrices(adapter) and adapter.init == job_pb2.ADAPTER_INIT_GAUSSIAN
    if forms.has_prefix(adapter) or forms.prompt_length(adapter) or drawn_by_init:
        yield from _positive(f"{at}.init_std", adapter.init_std)
    yield from _enum(f"{at}.unfrozen", adapter.unfrozen, job_pb2.Unfrozen)
    if adapter.unfrozen != job_pb2.UNFROZEN_NONE and forms.modules(adapter):
        yield (
            f"{at}.unfrozen",
            "is not NONE beside a module; parts of the backbone are trained where attention and "
            "ffn are NONE",
        )


def _prune(at: str, trial: job_pb2.Trial) -> _Found:
    prune = trial.prune
    yield from _enum(f"{at}.pruner", prune.pruner, job_pb2.Pruner)
    yield from _fraction(f"{at}.sparsity", prune.sparsity)
    # Of an unknown one, what is wrong whatever the pruner is told.
    pruner = PRUNERS.get(prune.pruner, Pruner())
    if prune.pruner == job_pb2.PRUNER_NONE:
        if prune.sparsity != 0:
            yield f"{at}.sparsity", f"{_number(prune.sparsity)} is not 0, as the pruner NONE needs"
        return
    if not forms.has_matrices(trial.adapter):
        yield (
            f"{at}.pruner",
            f"{job_pb2.Pruner.Name(prune.pruner)} has no matrix to prune in this adapter; it is "
            "NONE",
        )
    yield from _enum(f"{at}.scope", prune.scope, job_pb2.PruneScope)
    yield from _enum(f"{at}.control", prune.control, job_pb2.MaskControl)
    yield from _enum(f"{at}.structure", prune.structure, job_pb2.MaskStructure)
    yield from _enum(f"{at}.rules", prune.rules, job_pb2.MaskRules)
    if pruner.sets_densities and prune.scope == job_pb2.PRUNE_SCOPE_LOCAL:
        yield (
            f"{at}.scope",
            f"is LOCAL; {pruner.label} sets each matrix's density itself: it is GLOBAL",
        )
    if pruner.reads_rows:
        yield from _at_least_one(f"{at}.scoring_rows", prune.scoring_rows)
    if pruner.has_temperature:
        yield from _positive(f"{at}.temperature", prune.temperature)
    yield from _at_least_one(f"{at}.rounds", prune.rounds)
    if prune.rounds > 1:
        yield from _enum(f"{at}.schedule", prune.schedule, job_pb2.PruneSchedule)
        # During training weights change from round to round, and RAND's density falls like the
        # others'. Official rules score anew.
        anew = prune.every_steps or prune.rules == job_pb2.MASK_RULES_OFFICIAL
        if pruner.sets_densities or not (anew or pruner.rescores):
            yield (
                f"{at}.rounds",
                f"{prune.rounds} is not 1; the scores of {job_pb2.Pruner.Name(prune.pruner)} are "
                "the same in every round",
            )
    yield from _prune_during_training(at, trial, pruner)
    if prune.structure == job_pb2.MASK_STRUCTURE_N_M:
        yield from _groups(at, prune)
    if (
        prune.structure in (job_pb2.MASK_STRUCTURE_N_M, job_pb2.MASK_STRUCTURE_UNITS)
        and pruner.sets_densities
    ):
        yield (
            f"{at}.structure",
            f"{job_pb2.MaskStructure.Name(prune.structure)} is not WEIGHTS, as {pruner.label} "
            "needs",
        )
    if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
        yield from _official(at, trial, pruner)


def _groups(at: str, prune: job_pb2.Prune) -> _Found:
    kept, size = prune.group_kept, prune.group_size
    if size < 2:
        yield f"{at}.group_size", f"{size} is not at least 2"
    elif not 1 <= kept < size:
        yield f"{at}.group_kept", f"{kept} is not in [1, {size}), {size} being group_size"
    elif not math.isclose(prune.sparsity, 1 - kept / size, rel_tol=0, abs_tol=1e-9):
        yield (
            f"{at}.sparsity",
            f"{_number(prune.sparsity)} is not {_number(1 - kept / size)}, which is what {kept} of "
            f"{size} leaves: 1 − {kept} / {size}",
        )
    if prune.scope == job_pb2.PRUNE_SCOPE_GLOBAL:
        yield f"{at}.scope", "is GLOBAL; the structure N_M compares within groups: it is LOCAL"
    if prune.rounds > 1:
        yield f"{at}.rounds", f"{prune.rounds} is not 1, as the structure N_M needs"


def _official(at: str, trial: job_pb2.Trial, pruner: Pruner) -> _Found:
    prune = trial.prune
    if prune.structure in (job_pb2.MASK_STRUCTURE_N_M, job_pb2.MASK_STRUCTURE_UNITS):
        yield (
            f"{at}.structure",
            f"{job_pb2.MaskStructure.Name(prune.structure)} is not WEIGHTS, as OFFICIAL rules need",
        )
    if prune.pruner in PRUNERS and not pruner.is_published:
        yield (
            f"{at}.pruner",
            f"PRUNER_{pruner.label} is not in the published code, whose rules are asked for; with "
            f"{pruner.label} rules is EXACT",
        )
    if forms.has_lora(trial.adapter):
        yield f"{at}.rules", "is OFFICIAL; for an adapter with LORA it is EXACT"
    if pruner.has_temperature and prune.temperature != 1:
        yield (
            f"{at}.temperature",
            f"{_number(prune.temperature)} is not 1, as OFFICIAL rules need: the published code "
            "does not use it",
        )
    if pruner.flows_through_modules and trial.adapter.norm == job_pb2.ADAPTER_NORM_AFTER:
        why = (
            f"a norm's outputs sum to a constant, so that the scores of {pruner.label} are "
            "rounding errors"
        )
        yield (
            f"{at}.rules",
            f"is OFFICIAL where adapter.norm is AFTER: {why}; take EXACT rules, or another norm",
        )


def _prune_during_training(at: str, trial: job_pb2.Trial, pruner: Pruner) -> _Found:
    prune, total = trial.prune, trial.train.total_steps
    if not prune.every_steps:
        if prune.begin_step:
            yield (
                f"{at}.begin_step",
                f"{prune.begin_step} is not 0, as it is unless every_steps is set",
            )
        return
    during = f"where every_steps, {prune.every_steps} here, asks for pruning during training"
    if pruner.sets_densities:
        yield (
            f"{at}.every_steps",
            f"{prune.every_steps} is not 0; {pruner.label} prunes at initialization only",
        )
    if prune.control > job_pb2.MASK_CONTROL_NONE:
        yield (
            f"{at}.control",
            f"{job_pb2.MaskControl.Name(prune.control)} is not NONE, as it is {during}",
        )
    if prune.reinitialize:
        yield f"{at}.reinitialize", f"is not false, as it is {during}"
    if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
        yield f"{at}.rules", f"is not EXACT, as it is {during}"
    last = prune.begin_step + (max(prune.rounds, 1) - 1) * prune.every_steps
    if 0 < total <= last:
        sum_of_steps = (
            f"begin_step + (rounds − 1) · every_steps = {prune.begin_step} + ({prune.rounds} − 1) "
            f"· {prune.every_steps} = {last}"
        )
        yield (
            f"{at}.every_steps",
            f"the last round is too late: {sum_of_steps} is not less than train.total_steps, "
            f"{total}",
        )


def _train(at: str, train: job_pb2.Train) -> _Found:
    yield from _at_least_one(f"{at}.batch_size", train.batch_size)
    yield from _at_least_one(f"{at}.total_steps", train.total_steps)
    yield from _positive(f"{at}.learning_rate", train.learning_rate)
    yield from _not_negative(f"{at}.weight_decay", train.weight_decay)
    yield from _fraction(f"{at}.warmup", train.warmup)
    yield from _enum(f"{at}.schedule", train.schedule, job_pb2.LearningRateSchedule)
    yield from _not_negative(f"{at}.max_grad_norm", train.max_grad_norm)
    yield from _fraction(f"{at}.adam_beta1", train.adam_beta1)
    yield from _fraction(f"{at}.adam_beta2", train.adam_beta2)
    yield from _positive(f"{at}.adam_epsilon", train.adam_epsilon)
    yield from _fraction(f"{at}.dropout", train.dropout)
    yield from _fraction(f"{at}.attention_dropout", train.attention_dropout)
    yield from _fraction(f"{at}.label_smoothing", train.label_smoothing)


def _work(spec: job_pb2.JobSpec) -> _Found:
    work = spec.WhichOneof("work")
    if work is None:
        yield "spec", "has no work; set one of prune, train and predict"
    if work == "train":
        yield from _at_least_one("spec.train.log_every_steps", spec.train.log_every_steps)
        yield from _at_least_one("spec.train.keep_checkpoints", spec.train.keep_checkpoints)
    if work == "predict":
        if not spec.predict.splits:
            yield "spec.predict.splits", "is empty; name at least one split"
        for index, split in enumerate(spec.predict.splits):
            if not _SPLIT.fullmatch(split):
                yield (
                    f"spec.predict.splits[{index}]",
                    f"{split!r} is not 1 to 64 characters of a-z, 0-9, '_' and '-'",
                )
        if spec.dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION:
            yield from _generation("spec.predict.generation", spec.predict.generation)


def _generation(at: str, generation: job_pb2.Generation) -> _Found:
    yield from _at_least_one(f"{at}.beams", generation.beams)
    yield from _at_least_one(f"{at}.max_length", generation.max_length)
    if generation.min_length > generation.max_length >= 1:
        yield (
            f"{at}.min_length",
            f"{generation.min_length} is more than max_length, {generation.max_length}",
        )
    if not math.isfinite(generation.length_penalty):
        yield f"{at}.length_penalty", f"{_number(generation.length_penalty)} is not a number"


def _preconditions(
    spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities, root: Path
) -> _Found:
    if len(spec.trials) > capabilities.max_cohort:
        yield (
            "spec.trials",
            f"has {len(spec.trials)} trials; this trainer takes at most {capabilities.max_cohort} "
            "in a job",
        )
    yield from _able(
        "spec.dataset.task_kind", spec.dataset.task_kind, capabilities.task_kinds, job_pb2.TaskKind
    )
    yield from _able(
        "spec.precision", read_precision(spec), capabilities.precisions, job_pb2.Precision
    )
    yield from _backbone(spec, capabilities)
    yield from _splits(spec, root / spec.dataset.name)
    for index, trial in enumerate(spec.trials):
        at = f"spec.trials[{index}]"
        yield from _able(
            f"{at}.adapter.attention",
            trial.adapter.attention,
            capabilities.attention_modules,
            job_pb2.AttentionModule,
        )
        yield from _able(
            f"{at}.adapter.ffn", trial.adapter.ffn, capabilities.ffn_modules, job_pb2.FfnModule
        )
        yield from _able(
            f"{at}.adapter.unfrozen",
            trial.adapter.unfrozen,
            capabilities.unfrozen,
            job_pb2.Unfrozen,
        )
        yield from _able(
            f"{at}.prune.pruner", trial.prune.pruner, capabilities.pruners, job_pb2.Pruner
        )
        if trial.prune.pruner != job_pb2.PRUNER_NONE:
            yield from _able(
                f"{at}.prune.structure",
                trial.prune.structure,
                capabilities.mask_structures,
                job_pb2.MaskStructure,
            )
            yield from _able(
                f"{at}.prune.rules", trial.prune.rules, capabilities.mask_rules, job_pb2.MaskRules
            )
            if trial.prune.every_steps and not capabilities.prunes_during_training:
                yield (
                    f"{at}.prune.every_steps",
                    f"{trial.prune.every_steps} is not 0; this trainer does not prune during "
                    "training",
                )
        needed = {"train": "masks.safetensors", "predict": "adapter/adapter_model.safetensors"}.get(
            spec.WhichOneof("work") or ""
        )
        if needed and not (root / "trials" / trial.trial_id / needed).is_file():
            earlier = "prune" if spec.HasField("train") else "train"
            yield (
                at,
                f"trials/{trial.trial_id}/{needed} does not exist; a job that does {earlier} "
                "writes it",
            )


def _backbone(spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities) -> _Found:
    field, path = "spec.backbone.path", spec.backbone.path
    if not path.startswith("/"):
        if not capabilities.hub_download:
            yield field, f"{path!r} is a hub id, and this trainer does not download"
        return
    try:
        config = json.loads((Path(path) / "config.json").read_bytes())
        model_type = config["model_type"]
        hidden = int(config["d_model" if model_type in ENCODER_DECODERS else "hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        wanted = "model_type and hidden_size"
        yield (
            field,
            f"{path} has no readable config.json with {wanted} on the trainer's machine ({reason})",
        )
        return
    if model_type not in capabilities.architectures:
        yield (
            field,
            f"{path} is of type {model_type!r}; this trainer supports "
            f"{', '.join(capabilities.architectures)}",
        )
    summarizes, encodes_and_decodes = (
        spec.dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION,
        model_type in ENCODER_DECODERS,
    )
    if summarizes and not encodes_and_decodes:
        yield (
            field,
            f"{path} is of type {model_type!r}; SUMMARIZATION needs an encoder–decoder: "
            f"{', '.join(ENCODER_DECODERS)}",
        )
    if encodes_and_decodes:
        if not summarizes:
            kind = job_pb2.TaskKind.Name(spec.dataset.task_kind).removeprefix("TASK_KIND_")
            yield (
                field,
                f"{path} is of type {model_type!r}, an encoder–decoder; it is for SUMMARIZATION, "
                f"and the data set is for {kind}",
            )
        yield from misfits(spec, config)
    for index, trial in enumerate(spec.trials):
        for name in (f"{module}_bottleneck" for module in forms.modules(trial.adapter)):
            width = getattr(trial.adapter, name)
            if width > 4 * hidden:
                yield (
                    f"spec.trials[{index}].adapter.{name}",
                    f"{width} is more than 4 × the backbone's hidden size, {4 * hidden}",
                )
    yield from _structures(spec, hidden, config)


def _structures(spec: job_pb2.JobSpec, hidden: int, config: dict[str, object]) -> _Found:
    """Whether masks of groups and of units fit the matrices.

    Those of a layer of each kind stand for all.
    """
    keys = _INNER_WIDTHS.get(str(config["model_type"]), {"": "intermediate_size"})
    for index, trial in enumerate(spec.trials):
        if trial.prune.pruner == job_pb2.PRUNER_NONE:
            continue
        if trial.prune.structure == job_pb2.MASK_STRUCTURE_WEIGHTS:
            continue
        shapes: dict[str, tuple[int, int]] = {}
        for stack, key in keys.items():
            inner = config.get(key)
            if trial.adapter.ffn == job_pb2.FFN_MODULE_LORA and not isinstance(inner, int):
                reason = (
                    f"{spec.backbone.path}/config.json has no {key}, which FFN_MODULE_LORA's "
                    "matrices depend on"
                )
                yield "spec.backbone.path", reason
                return
            found = forms.matrices(
                trial.adapter,
                hidden,
                attention_width(config, hidden),
                inner if isinstance(inner, int) else 0,
            )
            shapes |= {f"{stack}layers.0.{name}": shape for name, shape in found.items()}
        wrong = misfit(trial.prune, shapes)
        if wrong:
            field, reason = wrong
            yield f"spec.trials[{index}].prune.{field}", reason


def _splits(spec: job_pb2.JobSpec, folder: Path) -> _Found:
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


def _able(field: str, value: int, supported: list[int], enum: EnumTypeWrapper) -> _Found:
    if value not in supported:
        yield (
            field,
            f"{enum.Name(value)} is not supported by this trainer; it supports "
            f"{', '.join(enum.Name(each) for each in supported)}",
        )


def _enum(field: str, value: int, enum: EnumTypeWrapper) -> _Found:
    allowed = ", ".join(enum.keys()[1:])
    if value == 0:
        yield field, f"is not set; it is one of {allowed}"
    elif value not in enum.values():
        yield field, f"{value} is not one of {allowed}"


def _at_least_one(field: str, value: int) -> _Found:
    if value < 1:
        yield field, f"{value} is not at least 1"


def _positive(field: str, value: float) -> _Found:
    if not (math.isfinite(value) and value > 0):
        yield field, f"{_number(value)} is not a number above 0"


def _not_negative(field: str, value: float) -> _Found:
    if not (math.isfinite(value) and value >= 0):
        yield field, f"{_number(value)} is not a number of at least 0"


def _fraction(field: str, value: float) -> _Found:
    if not 0 <= value < 1:
        yield field, f"{_number(value)} is not in [0, 1)"


def _number(value: float) -> str:
    """As trainers in other languages write it too: 1, 0.5, NaN, Infinity."""
    if math.isnan(value):
        return "NaN"
    return str(value).removesuffix(".0").replace("inf", "Infinity")
