"""What contenders with a BART have in common: a model of random weights, and sizes."""

import torch
from sparse_adapter.trainer.v1 import job_pb2
from transformers import BartConfig, BartForConditionalGeneration

# Tokens of a document, and of a summary to learn.
LONGEST, LONGEST_TARGET = 512, 62
DOCUMENTS, GENERATE_BATCH = 64, 8
# As the published BART for XSum generates.
BEAMS, LEAST, MOST, NGRAM = 6, 11, 62, 3
ROWS, TRAIN_BATCH = 64, 16
TRAIN = job_pb2.Train(
    learning_rate=1e-3,
    weight_decay=0.1,
    max_grad_norm=1.0,
    adam_beta1=0.9,
    adam_beta2=0.999,
    adam_epsilon=1e-8,
    total_steps=10_000,
)


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
        max_position_embeddings=LONGEST,
    )
    BartForConditionalGeneration(config).save_pretrained(path)
