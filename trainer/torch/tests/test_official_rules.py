"""The published code's masks, trap by trap: against plain derivations on modules with its names of
buffers and parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import pytest
import torch
from conftest import write_split
from engine_support import Recorder, adapter, spec, train_work, trial, weights
from pruner_support import score_round
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor, nn

from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, load_split
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Masks, Scores, Shapes
from sparse_adapter_engine.masks.scoring import choose_scoring_rows
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.pruners.rand import draw_normal
from sparse_adapter_engine.pruners.synflow import synflow_alone
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part
from sparse_adapter_engine.tasks.rows import RowTask

GLOBAL, LOCAL = job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL
LINEAR, EXPONENTIAL = job_pb2.PRUNE_SCHEDULE_LINEAR, job_pb2.PRUNE_SCHEDULE_EXPONENTIAL
NO_CONTROL, INVERTED, SHUFFLED = (
    job_pb2.MASK_CONTROL_NONE,
    job_pb2.MASK_CONTROL_INVERTED,
    job_pb2.MASK_CONTROL_SHUFFLED,
)
PRUNERS = ["rand", "mag", "snip", "grasp", "synflow"]
# The tiny encoder's hidden size.
D = 32


def official(pruner: str, sparsity: float, scope: int = GLOBAL, **fields: object) -> job_pb2.Prune:
    values: dict[str, object] = {
        "pruner": f"PRUNER_{pruner.upper()}",
        "sparsity": sparsity,
        "scope": scope,
        "rounds": 1,
    }
    values |= {
        "rules": "MASK_RULES_OFFICIAL",
        "structure": "MASK_STRUCTURE_WEIGHTS",
        "control": "MASK_CONTROL_NONE",
    }
    values |= {
        "scoring_rows": 8 if pruner in ("snip", "grasp") else 0,
        "temperature": 1 if pruner == "grasp" else 0,
    }
    return job_pb2.Prune(**values | fields)


def after_rounds(prune: job_pb2.Prune, *rounds: Scores) -> Pruning:
    pruning = Pruning(prune, 1, {name: tuple(score.shape) for name, score in rounds[0].items()})
    for scores in rounds:
        pruning.keep(scores)
    return pruning


def of_one_module(values: list[float], split: int) -> Scores:
    """Scores of one module: the first `split` of down [1, split], the others of up."""
    return {
        "a.down.weight": torch.tensor([values[:split]]),
        "a.up.weight": torch.tensor(values[split:])[:, None],
    }


def flat(tensors: dict[str, Tensor]) -> list[float]:
    return torch.cat([tensor.flatten() for tensor in tensors.values()]).tolist()


class PublishedModule(nn.Module):
    """A bottleneck module with the published names, beside a residual."""

    def __init__(self, down: Tensor, up: Tensor, scale: float, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(down.shape[1], dtype=down.dtype) if norm else None
        self.scale = scale
        self.down_proj, self.up_proj = (
            nn.Linear(*reversed(down.shape)),
            nn.Linear(*reversed(up.shape)),
        )
        self.down_proj.weight, self.up_proj.weight = (
            nn.Parameter(down.clone()),
            nn.Parameter(up.clone()),
        )
        self.down_proj.bias, self.up_proj.bias = (
            nn.Parameter(torch.zeros(len(down))),
            nn.Parameter(torch.zeros(len(up))),
        )
        self.register_buffer("down_mask", torch.ones_like(down))
        self.register_buffer("up_mask", torch.ones_like(up))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(x) if self.norm else x
        inner = torch.relu(inner @ (self.down_proj.weight * self.down_mask).T)
        return x + self.scale * (inner @ (self.up_proj.weight * self.up_mask).T)


@dataclass
class Published:
    """Rounds of pruning over modules by their contract names, as job.proto tells of the published
    code.
    """

    modules: dict[str, PublishedModule]
    loss: Callable[["Published"], Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """The masked weights by their contract names."""
        found: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            found[f"{name}.down.weight"] = module.down_proj.weight * module.down_mask
            found[f"{name}.up.weight"] = module.up_proj.weight * module.up_mask
        return found

    def masks(self) -> Masks:
        parts = {
            name: {"down": module.down_mask, "up": module.up_mask}
            for name, module in self.modules.items()
        }
        return {
            f"{name}.{part}.weight": mask
            for name, own in parts.items()
            for part, mask in own.items()
        }

    def pairs(self) -> Iterator[tuple[str, Tensor, nn.Parameter]]:
        """The contract's name of a mask, the mask, and the weight that the published code believes
        it belongs to: each parameter counts once for every mask of its shape, in the parameters'
        order, and masks take them in turn."""
        for name, module in self.modules.items():
            masks = dict(module.named_buffers())
            by_shape = [
                weight
                for weight in module.parameters()
                for mask in masks.values()
                if weight.shape == mask.shape
            ]
            for (buffer, mask), weight in zip(masks.items(), by_shape, strict=False):
                yield f"{name}.{buffer.removesuffix('_mask')}.weight", mask, weight

    def round(self, pruner: str, density: float, scope: int, inverted: bool, draws: Scores) -> None:
        scores = (
            getattr(self, f"_{pruner}")(draws)
            if pruner == "rand"
            else getattr(self, f"_{pruner}")()
        )
        if inverted:
            scores = {weight: score / score**2 for weight, score in scores.items()}
        everything = torch.cat([score.flatten() for score in scores.values()])
        for _, mask, weight in list(self.pairs()):
            score = scores[weight]
            if scope == GLOBAL:
                among, k = everything, ceil((1 - density) * everything.numel())
            else:
                among, k = score.flatten(), int((1 - density) * score.numel())
            if k >= 1:
                threshold = torch.kthvalue(among, k).values
                mask.copy_(torch.where(score <= threshold, 0.0, 1.0))

    def _rand(self, draws: Scores) -> dict[nn.Parameter, Tensor]:
        return {weight: draws[name] for name, _, weight in self.pairs()}

    def _mag(self) -> dict[nn.Parameter, Tensor]:
        return {weight: weight.detach().abs() for _, _, weight in self.pairs()}

    def _snip(self) -> dict[nn.Parameter, Tensor]:
        pairs = list(self.pairs())
        for _, mask, _ in pairs:
            mask.requires_grad_(True)
        gradients = torch.autograd.grad(self.loss(self), [mask for _, mask, _ in pairs])
        for _, mask, _ in pairs:
            mask.requires_grad_(False)
        scores = {
            weight: gradient.abs()
            for (_, _, weight), gradient in zip(pairs, gradients, strict=True)
        }
        everything = torch.cat([score.flatten() for score in scores.values()])
        norm = (everything / everything.max()).sum()
        # Once for each mask: twice where both masks of a module have the same weight.
        for _, _, weight in pairs:
            scores[weight] = scores[weight] / norm
        return scores

    def _grasp(self) -> dict[nn.Parameter, Tensor]:
        listed = [weight for _, _, weight in self.pairs()]
        stopped = torch.cat(
            [gradient.flatten() for gradient in torch.autograd.grad(self.loss(self), listed)]
        )
        gradients = torch.autograd.grad(self.loss(self), listed, create_graph=True)
        (stopped * torch.cat([gradient.flatten() for gradient in gradients])).sum().backward()
        scores = self._products_with_gradients()
        norm = torch.cat([score.flatten() for score in scores.values()]).sum().abs() + 1e-10
        return {weight: score / norm for weight, score in scores.items()}

    def _synflow(self) -> dict[nn.Parameter, Tensor]:
        before = {
            weight: weight.detach().clone()
            for module in self.modules.values()
            for weight in module.parameters()
        }
        for weight in before:
            weight.data.abs_()
        outputs = sum(
            module(torch.ones(1, module.down_proj.in_features)) for module in self.modules.values()
        )
        assert isinstance(outputs, Tensor)
        outputs.mean().backward()
        scores = {weight: score.abs() for weight, score in self._products_with_gradients().items()}
        for weight, value in before.items():
            weight.data.copy_(value)
        return scores

    def _products_with_gradients(self) -> dict[nn.Parameter, Tensor]:
        """w · its gradient of each pair, the gradient being 0 from then on."""
        scores: dict[nn.Parameter, Tensor] = {}
        for _, _, weight in self.pairs():
            assert weight.grad is not None
            scores[weight] = (weight.grad * weight).detach().clone()
            weight.grad.zero_()
        for module in self.modules.values():
            module.zero_grad()
        return scores


def published(one: job_pb2.Trial, backbone_path: Path, root: Path) -> Published:
    """The trial's first weights in published modules, and the mean loss of its first rows on the
    encoder.
    """
    backbone = load_encoder(str(backbone_path), torch.device("cpu"))
    split = read_split(root, backbone_path)
    found = layout(one.adapter, backbone, 2)
    first = initialize(one, found.shapes, backbone.pooler)
    norm = one.adapter.norm == job_pb2.ADAPTER_NORM_BEFORE
    names = [
        name.removesuffix(".down.weight")
        for name in found.prunable_shapes
        if name.endswith(".down.weight")
    ]
    modules = {
        name: PublishedModule(
            first[f"{name}.down.weight"], first[f"{name}.up.weight"], one.adapter.scale, norm
        )
        for name in names
    }
    pack = split.pack(permutation(split.rows, one.seed, "scoring rows")[: one.prune.scoring_rows])

    def mean_loss(model: Published) -> Tensor:
        own = TrialModules(one.adapter, first | model.tensors(), dropout=None)
        (logits,) = forward(
            backbone,
            [Part(0, pack, own)],
            job_pb2.TASK_KIND_CLASSIFICATION,
            twice_differentiable=True,
        )
        return loss(job_pb2.TASK_KIND_CLASSIFICATION, logits, pack)

    return Published(modules, mean_loss)


def read_split(root: Path, backbone_path: Path) -> Split:
    return load_split(
        root, spec(backbone_path, []).dataset, "train", vocabulary=200, token_types=1, longest=64
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with 12 rows for the tiny encoder."""
    random = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 200, (3 + row % 5,), generator=random).tolist() for row in range(12)]
    found = tmp_path_factory.mktemp("official")
    write_split(
        found / "datasets" / "cola" / "train.safetensors",
        rows,
        torch.randint(0, 2, (12,), generator=random, dtype=torch.int32),
    )
    return found


