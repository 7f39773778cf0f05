"""Writes a small BART of random weights: 2 + 2 layers, 64 wide, with RoBERTa's vocabulary, which is
BART's. It has learned nothing.

usage: make_bart.py <folder with vocab.json and merges.txt> <model directory>
"""

import os
import sys

import torch
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    RobertaTokenizerFast,
)

WIDTH, LAYERS, HEADS, POSITIONS = 64, 2, 4, 1024


def main() -> None:
    vocabulary, directory = sys.argv[1:]
    # BART's tokenizer is RoBERTa's: the same class in Transformers, byte-level BPE between <s> and
    # </s>.
    files = (os.path.join(vocabulary, name) for name in ("vocab.json", "merges.txt"))
    tokenizer = RobertaTokenizerFast(*files)
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    sizes = {
        f"{stack}_{name}": value
        for stack in ("encoder", "decoder")
        for name, value in (("layers", LAYERS), ("attention_heads", HEADS))
    }
    inner = {"encoder_ffn_dim": 2 * WIDTH, "decoder_ffn_dim": 3 * WIDTH}
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        max_position_embeddings=POSITIONS,
        **sizes,
        **inner,
    )
    BartForConditionalGeneration(config).save_pretrained(directory)
    assert len(AutoTokenizer.from_pretrained(directory)) == config.vocab_size


main()
