"""Whether a job fits the backbone's config.json, which the trainer reads from its disk."""

import json
from pathlib import Path

from sparse_adapter.trainer.v1 import capabilities_pb2, job_pb2

from sparse_adapter_engine.backbones.encoder_decoder.limits import (
    ENCODER_DECODERS,
    attention_width,
    misfits,
)
from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.files.names import is_under_root, resolve
from sparse_adapter_engine.masks.limits import misfit
from sparse_adapter_engine.modules import forms

from .violations import Found, write_name

# The stacks of each kind of encoder–decoder, and what config.json calls the inner width of their
# feed-forward blocks.
_INNER_WIDTHS = {
    "bart": {"encoder.": "encoder_ffn_dim", "decoder.": "decoder_ffn_dim"},
    "t5": {"encoder.": "d_ff", "decoder.": "d_ff"},
}


def check_backbone_config(
    spec: job_pb2.JobSpec, capabilities: capabilities_pb2.Capabilities, root: Path
) -> Found:
    """root: the artifact root, under which the backbone may be."""
    field, path = "spec.backbone.path", spec.backbone.path
    if is_under_root(spec.backbone):
        try:
            path = str(resolve(root, path))
        except JobFailed as error:
            yield field, error.message
            return
    if not path.startswith("/"):
        if not capabilities.hub_download:
            yield field, f"{path!r} is a hub id, and this trainer does not download"
        return
    supported = f"this trainer supports {', '.join(capabilities.architectures)}"
    try:
        config = json.loads((Path(path) / "config.json").read_bytes())
        model_type = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        yield field, _describe_unreadable(path, error)
        return
    # What else a backbone of another type lacks does not matter.
    if model_type is None:
        yield field, f"{path}/config.json has no model_type; {supported}"
        return
    if model_type not in capabilities.architectures:
        yield field, f"{path} is of type {model_type!r}; {supported}"
        return
    try:
        hidden = int(config["d_model" if model_type in ENCODER_DECODERS else "hidden_size"])
    except (ValueError, KeyError, TypeError) as error:
        yield field, _describe_unreadable(path, error)
        return
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
            kind = write_name(job_pb2.TaskKind, spec.dataset.task_kind).removeprefix("TASK_KIND_")
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
    yield from _check_structures(spec, hidden, config)


def _describe_unreadable(path: str, error: Exception) -> str:
    return (
        f"{path} has no readable config.json with model_type and hidden_size on the trainer's "
        f"machine ({type(error).__name__}: {error})"
    )


def _check_structures(spec: job_pb2.JobSpec, hidden: int, config: dict[str, object]) -> Found:
    """Whether masks of groups and of units fit the matrices.

    One layer of each kind is enough, since its matrices have the shapes of all the others.
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
