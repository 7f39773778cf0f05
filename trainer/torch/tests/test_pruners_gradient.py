"""SNIP's and GraSP's scores on an encoder: equal to plain derivations, in rounds, and whoever else
is scored.
"""

import math
import shutil
from pathlib import Path

import pytest
import torch
from conftest import write_split
from engine_support import Recorder, adapter, fresh_root, spec, train_work, trial
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, load_split
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.files.trials import mask_source
from sparse_adapter_engine.masks import scoring
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Scores
from sparse_adapter_engine.masks.scoring import Start, choose_scoring_rows, group_starts, score
from sparse_adapter_engine.masks.scoring_head import label_prior, with_scoring_head
from sparse_adapter_engine.modules.layout import initialize, is_prunable, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.operations import PLAIN
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part
from sparse_adapter_engine.tasks.rows import RowTask

CLASSIFICATION, REGRESSION = job_pb2.TASK_KIND_CLASSIFICATION, job_pb2.TASK_KIND_REGRESSION
FORMS = [
    ("sequential", "sequential"),
    ("none", "after_norm"),
    ("lora", "none"),
    ("none", "lora"),
    ("prefix", "parallel"),
]
# Every thirteenth prunable weight: some of every matrix. A row of the Hessian takes a backward
# pass.
SOME = slice(None, None, 13)


def gradient_trial(
    trial_id: str, pruner: str, sparsity: float = 0.5, rows: int = 48, **fields: object
) -> job_pb2.Trial:
    """A trial pruned by a pruner that reads rows; fields are those of Prune, and of the trial:
    seed, width."""
    made = trial(
        trial_id,
        seed=fields.pop("seed", 1),
        width=fields.pop("width", 16),
        pruner=pruner,
        sparsity=sparsity,
    )
    made.prune.MergeFrom(
        job_pb2.Prune(
            **{"scoring_rows": rows, "temperature": 2 if pruner == "grasp" else 0} | fields
        )
    )
    return made


def make_start(
    backbone: Encoder, split: Split, one: job_pb2.Trial, task_kind: int = CLASSIFICATION
) -> Start:
    shapes = layout(one.adapter, backbone, 1 if task_kind == REGRESSION else 2)
    pruning = Pruning(one.prune, one.seed, shapes.prunable_shapes)
    (found,) = group_starts(
        [(one, pruning)],
        RowTask(backbone, split, task_kind, How(500)),
        lambda each: initialize(each, shapes.shapes, backbone.pooler),
    )
    return found


def score_starts(
    backbone: Encoder,
    split: Split,
    starts: list[Start],
    task_kind: int = CLASSIFICATION,
    pass_tokens: int = 500,
    part_rows: int = 32,
) -> list[Scores]:
    task = RowTask(backbone, split, task_kind, How(pass_tokens, part_rows=part_rows))
    return score(task, starts, lambda _: None)


def masked(start: Start) -> dict[str, Tensor]:
    return {
        name: weight * start.masks[name] if is_prunable(name) else weight
        for name, weight in start.weights.items()
    }


class Plain:
    """The mean loss of a start as a function of its prunable weights, flat: all rows at once, its
    rounds' masks applied.
    """

    def __init__(
        self, backbone: Encoder, split: Split, start: Start, task_kind: int, temperature: float
    ) -> None:
        self.backbone, self.adapter, self.task_kind, self.temperature = (
            backbone,
            start.trial.adapter,
            task_kind,
            temperature,
        )
        self.pack, self.tensors = split.pack(start.rows), masked(start)
        self.names = [name for name in self.tensors if is_prunable(name)]
        self.weights = torch.cat([self.tensors[name].flatten() for name in self.names])

    def __call__(self, flat: Tensor) -> Tensor:
        parts = flat.split([self.tensors[name].numel() for name in self.names])
        own = {
            name: part.view(self.tensors[name].shape)
            for name, part in zip(self.names, parts, strict=True)
        }
        modules = TrialModules(self.adapter, self.tensors | own, dropout=None)
        (logits,) = forward(
            self.backbone, [Part(0, self.pack, modules)], self.task_kind, twice_differentiable=True
        )
        return loss(self.task_kind, logits / self.temperature, self.pack)

    def gradient(self) -> Tensor:
        return torch.autograd.functional.jacobian(self, self.weights)

    def some_of_hessian(self) -> Tensor:
        """SOME of its rows, each by a backward pass of its own, [some, weights]."""
        weights = self.weights.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self(weights), weights, create_graph=True)
        return torch.stack(
            [torch.autograd.grad(one, weights, retain_graph=True)[0] for one in gradient[SOME]]
        )


