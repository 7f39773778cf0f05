"""What contenders with a BART have in common: a model of random weights, texts and settings."""

import torch
from rows import xsum, xsum_pairs
from sparse_adapter.trainer.v1 import job_pb2
from transformers import BartConfig, BartForConditionalGeneration

# The tokens of a document and of its summary.
Pair = tuple[list[int], list[int]]

# Tokens of a document, and of a summary to learn.
_LONGEST, _LONGEST_TARGET = 512, 62
_ROWS = 64
GENERATE_BATCH, TRAIN_BATCH = 8, 16
# As the published BART for XSum generates.
BEAMS, LEAST, MOST, NGRAM = 6, 11, 62, 3
TRAIN = job_pb2.Train(
    learning_rate=1e-3,
    weight_decay=0.1,
    max_grad_norm=1.0,
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    total_steps=10_000,
)


def documents() -> list[list[int]]:
    """To generate from."""
    return xsum(_ROWS, _LONGEST)


def pairs() -> list[Pair]:
    """To learn from."""
    return xsum_pairs(_ROWS, _LONGEST, _LONGEST_TARGET)


def write_bart(path: str) -> None:
    """Writes a BART of random weights, 4 + 4 layers, 256 wide, with BART's vocabulary."""
    torch.manual_seed(1)
    config = BartConfig(
        d_model=256,
        encoder_layers=4,
        decoder_layers=4,
        encoder_ffn_dim=1024,
        decoder_ffn_dim=1024,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=_LONGEST,
    )
    BartForConditionalGeneration(config).save_pretrained(path)
