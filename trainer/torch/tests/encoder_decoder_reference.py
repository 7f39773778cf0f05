"""Transformers' own encoder–decoders, with adapters written straight from the papers' formulas."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from test_adapters import ACTIVATIONS, plain_bottleneck
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput


class Plain:
    """Transformers' own model with its modules' forwards written anew, straight from the papers'
    formulas, for rows without padding.
    """

    def __init__(self, path: Path, asked: job_pb2.Adapter, tensors: dict[str, Tensor]) -> None:
        self.model = (
            AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="eager")
            .eval()
            .requires_grad_(False)
        )
        self.model.generation_config = GenerationConfig()
        self._asked, self._tensors = asked, tensors
        self._act = ACTIVATIONS[
            job_pb2.Activation.Name(asked.activation).removeprefix("ACTIVATION_").lower()
        ]
        self._attention = job_pb2.AttentionModule.Name(asked.attention)[17:].lower()
        self._ffn = job_pb2.FfnModule.Name(asked.ffn)[11:].lower()
        self._is_bart = self.model.config.model_type == "bart"
        for stack in ("encoder", "decoder"):
            self._alter(stack)

    def logits(self, text: Tensor, target: Tensor) -> Tensor:
        inputs = self.model.prepare_decoder_input_ids_from_labels(target)
        return self.model(
            encoder_outputs=self.encoded(text), decoder_input_ids=inputs, use_cache=False
        ).logits[0]

    def encoded(self, text: Tensor) -> BaseModelOutput:
        encoder = self.model.get_encoder()
        if self._attention != "prompt":
            return BaseModelOutput(encoder(input_ids=text).last_hidden_state)
        prompt, x = self._tensors["prompt"][None], encoder.embed_tokens(text)
        if not self._is_bart:
            return BaseModelOutput(
                encoder(inputs_embeds=torch.cat([prompt, x], 1)).last_hidden_state
            )
        x = encoder.layernorm_embedding(torch.cat([prompt, x + encoder.embed_positions(text)], 1))
        for layer in encoder.layers:
            x = layer(x, None)
        return BaseModelOutput(x)

    def _alter(self, stack: str) -> None:
        layers = (
            getattr(self.model.model, stack).layers
            if self._is_bart
            else getattr(self.model, stack).block
        )
        for index, layer in enumerate(layers):
            at = f"{stack}.layers.{index}."
            if self._is_bart:
                attentions = [(layer.self_attn, layer.self_attn_layer_norm)]
                attentions += (
                    [(layer.encoder_attn, layer.encoder_attn_layer_norm)]
                    if stack == "decoder"
                    else []
                )
                ffn = (layer.fc1, layer.fc2, layer.final_layer_norm)
            else:
                attentions = [(layer.layer[0].SelfAttention, None)]
                attentions += [(layer.layer[1].EncDecAttention, None)] if stack == "decoder" else []
                dense = layer.layer[-1].DenseReluDense
                ffn = (dense.wi_1 if self.model.config.is_gated_act else dense.wi, dense.wo, None)
            for (attention, norm), kind in zip(attentions, ("", "cross_"), strict=False):
                self._alter_attention(
                    attention, norm, f"{at}{kind}", "cross" if kind else stack, index
                )
            self._alter_ffn(at, *ffn)

    def _alter_attention(self, attention: Any, norm: Any, at: str, mlp: str, index: int) -> None:
        own = attention.forward
        names = (
            ("q_proj", "k_proj", "v_proj", "out_proj") if self._is_bart else ("q", "k", "v", "o")
        )
        query, key, value, out = (getattr(attention, name) for name in names)
        if self._asked.unfrozen == job_pb2.UNFROZEN_BIASES:
            for name, module in {
                "query": query,
                "value": value,
                "attention_output": out,
                "attention_norm": norm,
            }.items():
                add_to(module, self._tensors[f"{at}{name}.bias"])
        if self._attention == "lora":
            self._merge(query, f"{at}query")
            self._merge(value, f"{at}value")
        if self._attention == "sequential":
            attention.forward = lambda x, *a, **k: first(
                own(x, *a, **k), lambda y: self._bottleneck(f"{at}attention", y, y)
            )
        if self._attention == "parallel":
            attention.forward = lambda x, *a, **k: first(
                own(x, *a, **k), lambda y: y + self._bottleneck(f"{at}attention", x, None)
            )
        if self._attention == "prefix":
            attention.forward = partial(
                self._prefixed, attention, (query, key, value, out), at, f"prefix.{mlp}.", index
            )

    def _alter_ffn(self, at: str, wide: Any, narrow: Any, norm: Any) -> None:
        own, own_norm, seen = narrow.forward, getattr(norm, "forward", None), []
        if self._asked.unfrozen == job_pb2.UNFROZEN_BIASES:
            for name, module in {"ffn_in": wide, "ffn_out": narrow, "ffn_norm": norm}.items():
                add_to(module, self._tensors[f"{at}{name}.bias"])
        if self._ffn == "lora":
            self._merge(wide, f"{at}ffn_in")
            self._merge(narrow, f"{at}ffn_out")
        if self._ffn == "sequential":
            narrow.forward = lambda x: self._bottleneck(f"{at}ffn", own(x), own(x))
        if self._ffn == "parallel":
            wide.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
            narrow.forward = lambda x: own(x) + self._bottleneck(f"{at}ffn", seen.pop(), None)
        if self._ffn == "after_norm":
            norm.forward = lambda z: own_norm(self._bottleneck(f"{at}ffn", own_norm(z), None) + z)

    def _bottleneck(self, at: str, x: Tensor, residual: Tensor | None) -> Tensor:
        return plain_bottleneck(self._asked, self._act, self._tensors, at, x, residual)

    def _merge(self, linear: Any, at: str) -> None:
        down, up = self._tensors[f"{at}.down.weight"], self._tensors[f"{at}.up.weight"]
        merged = linear.weight + self._asked.lora_alpha / down.shape[0] * up @ down
        linear.forward = lambda x: F.linear(x, merged, linear.bias)

    def _prefix(self, at: str, mlp: str, index: int) -> tuple[Tensor, Tensor]:
        tensors = self._tensors
        if not self._asked.prefix_hidden:
            return tensors[f"{at}prefix.key"], tensors[f"{at}prefix.value"]
        inner = torch.tanh(
            tensors[f"{mlp}embedding"] @ tensors[f"{mlp}mlp.in.weight"].T
            + tensors[f"{mlp}mlp.in.bias"]
        )
        out = inner @ tensors[f"{mlp}mlp.out.weight"].T + tensors[f"{mlp}mlp.out.bias"]
        layers = {"encoder": 2, "decoder": 3, "cross": 3}[mlp.split(".")[1]]
        key, value = out.chunk(2 * layers, dim=1)[2 * index : 2 * index + 2]
        return key, value

    def _prefixed(
        self,
        attention: Any,
        projections: tuple[Any, Any, Any, Any],
        at: str,
        mlp: str,
        index: int,
        x: Tensor,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        **_: object,
    ) -> tuple[Any, ...]:
        """softmax(q [P_k; k]ᵀ + bias of the tokens' part) [P_v; v] for rows without padding; BART
        divides by √dim, T5 adds a bias by distance."""
        query, key, value, out = projections
        heads, source, prefix = (
            4,
            x if key_value_states is None else key_value_states,
            self._prefix(at, mlp, index),
        )

        def by_head(y: Tensor) -> Tensor:
            return y.unflatten(-1, (heads, -1)).transpose(1, 2)

        keys, values = (
            by_head(torch.cat([before.expand(len(x), -1, -1), after(source)], 1))
            for before, after in zip(prefix, (key, value), strict=True)
        )
        tokens = torch.zeros(x.shape[1], source.shape[1])
        if key_value_states is None and at.startswith("decoder"):
            tokens = torch.full_like(tokens, -torch.inf).triu(1)
        if position_bias is None and getattr(attention, "has_relative_attention_bias", False):
            position_bias = attention.compute_bias(x.shape[1], source.shape[1])
        scores = by_head(query(x)) @ keys.transpose(2, 3) * (8**-0.5 if self._is_bart else 1)
        scores = scores + F.pad(
            tokens if position_bias is None else tokens + position_bias, (prefix[0].shape[0], 0)
        )
        result = out((scores.softmax(-1) @ values).transpose(1, 2).flatten(2))
        return (result, None) if self._is_bart else (result, position_bias, None)


def first(output: tuple[Any, ...], change: Callable[[Tensor], Tensor]) -> tuple[Any, ...]:
    return change(output[0]), *output[1:]


def add_to(module: Any, bias: Tensor) -> None:
    own = module.forward
    module.forward = lambda x: own(x) + bias


def generated(model: Any, asked: job_pb2.Generation, **inputs: object) -> list[list[int]]:
    """What Transformers' generate gives, without the first token and what comes after the end."""
    config = model.config
    settings = GenerationConfig(
        num_beams=asked.beams,
        min_new_tokens=asked.min_length,
        max_new_tokens=asked.max_length,
        no_repeat_ngram_size=asked.no_repeat_ngram,
        length_penalty=asked.length_penalty,
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    model.generation_config = GenerationConfig()
    with torch.no_grad():
        rows = model.generate(generation_config=settings, **inputs)[:, 1:].tolist()
    return [
        row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row
        for row in rows
    ]
