"""Summarization: encoder–decoders with adapters compute what the papers' formulas say, learn, and generate as Transformers does."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_encoder_decoder
from engine_support import Recorder, adapter, fresh_root, train_work, trial, weights
from safetensors.torch import load_file
from server_support import make_root, valid_request
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from test_adapters import ACTIVATIONS, plain_bottleneck
from tokenizers import ByteLevelBPETokenizer
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, GenerationConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.trainer_pt_utils import LabelSmoother

from sparse_adapter_trainer.adapters import Layout, initialize, layout
from sparse_adapter_trainer.artifacts import write_tensors
from sparse_adapter_trainer.attention import AttentionDropout
from sparse_adapter_trainer.capabilities import describe
from sparse_adapter_trainer.dropout import Dropout
from sparse_adapter_trainer.encoder_decoder import EncoderDecoder, load_encoder_decoder
from sparse_adapter_trainer.engine import Engine
from sparse_adapter_trainer.errors import Interrupted, JobFailed
from sparse_adapter_trainer.keys import permutation
from sparse_adapter_trainer.model import Part, forward, loss
from sparse_adapter_trainer.modules import TrialModules
from sparse_adapter_trainer.pairs import PairSplit, load_pairs
from sparse_adapter_trainer.pruning import Pruning
from sparse_adapter_trainer.scoring import Start, score, scoring_rows
from sparse_adapter_trainer.synflow import synflow_scores
from sparse_adapter_trainer.validation import invalid_fields, unmet_preconditions

SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION
FAMILIES = ["bart", "t5"]
FORMS = {
    "houlsby": adapter("sequential", "sequential", width=6, norm="ADAPTER_NORM_BEFORE", activation="ACTIVATION_SWISH", scale=2.0),
    "parallel, norm after": adapter("parallel", "parallel", width=6, norm="ADAPTER_NORM_AFTER", activation="ACTIVATION_GELU"),
    "lora": adapter("lora", "lora", width=4),
    "prefix": adapter("prefix", "none", width=3),
    "prefix with its MLP": adapter("prefix", "none", width=3, prefix_hidden=5),
    "mam": adapter("prefix", "parallel", width=3, scale=4.0),
    "prompt": adapter("prompt", "none", width=3),
}
ONLY_BART = {
    "pfeiffer": adapter("none", "after_norm", width=6, norm="ADAPTER_NORM_NONE"),
    "biases": adapter("none", "none", unfrozen="UNFROZEN_BIASES"),
}
CASES = [(family, form) for family in FAMILIES for form in [*FORMS, *(ONLY_BART if family == "bart" else [])]]
SEED_SETTINGS = job_pb2.Generation(beams=6, min_length=3, max_length=9, no_repeat_ngram=3, length_penalty=1.0)


@pytest.fixture(scope="module", autouse=True)
def one_thread(threads: None) -> Iterator[None]:
    """Models this small only wait where there are more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def paths(tiny_bart: Path, tiny_t5: Path) -> dict[str, Path]:
    return {"bart": tiny_bart, "t5": tiny_t5}


@pytest.fixture(scope="session")
def backbones(paths: dict[str, Path]) -> dict[str, EncoderDecoder]:
    return {family: load_encoder_decoder(str(path), torch.device("cpu")) for family, path in paths.items()}


def random_pairs(rows: int = 4, seed: int = 0) -> PairSplit:
    """Rows of 1 to 20 tokens with targets of 2 to 9."""
    random = torch.Generator().manual_seed(seed)
    lengths, target_lengths = (torch.randint(least, most, (rows,), generator=random) for least, most in ((1, 21), (2, 10)))
    offsets, target_offsets = (F.pad(each.cumsum(0), (1, 0)) for each in (lengths, target_lengths))
    ids, targets = (torch.randint(5, 120, (int(each[-1]),), generator=random) for each in (offsets, target_offsets))
    return PairSplit("train", ids, offsets, targets, target_offsets)


def drawn(asked: job_pb2.Adapter, backbone: EncoderDecoder, seed: int = 4) -> dict[str, Tensor]:
    """An adapter's tensors with nothing at its neutral value."""
    random = torch.Generator().manual_seed(seed)
    first = initialize(job_pb2.Trial(seed=seed, adapter=asked), layout_of(asked, backbone).shapes, None)
    return {name: (t + torch.randn(t.shape, generator=random) * 0.2).requires_grad_() for name, t in first.items()}


def layout_of(asked: job_pb2.Adapter, backbone: EncoderDecoder) -> Layout:
    return layout(asked, backbone, num_labels=0, task_kind=SUMMARIZATION)


def form_of(name: str) -> job_pb2.Adapter:
    return (FORMS | ONLY_BART)[name]


@pytest.mark.parametrize(("family", "form"), CASES)
def test_logits_and_gradients_equal_the_papers_formulas_on_transformers_forward_of_each_row_alone(
    family: str, form: str, paths: dict[str, Path], backbones: dict[str, EncoderDecoder]
) -> None:
    asked, backbone, split = form_of(form), backbones[family], random_pairs()
    tensors = drawn(asked, backbone)
    pack = Part.of(0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None)).pack
    plain = Plain(paths[family], asked, tensors)
    expected = torch.cat([plain.logits(*pair(split, row)) for row in pack.order.tolist()])
    plain_gradients = torch.autograd.grad(F.cross_entropy(expected, pack.labels), list(tensors.values()))
    for twice_differentiable in (False, True):
        part = Part.of(0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None))
        (logits,) = forward(backbone, [part], SUMMARIZATION, twice_differentiable)
        assert torch.allclose(logits, expected, atol=1e-4, rtol=1e-4)
        gradients = torch.autograd.grad(loss(SUMMARIZATION, logits, part.pack), list(tensors.values()))
        for name, one, two in zip(tensors, gradients, plain_gradients, strict=True):
            assert (one - two).norm() <= 1e-3 * two.norm() + 1e-6, name
            assert two.norm() > 0, name


