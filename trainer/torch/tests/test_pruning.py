"""Masks keep exactly as many weights as were asked for, the best ones, and refuse what means nothing."""

import math
import random

import pytest
import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_trainer.errors import TrialFailed
from sparse_adapter_trainer.pruning import (
    emptied,
    keep_highest,
    kept_count,
    magnitude_scores,
    make_masks,
    random_scores,
    snip_scores,
)

GLOBAL, LOCAL = job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL


def prune(pruner: str, sparsity: float, scope: int = GLOBAL) -> job_pb2.Prune:
    return job_pb2.Prune(pruner=f"PRUNER_{pruner.upper()}", sparsity=sparsity, scope=scope)


def test_hundreds_of_random_shapes_densities_and_ties_keep_exactly_the_asked_count_of_the_highest() -> None:
    draw = random.Random(1)
    for case in range(400):
        count, sparsity = draw.randint(2, 5), draw.choice([0.0, 0.1, 0.4, 0.5, 0.8, 0.9, draw.uniform(0, 0.9)])
        shapes = {f"m{index}.down.weight": (draw.randint(3, 40), draw.randint(3, 40)) for index in range(count)}
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
        assert all(masks[name].shape == shape and masks[name].dtype == torch.uint8 for name, shape in shapes.items())


@pytest.mark.parametrize(("n", "sparsity", "kept"), [(10, 0.25, 8), (10, 0.75, 3), (5, 0.5, 3), (100, 0.8, 20), (7, 0.0, 7), (3, 0.9, 0)])
def test_half_a_weight_is_rounded_up(n: int, sparsity: float, kept: int) -> None:
    assert kept_count(n, sparsity) == kept


def test_ties_are_broken_by_the_seed_and_equal_seeds_break_them_equally() -> None:
    scores = {"down.weight": torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]).repeat(8, 1)}
    one, again, other = (make_masks(prune("mag", 0.5), seed, scores)["down.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_equal_scores_go_by_the_tie_order() -> None:
    assert keep_highest(torch.tensor([5.0, 1.0, 1.0, 1.0]), 2, torch.tensor([3, 2, 1, 0])).tolist() == [1, 0, 0, 1]


def test_random_scores_are_drawn_per_seed_and_matrix() -> None:
    shapes = {"a.down.weight": (8, 8), "b.down.weight": (8, 8)}
    one, other = random_scores(1, shapes), random_scores(2, shapes)
    assert torch.equal(one["a.down.weight"], random_scores(1, shapes)["a.down.weight"])
    assert not torch.equal(one["a.down.weight"], one["b.down.weight"])
    assert not torch.equal(one["a.down.weight"], other["a.down.weight"])


def test_magnitude_scores_are_absolute_values() -> None:
    assert magnitude_scores({"w": torch.tensor([-2.0, 1.0])})["w"].tolist() == [2.0, 1.0]


def test_snip_scores_are_the_losses_derivative_by_each_weights_mask() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    weights = {"down.weight": torch.randn(5, 4, dtype=torch.float64), "up.weight": torch.randn(3, 5, dtype=torch.float64)}

    def loss(masks: dict[str, torch.Tensor], w: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = torch.tanh(x @ (w["down.weight"] * masks["down.weight"]).T)
        return (hidden @ (w["up.weight"] * masks["up.weight"]).T - y).pow(2).mean()

    ones = {name: torch.ones_like(w) for name, w in weights.items()}
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    gradients = dict(zip(leaves, torch.autograd.grad(loss(ones, leaves), list(leaves.values())), strict=True))
    expected = {}
    for name, w in weights.items():
        expected[name] = torch.zeros_like(w)
        for index in range(w.numel()):
            step = torch.zeros(w.numel(), dtype=torch.float64)
            step[index] = 1e-6
            above, below = ({**ones, name: ones[name] + sign * step.view(w.shape)} for sign in (1, -1))
            expected[name].view(-1)[index] = (loss(above, weights) - loss(below, weights)).abs() / 2e-6
    total = sum(score.sum() for score in expected.values())
    found = snip_scores(weights, gradients)
    assert sum(float(score.sum()) for score in found.values()) == pytest.approx(1)
    for name, score in expected.items():
        assert torch.allclose(found[name], score / total, rtol=1e-5, atol=1e-9)


def test_scores_that_are_all_equal_rank_nothing_and_fail_the_trial() -> None:
    scores = {"layers.0.ffn.down.weight": torch.zeros(4, 4), "layers.0.ffn.up.weight": torch.rand(4, 4)}
    with pytest.raises(TrialFailed, match=r"snip: all 16 scores of layers.0.ffn.down.weight are 0.*zero_up") as failed:
        make_masks(prune("snip", 0.5, LOCAL), 1, scores)
    assert failed.value.reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK
    assert int(make_masks(prune("snip", 0.5, GLOBAL), 1, scores)["layers.0.ffn.up.weight"].sum()) == 16


def test_random_scores_need_not_rank_anything() -> None:
    assert int(make_masks(prune("rand", 0.5), 1, {"down.weight": torch.zeros(4, 4)})["down.weight"].sum()) == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_fail_the_trial(value: float) -> None:
    with pytest.raises(TrialFailed, match="1 of 4 scores") as failed:
        make_masks(prune("snip", 0.5), 1, {"down.weight": torch.tensor([[1.0, 2.0], [value, 3.0]])})
    assert failed.value.reason == event_pb2.FAILURE_REASON_NON_FINITE


def test_a_sparsity_that_keeps_nothing_fails_the_trial() -> None:
    with pytest.raises(TrialFailed, match="keeps none of the 3 weights"):
        make_masks(prune("mag", 0.9), 1, {"down.weight": torch.tensor([[1.0, 2.0, 3.0]])})


def test_matrices_without_a_weight_left_are_named() -> None:
    scores = {"a.down.weight": torch.full((2, 2), 0.1), "b.down.weight": torch.full((2, 2), 0.9)}
    assert emptied(make_masks(prune("mag", 0.5), 1, scores)) == ["a.down.weight"]
