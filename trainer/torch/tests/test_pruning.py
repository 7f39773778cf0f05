"""Masks keep exactly as many weights as were asked for, the best ones, and refuse what means
nothing.
"""

import math
import random

import numpy as np
import pytest
import torch
from pruner_support import score_derived, score_round
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.masks.densities import densities, er_counts, kept_count
from sparse_adapter_engine.masks.pruning import Pruning, emptied
from sparse_adapter_engine.masks.ranking import highest
from sparse_adapter_engine.masks.scores import Masks, Scores
from sparse_adapter_engine.pruners.rand import draw_uniform

GLOBAL, LOCAL = job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL
EXPONENTIAL, LINEAR, CUBIC = (
    job_pb2.PRUNE_SCHEDULE_EXPONENTIAL,
    job_pb2.PRUNE_SCHEDULE_LINEAR,
    job_pb2.PRUNE_SCHEDULE_CUBIC,
)
INVERTED, SHUFFLED = job_pb2.MASK_CONTROL_INVERTED, job_pb2.MASK_CONTROL_SHUFFLED


def prune(pruner: str, sparsity: float, scope: int = GLOBAL, **fields: int) -> job_pb2.Prune:
    return job_pb2.Prune(
        **{"pruner": f"PRUNER_{pruner.upper()}", "sparsity": sparsity, "scope": scope, "rounds": 1}
        | fields
    )


def make_masks(prune: job_pb2.Prune, seed: int, scores: Scores) -> Masks:
    """The masks of a pruner of one round, by its scores."""
    pruning = Pruning(prune, seed, {name: tuple(score.shape) for name, score in scores.items()})
    pruning.keep(scores)
    return pruning.finished()


