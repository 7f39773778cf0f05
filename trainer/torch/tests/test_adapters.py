"""Each form of adapter computes what its paper says, alone and among other forms."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
import torch.nn.functional as F
from engine_support import adapter
from sparse_adapter.trainer.v1 import job_pb2
from test_encoder import padded, ragged
from torch import Tensor, nn
from transformers import AutoModel

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, fill
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part

Activation: TypeAlias = Callable[[Tensor], Tensor]
ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu, "swish": F.silu}
FORMS = {
    "houlsby": adapter(
        "sequential",
        "sequential",
        norm="ADAPTER_NORM_BEFORE",
        activation="ACTIVATION_SWISH",
        scale=2.0,
    ),
    "houlsby, norm after": adapter(
        "sequential",
        "sequential",
        norm="ADAPTER_NORM_AFTER",
        activation="ACTIVATION_GELU",
        scale=0.5,
    ),
    "pfeiffer": adapter("none", "after_norm", norm="ADAPTER_NORM_NONE"),
    "pfeiffer, norm after": adapter("none", "after_norm", norm="ADAPTER_NORM_AFTER", scale=0.5),
    "parallel": adapter("parallel", "parallel", norm="ADAPTER_NORM_NONE", scale=4.0),
    "parallel, norm after": adapter(
        "parallel", "parallel", norm="ADAPTER_NORM_AFTER", activation="ACTIVATION_GELU"
    ),
    "lora": adapter("lora", "lora"),
    "prefix": adapter("prefix", "none"),
    "prefix with its MLP": adapter("prefix", "none", prefix_hidden=5),
    "mam": adapter("prefix", "parallel", scale=4.0),
    "prompt": adapter("prompt", "none", width=3),
    "prompt and parallel": adapter("prompt", "parallel", norm="ADAPTER_NORM_BEFORE", scale=4.0),
    "lora and sequential": adapter("lora", "sequential"),
    "biases": adapter("none", "none", unfrozen="UNFROZEN_BIASES"),
    "head only": adapter("none", "none"),
}


def drawn(
    asked: job_pb2.Adapter,
    backbone: Encoder,
    seed: int = 4,
    task_kind: int = job_pb2.TASK_KIND_CLASSIFICATION,
) -> dict[str, Tensor]:
    """An adapter's tensors with nothing at its neutral value: biases are not 0, norms not 1."""
    random = torch.Generator().manual_seed(seed)
    shapes = layout(asked, backbone, num_labels=2, task_kind=task_kind).shapes
    first = initialize(job_pb2.Trial(seed=seed, adapter=asked), shapes, None)
    return {
        name: (t + torch.randn(t.shape, generator=random) * 0.2).requires_grad_()
        for name, t in first.items()
    }


@pytest.mark.parametrize("multiple", [1, 32])
@pytest.mark.parametrize("form", FORMS)
def test_logits_and_gradients_equal_the_papers_formulas_on_transformers_padded_forward(
    form: str, multiple: int, tiny_roberta: Path
) -> None:
    asked, backbone = FORMS[form], load_encoder(str(tiny_roberta), torch.device("cpu"))
    tensors, split = drawn(asked, backbone), ragged(backbone.vocabulary, backbone.token_types)
    expected = plain_logits(tiny_roberta, split, asked, tensors)
    plain_gradients = torch.autograd.grad(
        F.cross_entropy(expected, split.labels), list(tensors.values())
    )
    for twice_differentiable in (False, True):
        part = Part.of(
            0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None)
        )
        part = replace(part, pack=fill(part.pack, multiple))
        assert (part.pack.filling > 0) == (multiple > 1)
        (logits,) = forward(
            backbone, [part], job_pb2.TASK_KIND_CLASSIFICATION, twice_differentiable
        )
        assert torch.allclose(logits, expected[part.pack.order], atol=1e-5)
        gradients = torch.autograd.grad(
            loss(job_pb2.TASK_KIND_CLASSIFICATION, logits, part.pack), list(tensors.values())
        )
        for name, one, two in zip(tensors, gradients, plain_gradients, strict=True):
            assert (one - two).norm() <= 1e-4 * two.norm() + 1e-7, name
            assert two.norm() > 0, name


