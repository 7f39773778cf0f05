"""Transformers' models with random weights."""

from typing import Any

import torch
from torch import nn
from transformers import BartConfig, BartForConditionalGeneration, RobertaConfig, RobertaModel

from .workloads import Shape

LONGEST = 512


def random_roberta(shape: Shape, device: torch.device, seed: int = 0) -> Any:
    """A frozen RobertaModel in float32, without a pooler and with dropout off; the same for the
    same seed and device."""
    # RoBERTa's positions begin after the padding id.
    config = RobertaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=LONGEST + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        model = RobertaModel(config, add_pooling_layer=False)
    return _frozen(model)


def random_bart(small: bool, device: torch.device, seed: int = 0) -> Any:
    """The same for a BartForConditionalGeneration of BART-base's sizes, or a small one."""
    if small:
        sizes = {"vocab_size": 500, "d_model": 64, "encoder_layers": 2, "decoder_layers": 2}
        sizes |= {"encoder_ffn_dim": 128, "decoder_ffn_dim": 128}
    else:
        sizes = {"vocab_size": 50_265, "d_model": 768, "encoder_layers": 6, "decoder_layers": 6}
        sizes |= {"encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}
    heads = 4 if small else 12
    config = BartConfig(
        **sizes,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        max_position_embeddings=LONGEST,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        model = BartForConditionalGeneration(config)
    return _frozen(model)


@torch.no_grad()
def _frozen(model: Any) -> Any:
    """Adds noise to norms and biases, whose neutral values would hide mistakes."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.add_(torch.randn_like(module.weight), alpha=0.1)
            module.bias.add_(torch.randn_like(module.bias), alpha=0.1)
        elif isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.add_(torch.randn_like(module.bias), alpha=0.02)
    return model.eval().requires_grad_(False)
