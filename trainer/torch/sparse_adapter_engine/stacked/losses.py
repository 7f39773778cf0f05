"""Stacked trials' losses from the last hidden states, without reading any value on the host."""

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.modules.trial_modules import TrialModules

from .batch import StackedRows

_HIDDEN = -1e30


def stacked_losses(
    task_kind: int, rows: StackedRows, hidden: list[Tensor], modules: list[TrialModules]
) -> Tensor:
    """Each trial's mean loss over its rows, float32 [trials], as `loss` of tasks/losses.py computes
    it. hidden: for each stack, [trials · rows, d], or every token's."""
    outputs = [own.logits(h.float()) for own, h in zip(modules, hidden, strict=True)]
    logits = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    terms = _terms(task_kind, rows, logits)
    # A row of padding has no share, and must not add NaN if its term is not finite.
    shares = torch.where(rows.weights > 0, terms * rows.weights, 0.0)
    return shares.view(rows.shape.trials, rows.shape.rows).sum(1)


def _terms(task_kind: int, rows: StackedRows, logits: Tensor) -> Tensor:
    """Each row's loss, [trials · rows]."""
    if task_kind == job_pb2.TASK_KIND_CLASSIFICATION:
        return F.cross_entropy(logits, rows.labels, reduction="none")
    if task_kind == job_pb2.TASK_KIND_REGRESSION:
        return F.mse_loss(logits.squeeze(-1), rows.labels, reduction="none")
    if task_kind != job_pb2.TASK_KIND_QUESTION_ANSWERING:
        raise ValueError(f"{job_pb2.TaskKind.Name(task_kind)} is not a task for stacked rows")
    # Start and end are each one class among the row's own tokens.
    places, _ = rows.padded_tokens
    of_rows = logits.index_select(0, places).view(-1, rows.shape.longest, 2)
    numbers = torch.arange(rows.shape.longest, device=logits.device, dtype=torch.int32)
    own = numbers < rows.own.unsqueeze(1)
    of_rows = of_rows.masked_fill(~own.unsqueeze(2), _HIDDEN)
    both = F.cross_entropy(of_rows, rows.labels, reduction="none")
    return both.mean(1)
