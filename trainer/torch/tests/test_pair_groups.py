"""A step's rows in groups of like length: the same loss and gradients, with less padding."""

from dataclasses import replace

import pytest
import torch
from encoder_decoder_support import (
    CASES,
    FAMILIES,
    FORMS,
    SUMMARIZATION,
    drawn,
    find_form,
    random_pairs,
)
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.data.pairs import PaddedPairs
from sparse_adapter_engine.modules.dropout import Dropout
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss


@pytest.mark.parametrize(("family", "form"), CASES)
@pytest.mark.parametrize("twice_differentiable", [False, True])
def test_loss_and_gradients_of_groups_are_those_of_all_rows_together(
    family: str, form: str, twice_differentiable: bool, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    asked, backbone, split = find_form(form), encoder_decoders[family], random_pairs(rows=6)
    tensors = drawn(asked, backbone)
    found = []
    for group_tokens in (0, ONE_GROUP):
        pack = split.pack(torch.arange(6), prompt_length(asked), group_tokens)
        assert (len(pack.groups) > 2) == (group_tokens == 0)
        logits = backbone.logits(
            pack, TrialModules(asked, tensors, dropout=None), twice_differentiable
        )
        mean = loss(SUMMARIZATION, logits, pack, 0.1)
        found.append((mean, torch.autograd.grad(mean, list(tensors.values())), pack))
    (one, gradients, grouped), (two, expected, together) = found
    assert grouped.tokens < together.tokens
    assert torch.equal(grouped.labels, together.labels)
    assert torch.equal(grouped.order, together.order)
    assert one.item() == pytest.approx(two.item(), rel=1e-6)
    for name, mine, plain in zip(tensors, gradients, expected, strict=True):
        assert (mine - plain).norm() <= 1e-4 * plain.norm() + 1e-6, name


@pytest.mark.parametrize("family", FAMILIES)
def test_each_group_drops_by_streams_of_its_own_and_the_first_as_a_batch_without_groups(
    family: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, asked = encoder_decoders[family], FORMS["mam"]
    one_row = random_pairs(rows=1, seed=2)
    tensors = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    pack = one_row.pack(torch.tensor([0]))
    # The same row twice, as two groups.
    twice = replace(
        pack,
        groups=pack.groups * 2,
        target_places=torch.cat(
            [pack.target_places, pack.target_places + pack.groups[0].target_ids.numel()]
        ),
        labels=pack.labels.repeat(2),
    )
    for probabilities in ((0.3, 0.0), (0.0, 0.3)):

        def logits(
            of: PaddedPairs, step: int = 1, probabilities: tuple[float, float] = probabilities
        ) -> Tensor:
            return backbone.logits(
                of, TrialModules(asked, tensors, Dropout(1, step, *probabilities))
            )

        first, second = logits(twice).chunk(2)
        assert torch.equal(first, logits(pack))
        assert not torch.allclose(first, second, atol=1e-3)
        assert torch.equal(logits(twice), torch.cat([first, second]))
        assert not torch.allclose(second, logits(twice, step=2).chunk(2)[1], atol=1e-3)


def test_a_pack_goes_to_a_device_as_it_is() -> None:
    pack = random_pairs(rows=6).pack(torch.tensor([4, 1, 5]), prompt=2, group_tokens=0)
    moved = pack.to(torch.device("cpu"))
    assert (moved.terms_of, moved.rows, moved.tokens, moved.terms) == (
        pack.terms_of,
        3,
        pack.tokens,
        pack.labels.numel(),
    )
    assert torch.equal(moved.labels, pack.labels)
    assert torch.equal(moved.target_places, pack.target_places)
    assert len(moved.groups) == len(pack.groups) > 1
    for one, two in zip(moved.groups, pack.groups, strict=True):
        assert one.is_padded == two.is_padded
        assert all(
            torch.equal(getattr(one, name), getattr(two, name))
            for name in ("input_ids", "lengths", "target_ids")
        )


def test_a_stack_has_rows_trial_after_trial_and_of_a_shorter_one_rows_without_targets() -> None:
    split, rows_of = random_pairs(rows=8), [torch.tensor([0, 1, 2, 3, 4]), torch.tensor([5, 6, 7])]
    stack = split.pack_stack(rows_of, prompt=1, group_tokens=0)
    targets = torch.cat([group.target_ids.view(-1) for group in stack.groups])
    assert torch.equal(targets[stack.target_places], stack.labels)
    for trial, (rows, labels) in enumerate(
        zip(rows_of, stack.labels.split(list(stack.terms_of)), strict=True)
    ):
        alone = split.pack(rows, prompt=1, group_tokens=ONE_GROUP)
        assert torch.equal(labels, alone.labels)
        assert torch.equal(stack.orders[trial], alone.order)
        texts = []
        for group in stack.groups:
            ids, lengths = group.input_ids.chunk(2)[trial], group.lengths.chunk(2)[trial]
            texts += [
                row[:length].tolist() for row, length in zip(ids, lengths.tolist(), strict=True)
            ]
        (group,) = alone.groups
        expected = [
            row[:length].tolist()
            for row, length in zip(group.input_ids, group.lengths.tolist(), strict=True)
        ]
        assert texts[len(texts) - len(expected) :] == expected
        assert len(texts) == 5
