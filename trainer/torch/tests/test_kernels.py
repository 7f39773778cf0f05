"""The Triton kernels compute what their plain twins do, in Triton's interpreter."""

import pytest
import torch
from torch import Tensor

from sparse_adapter_engine.stacked.attention import Spans, padded
from sparse_adapter_engine.stacked.hash_dropout import drop
from sparse_adapter_engine.stacked.update import adam

pytest.importorskip("triton")


def spans(lengths: list[int], longest: int) -> Spans:
    sizes = torch.tensor(lengths)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)]).int()
    return Spans(starts, torch.arange(len(lengths)).repeat_interleave(sizes).int(), longest)


def take_gradients(
    attend, query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
):
    q, kv = query.clone().requires_grad_(), key_value.clone().requires_grad_()
    out = attend(q, kv, heads, queries, keys)
    g = torch.randn(out.shape, generator=torch.Generator().manual_seed(3))
    return [out.detach(), *torch.autograd.grad(out, (q, kv), g)]


@pytest.mark.parametrize("last_layer", [False, True])
@pytest.mark.parametrize(("dim", "longest"), [(16, 20), (32, 40), (64, 70)])
def test_attention_of_short_rows(dim: int, longest: int, last_layer: bool) -> None:
    from sparse_adapter_engine.stacked.kernels.attention import short_rows

    heads, lengths = 3, [longest, 1, 0, 7, longest // 2 + 2]
    keys = spans(lengths, longest)
    queries = spans([1] * len(lengths), 1) if last_layer else keys
    random = torch.Generator().manual_seed(1)
    query = torch.randn(queries.row_of.numel(), heads * dim, generator=random)
    key_value = torch.randn(keys.row_of.numel(), 2 * heads * dim, generator=random)
    expected = take_gradients(padded, query, key_value, heads, queries, keys)
    found = take_gradients(short_rows, query, key_value, heads, queries, keys)
    # A row without keys gives nothing that anyone reads, but what it gives is finite.
    there = torch.ones(query.shape[0], dtype=torch.bool)
    if last_layer:
        there[2] = False
    assert all(tensor.isfinite().all() for tensor in found)
    assert torch.allclose(found[0][there], expected[0][there], atol=1e-5)
    assert torch.allclose(found[1][there], expected[1][there], atol=1e-4)
    assert torch.allclose(found[2], expected[2], atol=1e-4)


def test_adam_of_a_stack() -> None:
    from sparse_adapter_engine.stacked.kernels.adam import adam as kernel

    random = torch.Generator().manual_seed(1)
    tensors = torch.randn(4, 3, 5000, generator=random)
    tensors[3].square_()
    rows = torch.tensor(
        [
            [1e-3, 0.1, 1.0, 0.1, 0.001, 1e-8, 0.1, 0.03],
            [1e-2, 0.0, 0.2, 0.2, 0.01, 1e-6, 0.5, 0.5],
            [0.0] * 3 + [0.1, 0.001, 1e-8, 0.1, 0.03],
        ]
    )
    one, two = tensors.clone(), tensors.clone()
    adam(*one, rows, ((0, 100), (2000, 4999)))
    kernel(*two, rows, ((0, 100), (2000, 4999)))
    for place in (0, 2, 3):
        assert torch.allclose(one[place], two[place], rtol=1e-5, atol=1e-7)


def test_dropout_drops_the_same_values() -> None:
    from sparse_adapter_engine.stacked.kernels.dropout import drop as kernel

    x = torch.randn(3, 3000, generator=torch.Generator().manual_seed(1))
    keys = torch.tensor([5, -(2**62) + 12345, 2**40 + 7])
    probabilities = torch.tensor([0.1, 0.5, 0.0])
    first = torch.tensor([0, 40, 10**6])
    one, two = (operation(x, keys, first, probabilities) for operation in (drop, kernel))
    assert torch.equal(one == 0, two == 0)
    assert torch.allclose(one, two)
