"""Real parts for the tests: a backbone (SA_ORCH_TEST_BACKBONE), real rows (SA_ORCH_DATA/glue), and
a tiny RoBERTa of random weights.
"""

import csv
import os
from pathlib import Path

import sparse_adapter_engine  # noqa: F401 - before torch: it says how long idle threads spin

# Triton's kernels run on the CPU, in its interpreter: it must know before anything imports it.
os.environ.setdefault("TRITON_INTERPRET", "1")

import pytest
import torch
from encoder_decoder_support import random_pairs, write_pairs
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.files.artifacts import write_tensors


@pytest.fixture(autouse=True)
def threads() -> None:
    """One for each test, since other tests run at the same time: threads that wait for each other's
    processor make a step several times slower. A test about several threads says so, and one that
    makes an engine, which sets them for the process, asks it for one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def backbone_path() -> str:
    path = os.environ.get("SA_ORCH_TEST_BACKBONE")
    if not path:
        pytest.skip("SA_ORCH_TEST_BACKBONE names no directory with a small BERT (all-MiniLM-L6-v2)")
    return path


@pytest.fixture(scope="session")
def minilm(backbone_path: str) -> Encoder:
    return load_encoder(backbone_path, torch.device("cpu"))


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a RoBERTa of two layers, 32 wide, of random weights and a pooler."""
    return save_roberta(tmp_path_factory.mktemp("roberta"))


def save_roberta(path: Path, words: int = 200, width: int = 32, heads: int = 4) -> Path:
    """A directory with a RoBERTa of two layers of random weights and a pooler."""
    torch.manual_seed(3)
    config = RobertaConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=2 * width,
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
    )
    RobertaModel(config).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder_decoder("bart", tmp_path_factory.mktemp("bart"), words=120)


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder_decoder("t5", tmp_path_factory.mktemp("t5"), words=120)


@pytest.fixture(scope="session")
def tiny_gated_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder_decoder("gated t5", tmp_path_factory.mktemp("gated-t5"), words=120)


def make_encoder_decoder(family: str, path: Path, words: int, width: int = 32) -> Path:
    """A directory with a BART or a T5 of two encoder and three decoder layers of random weights.
    Padding is 1, the end 2. "gated t5" has the feed-forward blocks of T5 1.1 and an attention three
    quarters as wide as the model."""
    torch.manual_seed(4)
    ids = {
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2 if family == "bart" else 1,
    }
    if family == "bart":
        heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
        sizes = {
            "encoder_layers": 2,
            "decoder_layers": 3,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 64,
        }
        config = BartConfig(
            vocab_size=words, d_model=width, max_position_embeddings=40, **sizes, **heads, **ids
        )
        model: torch.nn.Module = BartForConditionalGeneration(config)
    else:
        sizes = {
            "num_layers": 2,
            "num_decoder_layers": 3,
            "d_ff": 64,
            "num_heads": 4,
            "d_kv": width // 4,
        }
        if family == "gated t5":
            sizes |= {"d_kv": 3 * width // 16, "feed_forward_proj": "gated-gelu"}
        model = T5ForConditionalGeneration(
            T5Config(vocab_size=words, d_model=width, **sizes, **ids)
        )
    # Noise on every weight, so that none is at its neutral value and attention is not uniform.
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
        # Those of T5, or words would all be about as likely, whatever the decoder says.
        model.get_input_embeddings().weight.normal_()
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def cola(backbone_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with `datasets/cola`: 160 training and 60 validation rows of CoLA,
    tokenized.
    """
    data = os.environ.get("SA_ORCH_DATA")
    if not data:
        pytest.skip("SA_ORCH_DATA names no directory with glue/CoLA")
    root = tmp_path_factory.mktemp("root")
    tokenizer = AutoTokenizer.from_pretrained(backbone_path)
    for split, file, count in (("train", "train.tsv", 160), ("validation", "dev.tsv", 60)):
        with Path(data, "glue", "CoLA", file).open(encoding="utf-8", newline="") as lines:
            rows = [
                row
                for row, _ in zip(
                    csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE),
                    range(count),
                    strict=False,
                )
            ]
        ids = tokenizer([row[3] for row in rows])["input_ids"]
        write_split(
            root / "datasets" / "cola" / f"{split}.safetensors",
            ids,
            torch.tensor([int(row[1]) for row in rows], dtype=torch.int32),
        )
    return root


def write_split(path: Path, rows: list[list[int]], labels: torch.Tensor) -> None:
    """A split as Dataset in job.proto describes it."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.tensor([token for row in rows for token in row], dtype=torch.int32)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    types = torch.zeros(ids.numel(), dtype=torch.uint8)
    write_tensors(
        path, {"input_ids": ids, "offsets": offsets, "token_type_ids": types, "labels": labels}
    )


@pytest.fixture(scope="session")
def encoder_decoder_paths(tiny_bart: Path, tiny_t5: Path, tiny_gated_t5: Path) -> dict[str, Path]:
    return {"bart": tiny_bart, "t5": tiny_t5, "gated t5": tiny_gated_t5}


@pytest.fixture(scope="session")
def encoder_decoders(encoder_decoder_paths: dict[str, Path]) -> dict[str, EncoderDecoder]:
    return {
        family: load_encoder_decoder(str(path), torch.device("cpu"))
        for family, path in encoder_decoder_paths.items()
    }


@pytest.fixture(scope="session")
def pairs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with `datasets/pairs`: 17 random pairs to learn from, 11 others."""
    root = tmp_path_factory.mktemp("root")
    for name, split in (
        ("train", random_pairs(17, seed=5)),
        ("validation", random_pairs(11, seed=6)),
    ):
        write_pairs(root, name, split)
    return root
