"""What a trial writes to disk during and after training, all of it under `trials/<trial id>/`.

checkpoints/step-<N>/state.safetensors   parameters (as in the adapter), first_moment.*,
                                         second_moment.*, and mask.* if the trial is pruned during
                                         training
checkpoints/step-<N>/position.json       step, rows and seconds so far, what it was made from, and
                                         what trained the steps so far
adapter/                                 as in Trial of job.proto
training.json                            rows and seconds of the training that made adapter/, which
                                         adapter/ cannot hold: its digest must not depend on them
rungs/step-<N>/                          both of them for a step before the trial's last
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from google.protobuf.json_format import ParseError
from safetensors.torch import save
from sparse_adapter.trainer.v1 import event_pb2
from torch import Tensor

from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.masks.scores import Masks
from sparse_adapter_engine.modules.layout import Layout
from sparse_adapter_engine.training.optimizer import AdamW

from .artifacts import read_tensors, remove_folder, write_folder
from .durable import write_durably
from .environments import Environments, from_json, to_json, to_metadata


@dataclass(frozen=True)
class Company:
    """Which trials share a stacked pass, by trial id and in order, and in how many parts each one's
    rows are computed: on a GPU the last bits depend on it."""

    trials: list[str]
    row_parts: int


@dataclass
class Position:
    """How far a trial has come. `source`: digest of everything that determines its numbers.
    `loss_sum`, `loss_rows`: since the last metric event. `rounds`: finished rounds of pruning
    during training. `company`: that of the last step, if passes are stacked."""

    source: str
    step: int = 0
    rows: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_rows: int = 0
    rounds: int = 0
    company: Company | None = None

    @staticmethod
    def read(content: dict[str, Any]) -> "Position":
        """The inverse of `asdict`. Raises TypeError for anything else."""
        company = content.get("company")
        return Position(**content | {"company": Company(**company) if company else None})


@dataclass(frozen=True)
class State:
    """What a checkpoint holds.

    parameters: float32 [total]; masks: empty unless the trial is pruned during training.
    environments: what trained the steps so far, in order.
    """

    position: Position
    parameters: Tensor
    optimizer: AdamW
    masks: Masks
    environments: Environments


def write_checkpoint(trial: Path, layout: Layout, state: State, keep: int) -> event_pb2.Artifact:
    """Writes a checkpoint as a whole folder and removes older ones beyond `keep`. Later ones stay:
    they are of training that is repeated until here.

    Returns its artifact, with a name relative to the trial's folder.
    """
    position, optimizer = state.position, state.optimizer
    tensors = layout.views(state.parameters) | {
        f"mask.{name}": mask for name, mask in state.masks.items()
    }
    tensors |= {
        f"first_moment.{name}": moment
        for name, moment in layout.views(optimizer.first_moment).items()
    }
    tensors |= {
        f"second_moment.{name}": moment
        for name, moment in layout.views(optimizer.second_moment).items()
    }
    content = {"position": asdict(position), "environments": to_json(state.environments)}
    folder = trial / "checkpoints" / f"step-{position.step}"
    files = {
        "state.safetensors": save(
            {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        ),
        "position.json": json.dumps(content, indent=2, sort_keys=True).encode(),
    }
    digest = write_folder(folder, files)
    up_to_here = [old for step, old in _folders(trial) if step <= position.step]
    for old in up_to_here[keep:]:
        remove_folder(old)
    return event_pb2.Artifact(
        name=folder.relative_to(trial).as_posix(),
        digest=digest,
        size=sum(len(data) for data in files.values()),
    )


def newest_checkpoint(
    trial: Path, source: str, until: int, layout: Layout, device: torch.device
) -> tuple[State | None, list[str]]:
    """The newest intact checkpoint of this source at or before step `until`, and why newer ones
    were passed over."""
    passed_over: list[str] = []
    for step, folder in _folders(trial):
        if step > until:
            continue
        try:
            return _read(folder, source, layout, device), passed_over
        except (JobFailed, OSError, ValueError, KeyError, TypeError, ParseError) as error:
            passed_over.append(f"checkpoint {folder.name} was skipped: {error}")
    return None, passed_over


def _folders(trial: Path) -> list[tuple[int, Path]]:
    """(step, folder) of each checkpoint, the newest first."""
    found = [
        (int(folder.name.removeprefix("step-")), folder)
        for folder in (trial / "checkpoints").glob("step-*")
    ]
    return sorted(found, reverse=True)


def _read(folder: Path, source: str, layout: Layout, device: torch.device) -> State:
    content = json.loads((folder / "position.json").read_bytes())
    position = Position.read(content["position"])
    if position.source != source:
        raise ValueError("it was made from another trial, backbone, data set or mask")
    tensors = read_tensors(folder / "state.safetensors")
    flat = []
    for prefix in ("", "first_moment.", "second_moment."):
        named = {name: tensors[f"{prefix}{name}"] for name in layout.shapes}
        wrong = [name for name, shape in layout.shapes.items() if tuple(named[name].shape) != shape]
        if wrong:
            raise ValueError(
                f"tensor {prefix}{wrong[0]} has shape {tuple(named[wrong[0]].shape)}, not "
                f"{layout.shapes[wrong[0]]}"
            )
        flat.append(layout.flatten(named).to(device))
    masks = {
        name.removeprefix("mask."): tensor
        for name, tensor in tensors.items()
        if name.startswith("mask.")
    }
    # Before there was a list, position.json had Capabilities.environment of the run that wrote it.
    made = content.get("environments") or [{"details": content["environment"]}]
    return State(
        position,
        flat[0],
        AdamW(flat[1], flat[2], layout.decayed, layout.trained),
        masks,
        from_json(made),
    )


def write_adapter(
    folder: Path,
    layout: Layout,
    parameters: Tensor,
    masks: Masks,
    config: dict[str, object],
    position: Position,
    environments: Environments,
) -> None:
    """Writes training.json and then adapter/, so that training.json has every step that adapter/
    names.

    folder: where the step's adapter belongs (trained_folder). masks: empty unless the trial was
    pruned during training. environments: what trained it, in order.
    """
    times = {
        "source": position.source,
        "step": position.step,
        "rows": position.rows,
        "seconds": position.seconds,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "training.json", json.dumps(times, indent=2).encode())
    made = to_metadata(environments)
    weights = save(
        {name: tensor.cpu().contiguous() for name, tensor in layout.views(parameters).items()}, made
    )
    files = {
        "adapter_model.safetensors": weights,
        "adapter_config.json": json.dumps(config, indent=2, sort_keys=True).encode(),
    }
    if masks:
        files["masks.safetensors"] = save(masks, made)
    write_folder(folder / "adapter", files)


def finished_training(folder: Path, source: str, step: int, has_masks: bool) -> Position | None:
    """Rows and seconds of the adapter on disk if it has this step and this source; None if training
    is still to be done.

    folder: where the step's adapter belongs (trained_folder). has_masks: whether the trial is
    pruned during training, so that its masks are beside the adapter.
    """
    try:
        config = json.loads((folder / "adapter" / "adapter_config.json").read_bytes())
        times = json.loads((folder / "training.json").read_bytes())
        files = ["adapter_model.safetensors", *(["masks.safetensors"] if has_masks else [])]
        if not all((folder / "adapter" / name).is_file() for name in files):
            return None
        if any((found["source"], found["step"]) != (source, step) for found in (config, times)):
            return None
        return Position(**times)
    except (OSError, ValueError, KeyError, TypeError):
        return None