def official_trial(
    trial_id: str, prune: job_pb2.Prune, widths: tuple[int, int] = (8, 8), **fields: object
) -> job_pb2.Trial:
    """A Houlsby trial of these bottlenecks; fields are those of Adapter."""
    made = trial(trial_id, total_steps=3)
    made.prune.CopyFrom(prune)
    made.adapter.CopyFrom(adapter(init_std=0.3, **{"norm": job_pb2.ADAPTER_NORM_NONE} | fields))
    made.adapter.attention_bottleneck, made.adapter.ffn_bottleneck = widths
    return made


def pruned(root: Path, backbone: Path, trials: list[job_pb2.Trial]) -> Recorder:
    told = Recorder()
    Engine(root, threads=1).run(spec(backbone, trials, prune=job_pb2.PruneWork()), told)
    return told


def load_masks(root: Path, trial_id: str) -> Masks:
    return load_file(root / "trials" / trial_id / "masks.safetensors")


WIDTHS = {"narrow": (8, 8), "square": (D, D), "mixed": (D, 8)}
LOOPS = [
    official_trial(f"{pruner}-{scope}-{width}-{control}", settings, WIDTHS[width])
    for pruner in PRUNERS
    for scope in ("global", "local")
    for width in WIDTHS
    for control in ("none", "inverted")
    for settings in [
        official(
            pruner,
            0.7,
            job_pb2.PruneScope.Value(f"PRUNE_SCOPE_{scope.upper()}"),
            rounds=3,
            schedule=EXPONENTIAL,
            control=f"MASK_CONTROL_{control.upper()}",
        )
    ]
]