def pair(split: PairSplit, row: int) -> tuple[Tensor, Tensor]:
    """Text and target of a row, [1, tokens]."""
    ranges = ((split.input_ids, split.offsets), (split.target_ids, split.target_offsets))
    text, target = (ids[offsets[row] : offsets[row + 1]][None] for ids, offsets in ranges)
    return text, target


class Plain:
    """Transformers' own model with its modules' forwards written anew, straight from the papers' formulas, for rows without padding."""

    def __init__(self, path: Path, asked: job_pb2.Adapter, tensors: dict[str, Tensor]) -> None:
        self.model = AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="eager").eval().requires_grad_(False)
        self.model.generation_config = GenerationConfig()
        self._asked, self._tensors = asked, tensors
        self._act = ACTIVATIONS[job_pb2.Activation.Name(asked.activation).removeprefix("ACTIVATION_").lower()]
        self._attention = job_pb2.AttentionModule.Name(asked.attention)[17:].lower()
        self._ffn = job_pb2.FfnModule.Name(asked.ffn)[11:].lower()
        self._is_bart = self.model.config.model_type == "bart"
        for stack in ("encoder", "decoder"):
            self._alter(stack)

    def logits(self, text: Tensor, target: Tensor) -> Tensor:
        inputs = self.model.prepare_decoder_input_ids_from_labels(target)
        return self.model(encoder_outputs=self.encoded(text), decoder_input_ids=inputs, use_cache=False).logits[0]

    def encoded(self, text: Tensor) -> BaseModelOutput:
        encoder = self.model.get_encoder()
        if self._attention != "prompt":
            return BaseModelOutput(encoder(input_ids=text).last_hidden_state)
        prompt, x = self._tensors["prompt"][None], encoder.embed_tokens(text)
        if not self._is_bart:
            return BaseModelOutput(encoder(inputs_embeds=torch.cat([prompt, x], 1)).last_hidden_state)
        x = encoder.layernorm_embedding(torch.cat([prompt, x + encoder.embed_positions(text)], 1))
        for layer in encoder.layers:
            x = layer(x, None)
        return BaseModelOutput(x)

    def _alter(self, stack: str) -> None:
        layers = getattr(self.model.model, stack).layers if self._is_bart else getattr(self.model, stack).block
        for index, layer in enumerate(layers):
            at = f"{stack}.layers.{index}."
            if self._is_bart:
                attentions = [(layer.self_attn, layer.self_attn_layer_norm)]
                attentions += [(layer.encoder_attn, layer.encoder_attn_layer_norm)] if stack == "decoder" else []
                ffn = (layer.fc1, layer.fc2, layer.final_layer_norm)
            else:
                attentions = [(layer.layer[0].SelfAttention, None)]
                attentions += [(layer.layer[1].EncDecAttention, None)] if stack == "decoder" else []
                ffn = (layer.layer[-1].DenseReluDense.wi, layer.layer[-1].DenseReluDense.wo, None)
            for (attention, norm), kind in zip(attentions, ("", "cross_"), strict=False):
                self._alter_attention(attention, norm, f"{at}{kind}", "cross" if kind else stack, index)
            self._alter_ffn(at, *ffn)

    def _alter_attention(self, attention: Any, norm: Any, at: str, mlp: str, index: int) -> None:
        own = attention.forward
        names = ("q_proj", "k_proj", "v_proj", "out_proj") if self._is_bart else ("q", "k", "v", "o")
        query, key, value, out = (getattr(attention, name) for name in names)
        if self._asked.unfrozen == job_pb2.UNFROZEN_BIASES:
            for name, module in {"query": query, "value": value, "attention_output": out, "attention_norm": norm}.items():
                add_to(module, self._tensors[f"{at}{name}.bias"])
        if self._attention == "lora":
            self._merge(query, f"{at}query")
            self._merge(value, f"{at}value")
        if self._attention == "sequential":
            attention.forward = lambda x, *a, **k: first(own(x, *a, **k), lambda y: self._bottleneck(f"{at}attention", y, y))
        if self._attention == "parallel":
            attention.forward = lambda x, *a, **k: first(own(x, *a, **k), lambda y: y + self._bottleneck(f"{at}attention", x, None))
        if self._attention == "prefix":
            attention.forward = partial(self._prefixed, attention, (query, key, value, out), at, f"prefix.{mlp}.", index)

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
        inner = torch.tanh(tensors[f"{mlp}embedding"] @ tensors[f"{mlp}mlp.in.weight"].T + tensors[f"{mlp}mlp.in.bias"])
        out = inner @ tensors[f"{mlp}mlp.out.weight"].T + tensors[f"{mlp}mlp.out.bias"]
        key, value = out[:, 64 * index : 64 * index + 32], out[:, 64 * index + 32 : 64 * index + 64]
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
        """softmax(q [P_k; k]ᵀ + bias of the tokens' part) [P_v; v] for rows without padding; BART divides by √dim, T5 adds a
        bias by distance."""
        query, key, value, out = projections
        heads, source, prefix = 4, x if key_value_states is None else key_value_states, self._prefix(at, mlp, index)

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
        scores = scores + F.pad(tokens if position_bias is None else tokens + position_bias, (prefix[0].shape[0], 0))
        result = out((scores.softmax(-1) @ values).transpose(1, 2).flatten(2))
        return (result, None) if self._is_bart else (result, position_bias, None)