def flat_scores(scores: Scores) -> Tensor:
    return torch.cat([score.flatten() for score in scores.values()])


@pytest.fixture
def tiny(tiny_roberta: Path) -> Encoder:
    """The tiny encoder: an explicit Hessian takes long over many rows."""
    return load_encoder(str(tiny_roberta), torch.device("cpu"))


def small_trial(pruner: str, attention: str, ffn: str, **fields: object) -> job_pb2.Trial:
    """Two units a bottleneck, weights large enough for the tiny encoder's second derivatives to be
    seen in float32.
    """
    made = gradient_trial("t", pruner, rows=10, **fields)
    made.adapter.CopyFrom(
        adapter(
            attention,
            ffn,
            width=2,
            init_std=0.4,
            activation=job_pb2.ACTIVATION_GELU,
            norm=job_pb2.ADAPTER_NORM_NONE,
        )
    )
    return made


@pytest.mark.parametrize(
    ("attention", "ffn", "task_kind"),
    [*((*form, CLASSIFICATION) for form in FORMS), ("none", "after_norm", REGRESSION)],
)
def test_grasp_scores_equal_an_explicit_hessian(
    attention: str, ffn: str, task_kind: int, tiny: Encoder
) -> None:
    split = labelled(tiny, task_kind)
    start = make_start(tiny, split, small_trial("grasp", attention, ffn), task_kind)
    # More than one pass: there are 46 tokens.
    (found,) = score_starts(tiny, split, [start], task_kind, pass_tokens=40, part_rows=4)
    plain = Plain(tiny, split, start, task_kind, temperature=2)
    hessian = plain.some_of_hessian()
    assert_close(flat_scores(found)[SOME], plain.weights[SOME] * (hessian @ plain.gradient()))


@pytest.mark.parametrize("pruner", ["snip", "grasp", "gradient", "skeleton"])
def test_a_later_round_scores_the_masked_weights(pruner: str, tiny: Encoder) -> None:
    split = labelled(tiny, CLASSIFICATION)
    settings = {"rounds": 2, "schedule": job_pb2.PRUNE_SCHEDULE_LINEAR}
    start = make_start(
        tiny, split, small_trial(pruner, "sequential", "sequential", sparsity=0.8, **settings)
    )
    (first,) = score_starts(tiny, split, [start], part_rows=4)
    start.prunings["t"].keep(first)
    (second,) = score_starts(tiny, split, [start], part_rows=4)
    plain = Plain(tiny, split, start, CLASSIFICATION, temperature=2 if pruner == "grasp" else 1)
    kept = flat_scores(start.masks).float()
    assert 0 < kept.mean() < 1
    # The remaining weights are all that there is: gradients of removed ones count for nothing.
    gradient = plain.gradient() * kept
    if pruner == "gradient":
        # Removed weights have a gradient too, which is not looked at.
        assert_close((flat_scores(second) * kept)[SOME], gradient.abs()[SOME])
        return
    if pruner == "skeleton":
        expected = (-plain.weights * gradient)[SOME]
    elif pruner == "snip":
        expected = ((plain.weights * gradient).abs() / (plain.weights * gradient).abs().sum())[SOME]
    else:
        expected = plain.weights[SOME] * (plain.some_of_hessian() @ gradient)
    assert_close(flat_scores(second)[SOME], expected)
    assert not torch.allclose(flat_scores(first) * kept, flat_scores(second), rtol=0.1, atol=0)


def test_snip_scores_are_those_of_all_rows_at_once(tiny: Encoder) -> None:
    split = labelled(tiny, CLASSIFICATION)
    start = make_start(tiny, split, small_trial("snip", "sequential", "sequential"))
    (found,) = score_starts(tiny, split, [start], part_rows=4)
    plain = Plain(tiny, split, start, CLASSIFICATION, temperature=1)
    raw = (plain.weights * plain.gradient()).abs()
    assert_close(flat_scores(found), raw / raw.sum())


