"""Draws a trained adapter for each trial of a line {root, spec, gone} and predicts with it; answers
{} to each. Units with these numbers are gone: their weights are zeros.

Logits of encoder–decoders, which predictions do not have, are in logits.safetensors.
"""

import json
import sys
from pathlib import Path

import torch
from google.protobuf.json_format import ParseDict
from safetensors.torch import save_file
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.pairs import load_pairs
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.modules.layout import initialize, is_prunable, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.part import Part

sys.path.insert(0, str(Path(__file__).parents[2] / "trainer" / "torch" / "tests"))
from engine_support import Recorder

CPU = torch.device("cpu")
SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION


def answer(root: Path, spec: job_pb2.JobSpec, gone: list[int]) -> None:
    (trial,) = spec.trials
    kind, path = spec.dataset.task_kind, spec.backbone.path
    is_pairs = kind == SUMMARIZATION
    backbone = load_encoder_decoder(path, CPU) if is_pairs else load_encoder(path, CPU)
    shapes = layout(trial.adapter, backbone, spec.dataset.num_labels, kind).shapes
    random = torch.Generator().manual_seed(4)
    tensors = {
        name: t + torch.randn(t.shape, generator=random) * 0.2
        for name, t in initialize(trial, shapes, None).items()
    }
    masks = {name: torch.ones_like(t) for name, t in tensors.items() if is_prunable(name)}
    for name, mask in masks.items():
        units = [unit for unit in gone if unit < min(mask.shape)]
        if name.endswith("up.weight"):
            mask[:, units] = 0
        else:
            mask[units] = 0
        tensors[name] *= mask
    folder = root / "trials" / trial.trial_id
    (folder / "adapter").mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter" / "adapter_model.safetensors")
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps({"format": 1}))
    save_file(
        {name: mask.to(torch.uint8) for name, mask in masks.items()}, folder / "masks.safetensors"
    )
    if is_pairs:
        logits = pair_logits(root, spec, backbone, tensors)
        save_file({"logits": logits}, folder / "logits.safetensors")
    else:
        told = Recorder()
        Engine(root, threads=1).run(spec, told)
        assert not told.failures, told.failures


@torch.no_grad()
def pair_logits(
    root: Path, spec: job_pb2.JobSpec, backbone: EncoderDecoder, tensors: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Logits [target tokens, vocabulary], row by row."""
    split = load_pairs(root, spec.dataset, "validation", backbone.vocabulary, backbone.longest)
    modules = TrialModules(spec.trials[0].adapter, tensors, dropout=None)
    parts = (Part.of(0, split, torch.tensor([row]), modules) for row in range(split.rows))
    return torch.cat([backbone.logits(part.pack, part.modules) for part in parts])


torch.set_num_threads(1)
for line in sys.stdin:
    case = json.loads(line)
    answer(Path(case["root"]), ParseDict(case["spec"], job_pb2.JobSpec()), case["gone"])
    print("{}")
