"""Writes golden.safetensors: what the packages `adapters` and `peft` compute on a small random
BERT, for test_golden.py.

    pip install adapters==1.3.0 transformers==4.57.6 peft==0.21.2 torch safetensors
    python make_golden.py golden.safetensors

`adapters` pins a Transformers older than the trainer's, hence an environment of its own and a file.
The file has the backbone (backbone.*), rows (input_ids, attention_mask), a direction for the loss,
and for each case its modules' tensors under the contract's names (<case>/weight/*), the first
tokens' last hidden states (<case>/hidden) and the gradients of sum(hidden · direction)
(<case>/gradient/*).
"""

import json
import re
import sys

import adapters
import peft
import torch
from adapters import (
    ConfigUnion,
    DoubleSeqBnConfig,
    LoRAConfig,
    ParBnConfig,
    PrefixTuningConfig,
    SeqBnConfig,
)
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import BertConfig, BertModel

CONFIG = BertConfig(
    vocab_size=60,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=40,
    max_position_embeddings=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
LENGTHS = (3, 17, 8, 8, 2, 21)
FROM_ADAPTERS = {
    "houlsby": DoubleSeqBnConfig(reduction_factor=4, non_linearity="swish"),
    "pfeiffer": SeqBnConfig(reduction_factor=4),
    "parallel_ffn": ParBnConfig(reduction_factor=4, scaling=4.0),
    "lora": LoRAConfig(
        r=3,
        alpha=6,
        selfattn_lora=True,
        intermediate_lora=True,
        output_lora=True,
        attn_matrices=["q", "v"],
    ),
    "prefix": PrefixTuningConfig(prefix_length=5, bottleneck_size=7),
    "mam": ConfigUnion(
        PrefixTuningConfig(prefix_length=5, bottleneck_size=7),
        ParBnConfig(reduction_factor=4, scaling=4.0),
    ),
}
FROM_PEFT = {
    "peft_lora": peft.LoraConfig(
        r=3,
        lora_alpha=6,
        lora_dropout=0.0,
        target_modules=r".*(query|value|intermediate\.dense|layer\.\d+\.output\.dense)",
    ),
}
# From the packages' parameter names to the contract's.
NAMES = (
    (
        r".*layer\.(\d+)\.attention\.output\.adapters\.\w+\.adapter_(down|up)"
        r"(?:\.0)?\.(weight|bias)",
        r"layers.\1.attention.\2.\3",
    ),
    (
        r".*layer\.(\d+)\.output\.adapters\.\w+\.adapter_(down|up)(?:\.0)?\.(weight|bias)",
        r"layers.\1.ffn.\2.\3",
    ),
    (r".*layer\.(\d+)\.attention\.self\.(query|value)\..*lora_A.*", r"layers.\1.\2.down.weight"),
    (r".*layer\.(\d+)\.attention\.self\.(query|value)\..*lora_B.*", r"layers.\1.\2.up.weight"),
    (r".*layer\.(\d+)\.intermediate\.dense\..*lora_A.*", r"layers.\1.ffn_in.down.weight"),
    (r".*layer\.(\d+)\.intermediate\.dense\..*lora_B.*", r"layers.\1.ffn_in.up.weight"),
    (r".*layer\.(\d+)\.output\.dense\..*lora_A.*", r"layers.\1.ffn_out.down.weight"),
    (r".*layer\.(\d+)\.output\.dense\..*lora_B.*", r"layers.\1.ffn_out.up.weight"),
    (r".*self_prefix\.wte\.weight", "prefix.embedding"),
    (r".*self_prefix\.control_trans\.0\.(weight|bias)", r"prefix.mlp.in.\1"),
    (r".*self_prefix\.control_trans\.2\.(weight|bias)", r"prefix.mlp.out.\1"),
)


def main(path: str) -> None:
    torch.manual_seed(0)
    backbone = BertModel(CONFIG, add_pooling_layer=False)
    for parameter in backbone.parameters():
        # The random initialization is too near 0 for a wrong term to show.
        nn.init.normal_(parameter, std=0.3)
    state = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    ids = torch.randint(5, CONFIG.vocab_size, (len(LENGTHS), max(LENGTHS)))
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)).long()
    direction = torch.randn(len(LENGTHS), CONFIG.hidden_size)
    tensors = {"input_ids": ids, "attention_mask": mask, "direction": direction} | {
        f"backbone.{k}": v for k, v in state.items()
    }

    def fresh() -> BertModel:
        model = BertModel(CONFIG, add_pooling_layer=False)
        model.load_state_dict(state)
        return model

    for case, config in FROM_ADAPTERS.items():
        model = fresh()
        adapters.init(model)
        model.add_adapter(case, config=config)
        model.train_adapter(case)
        tensors |= run(case, model, ids, mask, direction)
    for case, config in FROM_PEFT.items():
        tensors |= run(case, peft.get_peft_model(fresh(), config), ids, mask, direction)
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        path,
        {"config": json.dumps(CONFIG.to_dict())},
    )


def run(
    case: str, model: nn.Module, ids: Tensor, mask: Tensor, direction: Tensor
) -> dict[str, Tensor]:
    """A case's tensors.

    Every trained parameter is drawn anew, so that none is at its neutral value.
    """
    trained = {
        contract_name(name): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    for parameter in trained.values():
        nn.init.normal_(parameter, std=0.3)
    hidden = model.eval()(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    gradients = torch.autograd.grad((hidden * direction).sum(), list(trained.values()))
    found = {f"{case}/hidden": hidden.detach()}
    for (name, parameter), gradient in zip(trained.items(), gradients, strict=True):
        found |= {
            f"{case}/weight/{name}": parameter.detach().clone(),
            f"{case}/gradient/{name}": gradient,
        }
    return found


def contract_name(name: str) -> str:
    for pattern, replacement in NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    raise ValueError(f"no name in the contract for {name}")


if __name__ == "__main__":
    main(sys.argv[1])
