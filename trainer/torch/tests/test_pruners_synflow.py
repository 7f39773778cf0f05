"""SynFlow's scores equal products of absolute matrices, for every form, and a hundred rounds of
them are quick.
"""

import time

import pytest
import torch
from engine_support import adapter
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Block
from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.pruners.synflow import synflow_scores

LAYERS, D, F, R = 3, 8, 20, 4
ROUNDS = {
    "scope": job_pb2.PRUNE_SCOPE_GLOBAL,
    "rounds": 100,
    "schedule": job_pb2.PRUNE_SCHEDULE_EXPONENTIAL,
}
BOTTLENECK = ["sequential", "parallel"]
FORMS = [
    *[
        (attention, ffn)
        for attention in [*BOTTLENECK, "lora", "prefix", "none"]
        for ffn in [*BOTTLENECK, "lora", "after_norm"]
    ],
    ("sequential", "none"),
    ("lora", "none"),
]


def blocks(layers: int, inner: int) -> list[Block]:
    return [Block(f"layers.{index}.", inner) for index in range(layers)]


def drawn(
    attention: str, ffn: str, layers: int = LAYERS, d: int = D, f: int = F, r: int = R
) -> dict[str, Tensor]:
    """Prunable matrices of these forms, N(0, 1)."""
    torch.manual_seed(5)
    shapes: dict[str, tuple[int, int]] = {}
    for index in range(layers):
        sites: dict[str, tuple[int, int]] = {}
        sites |= (
            {"query": (d, d), "value": (d, d)}
            if attention == "lora"
            else {"attention": (d, d)}
            if attention in BOTTLENECK
            else {}
        )
        sites |= (
            {"ffn_in": (d, f), "ffn_out": (f, d)}
            if ffn == "lora"
            else {}
            if ffn == "none"
            else {"ffn": (d, d)}
        )
        for site, (inputs, outputs) in sites.items():
            shapes |= {
                f"layers.{index}.{site}.down.weight": (r, inputs),
                f"layers.{index}.{site}.up.weight": (outputs, r),
            }
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("attention", "ffn"), FORMS)
def test_scores_are_closed_form_products_of_absolute_matrices(attention: str, ffn: str) -> None:
    weights = drawn(attention, ffn)
    next(iter(weights.values()))[:2] = 0
    found = synflow_scores(
        adapter(attention, ffn, width=R, scale=1.5, lora_alpha=6), blocks(LAYERS, F), D, weights
    )
    assert found.keys() == weights.keys()
    for name, expected in closed_form(weights, scale=1.5, c=6 / R).items():
        assert found[name].dtype == torch.float64
        assert torch.allclose(found[name], expected, rtol=1e-10), name


def test_a_bottleneck_at_attention_has_a_scale_of_its_own() -> None:
    weights = drawn("sequential", "parallel")
    own = adapter("sequential", "parallel", width=R, scale=1.5, attention_scale=3)
    found = synflow_scores(own, blocks(LAYERS, F), D, weights)
    for name, expected in closed_form(weights, scale=1.5, c=1, attention_scale=3).items():
        assert torch.allclose(found[name], expected, rtol=1e-10), name


def closed_form(
    weights: dict[str, Tensor], scale: float, c: float, attention_scale: float | None = None
) -> dict[str, Tensor]:
    """A step of the chain is x ← (I + Σ M) x, M a product of matrices. R = 1ᵀ S_n … S_1 1, so a
    matrix W in a term with A W B in step k has ∂R/∂W = (S_n … S_(k+1) A)ᵀ 1 · (B S_(k-1) … S_1 1)ᵀ.
    """
    positive = {name: weight.double().abs() for name, weight in weights.items()}
    steps: list[list[tuple[float, list[str]]]] = []
    for index in range(LAYERS):
        at = f"layers.{index}"
        for terms in (
            [(attention_scale or scale, ["attention.up", "attention.down"])],
            [(c, ["query.up", "query.down"]), (c, ["value.up", "value.down"])],
            [(scale, ["ffn.up", "ffn.down"])],
            [(c * c, ["ffn_out.up", "ffn_out.down", "ffn_in.up", "ffn_in.down"])],
        ):
            named = [(factor, [f"{at}.{part}.weight" for part in parts]) for factor, parts in terms]
            if named[0][1][0] in positive:
                steps.append(named)
    ones = torch.ones(D, dtype=torch.float64)

    def product(names: list[str], x: Tensor) -> Tensor:
        for name in reversed(names):
            x = positive[name] @ x
        return x

    def step(terms: list[tuple[float, list[str]]]) -> Tensor:
        return torch.eye(D, dtype=torch.float64) + sum(
            factor * torch.linalg.multi_dot([positive[n] for n in names]) for factor, names in terms
        )

    scores: dict[str, Tensor] = {}
    for place, terms in enumerate(steps):
        before, after = ones, ones
        for earlier in steps[:place]:
            before = step(earlier) @ before
        for later in reversed(steps[place + 1 :]):
            after = step(later).T @ after
        for factor, names in terms:
            for at, name in enumerate(names):
                left = after
                for outer in names[:at]:
                    left = positive[outer].T @ left
                scores[name] = (
                    factor * positive[name] * torch.outer(left, product(names[at + 1 :], before))
                )
    return scores


def test_a_hundred_rounds_on_minilms_sizes_are_quick_exact_and_leave_no_layer_empty() -> None:
    weights = {
        name: 0.02 * weight
        for name, weight in drawn("sequential", "sequential", layers=6, d=384, r=64).items()
    }
    pruning = Pruning(
        job_pb2.Prune(pruner="PRUNER_SYNFLOW", sparsity=0.99, **ROUNDS), 1, list_shapes(weights)
    )
    begin, form = time.process_time(), adapter(width=64)
    while not pruning.done:
        masks = pruning.masks
        pruning.keep(
            synflow_scores(
                form,
                blocks(6, 4 * 384),
                384,
                {name: weight * masks[name] for name, weight in weights.items()},
            )
        )
    seconds = time.process_time() - begin
    masks = pruning.finished()
    assert sum(int(mask.sum()) for mask in masks.values()) == int(0.01 * 12 * 2 * 64 * 384 + 0.5)
    assert all(mask.any() for mask in masks.values()), (
        "the method is there to avoid collapsed layers"
    )
    # It takes about 1 s of a core.
    assert seconds < 6


def test_a_zero_up_projection_lets_nothing_flow_and_is_refused_with_the_reason() -> None:
    weights = {
        name: weight * (0 if name.endswith("up.weight") else 1)
        for name, weight in drawn("none", "sequential").items()
    }
    pruning = Pruning(
        job_pb2.Prune(pruner="PRUNER_SYNFLOW", sparsity=0.5, **ROUNDS), 1, list_shapes(weights)
    )
    with pytest.raises(
        TrialFailed, match=r"synflow: all 192 scores of all matrices are 0.*take init: gaussian$"
    ) as failed:
        pruning.keep(
            synflow_scores(adapter("none", "sequential", width=R), blocks(LAYERS, F), D, weights)
        )
    assert failed.value.reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK


def test_what_does_not_fit_float64_is_refused() -> None:
    weights = {name: weight * 1e38 for name, weight in drawn("sequential", "sequential").items()}
    pruning = Pruning(
        job_pb2.Prune(pruner="PRUNER_SYNFLOW", sparsity=0.5, **ROUNDS), 1, list_shapes(weights)
    )
    with pytest.raises(TrialFailed, match="NaN or infinite"):
        pruning.keep(synflow_scores(adapter(width=R), blocks(LAYERS, F), D, weights))


def list_shapes(weights: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in weights.items()}
