"""The CPU's own ways to the products, feed-forward blocks and attention compute what the plain
formulas do; and so in bfloat16, to its rounding."""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from engine_support import adapter
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import BertConfig, BertModel

from sparse_adapter_engine.backbones.encoder.attention import attend
from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.feed_forward import feed_forward, is_blocked
from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.frozen import (
    min_invariant_rows,
    pack,
    packs_bfloat16,
    product,
)
from sparse_adapter_engine.backbones.encoder.loading import from_transformers
from sparse_adapter_engine.data.rows import PackedRows, Split, fill
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.sites import Prefix
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.products import linear, linear_onto
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part

CLASSES = job_pb2.TASK_KIND_CLASSIFICATION
FLOAT32, BF16 = job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16
HEADS, WIDTH = 4, 32


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def off(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


def derivatives(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """The value, the gradients of the sum of its squares, and those of the sum of the gradients'
    squares.
    """
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    value = function(*leaves)
    first = torch.autograd.grad(value.square().sum(), leaves, create_graph=True)
    return [value, *first, *torch.autograd.grad(sum(each.square().sum() for each in first), leaves)]


@pytest.mark.parametrize(("inputs", "outputs"), [(384, 64), (64, 384), (12_000, 1)])
def test_a_product_of_many_rows_has_the_value_and_the_first_and_second_derivatives_of_linear(
    inputs: int, outputs: int
) -> None:
    operands = random(400, inputs), random(outputs, inputs, seed=1), random(outputs, seed=2)
    found, expected = (
        derivatives(linear, *operands),
        derivatives(F.linear, *(tensor.double() for tensor in operands)),
    )
    assert "_Linear" in str(found[0].grad_fn)
    assert max(off(*pair) for pair in zip(found, expected, strict=True)) < 1e-4


@pytest.mark.parametrize("rows", [400, 4])
def test_a_product_onto_a_base_has_the_bits_of_a_sum_and_its_derivatives(rows: int) -> None:
    operands = random(rows, 64), random(384, 64, seed=1), random(384, seed=2)
    base = random(rows, 384, seed=3)
    found = derivatives(lambda base, *given: linear_onto(base, *given, scale=1), base, *operands)
    expected = derivatives(lambda base, *given: linear(*given) + base, base, *operands)
    assert ("_Linear" in str(found[0].grad_fn)) == (rows == 400)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_product_onto_a_base_is_scaled_and_leaves_the_base_as_it_was() -> None:
    base, before = random(400, 384), random(400, 384)
    x, weight, bias = random(400, 64, seed=1), random(384, 64, seed=2), random(384, seed=3)
    for scale in (1.0, 0.5):
        found = linear_onto(base, x, weight, bias, scale)
        assert off(found, before + scale * F.linear(x, weight, bias)) < 1e-5
        assert torch.equal(base, before)


def test_a_gradient_that_is_one_value_expanded_and_more_than_two_dimensions_are_taken() -> None:
    x, weight = random(20, 20, 384).requires_grad_(), random(64, 384, seed=1).requires_grad_()
    found = torch.autograd.grad(linear(x, weight).sum(), (x, weight))
    expected = torch.autograd.grad(F.linear(x, weight).sum(), (x, weight))
    assert max(off(*pair) for pair in zip(found, expected, strict=True)) < 1e-4


@pytest.fixture(scope="module")
def encoders() -> dict[int, Encoder]:
    """Two layers of random weights, 384 wide, by precision."""
    torch.manual_seed(5)
    sizes = {
        "hidden_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    }
    model = BertModel(
        BertConfig(vocab_size=100, max_position_embeddings=64, **sizes), add_pooling_layer=False
    )
    return {
        precision: from_transformers(model, has_pooler=False, precision=precision)
        for precision in (FLOAT32, BF16)
    }


@pytest.mark.parametrize("precision", [FLOAT32, BF16])
@pytest.mark.parametrize("rows", [5, 256, 700])
def test_a_feed_forward_block_by_blocks_of_rows_has_the_bits_of_its_operations_one_by_one(
    rows: int, precision: int, encoders: dict[int, Encoder]
) -> None:
    layer = encoders[precision].layers[0]
    if not encoders[precision].row_invariant:
        pytest.skip(
            "on this processor products give a row other bits beside other rows: equality holds to "
            "rounding only"
        )
    assert is_blocked(layer)
    x, direction = random(rows, 384).requires_grad_(), random(rows, 384, seed=1)
    results = [feed_forward(layer, x), layer.ffn_out(F.gelu(layer.ffn_in(x)))]
    gradients = [torch.autograd.grad(result, x, direction)[0] for result in results]
    assert torch.equal(*results)
    assert torch.equal(*gradients)


def packed(lengths: Sequence[int]) -> PackedRows:
    offsets = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
    ids = torch.randint(0, 100, (int(offsets[-1]),), generator=torch.Generator().manual_seed(3))
    return Split("rows", ids, torch.zeros_like(ids), offsets, torch.arange(len(lengths)) % 2).pack(
        torch.arange(len(lengths))
    )


@pytest.mark.parametrize("every_token", [True, False])
def test_attention_and_its_gradients_equal_the_plain_formula_for_each_row_with_and_without_a_prefix(
    every_token: bool,
) -> None:
    # The first pack's tokens are filled up from 116 to 128.
    packs = [fill(packed([1, 2, 3, 3, 3, 15, 16, 16, 17, 40]), 16), packed([4, 4, 9, 30])]
    tokens = sum(pack.tokens for pack in packs)
    queries = tokens if every_token else sum(pack.rows for pack in packs)
    leaves = [
        random(queries, WIDTH, seed=1),
        random(tokens, 2 * WIDTH, seed=2),
        random(5, WIDTH, seed=3),
        random(5, WIDTH, seed=4),
    ]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    query, key_value, *prefix = leaves

    def plain() -> Tensor:
        results = []
        first, second = (
            [length for rows, length in pack.groups for _ in range(rows)] for pack in packs
        )
        lengths = [*first, packs[0].filling, *second]
        sizes = lengths if every_token else [1] * len(first) + [0] + [1] * len(second)
        rows = zip(query.split(sizes), key_value.split(lengths), strict=True)
        for number, (q, kv) in enumerate(rows):
            if number == len(first):
                results.append(torch.zeros_like(q))
                continue
            has_prefix = number > len(first)
            keys = [
                torch.cat([before, own]) if has_prefix else own
                for before, own in zip(prefix, kv.chunk(2, 1), strict=True)
            ]
            k, v = (each.unflatten(1, (HEADS, -1)).transpose(0, 1) for each in keys)
            context = torch.softmax(q.unflatten(1, (HEADS, -1)).transpose(0, 1) @ k.mT, -1) @ v
            results.append(context.transpose(0, 1).flatten(1))
        return torch.cat(results)

    prefixes: list[Prefix | None] = [None, (prefix[0], prefix[1])]
    expected, direction = plain(), random(queries, WIDTH, seed=6)
    for twice in (False, True):
        found = attend(
            query, key_value, packs, [None, None], prefixes, HEADS, twice_differentiable=twice
        )
        assert off(found, expected) < 1e-5
        gradients = [
            torch.autograd.grad(result, leaves, direction, retain_graph=result is expected)
            for result in (found, expected)
        ]
        assert max(off(*pair) for pair in zip(*gradients, strict=True)) < 1e-5


@pytest.mark.parametrize("shape", [(384, 384), (1536, 384), (384, 1536)])
def test_a_product_in_bfloat16_is_within_a_hundredth_and_does_not_hang_on_the_other_rows(
    shape: tuple[int, int],
) -> None:
    weight, bias, x = random(*shape), random(shape[0], seed=1), random(300, shape[1], seed=2)
    operand = pack(weight, torch.bfloat16)
    found = product(x, operand, bias)
    assert found.dtype == torch.float32
    assert off(found, F.linear(x, weight, bias)) < 1e-2
    assert not torch.equal(found, product(x, pack(weight), bias))
    if packs_bfloat16():
        assert min_invariant_rows(operand, pack(weight.t(), torch.bfloat16), shape) is not None


def part(backbone: Encoder, seed: int, lengths: Sequence[int]) -> Part:
    asked = adapter(width=8 * seed)
    made = initialize(
        job_pb2.Trial(seed=seed, adapter=asked), layout(asked, backbone, num_labels=2).shapes, None
    )
    return Part(
        seed,
        packed(lengths),
        TrialModules(
            asked, {name: weight.requires_grad_() for name, weight in made.items()}, dropout=None
        ),
    )


def gradients(
    backbone: Encoder, parts: list[Part], which: int, twice_differentiable: bool = False
) -> list[Tensor]:
    found = forward(backbone, parts, CLASSES, twice_differentiable)
    weights = list(parts[which].modules.tensors.values())
    return list(
        torch.autograd.grad(
            loss(CLASSES, found[which], parts[which].pack),
            weights,
            create_graph=twice_differentiable,
        )
    )


def test_gradients_in_bfloat16_are_close_and_in_a_cohort_a_trials_own_bit_for_bit(
    encoders: dict[int, Encoder],
) -> None:
    parts = [
        part(encoders[BF16], seed, lengths)
        for seed, lengths in ((1, [30, 12, 12, 9]), (2, [40, 25, 8]), (3, [5, 5, 60]))
    ]
    alone = gradients(encoders[BF16], parts[1:2], 0)
    exact = gradients(encoders[FLOAT32], parts[1:2], 0)
    joined, expected = (torch.cat([each.flatten() for each in some]) for some in (alone, exact))
    assert (
        0 < torch.linalg.vector_norm(joined - expected) / torch.linalg.vector_norm(expected) < 3e-2
    )
    if encoders[BF16].row_invariant:
        assert all(
            torch.equal(*pair)
            for pair in zip(alone, gradients(encoders[BF16], parts, 1), strict=True)
        )


def test_the_second_derivative_goes_through_products_in_bfloat16(
    encoders: dict[int, Encoder],
) -> None:
    """As GraSP takes it: the gradient of the gradient's square."""
    own = part(encoders[FLOAT32], 2, [20, 11, 11])
    weights = list(own.modules.tensors.values())
    both = []
    for precision in (BF16, FLOAT32):
        first = gradients(encoders[precision], [own], 0, twice_differentiable=True)
        second = torch.autograd.grad(sum(each.square().sum() for each in first), weights)
        both.append(torch.cat([each.flatten() for each in second]))
    found, expected = both
    assert (
        0 < torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected) < 6e-2
    )


def test_a_product_of_rows_in_blocks_may_be_changed_in_place_as_torchs_own() -> None:
    """As encoder–decoders have them, with enough rows for oneDNN."""
    random = torch.Generator().manual_seed(1)
    x, weight, bias = (
        torch.randn(40, 80, 96, generator=random),
        torch.randn(64, 96, generator=random),
        torch.randn(64, generator=random),
    )
    assert x.numel() * 64 >= 4_000_000
    found = []
    for operation in (linear, F.linear):
        leaves = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
        y = operation(*leaves).mul_(2).add_(1)
        found.append([y.detach(), *torch.autograd.grad(y.square().mean(), leaves)])
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, atol=1e-4, rtol=1e-4)