@pytest.fixture(scope="module")
def loops(root: Path, tiny_roberta: Path) -> Recorder:
    return pruned(root, tiny_roberta, LOOPS)


@pytest.mark.parametrize("one", LOOPS, ids=lambda one: one.trial_id)
def test_three_rounds_give_the_masks_of_a_plain_loop(
    one: job_pb2.Trial, loops: Recorder, root: Path, tiny_roberta: Path
) -> None:
    pruner = job_pb2.Pruner.Name(one.prune.pruner).removeprefix("PRUNER_").lower()
    plain = published(one, tiny_roberta, root)
    shapes: Shapes = {name: tuple(mask.shape) for name, mask in plain.masks().items()}
    came_back = 0
    for k in (1, 2, 3):
        before = {name: mask.clone() for name, mask in plain.masks().items()}
        inverted = one.prune.control == INVERTED
        plain.round(
            pruner,
            (1 - 0.7) ** (k / 3),
            one.prune.scope,
            inverted,
            draw_normal(one.seed, shapes, k - 1),
        )
        came_back += sum(
            int(((before[name] == 0) & (mask == 1)).sum()) for name, mask in plain.masks().items()
        )
    found = load_masks(root, one.trial_id)
    n = sum(mask.numel() for mask in found.values())
    differing = sum(int((found[name] != mask).sum()) for name, mask in plain.masks().items())
    # Sums in another order may swap weights whose scores differ in their last digits.
    assert differing <= 0.001 * n
    assert one.trial_id not in loops.failures
    kept = sum(int(mask.sum()) for mask in found.values())
    assert loops.results[one.trial_id]["achieved_sparsity"] == 1 - kept / n
    if pruner == "snip":
        assert came_back > 0, "removed weights are scored again"


