"""SNIP gradients of many trials at once. Trials that start from the same weights and score on the same rows share one gradient."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from .adapters import Layout, is_prunable
from .backbone import Backbone
from .dataset import Split
from .keys import permutation
from .model import Part, TrialModules, forward, loss, passes
from .progress import Pace
from .pruning import Scores, snip_scores

# Rows of one trial in a forward. Fixed, so that a score does not depend on who else is scored.
_ROWS = 32


@dataclass
class Start:
    """A starting point that some trials share: first weights by name, and the rows to score on (int64)."""

    trial: job_pb2.Trial
    trial_ids: list[str]
    layout: Layout
    weights: dict[str, Tensor]
    rows: Tensor


def distinct_starts(
    trials: list[job_pb2.Trial], split: Split, start: Callable[[job_pb2.Trial], tuple[Layout, dict[str, Tensor]]]
) -> list[Start]:
    """The starting points of these trials. `start` gives a trial's layout and first weights. Sparsity and scope do not change scores."""
    starts: dict[tuple[int, bytes, int], Start] = {}
    for trial in trials:
        count = min(trial.prune.scoring_rows, split.rows)
        same = (trial.seed, trial.adapter.SerializeToString(deterministic=True), count)
        if same not in starts:
            layout, weights = start(trial)
            rows = permutation(split.rows, trial.seed, "scoring rows")[:count]
            starts[same] = Start(trial, [], layout, weights, rows)
        starts[same].trial_ids.append(trial.trial_id)
    return list(starts.values())


def score_snip(backbone: Backbone, split: Split, task_kind: int, starts: list[Start], pass_tokens: int, pace: Pace) -> dict[str, Scores]:
    """SNIP scores on the CPU, by trial id. The gradient is of the mean loss over a start's rows with dropout off, summed in their order."""
    device = backbone.word.device
    prunable = [{name: w.to(device).requires_grad_() for name, w in start.weights.items() if is_prunable(name)} for start in starts]
    modules = []
    for start, trained in zip(starts, prunable, strict=True):
        fixed = {name: weight.to(device) for name, weight in start.weights.items() if name not in trained}
        modules.append(TrialModules(start.trial.adapter, fixed | trained, dropout=None))
    parts = [
        Part(owner, split.pack(rows).to(device), modules[owner]) for owner, start in enumerate(starts) for rows in start.rows.split(_ROWS)
    ]
    gradients = [{name: torch.zeros_like(weight) for name, weight in trained.items()} for trained in prunable]
    for group in passes(parts, pass_tokens):
        for part, found in zip(group, _gradients(backbone, task_kind, group, prunable), strict=True):
            share = part.pack.rows / starts[part.owner].rows.numel()
            for name, summand in found.items():
                gradients[part.owner][name].add_(summand, alpha=share)
        rows = sum(part.pack.rows for part in group)
        pace.advance(rows, rows)
        pace.stop_between_passes()
    result: dict[str, Scores] = {}
    for start, trained, gradient in zip(starts, prunable, gradients, strict=True):
        scores = snip_scores({name: w.detach().cpu() for name, w in trained.items()}, {name: g.cpu() for name, g in gradient.items()})
        result |= dict.fromkeys(start.trial_ids, scores)
    return result


def _gradients(backbone: Backbone, task_kind: int, group: list[Part], prunable: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """For each part of a pass: the gradient of its own mean loss. A start may have several: each has its own leaves."""
    leaves = [{name: w.detach().requires_grad_() for name, w in prunable[part.owner].items()} for part in group]
    own = [
        Part(part.owner, part.pack, TrialModules(part.modules.adapter, part.modules.tensors | leaf, dropout=None))
        for part, leaf in zip(group, leaves, strict=True)
    ]
    losses = [loss(task_kind, logits, part.pack.labels) for part, logits in zip(own, forward(backbone, own), strict=True)]
    flat = iter(torch.autograd.grad(losses, [w for leaf in leaves for w in leaf.values()]))
    return [{name: next(flat) for name in leaf} for leaf in leaves]
