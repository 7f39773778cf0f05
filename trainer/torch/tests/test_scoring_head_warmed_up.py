"""The head that is trained alone before weights are scored: equal to plain training by PyTorch's
own AdamW, in every task kind with a head.
"""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from conftest import write_split
from engine_support import Recorder, spec, trial
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import head_inputs
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.masks import scoring_head
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scoring import Start, group_starts, score
from sparse_adapter_engine.masks.scoring_head import head_rows, with_scoring_head
from sparse_adapter_engine.modules.layout import initialize, is_prunable, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Pack, Part
from sparse_adapter_engine.tasks.rows import RowTask

CLASSIFICATION, REGRESSION = job_pb2.TASK_KIND_CLASSIFICATION, job_pb2.TASK_KIND_REGRESSION
SPANS = job_pb2.TASK_KIND_QUESTION_ANSWERING
# Batches of 32, 32 and 6 rows, and then the first again.
ROWS, STEPS = 70, 4


@pytest.fixture
def tiny(tiny_roberta: Path) -> Encoder:
    return load_encoder(str(tiny_roberta), torch.device("cpu"))


def warmed_up_trial(trial_id: str = "t", steps: int = STEPS, **train: float) -> job_pb2.Trial:
    made = trial(trial_id, width=4, pruner="snip", sparsity=0.5, **train)
    made.prune.scoring_rows = ROWS
    made.prune.scoring_head = job_pb2.SCORING_HEAD_WARMED_UP
    made.prune.scoring_head_steps = steps
    return made


def labelled(backbone: Encoder, task_kind: int) -> Split:
    """80 rows of 2 to 9 tokens: of three classes, with numbers, or with spans."""
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, 10, (80,), generator=random)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    ids = torch.randint(5, backbone.vocabulary, (int(offsets[-1]),), generator=random)
    classes = torch.randint(0, 3, (80,), generator=random)
    labels = {
        CLASSIFICATION: classes,
        REGRESSION: 1.5 * classes + 0.5,
        SPANS: torch.stack([classes % 2, lengths - 1], 1),
    }
    return Split("ragged", ids, torch.zeros_like(ids), offsets, labels[task_kind])


def outputs(task_kind: int) -> int:
    return {CLASSIFICATION: 3, REGRESSION: 1, SPANS: 2}[task_kind]


def make_start(task: RowTask, one: job_pb2.Trial) -> Start:
    found = layout(one.adapter, task.backbone, outputs(task.kind), task.kind)
    (start,) = group_starts(
        [(one, Pruning(one.prune, one.seed, found.prunable_shapes))],
        task,
        lambda each: initialize(each, found.shapes, task.backbone.pooler),
    )
    return start


def batches(rows: Tensor, steps: int) -> Iterator[Tensor]:
    for step in range(steps):
        yield rows.split(32)[step % 3]


