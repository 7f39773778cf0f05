"""What only a GPU can show of encoder–decoders; skipped where there is none."""

from pathlib import Path

import pytest
import torch
from encoder_decoder_support import (
    CASES,
    FAMILIES,
    FORMS,
    SEED_SETTINGS,
    SUMMARIZATION,
    drawn,
    find_form,
    random_pairs,
)
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.modules.dropout import Dropout
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize(("family", "form"), CASES)
@pytest.mark.parametrize(
    ("precision", "most"), [(job_pb2.PRECISION_FLOAT32, 1e-3), (job_pb2.PRECISION_BF16, 0.15)]
)
@pytest.mark.parametrize("group_tokens", [0, ONE_GROUP])
def test_losses_and_gradients_are_the_cpus(
    family: str,
    form: str,
    precision: int,
    most: float,
    group_tokens: float,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    """In groups of one length without a mask, and all together with one."""
    asked, split, cuda = find_form(form), random_pairs(rows=6), torch.device("cuda")
    on_gpu = load_encoder_decoder(str(encoder_decoder_paths[family]), cuda, precision)
    tensors = {
        name: (tensor.detach() / (4 if form == "lora" else 1))
        for name, tensor in drawn(asked, on_gpu).items()
    }
    found = []
    for backbone in (encoder_decoders[family], on_gpu):
        placed = {
            name: tensor.to(backbone.device).requires_grad_() for name, tensor in tensors.items()
        }
        pack = split.pack(torch.arange(6), prompt_length(asked), group_tokens).to(backbone.device)
        mean = loss(
            SUMMARIZATION, backbone.logits(pack, TrialModules(asked, placed, dropout=None)), pack
        )
        gradients = torch.autograd.grad(mean, list(placed.values()))
        found.append(
            (mean.item(), torch.cat([gradient.reshape(-1).cpu() for gradient in gradients]))
        )
    (expected, plain), (value, gradient) = found
    assert value == pytest.approx(expected, rel=most / 5)
    assert (gradient - plain).norm() <= most * plain.norm()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 6])
def test_texts_are_the_cpus(
    family: str,
    beams: int,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    on_gpu = load_encoder_decoder(str(encoder_decoder_paths[family]), torch.device("cuda"))
    settings = job_pb2.Generation()
    settings.CopyFrom(SEED_SETTINGS)
    settings.beams = beams
    pack = random_pairs(rows=9).pack(torch.arange(9), group_tokens=ONE_GROUP)
    texts = []
    for backbone in (encoder_decoders[family], on_gpu):
        tensors = {
            name: tensor.detach().to(backbone.device)
            for name, tensor in drawn(FORMS["mam"], backbone).items()
        }
        found = backbone.generate(
            pack.to(backbone.device), TrialModules(FORMS["mam"], tensors, dropout=None), settings
        )
        texts.append([row.tolist() for row in found])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", [job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16])
def test_the_host_never_waits_in_a_forward_and_backward(
    family: str, precision: int, encoder_decoder_paths: dict[str, Path]
) -> None:
    cuda = torch.device("cuda")
    backbone = load_encoder_decoder(str(encoder_decoder_paths[family]), cuda, precision)
    tensors = {
        name: tensor.detach().to(cuda).requires_grad_()
        for name, tensor in drawn(FORMS["mam"], backbone).items()
    }
    pack = random_pairs(rows=6).pack(torch.arange(6), group_tokens=30).to(cuda)
    for mode in ("default", "error"):
        # The first time libraries set themselves up.
        torch.cuda.set_sync_debug_mode(mode)
        try:
            mean = loss(
                SUMMARIZATION,
                backbone.logits(pack, TrialModules(FORMS["mam"], tensors, Dropout(1, 1, 0.0, 0.0))),
                pack,
            )
            torch.autograd.grad(mean, list(tensors.values()))
        finally:
            torch.cuda.set_sync_debug_mode("default")