def first(output: tuple[Any, ...], change: Callable[[Tensor], Tensor]) -> tuple[Any, ...]:
    return change(output[0]), *output[1:]


def add_to(module: Any, bias: Tensor) -> None:
    own = module.forward
    module.forward = lambda x: own(x) + bias


@pytest.mark.parametrize(("family", "form"), CASES)
def test_beams_give_what_transformers_generate_gives_each_row_alone_without_a_cache_for_the_same_formulas(
    family: str, form: str, paths: dict[str, Path], backbones: dict[str, EncoderDecoder]
) -> None:
    asked, backbone, split = form_of(form), backbones[family], random_pairs(rows=3)
    tensors = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    plain = Plain(paths[family], asked, tensors)
    settings = job_pb2.Generation(beams=3, min_length=2, max_length=5, no_repeat_ngram=2, length_penalty=2.0)
    expected = [generated(plain.model, settings, use_cache=False, encoder_outputs=plain.encoded(pair(split, row)[0])) for row in range(3)]
    part = Part.of(0, split, torch.arange(3), TrialModules(asked, tensors, dropout=None))
    found = backbone.generate(part.pack, part.modules, settings)
    assert [row.tolist() for row in found] == [expected[row][0] for row in part.pack.order]


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
    return [row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row for row in rows]


@pytest.mark.parametrize("family", FAMILIES)
def test_generation_equals_transformers_own_on_the_unadapted_model_and_on_merged_weights(
    family: str, paths: dict[str, Path], backbones: dict[str, EncoderDecoder]
) -> None:
    backbone, asked, split = backbones[family], FORMS["lora"], random_pairs(rows=8, seed=3)
    merged = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    neutral = {name: tensor if name.endswith("down.weight") else torch.zeros_like(tensor) for name, tensor in merged.items()}
    texts = []
    for tensors in (neutral, merged):
        pack = Part.of(0, split, torch.arange(8), TrialModules(asked, tensors, dropout=None)).pack
        own = AutoModelForSeq2SeqLM.from_pretrained(paths[family]).eval()
        with torch.no_grad():
            for name, module in own.named_modules():
                at = contract_name(name)
                if at is not None:
                    module.weight += asked.lora_alpha / 4 * tensors[f"{at}.up.weight"] @ tensors[f"{at}.down.weight"]
        expected = generated(own, SEED_SETTINGS, input_ids=pack.input_ids, attention_mask=pack.attended, use_cache=family == "bart")
        found = backbone.generate(pack, TrialModules(asked, tensors, dropout=None), SEED_SETTINGS)
        texts.append([row.tolist() for row in found])
        assert texts[-1] == expected
        assert all(3 <= len(row) <= 9 for row in expected)
    assert texts[0] != texts[1]


