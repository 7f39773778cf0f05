"""Modules compute what the packages `adapters` and `peft` compute with the same weights:
golden/make_golden.py made the file.
"""

import json
from pathlib import Path

import pytest
import torch
from engine_support import adapter
from safetensors import safe_open
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import BertConfig, BertModel

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.loading import from_transformers
from sparse_adapter_engine.backbones.encoder.packed_encoder import PackedTrials, encode
from sparse_adapter_engine.data.rows import Split
from sparse_adapter_engine.modules.trial_modules import TrialModules

GOLDEN = Path(__file__).parent / "golden" / "golden.safetensors"
NO_NORM = {"norm": job_pb2.ADAPTER_NORM_NONE}
CASES = {
    "houlsby": adapter(
        "sequential", "sequential", width=6, activation="ACTIVATION_SWISH", **NO_NORM
    ),
    "pfeiffer": adapter("none", "after_norm", width=6, **NO_NORM),
    "parallel_ffn": adapter("none", "parallel", width=6, scale=4.0, **NO_NORM),
    "lora": adapter("lora", "lora", width=3, lora_alpha=6.0),
    "prefix": adapter("prefix", "none", width=5, prefix_hidden=7),
    "mam": adapter(
        "prefix",
        "parallel",
        attention_bottleneck=5,
        ffn_bottleneck=6,
        prefix_hidden=7,
        scale=4.0,
        **NO_NORM,
    ),
    "peft_lora": adapter("lora", "lora", width=3, lora_alpha=6.0),
}


@pytest.fixture(scope="module")
def golden() -> tuple[Encoder, dict[str, Tensor]]:
    with safe_open(GOLDEN, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = BertConfig(**json.loads(file.metadata()["config"]))
    model = BertModel(config, add_pooling_layer=False)
    # Both sides also hold buffers (position ids), which are no weights.
    missing = model.load_state_dict(
        {k.removeprefix("backbone."): v for k, v in tensors.items() if k.startswith("backbone.")},
        strict=False,
    )
    assert not missing.missing_keys
    return from_transformers(model.eval(), has_pooler=False), tensors


@pytest.mark.parametrize("case", CASES)
def test_hidden_states_and_gradients_equal_the_packages(
    case: str, golden: tuple[Encoder, dict[str, Tensor]]
) -> None:
    backbone, tensors = golden
    weights = {
        k.removeprefix(f"{case}/weight/"): v.requires_grad_()
        for k, v in tensors.items()
        if k.startswith(f"{case}/weight/")
    }
    lengths = tensors["attention_mask"].sum(1)
    ids = torch.cat(
        [row[:length] for row, length in zip(tensors["input_ids"], lengths, strict=True)]
    )
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    split = Split(
        "golden", ids, torch.zeros_like(ids), offsets, torch.zeros(len(lengths), dtype=torch.int64)
    )
    pack = split.pack(torch.arange(len(lengths)))
    (hidden,) = encode(
        backbone, PackedTrials([pack]), [TrialModules(CASES[case], weights, dropout=None)]
    )
    assert (hidden - tensors[f"{case}/hidden"][pack.order]).abs().max() < 1e-5
    gradients = torch.autograd.grad(
        (hidden * tensors["direction"][pack.order]).sum(), list(weights.values())
    )
    for name, gradient in zip(weights, gradients, strict=True):
        expected = tensors[f"{case}/gradient/{name}"]
        assert (gradient - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max())), (
            name
        )
