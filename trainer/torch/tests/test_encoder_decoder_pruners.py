"""Pruners on encoder–decoders."""

import pytest
import torch
from encoder_decoder_support import FORMS, SUMMARIZATION, drawn, make_layout, random_pairs
from engine_support import adapter, trial
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scoring import Start, choose_scoring_rows, score
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.pruners.synflow import synflow_scores
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.pairs import PairTask
from sparse_adapter_engine.tasks.part import Part


@pytest.mark.parametrize("form", ["houlsby", "lora"])
def test_snip_is_of_the_mean_over_all_target_tokens_whatever_passes_they_came_in(
    form: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, split = encoder_decoders["bart"], random_pairs(rows=40, seed=2)
    task = PairTask(backbone, split, SUMMARIZATION, How(2500))
    one = trial("t", pruner="snip", sparsity=0.5, label_smoothing=0.2)
    one.prune.scoring_rows = 37
    one.adapter.CopyFrom(FORMS[form])
    tensors, shapes = (
        drawn(one.adapter, backbone),
        make_layout(one.adapter, backbone).prunable_shapes,
    )
    start = Start(
        one, {"t": Pruning(one.prune, 1, shapes)}, tensors, choose_scoring_rows(one, task)
    )
    (found,) = score(task, [start], lambda rows: None)
    part = Part.of(
        0,
        split,
        permutation(40, one.seed, "scoring rows")[:37],
        TrialModules(one.adapter, tensors, dropout=None),
    )
    logits = backbone.logits(part.pack, part.modules)
    gradients = torch.autograd.grad(
        loss(SUMMARIZATION, logits, part.pack, 0.2), [tensors[name] for name in shapes]
    )
    expected = {
        name: (gradient * tensors[name]).abs()
        for name, gradient in zip(shapes, gradients, strict=True)
    }
    total = sum(each.sum() for each in expected.values())
    for name, each in expected.items():
        assert torch.allclose(found[name].float(), (each / total).detach(), rtol=1e-3, atol=1e-9), (
            name
        )


def test_grasp_is_the_gradients_change_along_itself(
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    # GELU and swish have second derivatives everywhere.
    backbone, split = encoder_decoders["bart"], random_pairs(rows=12, seed=2)
    task = PairTask(backbone, split, SUMMARIZATION, How(2500))
    one = trial("t", pruner="grasp", sparsity=0.5)
    one.prune.scoring_rows, one.prune.temperature = 12, 2.0
    one.adapter.CopyFrom(FORMS["houlsby"])
    tensors, shapes = (
        drawn(one.adapter, backbone),
        make_layout(one.adapter, backbone).prunable_shapes,
    )
    start = Start(
        one, {"t": Pruning(one.prune, 1, shapes)}, tensors, choose_scoring_rows(one, task)
    )
    (found,) = score(task, [start], lambda rows: None)

    def gradient(moved: dict[str, Tensor]) -> dict[str, Tensor]:
        leaves = {name: moved[name].detach().requires_grad_() for name in shapes}
        part = Part.of(
            0, split, start.rows, TrialModules(one.adapter, tensors | leaves, dropout=None)
        )
        logits = backbone.logits(part.pack, part.modules)
        found = torch.autograd.grad(
            loss(SUMMARIZATION, logits / 2.0, part.pack), list(leaves.values())
        )
        return dict(zip(shapes, found, strict=True))

    direction = gradient(tensors)
    size = 0.02 / torch.cat([each.flatten() for each in direction.values()]).norm()
    there, back = (
        gradient({name: tensors[name] + sign * size * direction[name] for name in shapes})
        for sign in (1, -1)
    )
    expected = torch.cat(
        [(tensors[name] * (there[name] - back[name]) / (2 * size)).flatten() for name in shapes]
    ).detach()
    own = torch.cat([found[name].flatten() for name in shapes]).float()
    own = own * (expected @ own) / (own @ own)
    assert (own - expected).norm() < 0.05 * expected.norm()


def test_synflow_goes_through_the_encoder_and_then_each_decoder_layers_modules(
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    backbone, asked = encoder_decoders["t5"], adapter("lora", "sequential", width=4, scale=1.5)
    tensors = drawn(asked, backbone)
    names = list(make_layout(asked, backbone).prunable_shapes)
    leaves = {name: tensors[name].detach().double().abs().requires_grad_() for name in names}
    x, c = torch.ones(32, dtype=torch.float64), 16 / 4

    def through(at: str, x: Tensor) -> Tensor:
        return leaves[f"{at}.up.weight"] @ leaves[f"{at}.down.weight"] @ x

    for stack, index in [
        ("encoder", 0),
        ("encoder", 1),
        ("decoder", 0),
        ("decoder", 1),
        ("decoder", 2),
    ]:
        at = f"{stack}.layers.{index}."
        for kind in ("", "cross_") if stack == "decoder" else ("",):
            x = x + c * through(f"{at}{kind}query", x) + c * through(f"{at}{kind}value", x)
        x = x + 1.5 * through(f"{at}ffn", x)
    expected = dict(zip(names, torch.autograd.grad(x.sum(), list(leaves.values())), strict=True))
    found = synflow_scores(
        asked, backbone.blocks, 32, {name: tensors[name].detach() for name in names}
    )
    for name in names:
        assert torch.allclose(found[name], leaves[name].detach() * expected[name], rtol=1e-9), name
