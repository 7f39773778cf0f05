"""The head that weights are scored with: ScoringHead of job.proto."""

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.tasks.task import Task


def with_scoring_head(
    trial: job_pb2.Trial, weights: dict[str, Tensor], task: Task
) -> dict[str, Tensor]:
    """A trial's first weights, with the head that they are scored with. task: of the training
    split."""
    if trial.prune.scoring_head != job_pb2.SCORING_HEAD_PRIOR:
        return weights
    return weights | {"head.out.bias": label_prior(task, weights["head.out.bias"].numel())}


def label_prior(task: Task, outputs: int) -> Tensor:
    """float32 [outputs]: log((n_c + 1) / (n + C)) of each class c, or the numbers' mean."""
    if task.classes is not None:
        counts = torch.bincount(task.classes, minlength=outputs).double()
        return ((counts + 1) / (counts.sum() + outputs)).log().float()
    assert task.numbers is not None, "a request for other labels' prior is refused"
    return task.numbers.double().mean().reshape(1).float()