def flat(masks: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([mask.reshape(-1) for mask in masks.values()])


def random_shapes(draw: random.Random, longest: int = 40) -> dict[str, tuple[int, int]]:
    return {
        f"m{index}.down.weight": (draw.randint(1, longest), draw.randint(1, longest))
        for index in range(draw.randint(1, 6))
    }


def test_random_shapes_densities_and_ties_keep_exactly_the_asked_count_of_the_highest() -> None:
    draw = random.Random(1)
    for case in range(400):
        count, sparsity = (
            draw.randint(2, 5),
            draw.choice([0.0, 0.1, 0.4, 0.5, 0.8, 0.9, draw.uniform(0, 0.9)]),
        )
        shapes = {
            f"m{index}.down.weight": (draw.randint(3, 40), draw.randint(3, 40))
            for index in range(count)
        }
        distinct = draw.choice([2, 3, 10, 10**6])
        scores = {name: torch.randint(0, distinct, shape).float() for name, shape in shapes.items()}
        for score in scores.values():
            score.view(-1)[:2] = torch.tensor([0.0, 1.0])
        scope = draw.choice([GLOBAL, LOCAL])
        masks = make_masks(prune("mag", sparsity, scope), case, scores)
        groups = [list(shapes)] if scope == GLOBAL else [[name] for name in shapes]
        for names in groups:
            score = torch.cat([scores[name].reshape(-1) for name in names])
            mask = torch.cat([masks[name].reshape(-1) for name in names])
            assert int(mask.sum()) == math.floor((1 - sparsity) * score.numel() + 0.5)
            if 0 < int(mask.sum()) < score.numel():
                assert score[mask == 1].min() >= score[mask == 0].max()
        assert all(
            masks[name].shape == shape and masks[name].dtype == torch.uint8
            for name, shape in shapes.items()
        )


@pytest.mark.parametrize(
    ("n", "density", "kept"),
    [(10, 0.75, 8), (10, 0.25, 3), (5, 0.5, 3), (100, 0.2, 20), (7, 1.0, 7), (3, 0.1, 0)],
)
def test_half_a_weight_is_rounded_up(n: int, density: float, kept: int) -> None:
    assert kept_count(n, density) == kept


def test_ties_are_broken_by_the_seed_and_equal_seeds_break_them_equally() -> None:
    scores = {"down.weight": torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]).repeat(8, 1)}
    one, again, other = (
        make_masks(prune("mag", 0.5), seed, scores)["down.weight"] for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kept", range(6))
def test_of_equal_scores_the_first_are_kept(kept: int) -> None:
    order = [4, 1, 2, 3, 0]
    chosen = highest(np.array([-1.0, 1.0, 1.0, 1.0, 5.0]), kept)
    assert np.flatnonzero(chosen).tolist() == sorted(order[:kept])


def test_random_scores_are_drawn_per_seed_and_matrix() -> None:
    shapes = {"a.down.weight": (8, 8), "b.down.weight": (8, 8)}
    one, other = draw_uniform(1, shapes), draw_uniform(2, shapes)
    assert torch.equal(one["a.down.weight"], draw_uniform(1, shapes)["a.down.weight"])
    assert not torch.equal(one["a.down.weight"], one["b.down.weight"])
    assert not torch.equal(one["a.down.weight"], other["a.down.weight"])


def test_magnitude_scores_are_absolute_values() -> None:
    weights = {"w": torch.tensor([-2.0, 1.0])}
    found = score_round(prune("mag", 0.5), 1, {"w": (2,)}, weights=weights)
    assert found["w"].tolist() == [2.0, 1.0]


def test_snip_scores_are_the_losses_derivative_by_each_weights_mask() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    weights = {
        "down.weight": torch.randn(5, 4, dtype=torch.float64),
        "up.weight": torch.randn(3, 5, dtype=torch.float64),
    }

    def loss(masks: dict[str, torch.Tensor], w: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = torch.tanh(x @ (w["down.weight"] * masks["down.weight"]).T)
        return (hidden @ (w["up.weight"] * masks["up.weight"]).T - y).pow(2).mean()

    ones = {name: torch.ones_like(w) for name, w in weights.items()}
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    gradients = dict(
        zip(leaves, torch.autograd.grad(loss(ones, leaves), list(leaves.values())), strict=True)
    )
    expected = {}
    for name, w in weights.items():
        expected[name] = torch.zeros_like(w)
        for index in range(w.numel()):
            step = torch.zeros(w.numel(), dtype=torch.float64)
            step[index] = 1e-6
            above, below = (
                {**ones, name: ones[name] + sign * step.view(w.shape)} for sign in (1, -1)
            )
            expected[name].view(-1)[index] = (
                loss(above, weights) - loss(below, weights)
            ).abs() / 2e-6
    total = sum(score.sum() for score in expected.values())
    found = score_derived(job_pb2.PRUNER_SNIP, weights, gradients)
    assert sum(float(score.sum()) for score in found.values()) == pytest.approx(1)
    for name, score in expected.items():
        assert torch.allclose(found[name], score / total, rtol=1e-5, atol=1e-9)


def test_scores_that_are_all_equal_rank_nothing_and_fail_the_trial() -> None:
    scores = {
        "layers.0.ffn.down.weight": torch.zeros(4, 4),
        "layers.0.ffn.up.weight": torch.rand(4, 4),
    }
    with pytest.raises(
        TrialFailed, match=r"snip: all 16 scores of layers.0.ffn.down.weight are 0.*zero_up"
    ) as failed:
        make_masks(prune("snip", 0.5, LOCAL), 1, scores)
    assert failed.value.reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK
    assert (
        int(make_masks(prune("snip", 0.5, GLOBAL), 1, scores)["layers.0.ffn.up.weight"].sum()) == 16
    )


@pytest.mark.parametrize(
    ("pruner", "helps"), [("mag", True), ("grasp", True), ("snip", False), ("synflow", False)]
)
def test_global_scope_is_named_as_a_remedy_where_it_is_one(pruner: str, helps: bool) -> None:
    # With up zero, SNIP's scores of both matrices are 0, and so are SynFlow's.
    with pytest.raises(TrialFailed, match="take init: gaussian") as failed:
        make_masks(
            prune(pruner, 0.5, LOCAL),
            1,
            {
                "layers.0.ffn.down.weight": torch.rand(4, 4),
                "layers.0.ffn.up.weight": torch.zeros(4, 4),
            },
        )
    assert ("scope: global" in failed.value.message) == helps


def test_random_scores_need_not_rank_anything() -> None:
    assert (
        int(
            make_masks(prune("rand", 0.5), 1, {"down.weight": torch.zeros(4, 4)})[
                "down.weight"
            ].sum()
        )
        == 8
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_fail_the_trial(value: float) -> None:
    with pytest.raises(TrialFailed, match="1 of 4 scores") as failed:
        make_masks(prune("snip", 0.5), 1, {"down.weight": torch.tensor([[1.0, 2.0], [value, 3.0]])})
    assert failed.value.reason == event_pb2.FAILURE_REASON_NON_FINITE


def test_a_sparsity_that_keeps_nothing_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match=r"sparsity 0\.9999999 keeps none of the 3 weights"):
        make_masks(prune("mag", 0.9999999), 1, {"down.weight": torch.tensor([[1.0, 2.0, 3.0]])})


def test_matrices_without_a_weight_left_are_named() -> None:
    scores = {"a.down.weight": torch.full((2, 2), 0.1), "b.down.weight": torch.full((2, 2), 0.9)}
    assert emptied(make_masks(prune("mag", 0.5), 1, scores)) == ["a.down.weight"]


def test_erdos_renyi_counts_are_exact_for_hundreds_of_shapes_and_follow_the_formula() -> None:
    draw = random.Random(2)
    filled = 0
    for _ in range(400):
        shapes = random_shapes(draw)
        sizes = {name: a * b for name, (a, b) in shapes.items()}
        n = sum(sizes.values())
        kept = draw.choice([0, 1, n, draw.randint(0, n), draw.randint(0, n)])
        counts = er_counts(shapes, kept)
        assert sum(counts.values()) == kept
        epsilon = bisected_epsilon(shapes, kept)
        for name, (a, b) in shapes.items():
            assert 0 <= counts[name] <= sizes[name]
            assert abs(counts[name] - min(1, epsilon * (a + b) / (a * b)) * sizes[name]) < 1 + 1e-6
        filled += any(counts[name] == size for name, size in sizes.items()) and kept < n
    assert filled > 50, "some matrices must be full before the others"


def bisected_epsilon(shapes: dict[str, tuple[int, int]], kept: int) -> float:
    """ε with Σ min(ab, ε (a + b)) = kept."""
    low, high = 0.0, float(max(a * b for a, b in shapes.values()))
    for _ in range(100):
        middle = (low + high) / 2
        if sum(min(a * b, middle * (a + b)) for a, b in shapes.values()) < kept:
            low = middle
        else:
            high = middle
    return low


def test_erdos_renyi_counts_of_an_example() -> None:
    # ε (a + b): 3.75, 6.25 and 10 of 20; the one that is left goes to the largest remainder. Then
    # [2, 2] is full.
    assert er_counts({"a": (4, 2), "b": (4, 6), "c": (10, 6)}, 20) == {"a": 4, "b": 6, "c": 10}
    assert er_counts({"a": (2, 2), "b": (10, 10)}, 44) == {"a": 4, "b": 40}


def test_an_er_mask_has_its_counts_at_random_places_drawn_by_the_seed() -> None:
    shapes = {"a.down.weight": (4, 30), "a.up.weight": (30, 4), "b.down.weight": (20, 30)}
    masks, again, other = (
        make_masks(prune("er", 0.7), seed, draw_uniform(seed, shapes)) for seed in (1, 1, 2)
    )
    counts = er_counts(shapes, kept_count(840, 1 - 0.7))
    assert {name: int(mask.sum()) for name, mask in masks.items()} == counts
    assert counts["a.down.weight"] / 120 > 2 * counts["b.down.weight"] / 600
    assert torch.equal(flat(masks), flat(again))
    assert not torch.equal(flat(masks), flat(other))


def test_an_er_mask_may_leave_a_matrix_empty() -> None:
    shapes = {"a.down.weight": (1, 1), "b.down.weight": (30, 30)}
    assert emptied(make_masks(prune("er", 0.99), 1, draw_uniform(1, shapes))) == ["a.down.weight"]


def test_grasp_scores_are_weight_times_hessian_times_gradient() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(7, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    w = torch.randn(4 * 3 + 2 * 4, dtype=torch.float64)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        down, up = flat[:12].view(4, 3), flat[12:].view(2, 4)
        return torch.nn.functional.cross_entropy(torch.tanh(x @ down.T) @ up.T / 2, y)

    hessian, gradient = (
        torch.autograd.functional.hessian(loss, w),
        torch.autograd.functional.jacobian(loss, w),
    )
    split = {"down.weight": w[:12].view(4, 3), "up.weight": w[12:].view(2, 4)}
    product = hessian @ gradient
    products = {"down.weight": product[:12].view(4, 3), "up.weight": product[12:].view(2, 4)}
    found = score_derived(job_pb2.PRUNER_GRASP, split, products)
    assert torch.allclose(flat(found), w * product)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (EXPONENTIAL, [0.2**0.25, 0.2**0.5, 0.2**0.75, 0.2]),
        (LINEAR, [0.8, 0.6, 0.4, 0.2]),
        # Most is removed at first: 1 − ρ, of which (3/4)³, (1/2)³ and (1/4)³ are still there.
        (CUBIC, [0.2 + 0.8 * 27 / 64, 0.2 + 0.8 * 8 / 64, 0.2 + 0.8 * 1 / 64, 0.2]),
    ],
)
def test_the_density_falls_by_the_schedule_to_exactly_the_final_one(
    schedule: int, expected: list[float]
) -> None:
    found = densities(prune("synflow", 0.8, rounds=4, schedule=schedule))
    assert found == pytest.approx(expected)
    assert found[-1] == 1 - 0.8
    assert densities(prune("snip", 0.8, rounds=1, schedule=schedule)) == [1 - 0.8]
    assert densities(prune("mag", 0.8, rounds=1)) == [1 - 0.8]


@pytest.mark.parametrize("scope", [GLOBAL, LOCAL])
@pytest.mark.parametrize("schedule", [EXPONENTIAL, LINEAR, CUBIC])
def test_masks_of_rounds_are_nested_exact_and_of_the_highest_that_were_left(
    scope: int, schedule: int
) -> None:
    draw, torch_draw = random.Random(3), torch.Generator().manual_seed(3)
    for case in range(60):
        shapes = {name: (a + 3, b + 3) for name, (a, b) in random_shapes(draw, 12).items()}
        settings = prune(
            "snip",
            draw.choice([0.1, 0.5, 0.8, 0.9]),
            scope,
            rounds=draw.randint(2, 9),
            schedule=schedule,
        )
        pruning = Pruning(settings, case, shapes)
        groups = [list(shapes)] if scope == GLOBAL else [[name] for name in shapes]
        for density in densities(settings):
            before = pruning.masks
            scores = {
                name: torch.randint(-2, 50, shape, generator=torch_draw).float()
                for name, shape in shapes.items()
            }
            # What has been removed must not be looked at.
            pruning.keep(
                {
                    name: torch.where(before[name] == 1, score, float("nan"))
                    for name, score in scores.items()
                }
            )
            after = pruning.masks
            for names in groups:
                old, new, score = (
                    flat({name: each[name] for name in names}) for each in (before, after, scores)
                )
                assert int(new.sum()) == math.floor(density * new.numel() + 0.5)
                assert not (new & ~old & 1).any()
                gone = (old == 1) & (new == 0)
                assert not gone.any() or score[new == 1].min() >= score[gone].max()
        assert pruning.done
        assert torch.equal(flat(pruning.finished()), flat(pruning.masks))


def test_a_later_round_fails_where_it_cannot_rank_and_not_where_it_removes_nothing() -> None:
    pruning = Pruning(prune("synflow", 0.5, rounds=2, schedule=LINEAR), 1, {"down.weight": (2, 4)})
    pruning.keep({"down.weight": torch.arange(8.0).view(2, 4)})
    with pytest.raises(
        TrialFailed, match="synflow: all 6 scores of all matrices are 3, so they rank nothing"
    ):
        pruning.keep({"down.weight": torch.full((2, 4), 3.0)})
    idle = Pruning(
        prune("synflow", 0.25, rounds=9, schedule=EXPONENTIAL), 1, {"down.weight": (2, 2)}
    )
    idle.keep({"down.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]])})
    for _ in range(3):
        idle.keep({"down.weight": torch.ones(2, 2)})
    assert int(idle.masks["down.weight"].sum()) == 4


def test_an_inverted_mask_keeps_as_many_of_the_lowest_scores() -> None:
    scores = {
        "a.down.weight": torch.tensor([[5.0, -1.0, 3.0]]),
        "a.up.weight": torch.tensor([[0.0], [4.0], [2.0]]),
    }
    masks = make_masks(prune("mag", 0.5, control=INVERTED), 1, scores)
    assert [mask.flatten().tolist() for mask in masks.values()] == [[0, 1, 0], [1, 0, 1]]
    local = make_masks(prune("mag", 0.6, LOCAL, control=INVERTED), 1, scores)
    assert [mask.flatten().tolist() for mask in local.values()] == [[0, 1, 0], [1, 0, 0]]


def test_inverted_ties_go_to_the_other_end_of_the_ranking() -> None:
    scores = {"down.weight": torch.tensor([[1.0, 2.0]]).repeat(20, 10)}
    kept, inverted = (
        flat(make_masks(prune("mag", 0.75, control=control), 7, scores))
        for control in (0, INVERTED)
    )
    assert int(kept.sum()) == int(inverted.sum()) == 100
    assert not (kept & inverted).any()
    half, other = (
        flat(make_masks(prune("mag", 0.25, control=control), 7, scores))
        for control in (0, INVERTED)
    )
    assert torch.equal(half | other, torch.ones(400, dtype=torch.uint8))


def test_an_inverted_mask_of_rounds_keeps_what_was_removed_first() -> None:
    pruning = Pruning(
        prune("snip", 0.5, rounds=2, schedule=LINEAR, control=INVERTED), 1, {"down.weight": (1, 8)}
    )
    pruning.keep({"down.weight": torch.tensor([[8.0, 7, 6, 5, 4, 3, 2, 1]])})
    assert pruning.masks["down.weight"].tolist() == [[1, 1, 1, 1, 1, 1, 0, 0]]
    # The two that went first rank below all of this round, whatever they would score now.
    pruning.keep({"down.weight": torch.tensor([[1.0, 2, 3, 4, 5, 6, 9, 9]])})
    assert pruning.masks["down.weight"].tolist() == [[0, 0, 1, 1, 1, 1, 0, 0]]
    assert pruning.finished()["down.weight"].tolist() == [[1, 1, 0, 0, 0, 0, 1, 1]]


def test_a_shuffled_mask_has_each_matrixs_density_at_places_drawn_by_the_seed() -> None:
    scores = {"a.down.weight": torch.rand(20, 30), "a.up.weight": torch.rand(30, 20) / 2}
    plain = make_masks(prune("snip", 0.6), 1, scores)
    shuffled, again, other = (
        make_masks(prune("snip", 0.6, control=SHUFFLED), seed, scores) for seed in (1, 1, 2)
    )
    for name, mask in plain.items():
        assert int(shuffled[name].sum()) == int(mask.sum())
        assert shuffled[name].shape == mask.shape
        # Chance overlap is density²; the mask itself would be density.
        density = mask.float().mean()
        assert abs((shuffled[name] & mask).float().mean() - density**2) < 0.08
    assert torch.equal(flat(shuffled), flat(again))
    assert not torch.equal(flat(shuffled), flat(other))
    assert not torch.equal(shuffled["a.down.weight"].flatten(), shuffled["a.up.weight"].flatten())


@pytest.mark.parametrize("pruner", ["mag", "snip", "grasp", "synflow"])
def test_each_pruner_that_ranks_refuses_equal_scores_and_those_that_are_not_finite(
    pruner: str,
) -> None:
    shapes = {"down.weight": (2, 2)}
    with pytest.raises(TrialFailed, match=f"{pruner}: all 4 scores"):
        Pruning(prune(pruner, 0.5, rounds=1), 1, shapes).keep(
            {"down.weight": torch.full((2, 2), 0.25)}
        )
    with pytest.raises(TrialFailed, match=f"{pruner}: 1 of 4 scores"):
        Pruning(prune(pruner, 0.5, rounds=1), 1, shapes).keep(
            {"down.weight": torch.tensor([[1.0, 2.0], [3.0, float("nan")]])}
        )


def test_er_keeps_nothing_only_with_an_error() -> None:
    with pytest.raises(TrialFailed, match="keeps none of the 4 weights of all matrices"):
        Pruning(prune("er", 0.9), 1, {"down.weight": (2, 2)})
