"""Encoder–decoders with adapters compute what the papers' formulas say."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from encoder_decoder_reference import Plain
from encoder_decoder_support import (
    CASES,
    FAMILIES,
    FORMS,
    ONLY_BART,
    SUMMARIZATION,
    drawn,
    find_form,
    make_layout,
    pair,
    random_pairs,
)
from torch import Tensor
from transformers.trainer_pt_utils import LabelSmoother

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.modules.dropout import Dropout
from sparse_adapter_engine.modules.sites import AttentionDropout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part


@pytest.mark.parametrize(("family", "form"), CASES)
def test_logits_and_gradients_equal_the_papers_formulas_on_transformers_forward_of_each_row_alone(
    family: str,
    form: str,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    asked, backbone, split = find_form(form), encoder_decoders[family], random_pairs()
    tensors = drawn(asked, backbone)
    pack = Part.of(
        0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None)
    ).pack
    plain = Plain(encoder_decoder_paths[family], asked, tensors)
    expected = torch.cat([plain.logits(*pair(split, row)) for row in pack.order.tolist()])
    plain_gradients = torch.autograd.grad(
        F.cross_entropy(expected, pack.labels), list(tensors.values())
    )
    for twice_differentiable in (False, True):
        part = Part.of(
            0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None)
        )
        logits = backbone.logits(part.pack, part.modules, twice_differentiable)
        assert torch.allclose(logits, expected, atol=1e-4, rtol=1e-4)
        gradients = torch.autograd.grad(
            loss(SUMMARIZATION, logits, part.pack), list(tensors.values())
        )
        for name, one, two in zip(tensors, gradients, plain_gradients, strict=True):
            assert (one - two).norm() <= 1e-3 * two.norm() + 1e-6, name
            assert two.norm() > 0, name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_label_smoothers_of_transformers(
    family: str, encoder_decoder_paths: dict[str, Path], encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, split, asked = encoder_decoders[family], random_pairs(), FORMS["lora"]
    tensors = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    part = Part.of(0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None))
    plain = Plain(encoder_decoder_paths[family], asked, tensors).model
    (group,) = part.pack.groups
    output = plain(
        input_ids=group.input_ids, attention_mask=group.attended.long(), labels=group.target_ids
    )
    expected = LabelSmoother(epsilon=0.1)(output, group.target_ids)
    logits = backbone.logits(part.pack, part.modules)
    assert loss(SUMMARIZATION, logits, part.pack, 0.1).item() == pytest.approx(
        expected.item(), abs=1e-5
    )
    assert loss(SUMMARIZATION, logits, part.pack).item() == pytest.approx(
        output.loss.item(), abs=1e-5
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_of_embeddings_and_of_what_each_block_gives_by_the_step(
    family: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, split, tensors = (
        encoder_decoders[family],
        random_pairs(),
        drawn(FORMS["mam"], encoder_decoders[family]),
    )
    asked: list[str] = []

    class Telling(Dropout):
        def __call__(self, x: Tensor, site: str) -> Tensor:
            asked.append(site)
            return super().__call__(x, site)

        def attention(self, site: str) -> AttentionDropout | None:
            asked.append(f"{site} weights")
            return super().attention(site)

    def logits(step: int, *probabilities: float) -> Tensor:
        asked.clear()
        modules = TrialModules(FORMS["mam"], tensors, Telling(1, step, *probabilities))
        part = Part.of(0, split, torch.arange(4), modules)
        found = backbone.logits(part.pack, part.modules)
        return found.detach()

    first, second, of_weights = logits(1, 0.2, 0.0), logits(2, 0.2, 0.0), logits(1, 0.0, 0.2)
    assert torch.equal(logits(1, 0.2, 0.0), first)
    layers = [f"encoder.layers.{index}" for index in range(2)] + [
        f"decoder.layers.{index}" for index in range(3)
    ]
    attentions = [f"{layer}.attention" for layer in layers] + [
        f"{layer}.cross_attention" for layer in layers[2:]
    ]
    expected = [
        "encoder.embeddings",
        "decoder.embeddings",
        *attentions,
        *(f"{layer}.ffn" for layer in layers),
    ]
    assert sorted(asked) == sorted(
        [*expected, *(f"{attention} weights" for attention in attentions)]
    )
    none = logits(1, 0.0, 0.0)
    assert not any(
        torch.allclose(one, two, atol=1e-3)
        for one, two in combinations([first, second, of_weights, none], 2)
    )


def test_names_and_shapes_are_the_contracts(encoder_decoders: dict[str, EncoderDecoder]) -> None:
    lora = make_layout(FORMS["lora"], encoder_decoders["bart"]).shapes
    assert lora["decoder.layers.2.cross_value.down.weight"] == (4, 32)
    assert lora["encoder.layers.1.ffn_in.up.weight"] == (48, 4)
    assert lora["decoder.layers.1.ffn_out.down.weight"] == (4, 64)
    assert "encoder.layers.0.cross_query.up.weight" not in lora
    assert not [name for name in lora if name.startswith("head.")]
    houlsby = make_layout(FORMS["houlsby"], encoder_decoders["t5"]).shapes
    assert {
        name
        for name in houlsby
        if name.startswith("decoder.layers.0.") and name.endswith("down.weight")
    } == {
        f"decoder.layers.0.{module}.down.weight"
        for module in ("attention", "cross_attention", "ffn")
    }
    prefix = make_layout(FORMS["prefix with its MLP"], encoder_decoders["t5"]).shapes
    assert prefix["prefix.cross.mlp.out.weight"] == (3 * 64, 5)
    assert prefix["prefix.encoder.mlp.out.bias"] == (2 * 64,)
    assert (
        "decoder.layers.0.cross_prefix.key"
        in make_layout(FORMS["prefix"], encoder_decoders["t5"]).shapes
    )
    biases = make_layout(ONLY_BART["biases"], encoder_decoders["bart"]).shapes
    assert biases["decoder.layers.0.cross_attention_norm.bias"] == (32,)


def test_a_t5_whose_attention_is_narrower_than_the_model_has_tensors_of_its_width(
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    d, e, f, backbone = 32, 24, 64, encoder_decoders["gated t5"]
    lora = make_layout(FORMS["lora"], backbone)
    assert lora.shapes["encoder.layers.0.query.down.weight"] == (4, d)
    assert lora.shapes["encoder.layers.0.query.up.weight"] == (e, 4)
    assert lora.shapes["decoder.layers.2.cross_value.up.weight"] == (e, 4)
    # Two encoder layers with an attention each, three decoder layers with two.
    assert lora.prunable == 4 * ((2 + 3 * 2) * 2 * (d + e) + (2 + 3) * 2 * (d + f))
    assert make_layout(FORMS["prefix"], backbone).shapes["decoder.layers.0.cross_prefix.value"] == (
        3,
        e,
    )
    made = make_layout(FORMS["prefix with its MLP"], backbone).shapes
    assert (made["prefix.encoder.embedding"], made["prefix.cross.mlp.out.weight"]) == (
        (3, d),
        (3 * 2 * e, 5),
    )