def plain_logits(
    path: Path, split: Split, asked: job_pb2.Adapter, tensors: dict[str, Tensor]
) -> Tensor:
    """Transformers' own padded forward with the modules written as hooks and altered weights,
    straight from the papers' formulas.
    """
    model = (
        AutoModel.from_pretrained(path, attn_implementation="eager").eval().requires_grad_(False)
    )
    act = ACTIVATIONS[job_pb2.Activation.Name(asked.activation).removeprefix("ACTIVATION_").lower()]
    attention, ffn = (
        job_pb2.AttentionModule.Name(asked.attention)[17:].lower(),
        job_pb2.FfnModule.Name(asked.ffn)[11:].lower(),
    )
    for index, layer in enumerate(model.encoder.layer):
        at = f"layers.{index}"
        inner, output = layer.attention.self, layer.attention.output
        if attention == "sequential":
            output.dense.register_forward_hook(
                lambda _, x, y, p=at: plain_bottleneck(asked, act, tensors, f"{p}.attention", y, y)
            )
        if attention == "parallel":
            add_beside(
                layer.attention,
                output.dense,
                lambda x, p=at: plain_bottleneck(asked, act, tensors, f"{p}.attention", x, None),
            )
        if attention == "lora":
            for name in ("query", "value"):
                getattr(inner, name).register_forward_hook(
                    lambda _, x, y, p=f"{at}.{name}": y + plain_low_rank(asked, tensors, p, x[0])
                )
        if ffn == "sequential":
            layer.output.dense.register_forward_hook(
                lambda _, x, y, p=at: plain_bottleneck(asked, act, tensors, f"{p}.ffn", y, y)
            )
        if ffn == "parallel":
            add_beside(
                layer.intermediate,
                layer.output.dense,
                lambda x, p=at: plain_bottleneck(asked, act, tensors, f"{p}.ffn", x, None),
            )
        if ffn == "lora":
            for name, module in (
                ("ffn_in", layer.intermediate.dense),
                ("ffn_out", layer.output.dense),
            ):
                module.register_forward_hook(
                    lambda _, x, y, p=f"{at}.{name}": y + plain_low_rank(asked, tensors, p, x[0])
                )
        if ffn == "after_norm":

            def pfeiffer(block, x, y, p=at):  # type: ignore[no-untyped-def]
                z, weights = x[0], (block.weight, block.bias, block.eps)
                return F.layer_norm(
                    plain_bottleneck(asked, act, tensors, f"{p}.ffn", y, None) + z,
                    (z.shape[-1],),
                    *weights,
                )

            layer.output.LayerNorm.register_forward_hook(pfeiffer)
        if asked.unfrozen == job_pb2.UNFROZEN_BIASES:
            sites = {
                "query": inner.query,
                "value": inner.value,
                "attention_output": output.dense,
                "attention_norm": output.LayerNorm,
            }
            sites |= {
                "ffn_in": layer.intermediate.dense,
                "ffn_out": layer.output.dense,
                "ffn_norm": layer.output.LayerNorm,
            }
            for name, module in sites.items():
                module.register_forward_hook(
                    lambda _, x, y, p=f"{at}.{name}": y + tensors[f"{p}.bias"]
                )
        if attention == "prefix":
            key, value = plain_prefixes(asked, tensors, index, model.config.hidden_size)
            inner.forward = partial(prefixed_attention, inner, key, value)
    rows = padded(split, padding=1)
    hidden = (
        prompted_states(model, rows, tensors["prompt"])
        if attention == "prompt"
        else model(**rows).last_hidden_state
    )
    dense = torch.tanh(hidden[:, 0] @ tensors["head.dense.weight"].T + tensors["head.dense.bias"])
    return dense @ tensors["head.out.weight"].T + tensors["head.out.bias"]


def plain_bottleneck(
    asked: job_pb2.Adapter,
    act: Activation,
    tensors: dict[str, Tensor],
    prefix: str,
    x: Tensor,
    residual: Tensor | None,
) -> Tensor:
    def own_norm(y: Tensor) -> Tensor:
        centred = y - y.mean(-1, keepdim=True)
        normalized = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return normalized * tensors[f"{prefix}.norm.weight"] + tensors[f"{prefix}.norm.bias"]

    read = own_norm(x) if asked.norm == job_pb2.ADAPTER_NORM_BEFORE else x
    down = read @ tensors[f"{prefix}.down.weight"].T + tensors[f"{prefix}.down.bias"]
    out = asked.scale * (
        act(down) @ tensors[f"{prefix}.up.weight"].T + tensors[f"{prefix}.up.bias"]
    )
    out = out if residual is None else out + residual
    return own_norm(out) if asked.norm == job_pb2.ADAPTER_NORM_AFTER else out


