"""The packed encoder computes what Transformers computes, without a padded token."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import AutoModel

from sparse_adapter_trainer.adapters import initialize, layout
from sparse_adapter_trainer.backbone import load_backbone
from sparse_adapter_trainer.dataset import Split
from sparse_adapter_trainer.model import Part, TrialModules, forward, loss
from sparse_adapter_trainer.packed_encoder import encode

NAMES = {"relu": job_pb2.ACTIVATION_RELU, "gelu": job_pb2.ACTIVATION_GELU, "swish": job_pb2.ACTIVATION_SWISH}
NORMS = {"none": job_pb2.ADAPTER_NORM_NONE, "before": job_pb2.ADAPTER_NORM_BEFORE, "after": job_pb2.ADAPTER_NORM_AFTER}
KINDS = {"houlsby": job_pb2.ADAPTER_KIND_HOULSBY, "pfeiffer": job_pb2.ADAPTER_KIND_PFEIFFER}


def ragged(vocabulary: int, token_types: int, seed: int = 0) -> Split:
    """19 rows of 1 to 45 tokens."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1, 2, 3, 45, 45, 7, 7, 7, 12, 30, 31, 5, 9, 9, 16, 17, 40, 2, 23])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    tokens = int(offsets[-1])
    ids = torch.randint(5, vocabulary, (tokens,), generator=random)
    types = torch.randint(0, token_types, (tokens,), generator=random)
    return Split("ragged", ids, types, offsets, torch.randint(0, 2, (lengths.numel(),), generator=random))


def padded(split: Split, padding: int) -> dict[str, Tensor]:
    """The same rows as Transformers takes them."""
    pieces = [slice(int(a), int(b)) for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]

    def pad(rows: list[Tensor], value: int) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    return {
        "input_ids": pad([split.input_ids[piece] for piece in pieces], padding),
        "token_type_ids": pad([split.token_type_ids[piece] for piece in pieces], 0),
        "attention_mask": pad([torch.ones_like(split.input_ids[piece]) for piece in pieces], 0),
    }


def test_first_tokens_states_of_bert_equal_transformers_on_ragged_rows(backbone_path: str) -> None:
    check_equals_transformers(backbone_path, padding=0)


def test_first_tokens_states_of_roberta_equal_transformers_on_ragged_rows(tiny_roberta: Path) -> None:
    check_equals_transformers(str(tiny_roberta), padding=1)


def check_equals_transformers(path: str, padding: int) -> None:
    backbone = load_backbone(path, torch.device("cpu"))
    split = ragged(backbone.vocabulary, backbone.token_types)
    pack = split.pack(torch.arange(split.rows))
    with torch.no_grad():
        expected = AutoModel.from_pretrained(path)(**padded(split, padding)).last_hidden_state[:, 0]
        (found,) = encode(backbone, [pack], [Bare()])
    assert (found - expected[pack.order]).abs().max() < 1e-5


class Bare:
    """No adapter, no dropout."""

    after_ffn_norm = False

    def embeddings(self, x: Tensor) -> Tensor:
        return x

    def attention_dropout(self, layer: int) -> None:
        return None

    def attention_output(self, layer: int, x: Tensor) -> Tensor:
        return x

    ffn_output = ffn_normed = attention_output


def test_only_a_bert_with_a_pooler_gives_it_to_the_head(backbone_path: str, tiny_roberta: Path) -> None:
    pooler = load_backbone(backbone_path, torch.device("cpu")).pooler
    assert pooler is not None
    assert torch.equal(pooler[0], AutoModel.from_pretrained(backbone_path).pooler.dense.weight)
    assert load_backbone(str(tiny_roberta), torch.device("cpu")).pooler is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("norm", "activation", "scale"), [("none", "relu", 1.0), ("before", "swish", 2.0), ("after", "gelu", 0.5)])
