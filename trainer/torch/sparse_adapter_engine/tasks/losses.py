"""The loss of each kind of task, by TaskKind of job.proto."""

from collections.abc import Callable
from typing import Any

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from sparse_adapter_engine.data.pairs import PaddedPairs
from sparse_adapter_engine.data.rows import PackedRows

from .part import Pack


def loss(task_kind: int, logits: Tensor, pack: Pack, label_smoothing: float = 0.0) -> Tensor:
    """Mean loss over the rows of a pack, or over its target tokens. label_smoothing: for
    SUMMARIZATION and CLASSIFICATION only."""
    return LOSSES[task_kind](logits, pack, label_smoothing)


def _class_loss(logits: Tensor, pack: PackedRows, label_smoothing: float) -> Tensor:
    """Cross-entropy of classes, label-smoothed (Szegedy et al. 2016)."""
    return cross_entropy(logits, pack.labels, label_smoothing=label_smoothing)


def _number_loss(logits: Tensor, pack: PackedRows, label_smoothing: float) -> Tensor:
    """Squared error of numbers."""
    return mse_loss(logits.squeeze(-1), pack.labels)


def _span_loss(logits: Tensor, pack: PackedRows, label_smoothing: float) -> Tensor:
    """The mean cross-entropy of start and end, each of which is one class among the row's
    tokens."""
    groups = pack.own_groups
    parts, labels = (
        logits.split([rows * length for rows, length in groups]),
        pack.labels.split([rows for rows, _ in groups]),
    )
    sums = [
        cross_entropy(part.view(rows, length, 2), places, reduction="sum")
        for part, places, (rows, length) in zip(parts, labels, groups, strict=True)
    ]
    return torch.stack(sums).sum() / (2 * pack.rows)


def _word_loss(logits: Tensor, pack: PaddedPairs, label_smoothing: float) -> Tensor:
    """Cross-entropy of words, label-smoothed (Szegedy et al. 2016)."""
    return cross_entropy(logits, pack.labels, label_smoothing=label_smoothing)


LOSSES: dict[int, Callable[[Tensor, Any, float], Tensor]] = {
    job_pb2.TASK_KIND_CLASSIFICATION: _class_loss,
    job_pb2.TASK_KIND_REGRESSION: _number_loss,
    job_pb2.TASK_KIND_QUESTION_ANSWERING: _span_loss,
    job_pb2.TASK_KIND_SUMMARIZATION: _word_loss,
}