def plain_low_rank(
    asked: job_pb2.Adapter, tensors: dict[str, Tensor], prefix: str, x: Tensor
) -> Tensor:
    down, up = tensors[f"{prefix}.down.weight"], tensors[f"{prefix}.up.weight"]
    return x @ (asked.lora_alpha / down.shape[0] * up @ down).T


def plain_prefixes(
    asked: job_pb2.Adapter, tensors: dict[str, Tensor], layer: int, hidden: int
) -> tuple[Tensor, Tensor]:
    if not asked.prefix_hidden:
        return tensors[f"layers.{layer}.prefix.key"], tensors[f"layers.{layer}.prefix.value"]
    inner = torch.tanh(
        tensors["prefix.embedding"] @ tensors["prefix.mlp.in.weight"].T
        + tensors["prefix.mlp.in.bias"]
    )
    out = inner @ tensors["prefix.mlp.out.weight"].T + tensors["prefix.mlp.out.bias"]
    begin = 2 * layer * hidden
    return out[:, begin : begin + hidden], out[:, begin + hidden : begin + 2 * hidden]


def prefixed_attention(
    attention: Any,
    prefix_key: Tensor,
    prefix_value: Tensor,
    hidden_states: Tensor,
    attention_mask: Tensor,
    **_: object,
) -> tuple[Tensor, None]:
    """Self-attention of Transformers' eager kind, with keys and values before the row's own."""
    rows, heads = hidden_states.shape[0], attention.num_attention_heads

    def by_head(x: Tensor) -> Tensor:
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    query = by_head(attention.query(hidden_states))
    key = by_head(torch.cat([prefix_key.expand(rows, -1, -1), attention.key(hidden_states)], 1))
    value = by_head(
        torch.cat([prefix_value.expand(rows, -1, -1), attention.value(hidden_states)], 1)
    )
    scores = query @ key.transpose(2, 3) * attention.scaling + F.pad(
        attention_mask, (prefix_key.shape[0], 0)
    )
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2), None


def prompted_states(model: Any, rows: dict[str, Tensor], prompt: Tensor) -> Tensor:
    """The encoder's states of each row's own tokens, with the prompt's vectors, normalized as any
    token's embeddings, before them.
    """
    own, mask, length = (
        model.embeddings(rows["input_ids"], rows["token_type_ids"]),
        rows["attention_mask"],
        prompt.shape[0],
    )
    states = torch.cat([model.embeddings.LayerNorm(prompt).expand(len(own), -1, -1), own], 1)
    hidden_from = F.pad(1 - mask, (length, 0))[:, None, None, :] * torch.finfo(torch.float32).min
    return model.encoder(states, attention_mask=hidden_from).last_hidden_state[:, length:]


def add_beside(block: nn.Module, output: nn.Module, module: Activation) -> None:
    """Adds module(x) to what `output` gives, x being the input of the block that it is in."""
    seen: list[Tensor] = []
    block.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    output.register_forward_hook(lambda _, x, y: y + module(seen.pop()))


@pytest.mark.parametrize("form", FORMS)
def test_a_trial_among_others_of_other_forms_has_the_gradients_that_it_has_alone(
    form: str, minilm: Encoder
) -> None:
    split = ragged(minilm.vocabulary, minilm.token_types)
    asked = [
        FORMS["houlsby"],
        FORMS[form],
        FORMS["lora"],
        FORMS["mam"],
        FORMS["pfeiffer"],
        FORMS["biases"],
    ]

    def part(owner: int) -> Part:
        modules = TrialModules(asked[owner], drawn(asked[owner], minilm, seed=owner), dropout=None)
        return Part.of(owner, split, torch.arange(split.rows), modules)

    alone, together = (
        gradients(minilm, [part(1)]),
        gradients(minilm, [part(owner) for owner in range(len(asked))]),
    )
    for name, gradient in alone.items():
        assert torch.equal(gradient, together[name]), name


def gradients(backbone: Encoder, parts: list[Part]) -> dict[str, Tensor]:
    """Of the part whose owner is 1, by name."""
    kind = job_pb2.TASK_KIND_CLASSIFICATION
    losses = [
        loss(kind, logits, part.pack)
        for part, logits in zip(parts, forward(backbone, parts, kind), strict=True)
    ]
    (tensors,) = [part.modules.tensors for part in parts if part.owner == 1]
    return dict(zip(tensors, torch.autograd.grad(sum(losses), list(tensors.values())), strict=True))
