"""Writes a BART and a T5 of random weights whose sizes all differ: make_tiny.py <folder> makes
<folder>/bart and <folder>/t5.
"""

import os
import sys

from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

IDS = {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
BART = {"encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 20, "decoder_ffn_dim": 28}
HEADS = {"encoder_attention_heads": 4, "decoder_attention_heads": 2}
T5 = {"num_layers": 2, "num_decoder_layers": 3, "d_ff": 20, "num_heads": 4, "d_kv": 4}

BartForConditionalGeneration(
    BartConfig(vocab_size=30, d_model=16, max_position_embeddings=12, **BART, **HEADS, **IDS)
).save_pretrained(os.path.join(sys.argv[1], "bart"))
T5ForConditionalGeneration(T5Config(vocab_size=30, d_model=16, **T5, **IDS)).save_pretrained(
    os.path.join(sys.argv[1], "t5")
)