def test_equal_scores_go_together() -> None:
    # The second smallest is 1, and so are two more.
    masks = after_rounds(
        official("mag", 0.25), of_one_module([0.0, 1, 1, 1, 2, 3, 4, 5], 4)
    ).finished()
    assert flat(masks) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_cut_is_rounded_up_in_global_scope_and_down_in_local() -> None:
    scores = of_one_module([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10], 5)
    # 0.45 · 10 is 4.5; 0.45 · 5 is 2.25.
    assert flat(after_rounds(official("mag", 0.45), scores).finished()) == [0] * 5 + [1] * 5
    assert (
        flat(after_rounds(official("mag", 0.45, LOCAL), scores).finished()) == [0, 0, 1, 1, 1] * 2
    )


def test_the_cut_is_taken_in_float64_of_one_minus_the_density() -> None:
    # 1 − (1 − 0.9) is above 0.9 in float64 only by luck of rounding: what counts is that formula's
    # value times n, rounded up.
    scores = of_one_module([float(value) for value in range(10)], 5)
    expected = ceil((1 - (1 - 0.9)) * 10)
    assert (
        sum(value == 0 for value in flat(after_rounds(official("mag", 0.9), scores).finished()))
        == expected
    )


def test_a_cut_of_less_than_one_weight_cuts_nothing_in_local_scope() -> None:
    scores = of_one_module([1.0, 2, 3, 4], 2)
    assert flat(after_rounds(official("mag", 0.4, LOCAL), scores).finished()) == [1, 1, 1, 1]
    assert flat(after_rounds(official("mag", 0.0), scores).finished()) == [1, 1, 1, 1]


def test_a_score_that_is_no_number_is_not_cut_and_as_threshold_cuts_nothing() -> None:
    nan = float("nan")
    some = after_rounds(official("mag", 0.5), of_one_module([nan, 1.0, 3, 2], 2))
    assert flat(some.finished()) == [1, 0, 1, 0]
    assert some.doubts == [
        "mag, round 1 of 1: 1 of 4 scores of all matrices are NaN or infinite; NaN is not cut, and "
        "as the threshold it cuts nothing"
    ]
    most = after_rounds(official("mag", 0.5), of_one_module([nan, 1.0, nan, nan], 2))
    assert flat(most.finished()) == [1, 1, 1, 1]


def test_all_zero_scores_of_snip_become_no_numbers_and_keep_everything() -> None:
    pruning = after_rounds(official("snip", 0.5), of_one_module([0.0] * 6, 3))
    assert flat(pruning.finished()) == [1] * 6
    assert "6 of 6 scores of all matrices are NaN" in pruning.doubts[0]


@pytest.mark.parametrize("pruner", ["grasp", "synflow"])
def test_all_zero_scores_of_grasp_and_synflow_stay_zero_and_cut_everything(pruner: str) -> None:
    pruning = after_rounds(official(pruner, 0.1), of_one_module([0.0] * 6, 3))
    assert flat(pruning.finished()) == [0] * 6
    assert pruning.doubts == [
        f"{pruner}, round 1 of 1: all 6 scores of all matrices are 0, so that they are kept or cut "
        "together"
    ]


def test_grasp_scores_with_a_negative_sum_keep_their_order() -> None:
    assert flat(
        after_rounds(official("grasp", 0.5), of_one_module([-5.0, -1, -2, 1], 2)).finished()
    ) == [0, 1, 0, 1]


def test_an_infinite_score_of_snip_is_kept_and_counts_as_one_in_the_norm() -> None:
    # If it did not, the norm would be NaN and nothing would be cut.
    masks = after_rounds(
        official("snip", 0.5), of_one_module([float("inf"), 1.0, 2, 3], 2)
    ).finished()
    assert flat(masks) == [1, 0, 0, 1]