def contract_name(name: str) -> str | None:
    """What Adapter of job.proto calls a linear module of Transformers' that LoRA changes."""
    parts = name.removeprefix("model.").split(".")
    bart = {"self_attn.q_proj": "query", "self_attn.v_proj": "value", "encoder_attn.q_proj": "cross_query"}
    bart |= {"encoder_attn.v_proj": "cross_value", "fc1": "ffn_in", "fc2": "ffn_out"}
    t5 = {"SelfAttention.q": "query", "SelfAttention.v": "value", "EncDecAttention.q": "cross_query", "EncDecAttention.v": "cross_value"}
    t5 |= {"DenseReluDense.wi": "ffn_in", "DenseReluDense.wo": "ffn_out"}
    found = bart.get(".".join(parts[3:])) or t5.get(".".join(parts[5:]))
    return f"{parts[0]}.layers.{parts[2]}.{found}" if found else None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_models_files_add_no_setting_to_generation(
    family: str, paths: dict[str, Path], backbones: dict[str, EncoderDecoder], tmp_path: Path
) -> None:
    path = Path(shutil.copytree(paths[family], tmp_path / family))
    own = {"num_beams": 2, "no_repeat_ngram_size": 1, "forced_bos_token_id": 7, "forced_eos_token_id": 2, "early_stopping": True}
    for name in ("config.json", "generation_config.json"):
        (path / name).write_text(json.dumps(json.loads((path / name).read_text()) | own))
    part = Part.of(
        0, random_pairs(), torch.arange(4), TrialModules(FORMS["prefix"], drawn(FORMS["prefix"], backbones[family]), dropout=None)
    )
    asked = job_pb2.Generation(beams=3, min_length=0, max_length=9, no_repeat_ngram=0, length_penalty=0.5)
    found, expected = (
        [row.tolist() for row in model.generate(part.pack, part.modules, asked)]
        for model in (load_encoder_decoder(str(path), torch.device("cpu")), backbones[family])
    )
    assert found == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_label_smoothers_of_transformers(family: str, paths: dict[str, Path], backbones: dict[str, EncoderDecoder]) -> None:
    backbone, split, asked = backbones[family], random_pairs(), FORMS["lora"]
    tensors = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    part = Part.of(0, split, torch.arange(split.rows), TrialModules(asked, tensors, dropout=None))
    plain = Plain(paths[family], asked, tensors).model
    output = plain(input_ids=part.pack.input_ids, attention_mask=part.pack.attended.long(), labels=part.pack.target_ids)
    expected = LabelSmoother(epsilon=0.1)(output, part.pack.target_ids)
    (logits,) = forward(backbone, [part], SUMMARIZATION)
    assert loss(SUMMARIZATION, logits, part.pack, 0.1).item() == pytest.approx(expected.item(), abs=1e-5)
    assert loss(SUMMARIZATION, logits, part.pack).item() == pytest.approx(output.loss.item(), abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_of_embeddings_and_of_what_each_attention_and_feed_forward_block_gives_by_the_step(
    family: str, backbones: dict[str, EncoderDecoder]
) -> None:
    backbone, split, tensors = backbones[family], random_pairs(), drawn(FORMS["mam"], backbones[family])
    asked: list[str] = []

    class Telling(Dropout):
        def __call__(self, x: Tensor, site: str) -> Tensor:
            asked.append(site)
            return super().__call__(x, site)

        def attention(self, site: str) -> AttentionDropout | None:
            asked.append(f"{site} weights")
            return super().attention(site)

    def logits(step: int, *probabilities: float) -> Tensor:
        asked.clear()
        modules = TrialModules(FORMS["mam"], tensors, Telling(1, step, *probabilities))
        (found,) = forward(backbone, [Part.of(0, split, torch.arange(4), modules)], SUMMARIZATION)
        return found.detach()

    first, second, of_weights = logits(1, 0.2, 0.0), logits(2, 0.2, 0.0), logits(1, 0.0, 0.2)
    assert torch.equal(logits(1, 0.2, 0.0), first)
    layers = [f"encoder.layers.{index}" for index in range(2)] + [f"decoder.layers.{index}" for index in range(3)]
    attentions = [f"{layer}.attention" for layer in layers] + [f"{layer}.cross_attention" for layer in layers[2:]]
    expected = ["encoder.embeddings", "decoder.embeddings", *attentions, *(f"{layer}.ffn" for layer in layers)]
    assert sorted(asked) == sorted([*expected, *(f"{attention} weights" for attention in attentions)])
    none = logits(1, 0.0, 0.0)
    assert not any(torch.allclose(one, two, atol=1e-3) for one, two in combinations([first, second, of_weights, none], 2))


def test_names_and_shapes_are_the_contracts(backbones: dict[str, EncoderDecoder]) -> None:
    lora = layout_of(FORMS["lora"], backbones["bart"]).shapes
    assert lora["decoder.layers.2.cross_value.down.weight"] == (4, 32)
    assert lora["encoder.layers.1.ffn_in.up.weight"] == (48, 4)
    assert lora["decoder.layers.1.ffn_out.down.weight"] == (4, 64)
    assert "encoder.layers.0.cross_query.up.weight" not in lora
    assert not [name for name in lora if name.startswith("head.")]
    houlsby = layout_of(FORMS["houlsby"], backbones["t5"]).shapes
    assert {name for name in houlsby if name.startswith("decoder.layers.0.") and name.endswith("down.weight")} == {
        f"decoder.layers.0.{module}.down.weight" for module in ("attention", "cross_attention", "ffn")
    }
    prefix = layout_of(FORMS["prefix with its MLP"], backbones["t5"]).shapes
    assert prefix["prefix.cross.mlp.out.weight"] == (3 * 64, 5)
    assert prefix["prefix.encoder.mlp.out.bias"] == (2 * 64,)
    assert "decoder.layers.0.cross_prefix.key" in layout_of(FORMS["prefix"], backbones["t5"]).shapes
    biases = layout_of(ONLY_BART["biases"], backbones["bart"]).shapes
    assert biases["decoder.layers.0.cross_attention_norm.bias"] == (32,)


@pytest.mark.parametrize("form", ["houlsby", "lora"])
def test_snip_is_of_the_mean_over_all_target_tokens_whatever_passes_they_came_in(form: str, backbones: dict[str, EncoderDecoder]) -> None:
    backbone, split = backbones["bart"], random_pairs(rows=40, seed=2)
    one = trial("t", pruner="snip", sparsity=0.5, label_smoothing=0.2)
    one.prune.scoring_rows = 37
    one.adapter.CopyFrom(FORMS[form])
    tensors, shapes = drawn(one.adapter, backbone), layout_of(one.adapter, backbone).prunable_shapes
    start = Start(one, {"t": Pruning(one.prune, 1, shapes)}, tensors, scoring_rows(one, split, SUMMARIZATION))
    (found,) = score(backbone, split, SUMMARIZATION, [start], 2500, lambda rows: None)
    part = Part.of(0, split, permutation(40, one.seed, "scoring rows")[:37], TrialModules(one.adapter, tensors, dropout=None))
    (logits,) = forward(backbone, [part], SUMMARIZATION)
    gradients = torch.autograd.grad(loss(SUMMARIZATION, logits, part.pack, 0.2), [tensors[name] for name in shapes])
    expected = {name: (gradient * tensors[name]).abs() for name, gradient in zip(shapes, gradients, strict=True)}
    total = sum(each.sum() for each in expected.values())
    for name, each in expected.items():
        assert torch.allclose(found[name].float(), (each / total).detach(), rtol=1e-3, atol=1e-9), name


def test_grasp_is_the_gradients_change_along_itself(backbones: dict[str, EncoderDecoder]) -> None:
    # GELU and swish have second derivatives everywhere.
    backbone, split = backbones["bart"], random_pairs(rows=12, seed=2)
    one = trial("t", pruner="grasp", sparsity=0.5)
    one.prune.scoring_rows, one.prune.temperature = 12, 2.0
    one.adapter.CopyFrom(FORMS["houlsby"])
    tensors, shapes = drawn(one.adapter, backbone), layout_of(one.adapter, backbone).prunable_shapes
    start = Start(one, {"t": Pruning(one.prune, 1, shapes)}, tensors, scoring_rows(one, split, SUMMARIZATION))
    (found,) = score(backbone, split, SUMMARIZATION, [start], 2500, lambda rows: None)

    def gradient(moved: dict[str, Tensor]) -> dict[str, Tensor]:
        leaves = {name: moved[name].detach().requires_grad_() for name in shapes}
        part = Part.of(0, split, start.rows, TrialModules(one.adapter, tensors | leaves, dropout=None))
        (logits,) = forward(backbone, [part], SUMMARIZATION)
        found = torch.autograd.grad(loss(SUMMARIZATION, logits / 2.0, part.pack), list(leaves.values()))
        return dict(zip(shapes, found, strict=True))

    direction = gradient(tensors)
    size = 0.02 / torch.cat([each.flatten() for each in direction.values()]).norm()
    there, back = (gradient({name: tensors[name] + sign * size * direction[name] for name in shapes}) for sign in (1, -1))
    expected = torch.cat([(tensors[name] * (there[name] - back[name]) / (2 * size)).flatten() for name in shapes]).detach()
    own = torch.cat([found[name].flatten() for name in shapes]).float()
    own = own * (expected @ own) / (own @ own)
    assert (own - expected).norm() < 0.05 * expected.norm()


def test_synflow_goes_through_the_encoder_and_then_each_decoder_layers_self_cross_and_feed_forward_module(
    backbones: dict[str, EncoderDecoder],
) -> None:
    backbone, asked = backbones["t5"], adapter("lora", "sequential", width=4, scale=1.5)
    tensors = drawn(asked, backbone)
    names = list(layout_of(asked, backbone).prunable_shapes)
    leaves = {name: tensors[name].detach().double().abs().requires_grad_() for name in names}
    x, c = torch.ones(32, dtype=torch.float64), 16 / 4

    def through(at: str, x: Tensor) -> Tensor:
        return leaves[f"{at}.up.weight"] @ leaves[f"{at}.down.weight"] @ x

    for stack, index in [("encoder", 0), ("encoder", 1), ("decoder", 0), ("decoder", 1), ("decoder", 2)]:
        at = f"{stack}.layers.{index}."
        for kind in ("", "cross_") if stack == "decoder" else ("",):
            x = x + c * through(f"{at}{kind}query", x) + c * through(f"{at}{kind}value", x)
        x = x + 1.5 * through(f"{at}ffn", x)
    expected = dict(zip(names, torch.autograd.grad(x.sum(), list(leaves.values())), strict=True))
    found = synflow_scores(asked, backbone.blocks, 32, {name: tensors[name].detach() for name in names})
    for name in names:
        assert torch.allclose(found[name], leaves[name].detach() * expected[name], rtol=1e-9), name


TRIALS = [
    trial("t1", seed=1, pruner="snip", sparsity=0.5, batch_size=3, total_steps=6, label_smoothing=0.1),
    trial("t2", seed=2, batch_size=5, total_steps=5, learning_rate=3e-3, dropout=0.1, attention_dropout=0.1),
    trial("t3", seed=3, pruner="synflow", sparsity=0.4, batch_size=4, total_steps=6, dropout=0.2),
    # Pruned during training.
    trial("t4", seed=4, pruner="snip", sparsity=0.6, batch_size=4, total_steps=5),
]
for _one, _form in zip(TRIALS, ("houlsby", "prompt", "lora", "mam"), strict=True):
    _one.adapter.CopyFrom(FORMS[_form])
TRIALS[0].prune.scoring_rows = 12
TRIALS[3].prune.MergeFrom(job_pb2.Prune(rounds=2, every_steps=2, begin_step=1, schedule="PRUNE_SCHEDULE_CUBIC", scoring_rows=9))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with `datasets/pairs`: 17 random pairs to learn from, 11 others."""
    root = tmp_path_factory.mktemp("root")
    for name, split in (("train", random_pairs(17, seed=5)), ("validation", random_pairs(11, seed=6))):
        write_pairs(root, name, split)
    return root


def write_pairs(root: Path, name: str, split: PairSplit) -> None:
    tensors = {"input_ids": split.input_ids.int(), "offsets": split.offsets}
    tensors |= {"target_ids": split.target_ids.int(), "target_offsets": split.target_offsets}
    types = {"token_type_ids": torch.zeros(split.input_ids.numel(), dtype=torch.uint8)}
    write_tensors(root / "datasets" / "pairs" / f"{name}.safetensors", tensors | types)


def spec(path: Path, trials: list[job_pb2.Trial], **work: object) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(
        backbone=job_pb2.Backbone(path=str(path), digest="b" * 64),
        dataset=job_pb2.Dataset(name="datasets/pairs", digest="pairs", task_kind=SUMMARIZATION, num_labels=0),
        trials=trials,
        **work,
    )


def train(root: Path, path: Path, trials: list[job_pb2.Trial], told: Recorder, **work: int) -> Engine:
    engine = Engine(root, threads=1)
    pruned = Recorder()
    engine.run(spec(path, trials, prune=job_pb2.PruneWork()), pruned)
    assert not pruned.failures
    engine.run(spec(path, trials, train=train_work(log_every_steps=1, **work)), told)
    return engine


@pytest.fixture(scope="session")
def trained(data: Path, tiny_bart: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorder]:
    root, told = fresh_root(data, tmp_path_factory.mktemp("together") / "root"), Recorder()
    train(root, tiny_bart, TRIALS, told)
    return root, told


def assert_equal_weights(one: Path, two: Path, trial_id: str) -> None:
    expected = weights(two, trial_id)
    assert weights(one, trial_id).keys() == expected.keys()
    for name, tensor in weights(one, trial_id).items():
        assert torch.equal(tensor, expected[name]), f"{trial_id} {name}"


def test_a_cohorts_trials_are_their_lone_runs_bit_for_bit(
    trained: tuple[Path, Recorder], data: Path, tiny_bart: Path, tmp_path: Path
) -> None:
    root, told = trained
    assert not told.failures
    for one in TRIALS:
        alone, lone = fresh_root(data, tmp_path / one.trial_id), Recorder()
        train(alone, tiny_bart, [one], lone)
        assert_equal_weights(root, alone, one.trial_id)
        assert {key: value for key, value in told.metric_values.items() if key[0] == one.trial_id} == lone.metric_values


def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(
    trained: tuple[Path, Recorder], data: Path, tiny_bart: Path, tmp_path: Path
) -> None:
    root = fresh_root(data, tmp_path / "root")
    engine, stopping, told = Engine(root, threads=1), Recorder(trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=8), Recorder()
    engine.run(spec(tiny_bart, TRIALS, prune=job_pb2.PruneWork()), Recorder())
    with pytest.raises(Interrupted):
        engine.run(spec(tiny_bart, TRIALS, train=train_work(log_every_steps=1)), stopping)
    assert 0 < max(step for _, step in stopping.checkpoints) < 6
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS, train=train_work(log_every_steps=1)), told)
    for one in TRIALS:
        assert_equal_weights(root, trained[0], one.trial_id)


def test_masked_weights_stay_zero_and_every_trial_keeps_what_it_is_asked_to(trained: tuple[Path, Recorder]) -> None:
    root, _ = trained
    for one in TRIALS:
        folder = root / "trials" / one.trial_id
        masks = load_file((folder / "adapter" if one.prune.every_steps else folder) / "masks.safetensors")
        kept, n = sum(int(mask.sum()) for mask in masks.values()), sum(mask.numel() for mask in masks.values())
        assert kept == int((1 - one.prune.sparsity) * n + 0.5)
        assert all(not weights(root, one.trial_id)[name][mask == 0].any() for name, mask in masks.items())
    config = json.loads((root / "trials" / "t1" / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_type"], config["num_layers"], config["num_decoder_layers"]) == ("bart", 2, 3)


def test_predictions_are_ragged_texts_in_the_order_of_the_data_set(trained: tuple[Path, Recorder], tiny_bart: Path) -> None:
    root, _ = trained
    predict = job_pb2.PredictWork(splits=["validation"], generation=SEED_SETTINGS)
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:2], predict=predict), Recorder())
    backbone = load_encoder_decoder(str(tiny_bart), torch.device("cpu"))
    split = load_pairs(root, spec(tiny_bart, []).dataset, "validation", 120, 40)
    for one in TRIALS[:2]:
        found = load_file(root / "trials" / one.trial_id / "predictions.validation.safetensors")
        offsets = found["generated_offsets"]
        assert (offsets.dtype, found["generated_ids"].dtype, offsets.numel()) == (torch.int64, torch.int32, 12)
        assert int(offsets[-1]) == found["generated_ids"].numel()
        for row in (0, 4, 10):
            part = Part.of(0, split, torch.tensor([row]), TrialModules(one.adapter, weights(root, one.trial_id), dropout=None))
            (text,) = backbone.generate(part.pack, part.modules, SEED_SETTINGS)
            assert found["generated_ids"][offsets[row] : offsets[row + 1]].tolist() == text.tolist()
    again, other = Recorder(), Recorder()
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:1], predict=predict), again)
    assert event_pb2.PHASE_PREDICT not in again.phases
    predict.generation.beams = 1
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:1], predict=predict), other)
    assert event_pb2.PHASE_PREDICT in other.phases, "other settings give other texts"


@pytest.fixture(scope="session")
def xsum(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An artifact root with 8 pairs of XSum, cut to 30 and 12 tokens, numbered anew from 4 on; and how many tokens there are."""
    where = os.environ.get("SA_ORCH_DATA")
    if not where or not Path(where, "xsum", "train.csv").is_file():
        pytest.skip("SA_ORCH_DATA names no directory with xsum/train.csv")
    vocabulary = Path(where, "vocab", "roberta-base")
    if not vocabulary.is_dir():
        pytest.skip("SA_ORCH_DATA has no vocab/roberta-base, which is BART's vocabulary too")
    tokenizer = ByteLevelBPETokenizer(str(vocabulary / "vocab.json"), str(vocabulary / "merges.txt"))
    with Path(where, "xsum", "train.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row, _ in zip(csv.DictReader(lines), range(8), strict=False)]
    numbers: dict[int, int] = {}

    def ids(text: str, most: int, begin: list[int], end: int) -> Tensor:
        own = [numbers.setdefault(token, 4 + len(numbers)) for token in tokenizer.encode(text).ids[:most]]
        return torch.tensor([*begin, *own, end])

    texts = [ids(row["document"], 30, [0], 2) for row in rows]
    targets = [ids(row["summary"], 12, [], 2) for row in rows]
    ragged = []
    for some in (texts, targets):
        ragged += [torch.cat(some), F.pad(torch.tensor([len(each) for each in some]).cumsum(0), (1, 0))]
    root = tmp_path_factory.mktemp("xsum")
    write_pairs(root, "train", PairSplit("train", *ragged))
    return root, 4 + len(numbers)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_overfits_eight_pairs_of_xsum_and_says_them_by_heart(family: str, xsum: tuple[Path, int], tmp_path: Path) -> None:
    data, words = xsum
    path, root = make_encoder_decoder(family, tmp_path / family, words, width=64), fresh_root(data, tmp_path / "root")
    one = trial("t", batch_size=8, total_steps=120, learning_rate=5e-3, weight_decay=0.0)
    one.adapter.CopyFrom(adapter("sequential", "sequential", width=64, init_std=0.05))
    told = Recorder()
    engine = train(root, path, [one], told)
    assert told.metric_values["t", "loss", 1] > 4
    assert told.metric_values["t", "loss", 120] < 0.4
    asked = job_pb2.Generation(beams=6, min_length=4, max_length=20, no_repeat_ngram=3, length_penalty=1.0)
    engine.run(spec(path, [one], predict=job_pb2.PredictWork(splits=["train"], generation=asked)), Recorder())
    found, split = load_file(root / "trials" / "t" / "predictions.train.safetensors"), load_file(root / "datasets/pairs/train.safetensors")
    texts = found["generated_ids"].tensor_split(found["generated_offsets"][1:-1])
    targets = split["target_ids"].tensor_split(split["target_offsets"][1:-1])
    assert sum(text.tolist() == target.tolist() for text, target in zip(texts, targets, strict=True)) >= 6


def request(root: Path, config: dict[str, object], asked: job_pb2.Adapter | None = None) -> trainer_pb2.SubmitJobRequest:
    """A predict job for summarization, all files of which are there, on a backbone with this config.json."""
    found: trainer_pb2.SubmitJobRequest = valid_request(root)
    found.spec.dataset.task_kind, found.spec.dataset.num_labels = SUMMARIZATION, 0
    found.spec.predict.CopyFrom(job_pb2.PredictWork(splits=["validation"], generation=SEED_SETTINGS))
    if asked is not None:
        found.spec.trials[0].adapter.CopyFrom(asked)
    found.spec.trials[0].prune.pruner, found.spec.trials[0].prune.sparsity = job_pb2.PRUNER_NONE, 0
    (root / "backbone" / "config.json").write_text(json.dumps(config))
    adapter_file = root / "trials" / found.spec.trials[0].trial_id / "adapter" / "adapter_model.safetensors"
    adapter_file.parent.mkdir(parents=True)
    adapter_file.touch()
    return found


BART = {"model_type": "bart", "d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 62, "max_position_embeddings": 40}
T5 = {"model_type": "t5", "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    return tmp_path


def unmet(asked: trainer_pb2.SubmitJobRequest, root: Path) -> dict[str, str]:
    assert not invalid_fields(asked)
    able = describe({"torch": "0", "device": "cpu", "threads": "1"}, ["bert", "roberta", "bart", "t5"], root, 4)
    return {each.field: each.description for each in unmet_preconditions(asked.spec, able, root)}


@pytest.mark.parametrize("config", [BART, T5])
def test_a_request_for_summarization_on_an_encoder_decoder_has_no_violation(config: dict[str, object], root: Path) -> None:
    assert unmet(request(root, config), root) == {}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (lambda s: setattr(s.dataset, "num_labels", 2), "spec.dataset.num_labels", "2 is not 0, as summarization needs"),
        (lambda s: setattr(s.predict.generation, "beams", 0), "spec.predict.generation.beams", "0 is not at least 1"),
        (lambda s: setattr(s.predict.generation, "max_length", 0), "spec.predict.generation.max_length", "0 is not at least 1"),
        (lambda s: setattr(s.predict.generation, "min_length", 10), "spec.predict.generation.min_length", "10 is more than max_length, 9"),
        (
            lambda s: setattr(s.predict.generation, "length_penalty", float("nan")),
            "spec.predict.generation.length_penalty",
            "nan is not a number",
        ),
        (lambda s: setattr(s.trials[0].train, "label_smoothing", 1.0), "spec.trials[0].train.label_smoothing", "1.0 is not in [0, 1)"),
        (
            lambda s: s.trials[0].adapter.CopyFrom(adapter("none", "none")),
            "spec.trials[0].adapter.attention",
            "is NONE, like ffn and unfrozen; summarization has no head, so that nothing would be trained",
        ),
    ],
)
def test_a_bad_field_is_named_by_its_path(change: Callable[[job_pb2.JobSpec], None], field: str, says: str, root: Path) -> None:
    asked = request(root, BART)
    change(asked.spec)
    assert {each.field: each.description for each in invalid_fields(asked)} == {field: says}


@pytest.mark.parametrize(
    ("config", "asked", "field", "says"),
    [
        (
            BART,
            adapter("none", "none", unfrozen="UNFROZEN_ALL"),
            "adapter.unfrozen",
            "is ALL; an encoder–decoder is not fine-tuned as a whole",
        ),
        (T5, adapter("none", "none", unfrozen="UNFROZEN_BIASES"), "adapter.unfrozen", "is BIASES; T5 has none"),
        (T5, ONLY_BART["pfeiffer"], "adapter.ffn", "is AFTER_NORM, which is for blocks that normalize their sum"),
        (T5 | {"feed_forward_proj": "gated-gelu"}, FORMS["lora"], "adapter.ffn", "is LORA, which has one first projection; the backbone's"),
        (
            T5 | {"num_heads": 6},
            FORMS["prefix"],
            "adapter.attention",
            "is PREFIX, whose tensors are as wide as d_model, 32; the backbone's",
        ),
        (
            BART,
            adapter("sequential", "none", width=129),
            "adapter.attention_bottleneck",
            "129 is more than 4 × the backbone's hidden size, 128",
        ),
    ],
)
def test_what_an_encoder_decoder_does_not_take_is_refused(
    config: dict[str, object], asked: job_pb2.Adapter, field: str, says: str, root: Path
) -> None:
    ((path, description),) = unmet(request(root, config, asked), root).items()
    assert path == f"spec.trials[0].{field}"
    assert description.startswith(says)


def test_the_task_and_the_backbone_go_together(root: Path) -> None:
    asked = request(root, {"model_type": "roberta", "hidden_size": 384})
    assert unmet(asked, root)["spec.backbone.path"].endswith("type 'roberta'; SUMMARIZATION needs an encoder–decoder: bart, t5")
    (root / "backbone" / "config.json").write_text(json.dumps(BART))
    asked.spec.dataset.task_kind, asked.spec.dataset.num_labels = job_pb2.TASK_KIND_CLASSIFICATION, 2
    assert "an encoder–decoder; it is for SUMMARIZATION, and the data set is for CLASSIFICATION" in unmet(asked, root)["spec.backbone.path"]


def test_a_text_longer_than_the_backbones_positions_and_groups_that_do_not_fit_its_decoder_are_refused(root: Path) -> None:
    asked = request(root, BART, FORMS["lora"])
    asked.spec.predict.generation.max_length = 41
    assert unmet(asked, root) == {"spec.predict.generation.max_length": "41 is more than the 40 positions that the backbone has"}
    asked.spec.prune.SetInParent()
    prune = {"structure": "MASK_STRUCTURE_N_M", "group_kept": 2, "group_size": 4, "sparsity": 0.5, "scope": "PRUNE_SCOPE_LOCAL"}
    asked.spec.trials[0].prune.CopyFrom(trial("t", pruner="mag").prune)
    asked.spec.trials[0].prune.MergeFrom(job_pb2.Prune(**prune))
    says = "4 does not divide the 62 columns of decoder.layers.0.ffn_out.down.weight; every prunable matrix has a multiple of it"
    assert unmet(asked, root) == {"spec.trials[0].prune.group_size": says}


def test_a_backbone_of_the_hub_that_does_not_fit_fails_the_job_with_the_field(data: Path, tiny_t5: Path, tmp_path: Path) -> None:
    one = trial("t")
    one.adapter.CopyFrom(ONLY_BART["pfeiffer"])
    with pytest.raises(JobFailed, match=r"spec\.trials\[0\]\.adapter\.ffn is AFTER_NORM"):
        Engine(fresh_root(data, tmp_path / "root"), threads=1).run(spec(tiny_t5, [one], prune=job_pb2.PruneWork()), Recorder())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("target_ids"), "has no tensor target_ids"),
        (lambda t: t["target_ids"].__setitem__(3, 120), r"target_ids must be in \[0, 120\), the backbone's vocabulary"),
        (lambda t: t.update(target_offsets=t["target_offsets"][1:]), "target_offsets must have one value more than there are rows, 18"),
        (lambda t: t["target_offsets"].__setitem__(2, t["target_offsets"][1]), "target_offsets: row 1 has no target"),
        (lambda t: t["target_offsets"].__setitem__(slice(1, -1), 41), r"has a target of \d+ tokens; the backbone takes at most 40"),
    ],
)
def test_a_split_that_is_wrong_is_refused_with_the_tensors_name(
    change: Callable[[dict[str, Tensor]], None], message: str, data: Path, tiny_bart: Path, tmp_path: Path
) -> None:
    root = fresh_root(data, tmp_path / "root")
    path = root / "datasets" / "pairs" / "train.safetensors"
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors)
    with pytest.raises(JobFailed, match=message) as error:
        Engine(root, threads=1).run(spec(tiny_bart, [TRIALS[0]], prune=job_pb2.PruneWork()), Recorder())
    assert error.value.reason == event_pb2.FAILURE_REASON_BAD_ARTIFACT