@pytest.mark.parametrize(
    ("attention", "ffn", "task_kind"),
    [*((*form, CLASSIFICATION) for form in FORMS), ("none", "after_norm", REGRESSION)],
)
def test_gradient_scores_are_absolute_gradients_of_all_rows_at_once(
    attention: str, ffn: str, task_kind: int, tiny: Encoder
) -> None:
    split = labelled(tiny, task_kind)
    start = make_start(tiny, split, small_trial("gradient", attention, ffn), task_kind)
    (found,) = score_starts(tiny, split, [start], task_kind, pass_tokens=40, part_rows=4)
    plain = Plain(tiny, split, start, task_kind, temperature=1)
    assert_close(flat_scores(found), plain.gradient().abs())


@pytest.mark.parametrize(
    ("attention", "ffn", "task_kind"),
    [("sequential", "lora", CLASSIFICATION), ("none", "after_norm", REGRESSION)],
)
def test_fisher_scores_are_sums_of_squared_gradients_of_single_rows(
    attention: str, ffn: str, task_kind: int, tiny: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = labelled(tiny, task_kind)
    # Weights rounded otherwise, by 3e-7, move scores of seed 2 by 3e-6, of seed 1 by up to 1e-4.
    start = make_start(tiny, split, small_trial("fisher", attention, ffn, seed=2), task_kind)
    rows, expected = start.rows, torch.zeros(())
    for row in rows.split(1):
        start.rows = row
        expected = expected + Plain(tiny, split, start, task_kind, temperature=1).gradient() ** 2
    start.rows = rows
    (found,) = score_starts(tiny, split, [start], task_kind, pass_tokens=40)
    assert_close(flat_scores(found), expected, 1e-5)
    # Where the gradients of a pass would not fit in memory, it is several.
    monkeypatch.setattr(scoring, "_PASS_GRADIENTS", expected.numel())
    (single,) = score_starts(tiny, split, [start], task_kind, pass_tokens=40)
    assert torch.equal(flat_scores(single), flat_scores(found))


def test_skeleton_scores_are_what_removing_a_weight_costs_to_first_order(tiny: Encoder) -> None:
    split = labelled(tiny, CLASSIFICATION)
    start = make_start(tiny, split, small_trial("skeleton", "sequential", "sequential"))
    (found,) = score_starts(tiny, split, [start], part_rows=4)
    plain = Plain(tiny, split, start, CLASSIFICATION, temperature=1)
    assert_close(flat_scores(found), -plain.weights * plain.gradient(), 1e-5)
    # The highest: the loss is higher without it.
    removed = plain.weights.clone()
    removed[flat_scores(found).argmax()] = 0
    assert plain(removed) > plain(plain.weights)


@pytest.mark.parametrize(
    ("task_kind", "prior"),
    [
        # 3 and 7 of 10 rows, and one more of each.
        (CLASSIFICATION, [math.log(4 / 12), math.log(8 / 12)]),
        (REGRESSION, [2.6]),
    ],
)
def test_weights_are_scored_with_the_heads_bias_at_the_prior_of_all_labels(
    task_kind: int, prior: list[float], tiny: Encoder
) -> None:
    split = labelled(tiny, task_kind)
    task = RowTask(tiny, split, task_kind, How(500))
    one = small_trial("snip", "sequential", "sequential")
    one.prune.scoring_rows = 3
    one.prune.scoring_head = job_pb2.SCORING_HEAD_PRIOR
    shapes = layout(one.adapter, tiny, len(prior)).shapes
    drawn = initialize(one, shapes, tiny.pooler)
    (start,) = group_starts(
        [(one, Pruning(one.prune, 1, layout(one.adapter, tiny, len(prior)).prunable_shapes))],
        task,
        lambda _: drawn,
    )
    start.weights = weights = with_scoring_head(start, task, lambda _: None)
    assert {name for name in drawn if not torch.equal(drawn[name], weights[name])} == {
        "head.out.bias"
    }
    assert weights["head.out.bias"].tolist() == pytest.approx(prior, rel=1e-6)
    (found,) = score_starts(tiny, split, [start], task_kind)
    plain = Plain(tiny, split, start, task_kind, temperature=1)
    raw = (plain.weights * plain.gradient()).abs()
    assert_close(flat_scores(found), raw / raw.sum(), 1e-5)


def test_a_class_without_rows_has_a_finite_prior(tiny: Encoder) -> None:
    task = RowTask(tiny, labelled(tiny, CLASSIFICATION), CLASSIFICATION, How(500))
    assert label_prior(task, 3)[2] == pytest.approx(math.log(1 / 13))


def test_training_starts_from_the_head_as_it_is_drawn(tiny_roberta: Path, tmp_path: Path) -> None:
    rows = [[5 + row, 6, 7] for row in range(12)]
    labels = torch.tensor([0] * 9 + [1] * 3, dtype=torch.int32)
    write_split(tmp_path / "datasets/cola/train.safetensors", rows, labels)
    trials = [gradient_trial(name, "snip", width=4) for name in ("published", "prior")]
    trials[1].prune.scoring_head = job_pb2.SCORING_HEAD_PRIOR
    engine = Engine(tmp_path)
    engine.run(spec(tiny_roberta, trials, prune=job_pb2.PruneWork()), Recorder())
    masks = [load_masks(tmp_path, one.trial_id) for one in trials]
    assert any(not torch.equal(mask, masks[1][name]) for name, mask in masks[0].items())
    # With the same mask, nothing is left of how it was scored.
    folder = tmp_path / "trials"
    shutil.copy(folder / "prior/masks.safetensors", folder / "published/masks.safetensors")
    engine.run(spec(tiny_roberta, trials, train=train_work(until_step=2)), Recorder())
    adapters = [
        load_file(folder / one.trial_id / "rungs/step-2/adapter/adapter_model.safetensors")
        for one in trials
    ]
    assert all(torch.equal(tensor, adapters[1][name]) for name, tensor in adapters[0].items())


def test_a_mask_is_made_anew_where_other_labels_or_another_head_are_scored() -> None:
    prior, warmed_up = job_pb2.SCORING_HEAD_PRIOR, job_pb2.SCORING_HEAD_WARMED_UP
    sources = set()
    for smoothing, head, steps in (
        (0.0, 0, 0),
        (0.1, 0, 0),
        (0.0, prior, 0),
        (0.0, warmed_up, 5),
        (0.0, warmed_up, 6),
    ):
        one = gradient_trial("t", "snip", scoring_head=head, scoring_head_steps=steps)
        one.train.label_smoothing = smoothing
        sources.add(mask_source(spec("", [one]), one))
    assert len(sources) == 5


def test_gradient_scores_are_the_same_with_attention_of_rows_of_variable_length(
    tiny: Encoder,
) -> None:
    split = labelled(tiny, CLASSIFICATION)
    start = make_start(tiny, split, small_trial("gradient", "sequential", "lora"))
    # As where trials are stacked.
    task = RowTask(tiny, split, CLASSIFICATION, How(500, PLAIN, part_rows=4))
    (found,) = score(task, [start], lambda _: None)
    plain = Plain(tiny, split, start, CLASSIFICATION, temperature=1)
    assert_close(flat_scores(found), plain.gradient().abs())


def test_gradient_ranks_a_zero_up_projection_globally_and_its_down_matrices_not_at_all(
    tiny: Encoder,
) -> None:
    split = labelled(tiny, CLASSIFICATION)
    one = small_trial("gradient", "sequential", "none", sparsity=0.5)
    one.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
    start = make_start(tiny, split, one)
    (found,) = score_starts(tiny, split, [start])
    assert all(found[name].any() == ("up" in name) for name in found)
    start.prunings["t"].keep(found)
    one.prune.scope = job_pb2.PRUNE_SCOPE_LOCAL
    shapes = {name: tuple(each.shape) for name, each in found.items()}
    with pytest.raises(TrialFailed, match=r"gradient: all .*down.weight are 0.*scope: global"):
        Pruning(one.prune, 1, shapes).keep(found)


def labelled(backbone: Encoder, task_kind: int) -> Split:
    """10 rows of 1 to 9 tokens: of two classes, or with numbers."""
    random = torch.Generator().manual_seed(0)
    lengths = torch.arange(10) % 9 + 1
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    ids = torch.randint(5, backbone.vocabulary, (int(offsets[-1]),), generator=random)
    classes = torch.randint(0, 2, (lengths.numel(),), generator=random)
    return Split(
        "ragged",
        ids,
        torch.zeros_like(ids),
        offsets,
        classes if task_kind == CLASSIFICATION else 3.0 * classes + 0.5,
    )


def assert_close(found: Tensor, expected: Tensor, apart: float = 1e-4) -> None:
    assert expected.norm() > 0
    assert (found - expected).norm() <= apart * expected.norm()


def test_keeping_the_highest_grasp_scores_keeps_the_gradients_norm(
    minilm: Encoder, cola: Path
) -> None:
    dataset = spec("", []).dataset
    split = load_split(
        cola, dataset, "train", minilm.vocabulary, minilm.token_types, minilm.longest
    )
    norms: dict[int, float] = {}
    for control in (job_pb2.MASK_CONTROL_NONE, job_pb2.MASK_CONTROL_INVERTED):
        one = gradient_trial("t", "grasp", control=control)
        start = make_start(minilm, split, one)
        (scores,) = score_starts(minilm, split, [start])
        dense = Plain(minilm, split, start, CLASSIFICATION, temperature=2).gradient().square().sum()
        pruning = Pruning(
            one.prune, one.seed, {name: tuple(each.shape) for name, each in scores.items()}
        )
        pruning.keep(scores)
        masks = pruning.finished()
        start.weights = {
            name: weight * masks[name] if name in masks else weight
            for name, weight in start.weights.items()
        }
        gradient = Plain(minilm, split, start, CLASSIFICATION, temperature=2).gradient()
        norms[control] = float((gradient * flat_scores(masks)).square().sum())
    highest, lowest = norms[job_pb2.MASK_CONTROL_NONE], norms[job_pb2.MASK_CONTROL_INVERTED]
    # At these settings 4 times the norm that the lowest leave, and 35 times the dense adapter's.
    assert highest > 2 * lowest
    assert highest > 10 * dense


def test_grasps_rows_are_the_permutations_first_of_each_class_in_turn(tiny: Encoder) -> None:
    labels = torch.tensor([0, 0, 1, 0, 2, 0, 1, 0, 0, 2, 0, 0])
    split = Split("train", labels, labels, torch.arange(13), labels)
    classes, numbers = (
        RowTask(tiny, split, kind, How(500)) for kind in (CLASSIFICATION, REGRESSION)
    )
    plain = choose_scoring_rows(gradient_trial("t", "snip", rows=99), classes)
    rows = choose_scoring_rows(gradient_trial("t", "grasp", rows=99), classes)
    assert sorted(rows.tolist()) == list(range(12))
    assert labels[rows].tolist() == [0, 1, 2, 0, 1, 2, 0, 0, 0, 0, 0, 0]
    for label in range(3):
        assert torch.equal(rows[labels[rows] == label], plain[labels[plain] == label])
    assert torch.equal(choose_scoring_rows(gradient_trial("t", "grasp", rows=5), classes), rows[:5])
    assert torch.equal(choose_scoring_rows(gradient_trial("t", "grasp", rows=99), numbers), plain)


def test_trials_share_scores_where_they_follow_from_the_same(tiny: Encoder) -> None:
    labels = torch.arange(64) % 2
    split = Split("train", labels, labels, torch.arange(65), labels)
    linear, exponential = job_pb2.PRUNE_SCHEDULE_LINEAR, job_pb2.PRUNE_SCHEDULE_EXPONENTIAL
    inverted, official = job_pb2.MASK_CONTROL_INVERTED, {"rules": job_pb2.MASK_RULES_OFFICIAL}
    warmed_up = {"scoring_head": job_pb2.SCORING_HEAD_WARMED_UP, "scoring_head_steps": 5}
    trials = [
        gradient_trial("a1", "snip", rounds=1),
        gradient_trial("a2", "snip", rounds=1, sparsity=0.8, scope=job_pb2.PRUNE_SCOPE_LOCAL),
        gradient_trial(
            "a3",
            "snip",
            rounds=1,
            control=inverted,
            reinitialize=True,
            schedule=linear,
            temperature=9,
        ),
        gradient_trial("a4", "snip", rounds=1, scoring_head=job_pb2.SCORING_HEAD_PRIOR),
        gradient_trial("a5", "snip", rounds=1, **warmed_up),
        gradient_trial("a6", "snip", rounds=1, sparsity=0.8, **warmed_up),
        gradient_trial("a7", "snip", rounds=1, **warmed_up | {"scoring_head_steps": 6}),
        gradient_trial("b", "snip", rounds=1, seed=2),
        gradient_trial("c", "snip", rounds=1, rows=9),
        gradient_trial("d1", "snip", rounds=3, schedule=linear),
        gradient_trial("d2", "snip", rounds=3, schedule=linear, control=inverted),
        gradient_trial("e", "snip", rounds=3, schedule=exponential),
        gradient_trial("f", "snip", rounds=3, schedule=linear, sparsity=0.8),
        gradient_trial("g1", "grasp", rounds=1),
        gradient_trial("g2", "grasp", rounds=1, sparsity=0.2),
        gradient_trial("h", "grasp", rounds=1, temperature=200),
        gradient_trial("i1", "snip", rounds=1, structure=job_pb2.MASK_STRUCTURE_UNITS),
        gradient_trial(
            "i2", "snip", rounds=3, schedule=linear, structure=job_pb2.MASK_STRUCTURE_UNITS
        ),
        gradient_trial("j1", "snip", rounds=1, **official),
        gradient_trial("j2", "snip", rounds=1, sparsity=0.8, control=inverted, **official),
        gradient_trial("k", "snip", rounds=3, schedule=linear, **official),
        gradient_trial("l", "snip", rounds=3, schedule=linear, control=inverted, **official),
    ]
    # Whose head is trained as the contract says, not as the trial.
    trials[5].train.learning_rate *= 2
    pairs = [
        (one, Pruning(one.prune, one.seed, {"a.down.weight": (8, 8), "a.up.weight": (8, 8)}))
        for one in trials
    ]
    task = RowTask(tiny, split, CLASSIFICATION, How(500))
    starts = group_starts(pairs, task, lambda _: {})
    assert [list(start.prunings) for start in starts] == [
        *(
            ["a1", "a2", "a3", "i1"],
            ["a4"],
            ["a5", "a6"],
            ["a7"],
            ["b"],
            ["c"],
            ["d1", "d2"],
            ["e"],
            ["f"],
            ["g1", "g2"],
            ["h"],
        ),
        *(["i2"], ["j1", "j2"], ["k"], ["l"]),
    ]


def pruned(cola: Path, root: Path, backbone_path: str, trials: list[job_pb2.Trial]) -> Recorder:
    told = Recorder()
    Engine(fresh_root(cola, root), threads=1).run(
        spec(backbone_path, trials, prune=job_pb2.PruneWork()), told
    )
    return told


def load_masks(root: Path, trial_id: str) -> dict[str, Tensor]:
    return load_file(root / "trials" / trial_id / "masks.safetensors")


def test_masks_do_not_depend_on_who_else_is_scored(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    rounds = {"rounds": 2, "schedule": job_pb2.PRUNE_SCHEDULE_EXPONENTIAL}
    alone = [
        gradient_trial("grasp", "grasp", seed=2, rows=40, **rounds),
        gradient_trial("snip", "snip", seed=3, width=8, rows=40, **rounds),
    ]
    beside = [
        gradient_trial("lora", "grasp", seed=4),
        gradient_trial("wide", "grasp", seed=1, width=24),
        gradient_trial("other", "snip", seed=1),
    ]
    beside[0].adapter.CopyFrom(adapter("lora", "lora", width=4))
    pruned(
        cola,
        tmp_path / "together",
        backbone_path,
        [beside[0], alone[0], beside[1], alone[1], beside[2]],
    )
    for one in alone:
        pruned(cola, tmp_path / one.trial_id, backbone_path, [one])
        together, lone = (
            (tmp_path / where / "trials" / one.trial_id / "masks.safetensors")
            for where in ("together", one.trial_id)
        )
        assert together.read_bytes() == lone.read_bytes()


# With 500 tokens, parts go alone in a lone trial's passes and share them among others.
@pytest.mark.parametrize("pass_tokens", [500, 2500])
@pytest.mark.parametrize("pruner", ["snip", "grasp", "gradient", "fisher"])
def test_a_lone_trials_scores_have_the_bits_that_they_have_among_others(
    pruner: str, pass_tokens: int, minilm: Encoder, cola: Path
) -> None:
    split = load_split(
        cola, spec("", []).dataset, "train", minilm.vocabulary, minilm.token_types, minilm.longest
    )
    trials = [
        gradient_trial(f"t{seed}", pruner, seed=seed, width=8 * seed, rows=40) for seed in (1, 2, 3)
    ]
    trials[0].adapter.CopyFrom(adapter("lora", "after_norm", width=4))
    starts = [make_start(minilm, split, one) for one in trials]
    together = score_starts(minilm, split, starts, pass_tokens=pass_tokens)
    for one, found in zip(trials, together, strict=True):
        start = make_start(minilm, split, one)
        (alone,) = score_starts(minilm, split, [start], pass_tokens=pass_tokens)
        assert all(torch.equal(alone[name], found[name]) for name in alone)


def test_every_pruner_leaves_an_exact_mask_and_controls_differ_from_it(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    trials = [
        trial("rand", pruner="rand", sparsity=0.6),
        trial("er", pruner="er", sparsity=0.6),
        trial("mag", pruner="mag", sparsity=0.6),
    ]
    rounds = {"rounds": 3, "schedule": job_pb2.PRUNE_SCHEDULE_EXPONENTIAL}
    trials += [
        gradient_trial("snip", "snip", sparsity=0.6, **rounds),
        gradient_trial("grasp", "grasp", sparsity=0.6, **rounds),
        gradient_trial("gradient", "gradient", sparsity=0.6, **rounds),
        gradient_trial("fisher", "fisher", sparsity=0.6, rows=8, **rounds),
        gradient_trial("skeleton", "skeleton", sparsity=0.6, **rounds),
    ]
    trials.append(trial("synflow", pruner="synflow", sparsity=0.6))
    trials[-1].prune.MergeFrom(job_pb2.Prune(**rounds))
    for control in ("inverted", "shuffled"):
        trials.append(
            gradient_trial(
                control, "snip", sparsity=0.6, control=f"MASK_CONTROL_{control.upper()}", **rounds
            )
        )
    told = pruned(cola, tmp_path / "root", backbone_path, trials)
    assert not told.failures
    masks = {one.trial_id: load_masks(tmp_path / "root", one.trial_id) for one in trials}
    n = 12 * 2 * 16 * 384
    for one in trials:
        assert sum(int(mask.sum()) for mask in masks[one.trial_id].values()) == int(
            n * (1 - 0.6) + 0.5
        )
        assert told.results[one.trial_id]["achieved_sparsity"] == pytest.approx(0.6, abs=1e-5)
    assert not any((masks["inverted"][name] & mask).any() for name, mask in masks["snip"].items())
    assert {name: int(mask.sum()) for name, mask in masks["shuffled"].items()} == {
        n: int(m.sum()) for n, m in masks["snip"].items()
    }
    different = [torch.cat([mask.flatten() for mask in each.values()]) for each in masks.values()]
    assert not any(
        torch.equal(one, other)
        for place, one in enumerate(different)
        for other in different[:place]
    )


def test_progress_ends_at_the_rows_of_all_rounds(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    rounds = {"rounds": 2, "schedule": job_pb2.PRUNE_SCHEDULE_LINEAR}
    trials = [
        gradient_trial("s", "snip", rounds=1),
        gradient_trial("g", "grasp", rows=40, **rounds),
        trial("f", pruner="synflow", sparsity=0.5),
    ]
    trials[-1].prune.MergeFrom(job_pb2.Prune(rounds=7, schedule=job_pb2.PRUNE_SCHEDULE_LINEAR))
    recorder = Recorder()
    Engine(fresh_root(cola, tmp_path / "root"), threads=1).run(
        spec(backbone_path, trials, prune=job_pb2.PruneWork()), recorder
    )
    last = [told for told in recorder.told if told.phase == event_pb2.PHASE_SCORE][-1]
    assert (last.done, last.total) == (48 + 2 * 2 * 40 + 7, 48 + 2 * 2 * 40 + 7)


def test_an_adapter_without_matrices_is_pruned_by_nothing(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    bare = trial("bare")
    bare.adapter.CopyFrom(adapter("none", "none", unfrozen="UNFROZEN_BIASES"))
    told = pruned(cola, tmp_path / "root", backbone_path, [bare])
    assert load_masks(tmp_path / "root", "bare") == {}
    assert told.results["bare"]["achieved_sparsity"] == 0
    assert told.results["bare"]["kept"] == told.results["bare"]["trainable"]