def test_a_weight_that_was_cut_comes_back_by_a_later_rounds_scores() -> None:
    first, second = of_one_module([4.0, 3, 2, 1], 2), of_one_module([1.0, 2, 3, 4], 2)
    pruning = after_rounds(official("snip", 0.5, rounds=2, schedule=LINEAR), first, second)
    assert flat(pruning.finished()) == [0, 0, 1, 1]


def test_inverted_scores_are_divided_by_their_square_and_zero_is_kept() -> None:
    masks = after_rounds(
        official("grasp", 0.5, control=INVERTED), of_one_module([0.0, -1.0, 0.5, 4, 8, -2], 3)
    ).finished()
    # NaN, −1, 2, 0.25, 0.125, −0.5 after division, up to a factor: the third smallest is 0.125.
    assert flat(masks) == [1, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("pruner", PRUNERS)
def test_shuffling_changes_nothing(pruner: str) -> None:
    scores = {"a.down.weight": torch.rand(4, 6), "a.up.weight": torch.rand(6, 4)}
    plain, shuffled = (
        after_rounds(official(pruner, 0.5, control=control), scores).finished()
        for control in (NO_CONTROL, SHUFFLED)
    )
    assert all(torch.equal(plain[name], shuffled[name]) for name in scores)


@pytest.mark.parametrize("scope", [GLOBAL, LOCAL])
@pytest.mark.parametrize(
    ("pruner", "speaks"),
    [("rand", "up"), ("mag", "down"), ("snip", "up"), ("grasp", "none"), ("synflow", "none")],
)
def test_where_r_is_the_hidden_size_both_masks_go_by_the_scores_written_last(
    pruner: str, speaks: str, scope: int
) -> None:
    random = torch.Generator().manual_seed(1)
    square = {name: torch.rand(6, 6, generator=random) for name in ("a.down.weight", "a.up.weight")}
    other = {
        "b.down.weight": torch.rand(2, 6, generator=random),
        "b.up.weight": torch.rand(6, 2, generator=random),
    }
    found = after_rounds(official(pruner, 0.5, scope), square | other).finished()
    # The module counts once: as one matrix of 36.
    counted = other | {
        "a.down.weight": torch.zeros(6, 6) if speaks == "none" else square[f"a.{speaks}.weight"]
    }
    everything = torch.cat([score.flatten() for score in counted.values()])
    if pruner == "snip":
        # Once for each mask, so the module's scores are divided twice.
        norm = (everything / everything.max()).sum()
        counted = {
            name: score / norm if name == "a.down.weight" else score
            for name, score in counted.items()
        }
        everything = torch.cat([score.flatten() for score in counted.values()])
    for name, score in counted.items():
        among, k = (everything, 30) if scope == GLOBAL else (score.flatten(), score.numel() // 2)
        assert torch.equal(found[name], (score > torch.kthvalue(among, k).values).to(torch.uint8))
    assert torch.equal(found["a.up.weight"], found["a.down.weight"])


def test_synflow_scores_each_module_alone(root: Path, tiny_roberta: Path) -> None:
    one = official_trial("s", official("synflow", 0.5), scale=1.5)
    plain = published(one, tiny_roberta, root)
    expected = plain._synflow()
    weights = {name: tensor.detach() for name, tensor in plain.tensors().items()}
    biases = {
        name.replace("weight", "bias"): torch.zeros(len(weight)) for name, weight in weights.items()
    }
    _, scores = synflow_alone(one.adapter, weights, biases)
    for name, _, weight in plain.pairs():
        assert scores[name].dtype == torch.float64
        assert torch.allclose(scores[name].float(), expected[weight], rtol=1e-5)


def test_synflow_with_the_norm_before_scores_nothing_and_cuts_everything(
    root: Path, tiny_roberta: Path
) -> None:
    one = official_trial(
        "flow",
        official("synflow", 0.5, rounds=2, schedule=LINEAR),
        norm=job_pb2.ADAPTER_NORM_BEFORE,
    )
    assert all(not score.any() for score in published(one, tiny_roberta, root)._synflow().values())
    first, again = pruned(root, tiny_roberta, [one]), pruned(root, tiny_roberta, [one])
    assert not flat(load_masks(root, "flow")).count(1)
    assert first.results["flow"]["achieved_sparsity"] == 1
    assert (
        first.results["flow"]["kept"]
        == first.results["flow"]["trainable"] - first.results["flow"]["prunable"]
    )
    assert [code for _, code, _ in first.warnings] == ["degenerate_scores", "layers_emptied"]
    # A mask that is there is told of as it was.
    assert again.warnings == first.warnings
    assert again.results == first.results


def test_a_trial_that_keeps_nothing_trains_biases_norms_and_head(
    root: Path, tiny_roberta: Path
) -> None:
    one = official_trial("bare", official("synflow", 0.5), norm=job_pb2.ADAPTER_NORM_BEFORE)
    pruned(root, tiny_roberta, [one])
    told = Recorder()
    Engine(root, threads=1).run(spec(tiny_roberta, [one], train=train_work()), told)
    assert not told.failures
    trained = weights(root, "bare")
    assert all(not trained[name].any() for name in load_masks(root, "bare"))
    assert trained["layers.0.ffn.up.bias"].any()
    assert trained["head.out.bias"].any()


@pytest.mark.parametrize("scope", [GLOBAL, LOCAL])
def test_a_zero_up_projection_keeps_all_with_snip_and_cuts_all_with_synflow(
    scope: int, root: Path, tiny_roberta: Path
) -> None:
    zero_up = {"init": job_pb2.ADAPTER_INIT_ZERO_UP}
    trials = [
        official_trial(f"zero-{pruner}-{scope}", official(pruner, 0.8, scope), **zero_up)
        for pruner in PRUNERS
    ]
    told = pruned(root, tiny_roberta, trials)
    assert not told.failures
    masks = {one.trial_id.split("-")[1]: load_masks(root, one.trial_id) for one in trials}
    assert all(flat(masks["snip"]))
    assert not any(flat(masks["synflow"]))
    # |w| of up is 0: all of it goes, whatever the sparsity, and GLOBAL cuts some of down with it.
    assert not any(mask.any() for name, mask in masks["mag"].items() if name.endswith("up.weight"))
    # GraSP's scores of up are 0, those of down are not: up's gradient is not 0.
    grasp = published(trials[3], tiny_roberta, root)
    grasp.round("grasp", 1 - 0.8, scope, False, {})
    assert all(
        torch.equal(masks["grasp"][name], mask.to(torch.uint8))
        for name, mask in grasp.masks().items()
    )
    assert any(mask.any() for name, mask in masks["grasp"].items() if name.endswith("down.weight"))
    warned = {
        trial_id.split("-")[1] for trial_id, code, _ in told.warnings if code == "degenerate_scores"
    }
    assert warned == {"snip", "synflow"} | ({"mag", "grasp"} if scope == LOCAL else set())


def test_the_same_zero_up_projection_fails_by_the_exact_rules(
    root: Path, tiny_roberta: Path
) -> None:
    exact = official_trial(
        "exact", official("snip", 0.5, rules="MASK_RULES_EXACT"), init=job_pb2.ADAPTER_INIT_ZERO_UP
    )
    told = pruned(root, tiny_roberta, [exact])
    assert told.failures["exact"].reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK


def test_grasps_rows_are_the_permutations_first_whatever_their_classes(
    root: Path, tiny_roberta: Path
) -> None:
    split, one = read_split(root, tiny_roberta), official_trial("t", official("grasp", 0.5))
    backbone = load_encoder(str(tiny_roberta), torch.device("cpu"))
    task = RowTask(backbone, split, job_pb2.TASK_KIND_CLASSIFICATION, How(2500))
    rows = choose_scoring_rows(one, task)
    assert torch.equal(rows, permutation(12, one.seed, "scoring rows")[:8])
    one.prune.rules = job_pb2.MASK_RULES_EXACT
    assert not torch.equal(rows, choose_scoring_rows(one, task))


def test_random_draws_are_normal_and_new_in_each_round() -> None:
    prune = official("rand", 0.5, rounds=2, schedule=LINEAR)
    shapes: Shapes = {"a.down.weight": (100, 90), "a.up.weight": (90, 100)}
    first, second = (score_round(prune, 1, shapes, done) for done in (0, 1))
    drawn = [tensor.flatten() for scores in (first, second) for tensor in scores.values()]
    together = torch.stack(drawn)
    assert abs(float(together.mean())) < 0.02
    assert abs(float(together.std()) - 1) < 0.02
    assert torch.corrcoef(together).sub(torch.eye(4)).abs().max() < 0.05
