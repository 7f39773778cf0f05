"""Where trials' modules go in Transformers' BART and T5: the modules to hook, by the names of
Adapter in job.proto."""

from dataclasses import dataclass
from typing import Any

from .attention import Kind

STACKS: tuple[Kind, Kind] = ("encoder", "decoder")


@dataclass(frozen=True)
class Attention:
    """One attention of a layer. at: what its names in Adapter of job.proto begin with; kind, place:
    which MLP would make its prefix, and its index among that MLP's prefixes; output: its last
    projection; norm: the one after
    it, if the model's norms have biases."""

    at: str
    kind: Kind
    place: int
    module: Any
    query: Any
    value: Any
    output: Any
    norm: Any | None


@dataclass(frozen=True)
class FeedForward:
    """A layer's feed-forward block. first: its first projection, whose input is the block's; in a
    gated block, the one of two that is not activated. norm: the one after its sum, if any."""

    at: str
    first: Any
    second: Any
    norm: Any | None


def bart_parts(model: Any) -> tuple[list[Attention], list[FeedForward]]:
    """The parts of a BartForConditionalGeneration."""
    attentions, ffns = [], []

    def attention(at: str, kind: Kind, index: int, module: Any, norm: Any) -> Attention:
        return Attention(
            at, kind, index, module, module.q_proj, module.v_proj, module.out_proj, norm
        )

    for stack in STACKS:
        for index, layer in enumerate(getattr(model.model, stack).layers):
            at = f"{stack}.layers.{index}."
            attentions.append(
                attention(at, stack, index, layer.self_attn, layer.self_attn_layer_norm)
            )
            if stack == "decoder":
                attentions.append(
                    attention(
                        f"{at}cross_",
                        "cross",
                        index,
                        layer.encoder_attn,
                        layer.encoder_attn_layer_norm,
                    )
                )
            ffns.append(FeedForward(at, layer.fc1, layer.fc2, layer.final_layer_norm))
    return attentions, ffns


def t5_parts(model: Any) -> tuple[list[Attention], list[FeedForward]]:
    """The parts of a T5ForConditionalGeneration."""
    attentions, ffns = [], []

    def attention(at: str, kind: Kind, index: int, module: Any) -> Attention:
        return Attention(at, kind, index, module, module.q, module.v, module.o, None)

    for stack in STACKS:
        for index, block in enumerate(getattr(model, stack).block):
            at, dense = f"{stack}.layers.{index}.", block.layer[-1].DenseReluDense
            attentions.append(attention(at, stack, index, block.layer[0].SelfAttention))
            if stack == "decoder":
                attentions.append(
                    attention(f"{at}cross_", "cross", index, block.layer[1].EncDecAttention)
                )
            ffns.append(
                FeedForward(
                    at, dense.wi_1 if model.config.is_gated_act else dense.wi, dense.wo, None
                )
            )
    return attentions, ffns
