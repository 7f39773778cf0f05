"""The families of backbones: how each is loaded, how its rows are read, and which kinds of task it
serves.

A new family has a folder in backbones/, a file here like rows.py and pairs.py, and a line in
FAMILIES for each kind of task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.loading import ARCHITECTURES, load_encoder
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.limits import ENCODER_DECODERS
from sparse_adapter_engine.backbones.encoder_decoder.loading import (
    load_encoder_decoder,
    require_fit,
)
from sparse_adapter_engine.data.pairs import PairSplit, require_targets
from sparse_adapter_engine.data.rows import Split, require_labels
from sparse_adapter_engine.device.how import How

from .pairs import PairTask, load_texts
from .rows import RowTask, load_rows
from .task import Task

B = TypeVar("B", bound=Backbone)
S = TypeVar("S")


@dataclass(frozen=True)
class Family(Generic[B, S]):
    """A family of backbones B with the splits S that they read. Functions that load or check raise
    JobFailed (BAD_ARTIFACT).

    architectures: its values of model_type in config.json. load_backbone: from a path, to a device,
    at a Precision. require_fit: checks that a job fits a backbone. load_split: for a backbone, from
    an artifact root, by name. require_labels: checks every row of a split. make_task: for a
    TaskKind.
    """

    name: str
    architectures: tuple[str, ...]
    load_backbone: Callable[[str, torch.device, int], B]
    require_fit: Callable[[B, job_pb2.JobSpec], None]
    load_split: Callable[[B, Path, job_pb2.Dataset, str], S]
    require_labels: Callable[[S, job_pb2.Dataset], None]
    make_task: Callable[[B, S, int, How], Task]


def _fits(backbone: Encoder, spec: job_pb2.JobSpec) -> None:
    """An encoder can do whatever a valid request asks for."""


_ENCODERS = Family[Encoder, Split](
    "encoder", ARCHITECTURES, load_encoder, _fits, load_rows, require_labels, RowTask
)
_ENCODER_DECODERS = Family[EncoderDecoder, PairSplit](
    "encoder-decoder",
    ENCODER_DECODERS,
    load_encoder_decoder,
    require_fit,
    load_texts,
    require_targets,
    PairTask,
)
# By TaskKind.
FAMILIES: dict[int, Family[Any, Any]] = {
    job_pb2.TASK_KIND_CLASSIFICATION: _ENCODERS,
    job_pb2.TASK_KIND_REGRESSION: _ENCODERS,
    job_pb2.TASK_KIND_QUESTION_ANSWERING: _ENCODERS,
    job_pb2.TASK_KIND_SUMMARIZATION: _ENCODER_DECODERS,
}


def list_architectures() -> list[str]:
    """The architectures of all families, in their order."""
    return list(dict.fromkeys(one for family in FAMILIES.values() for one in family.architectures))
