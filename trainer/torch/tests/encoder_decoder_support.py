"""Adapters, pairs and jobs for tests of encoder–decoders."""

from pathlib import Path

import torch
import torch.nn.functional as F
from engine_support import Recorder, adapter, train_work
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.files.artifacts import write_tensors
from sparse_adapter_engine.modules.layout import Layout, initialize, layout

SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION
FAMILIES = ["bart", "t5", "gated t5"]
FORMS = {
    "houlsby": adapter(
        "sequential",
        "sequential",
        width=6,
        norm="ADAPTER_NORM_BEFORE",
        activation="ACTIVATION_SWISH",
        scale=2.0,
    ),
    "parallel, norm after": adapter(
        "parallel", "parallel", width=6, norm="ADAPTER_NORM_AFTER", activation="ACTIVATION_GELU"
    ),
    "lora": adapter("lora", "lora", width=4),
    "prefix": adapter("prefix", "none", width=3),
    "prefix with its MLP": adapter("prefix", "none", width=3, prefix_hidden=5),
    "mam": adapter("prefix", "parallel", width=3, scale=4.0),
    "prompt": adapter("prompt", "none", width=3),
}
ONLY_BART = {
    "pfeiffer": adapter("none", "after_norm", width=6, norm="ADAPTER_NORM_NONE"),
    "biases": adapter("none", "none", unfrozen="UNFROZEN_BIASES"),
}
CASES = [
    (family, form)
    for family in FAMILIES
    for form in [*FORMS, *(ONLY_BART if family == "bart" else [])]
]
SEED_SETTINGS = job_pb2.Generation(
    beams=6, min_length=3, max_length=9, no_repeat_ngram=3, length_penalty=1.0
)


def random_pairs(rows: int = 4, seed: int = 0) -> PairSplit:
    """Rows of 1 to 20 tokens with targets of 2 to 9."""
    random = torch.Generator().manual_seed(seed)
    lengths, target_lengths = (
        torch.randint(least, most, (rows,), generator=random) for least, most in ((1, 21), (2, 10))
    )
    offsets, target_offsets = (F.pad(each.cumsum(0), (1, 0)) for each in (lengths, target_lengths))
    ids, targets = (
        torch.randint(5, 120, (int(each[-1]),), generator=random)
        for each in (offsets, target_offsets)
    )
    return PairSplit("train", ids, offsets, targets, target_offsets)


def drawn(asked: job_pb2.Adapter, backbone: EncoderDecoder, seed: int = 4) -> dict[str, Tensor]:
    """An adapter's tensors with nothing at its neutral value."""
    random = torch.Generator().manual_seed(seed)
    first = initialize(
        job_pb2.Trial(seed=seed, adapter=asked), make_layout(asked, backbone).shapes, None
    )
    return {
        name: (t + torch.randn(t.shape, generator=random) * 0.2).requires_grad_()
        for name, t in first.items()
    }


def make_layout(asked: job_pb2.Adapter, backbone: EncoderDecoder) -> Layout:
    return layout(asked, backbone, num_labels=0, task_kind=SUMMARIZATION)


def find_form(name: str) -> job_pb2.Adapter:
    return (FORMS | ONLY_BART)[name]


def pair(split: PairSplit, row: int) -> tuple[Tensor, Tensor]:
    """Text and target of a row, [1, tokens]."""
    ranges = ((split.input_ids, split.offsets), (split.target_ids, split.target_offsets))
    text, target = (ids[offsets[row] : offsets[row + 1]][None] for ids, offsets in ranges)
    return text, target


def write_pairs(root: Path, name: str, split: PairSplit) -> None:
    tensors = {"input_ids": split.input_ids.int(), "offsets": split.offsets}
    tensors |= {"target_ids": split.target_ids.int(), "target_offsets": split.target_offsets}
    types = {"token_type_ids": torch.zeros(split.input_ids.numel(), dtype=torch.uint8)}
    write_tensors(root / "datasets" / "pairs" / f"{name}.safetensors", tensors | types)


def spec(path: Path, trials: list[job_pb2.Trial], **work: object) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(
        backbone=job_pb2.Backbone(path=str(path), digest="b" * 64),
        dataset=job_pb2.Dataset(
            name="datasets/pairs", digest="pairs", task_kind=SUMMARIZATION, num_labels=0
        ),
        trials=trials,
        **work,
    )


def train(
    root: Path, path: Path, trials: list[job_pb2.Trial], told: Recorder, **work: int
) -> Engine:
    engine = Engine(root, threads=1)
    pruned = Recorder()
    engine.run(spec(path, trials, prune=job_pb2.PruneWork()), pruned)
    assert not pruned.failures
    engine.run(spec(path, trials, train=train_work(log_every_steps=1, **work)), told)
    return engine