class PlainHead(torch.nn.Module):
    """The head, over hidden states of rows one by one: of the first token, or of every token."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.own = torch.nn.ParameterDict(
            {
                name.replace(".", "_"): torch.nn.Parameter(tensor.clone())
                for name, tensor in tensors.items()
                if name.startswith("head.")
            }
        )

    def forward(self, hidden: Tensor) -> Tensor:
        own = self.own
        if "head_dense_weight" in own:
            hidden = torch.tanh(hidden @ own["head_dense_weight"].T + own["head_dense_bias"])
        return hidden @ own["head_out_weight"].T + own["head_out_bias"]


def plain_loss(head: PlainHead, states: list[Tensor], labels: Tensor, smoothing: float) -> Tensor:
    if labels.dim() == 2:
        losses = [
            cross_entropy(head(hidden).T, places)
            for hidden, places in zip(states, labels, strict=True)
        ]
        return torch.stack(losses).mean()
    logits = torch.cat([head(hidden) for hidden in states])
    if labels.is_floating_point():
        return mse_loss(logits.squeeze(1), labels)
    return cross_entropy(logits, labels, label_smoothing=smoothing)


def states_of(task: RowTask, start: Start) -> dict[int, Tensor]:
    """What the head reads of each scoring row, each computed alone."""
    modules = TrialModules(start.trial.adapter, start.weights, dropout=None)
    return {
        int(row): head_inputs(
            task.backbone, [Part(0, task.split.pack(row.reshape(1)), modules)], task.kind
        )[0]
        for row in start.rows
    }


@pytest.mark.parametrize(
    ("task_kind", "smoothing"),
    [(CLASSIFICATION, 0.0), (CLASSIFICATION, 0.1), (REGRESSION, 0.0), (SPANS, 0.0)],
)
def test_the_head_is_trained_as_by_plain_adamw_and_weights_are_scored_with_it(
    task_kind: int, smoothing: float, tiny: Encoder
) -> None:
    task = RowTask(tiny, labelled(tiny, task_kind), task_kind, How(500, part_rows=8))
    start = make_start(task, warmed_up_trial(label_smoothing=smoothing))
    drawn, passed = start.weights, []
    start.weights = weights = with_scoring_head(start, task, passed.append)
    assert sum(passed) == head_rows(start) == ROWS
    assert {name for name in drawn if not torch.equal(drawn[name], weights[name])} == {
        name for name in drawn if name.startswith("head.")
    }

    head, states = PlainHead(drawn), states_of(task, make_start(task, start.trial))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0)
    for rows in batches(start.rows, STEPS):
        optimizer.zero_grad()
        own = [states[row].detach() for row in rows.tolist()]
        plain_loss(head, own, task.split.labels[rows], smoothing).backward()
        optimizer.step()
    for name, tensor in head.own.items():
        # Where all logits move alike, no loss changes: that gradient is rounding.
        if task_kind == SPANS and name == "head_out_bias":
            continue
        found = weights[
            name.replace("head_", "head.").replace("_weight", ".weight").replace("_bias", ".bias")
        ]
        assert (found - tensor).abs().max() < 1e-5, name

    (scores,) = score(task, [start], lambda _: None)
    leaves = {
        name: tensor.clone().requires_grad_() if is_prunable(name) else tensor
        for name, tensor in weights.items()
    }
    pack = task.split.pack(start.rows)
    modules = TrialModules(start.trial.adapter, leaves, dropout=None)
    (logits,) = task.logits([Part(0, pack, modules)])
    loss(task_kind, logits, pack, smoothing).backward()
    plain = {
        name: (leaf.grad * leaf.detach()).abs() for name, leaf in leaves.items() if name in scores
    }
    total = sum(float(each.sum()) for each in plain.values())
    for name, each in plain.items():
        assert torch.allclose(scores[name], each / total, rtol=1e-3, atol=1e-8), name


def test_states_that_are_not_kept_are_computed_again(tiny: Encoder) -> None:
    task = RowTask(tiny, labelled(tiny, CLASSIFICATION), CLASSIFICATION, How(500))
    start = make_start(task, warmed_up_trial(steps=7))
    kept = with_scoring_head(start, task, lambda _: None)
    passed: list[int] = []
    # Room for one batch of 32 rows, and for the last one of 6.
    compute, computed = scoring_head._HeadInputs._compute, []

    def counted(inputs: scoring_head._HeadInputs, rows: Tensor) -> list[tuple[Pack, Tensor]]:
        computed.append(rows.numel())
        return compute(inputs, rows)

    with (
        patch.object(scoring_head, "_KEPT_VALUES", 40 * tiny.hidden),
        patch.object(scoring_head._HeadInputs, "_compute", counted),
    ):
        again = with_scoring_head(start, task, passed.append)
    assert computed == [32, 32, 6, 32]
    assert sum(passed) == ROWS
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())


def test_frozen_tensors_of_the_head_stay_as_they_are_drawn(tiny: Encoder) -> None:
    task = RowTask(tiny, labelled(tiny, CLASSIFICATION), CLASSIFICATION, How(500))
    one = warmed_up_trial()
    one.adapter.frozen.append("head.dense.*")
    start = make_start(task, one)
    weights = with_scoring_head(start, task, lambda _: None)
    assert {name for name in weights if not torch.equal(start.weights[name], weights[name])} == {
        "head.out.weight",
        "head.out.bias",
    }
    one.adapter.frozen[:] = ["head.*"]
    start = make_start(task, one)
    passed: list[int] = []
    weights = with_scoring_head(start, task, passed.append)
    assert sum(passed) == head_rows(start)
    assert all(torch.equal(weight, weights[name]) for name, weight in start.weights.items())


def test_trials_that_differ_in_their_learning_rate_are_scored_once(
    tiny_roberta: Path, tmp_path: Path
) -> None:
    rows = [[5 + row, 6, 7] for row in range(12)]
    labels = torch.tensor([0] * 9 + [1] * 3, dtype=torch.int32)
    write_split(tmp_path / "datasets/cola/train.safetensors", rows, labels)
    trials = [warmed_up_trial("slow"), warmed_up_trial("fast", learning_rate=0.1)]
    trials.append(trial("drawn", width=4, pruner="snip", sparsity=0.5))
    with patch.object(scoring_head, "_warmed_up", wraps=scoring_head._warmed_up) as warm_up:
        Engine(tmp_path).run(spec(tiny_roberta, trials, prune=job_pb2.PruneWork()), Recorder())
    assert warm_up.call_count == 1
    slow, fast, drawn = (
        load_file(tmp_path / "trials" / one.trial_id / "masks.safetensors") for one in trials
    )
    assert all(torch.equal(mask, fast[name]) for name, mask in slow.items())
    assert any(not torch.equal(mask, drawn[name]) for name, mask in slow.items())
