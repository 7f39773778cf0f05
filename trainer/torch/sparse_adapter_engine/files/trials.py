"""Where a trial's artifacts are, and digests of what they were made from."""

import hashlib
import json
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.errors import bad_artifact
from sparse_adapter_engine.later_fields import is_later
from sparse_adapter_engine.masks.densities import is_during_training
from sparse_adapter_engine.modules.layout import Layout
from sparse_adapter_engine.precision import other_precision

from .artifacts import Tensors, read_tensors
from .names import resolve


def trial_folder(root: Path, trial_id: str) -> Path:
    return resolve(root, f"trials/{trial_id}")


def trained_folder(root: Path, trial: job_pb2.Trial, step: int) -> Path:
    """Where training to a step leaves adapter/ and training.json: the trial's folder, or one of its
    own for a step before the trial's last (a rung)."""
    folder = trial_folder(root, trial.trial_id)
    is_rung = step < trial.train.total_steps
    return folder / "rungs" / f"step-{step}" if is_rung else folder


def mask_source(spec: job_pb2.JobSpec, trial: job_pb2.Trial) -> str:
    """Hex SHA-256 of everything that determines a trial's mask."""
    made_from = {"seed": trial.seed, "adapter": plain(trial.adapter), "prune": plain(trial.prune)}
    is_text = spec.dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION
    if is_text or trial.train.label_smoothing:
        # Part of the loss whose gradients are scored.
        made_from["label_smoothing"] = trial.train.label_smoothing
    return _digest(_inputs(spec), made_from)


def training_source(spec: job_pb2.JobSpec, trial: job_pb2.Trial, mask_digest: str) -> str:
    """Hex SHA-256 of everything that determines a trial's training, except at which step this run
    ends."""
    start = {
        "seed": trial.seed,
        "adapter": plain(trial.adapter),
        "mask": mask_digest,
        "reinitialize": trial.prune.reinitialize,
    }
    if is_during_training(trial.prune):
        start["prune"] = plain(trial.prune)
    return _digest(_inputs(spec), start | {"train": plain(trial.train)})


def _inputs(spec: job_pb2.JobSpec) -> dict[str, object]:
    inputs: dict[str, object] = {"backbone": spec.backbone.digest, "dataset": plain(spec.dataset)}
    precision = other_precision(spec)
    return inputs if precision is None else inputs | {"precision": precision}


def plain(message: Message) -> object:
    """A message as JSON, under the contract's names: every field, even zeros, except later ones
    that are not set, so that what was made before the contract had them still counts."""
    found: dict[str, object] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    set_fields = {field.name for field, _ in message.ListFields()}
    return {
        name: value
        for name, value in found.items()
        if name in set_fields or not is_later(message, name)
    }


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def read_masks(folder: Path, layout: Layout) -> Tensors:
    """A trial's masks, in the layout's order.

    Raises JobFailed (BAD_ARTIFACT) if the file does not fit the adapter.
    """
    path = folder / "masks.safetensors"
    masks = read_tensors(path)
    expected = layout.prunable_shapes
    if masks.keys() != expected.keys():
        raise bad_artifact(
            f"{path}: tensor {min(masks.keys() ^ expected.keys())} is missing or unexpected; each "
            "prunable matrix has one mask"
        )
    for name, shape in expected.items():
        if tuple(masks[name].shape) != shape:
            raise bad_artifact(
                f"{path}: tensor {name} has shape {tuple(masks[name].shape)}, the weight it masks "
                f"has {shape}"
            )
    return {name: masks[name] for name in expected}