def test_gradients_equal_hooks_on_transformers_padded_forward(
    kind: str, norm: str, activation: str, scale: float, tiny_roberta: Path
) -> None:
    adapter = job_pb2.Adapter(
        kind=KINDS[kind],
        attention_bottleneck=6,
        ffn_bottleneck=10,
        scale=scale,
        norm=NORMS[norm],
        activation=NAMES[activation],
        init=job_pb2.ADAPTER_INIT_GAUSSIAN,
        init_std=0.3,
    )
    backbone = load_backbone(str(tiny_roberta), torch.device("cpu"))
    shapes = layout(adapter, len(backbone.layers), backbone.hidden, num_labels=2).shapes
    assert any("attention" in name for name in shapes) == (kind == "houlsby")
    tensors = {name: t.requires_grad_() for name, t in initialize(job_pb2.Trial(seed=4, adapter=adapter), shapes, None).items()}
    split = ragged(backbone.vocabulary, backbone.token_types)
    pack = split.pack(torch.arange(split.rows))
    (logits,) = forward(backbone, [Part(0, pack, TrialModules(adapter, tensors, dropout=None))])
    expected = plain_logits(tiny_roberta, split, adapter, tensors, norm, activation)
    assert torch.allclose(logits, expected[pack.order], atol=1e-5)
    found_gradients = torch.autograd.grad(loss(job_pb2.TASK_KIND_CLASSIFICATION, logits, pack.labels), list(tensors.values()))
    plain_gradients = torch.autograd.grad(F.cross_entropy(expected, split.labels), list(tensors.values()))
    for name, one, two in zip(tensors, found_gradients, plain_gradients, strict=True):
        assert (one - two).norm() <= 1e-4 * two.norm() + 1e-8, name


def plain_logits(path: Path, split: Split, adapter: job_pb2.Adapter, tensors: dict[str, Tensor], norm: str, activation: str) -> Tensor:
    """Transformers' own padded forward with the adapters written as hooks, straight from the papers' formulas."""
    model = AutoModel.from_pretrained(path, attn_implementation="eager").eval().requires_grad_(False)
    act = {"relu": F.relu, "gelu": F.gelu, "swish": F.silu}[activation]

    def module(prefix: str, x: Tensor, residual: bool) -> Tensor:
        def own_norm(y: Tensor) -> Tensor:
            centred = y - y.mean(-1, keepdim=True)
            normalized = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
            return normalized * tensors[f"{prefix}.norm.weight"] + tensors[f"{prefix}.norm.bias"]

        down = (own_norm(x) if norm == "before" else x) @ tensors[f"{prefix}.down.weight"].T + tensors[f"{prefix}.down.bias"]
        out = adapter.scale * (act(down) @ tensors[f"{prefix}.up.weight"].T + tensors[f"{prefix}.up.bias"]) + (x if residual else 0)
        return own_norm(out) if norm == "after" else out

    for index, layer in enumerate(model.encoder.layer):
        prefix = f"layers.{index}"
        if adapter.kind == KINDS["houlsby"]:
            layer.attention.output.dense.register_forward_hook(lambda _, x, y, p=prefix: module(f"{p}.attention", y, True))
            layer.output.dense.register_forward_hook(lambda _, x, y, p=prefix: module(f"{p}.ffn", y, True))
        else:

            def pfeiffer(block, x, y, p=prefix):  # type: ignore[no-untyped-def]
                z, weights = x[0], (block.weight, block.bias, block.eps)
                return F.layer_norm(module(f"{p}.ffn", y, False) + z, (z.shape[-1],), *weights)

            layer.output.LayerNorm.register_forward_hook(pfeiffer)
    hidden = model(**padded(split, padding=1)).last_hidden_state[:, 0]
    dense = torch.tanh(hidden @ tensors["head.dense.weight"].T + tensors["head.dense.bias"])
    return dense @ tensors["head.out.weight"].T + tensors["head.out.bias"]


def test_no_gradient_is_computed_below_the_first_trained_module(minilm) -> None:  # type: ignore[no-untyped-def]
    adapter = job_pb2.Adapter(
        kind=KINDS["pfeiffer"],
        ffn_bottleneck=4,
        scale=1,
        norm=NORMS["none"],
        activation=NAMES["relu"],
        init=job_pb2.ADAPTER_INIT_GAUSSIAN,
        init_std=0.02,
    )
    shapes = layout(adapter, len(minilm.layers), minilm.hidden, num_labels=2).shapes
    tensors = {name: t.requires_grad_() for name, t in initialize(job_pb2.Trial(seed=4, adapter=adapter), shapes, None).items()}
    seen: list[bool] = []

    class Watching(TrialModules):
        def ffn_output(self, layer: int, x: Tensor) -> Tensor:
            seen.append(x.requires_grad)
            return super().ffn_output(layer, x)

    split = ragged(minilm.vocabulary, minilm.token_types)
    forward(minilm, [Part(0, split.pack(torch.arange(split.rows)), Watching(adapter, tensors, dropout=None))])
    assert seen == [False] + [True] * 5
