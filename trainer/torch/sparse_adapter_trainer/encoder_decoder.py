"""BART and T5: Transformers' own modules, frozen, with hooks where a trial's modules stand.

Hooks ask the trial whose rows run now. Trials run one after the other over the one model in memory, each at the shapes that it has alone,
so that a cohort's trial has the bits of its lone run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, DynamicCache, EncoderDecoderCache, GenerationConfig
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .backbone import Block, read_config
from .encoder_decoder_limits import ENCODER_DECODERS, attention_width, misfits
from .errors import bad_artifact
from .modules import TrialModules
from .packed_encoder import Site
from .pairs import PaddedPairs

# Transformers' name for the attention below.
_ATTENTION = "sparse_adapter"
_STACKS = ("encoder", "decoder")


@dataclass(frozen=True)
class _Attention:
    """One attention of a layer. at: what its names in Adapter of job.proto begin with; mlp, place: which MLP would make its prefix, and the
    place among those that it makes; norm: the one after it, of a model whose norms have biases."""

    at: str
    mlp: str
    place: int
    module: Any
    query: Any
    value: Any
    norm: Any | None


@dataclass(frozen=True)
class _FeedForward:
    """The feed-forward block of a layer. first: its first projection, whose input is the block's; of a gated block's two the one that is
    not activated. norm: the one after its sum, if any."""

    at: str
    first: Any
    second: Any
    norm: Any | None


@dataclass
class _Running:
    """The trial whose rows run now. is_target: bool [rows, target tokens], the places whose logits are asked for, None for all."""

    modules: TrialModules
    is_target: Tensor | None = None
    twice_differentiable: bool = False
    # Of the feed-forward block that runs.
    ffn_input: Tensor | None = None


class EncoderDecoder:
    """A loaded encoder–decoder. hidden: d; attention_width: e; vocabulary: words; longest: tokens of a text and of a target, None where any
    number will do."""

    # There is no head to begin, and a pass holds one trial.
    pooler = None
    row_invariant = True

    def __init__(self, model: Any) -> None:
        """Takes a BartForConditionalGeneration or a T5ForConditionalGeneration that `load_encoder_decoder` has loaded."""
        config = model.config
        self.model_type: str = config.model_type
        self.hidden: int = config.d_model
        self.attention_width = attention_width(config.to_dict(), self.hidden)
        self.vocabulary: int = config.vocab_size
        self._model = model.requires_grad_(False).eval()
        # What generate would add from the model's files.
        model.generation_config = GenerationConfig()
        self._running: _Running | None = None
        is_bart = self.model_type == "bart"
        self.longest: int | None = config.max_position_embeddings if is_bart else None
        attentions, ffns = _bart_parts(model) if is_bart else _t5_parts(model)
        inner = {"encoder": config.encoder_ffn_dim, "decoder": config.decoder_ffn_dim} if is_bart else dict.fromkeys(_STACKS, config.d_ff)
        self.blocks = [Block(ffn.at, inner[ffn.at.split(".")[0]], ffn.at.startswith("decoder.")) for ffn in ffns]
        for attention in attentions:
            self._stand_at_attention(attention)
        for ffn in ffns:
            self._stand_at_ffn(ffn)
        if is_bart:
            self._stand_at_bart_embeddings()
        else:
            self._stand_at_t5_embeddings()
        model.lm_head.register_forward_pre_hook(self._choose_targets)

    def require_fit(self, spec: job_pb2.JobSpec) -> None:
        """Raises JobFailed (BAD_ARTIFACT) for what the model cannot take. Of a hub id the request's check has not seen config.json."""
        for field, reason in misfits(spec, self._model.config.to_dict()):
            raise bad_artifact(f"backbone {spec.backbone.path}: {field} {reason}")

    @property
    def device(self) -> torch.device:
        device: torch.device = self._model.device
        return device

    @property
    def prefix_mlps(self) -> dict[str, int]:
        """As Backbone's."""
        encoder, decoder = self.sizes["num_layers"], self.sizes["num_decoder_layers"]
        return {"prefix.encoder.": encoder, "prefix.decoder.": decoder, "prefix.cross.": decoder}

    @property
    def sizes(self) -> dict[str, int]:
        """As adapter_config.json tells them."""
        decoder = sum(block.has_cross_attention for block in self.blocks)
        return {"hidden_size": self.hidden, "num_layers": len(self.blocks) - decoder, "num_decoder_layers": decoder}

    def logits(self, pack: PaddedPairs, modules: TrialModules, twice_differentiable: bool = False) -> Tensor:
        """Logits [target tokens of all rows, vocabulary], in the order of `pack.labels`: of each token,
        given the text and those before it."""
        inputs = self._model.prepare_decoder_input_ids_from_labels(pack.target_ids)
        with self._run(_Running(modules, pack.is_target, twice_differentiable)):
            output = self._model(input_ids=pack.input_ids, attention_mask=pack.attended, decoder_input_ids=inputs, use_cache=False)
        logits: Tensor = output.logits
        return logits

    @torch.no_grad()
    def generate(self, pack: PaddedPairs, modules: TrialModules, asked: job_pb2.Generation) -> list[Tensor]:
        """What beam search gives for each row, in the pack's order: int64 [tokens], the end's token among them, on the CPU."""
        config = self._model.config
        settings = GenerationConfig(
            num_beams=asked.beams,
            do_sample=False,
            early_stopping=False,
            min_new_tokens=asked.min_length,
            max_new_tokens=asked.max_length,
            no_repeat_ngram_size=asked.no_repeat_ngram,
            length_penalty=asked.length_penalty,
            decoder_start_token_id=config.decoder_start_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
        )
        with self._run(_Running(modules)):
            rows = self._model.generate(
                input_ids=pack.input_ids,
                attention_mask=pack.attended,
                generation_config=settings,
                # generate's own has as many layers as the encoder, which a deeper decoder of T5 would not fit.
                past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()),
            )
        return [_to_the_end(row[1:].cpu(), config.eos_token_id) for row in rows]

    @contextmanager
    def _run(self, running: _Running) -> Iterator[None]:
        self._running = running
        try:
            yield
        finally:
            self._running = None

    @property
    def _now(self) -> _Running:
        assert self._running is not None, "the model runs only for a trial"
        return self._running

    def _change(self, module: Any, site: Site, change: Callable[[TrialModules, Tensor, Tensor], Tensor]) -> None:
        """Where the trial has this site, change(trial, output, input) takes the place of what the module gives, or of its first part."""

        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            modules = self._now.modules
            if site not in modules.sites:
                return output
            x = args[0] if args else kwargs["hidden_states"]
            if isinstance(output, tuple):
                return change(modules, output[0], x), *output[1:]
            return change(modules, output, x)

        module.register_forward_hook(hook, with_kwargs=True)

    def _stand_at_attention(self, attention: _Attention) -> None:
        at = attention.at
        self._change(attention.query, "query", lambda trial, y, x: trial.plus(f"{at}query", y, x))
        self._change(attention.value, "value", lambda trial, y, x: trial.plus(f"{at}value", y, x))
        self._change(attention.module, "attention_output", lambda trial, y, x: trial.adapt_at(at, "attention_output", y, x))
        if attention.norm is not None:
            self._change(attention.norm, "attention_norm", lambda trial, y, _: trial.adapt_at(at, "attention_norm", y))
        attention.module.attend = partial(self._attend, attention)

    def _stand_at_ffn(self, ffn: _FeedForward) -> None:
        at, norm = ffn.at, ffn.norm

        def keep_input(_: Any, args: tuple[Any, ...]) -> None:
            self._now.ffn_input = args[0]

        def second(trial: TrialModules, y: Tensor, activated: Tensor) -> Tensor:
            block_input = self._now.ffn_input
            assert block_input is not None, "the first projection runs before the second"
            return trial.adapt_at(at, "ffn_out", y, block_input, activated)

        ffn.first.register_forward_pre_hook(keep_input)
        self._change(ffn.first, "ffn_in", lambda trial, y, x: trial.adapt_at(at, "ffn_in", y, x))
        self._change(ffn.second, "ffn_out", second)
        if norm is not None:
            self._change(norm, "ffn_norm", lambda trial, y, _: trial.adapt_at(at, "ffn_norm", y))
            # The frozen norm once more, without its hooks.
            self._change(norm, "after_block", lambda trial, y, z: norm.forward(trial.adapt_at(at, "after_block", y) + z))

    def _stand_at_bart_embeddings(self) -> None:
        encoder, decoder = self._model.model.encoder, self._model.model.decoder

        def positions(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            """The row's own tokens count from 0, after the prompt."""
            places = torch.arange(args[0].shape[1], device=args[0].device) - self._prompt_length
            return args, kwargs | {"position_ids": places.clamp(min=0)}

        encoder.embed_positions.register_forward_pre_hook(positions, with_kwargs=True)
        encoder.layernorm_embedding.register_forward_pre_hook(lambda _, args: (self._prompted(args[0]), *args[1:]))
        self._change(encoder.layernorm_embedding, "embeddings", lambda trial, y, _: trial.dropped(y, "encoder.embeddings"))
        self._change(decoder.layernorm_embedding, "embeddings", lambda trial, y, _: trial.dropped(y, "decoder.embeddings"))

    def _stand_at_t5_embeddings(self) -> None:
        """T5 gives its first block the embeddings as they are: relative positions are all that it has."""

        def first_input(name: str, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x = self._prompted(args[0]) if name == "encoder" else args[0]
            return self._now.modules.dropped(x, f"{name}.embeddings"), *args[1:]

        for name, stack in zip(_STACKS, (self._model.encoder, self._model.decoder), strict=True):
            stack.block[0].register_forward_pre_hook(partial(first_input, name))

    @property
    def _prompt_length(self) -> int:
        prompt = self._now.modules.tensors.get("prompt")
        return 0 if prompt is None else prompt.shape[0]

    def _prompted(self, x: Tensor) -> Tensor:
        """Embeddings [rows, tokens, d] with the prompt's vectors in the first places."""
        length = self._prompt_length
        if not length:
            return x
        return torch.cat([self._now.modules.tensors["prompt"].expand(x.shape[0], -1, -1), x[:, length:]], 1)

    def _choose_targets(self, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Logits of padded places would cost as much as a target's, which for a vocabulary is most of a step's memory."""
        return None if self._now.is_target is None else (args[0][self._now.is_target], *args[1:])

    def _attend(
        self, attention: _Attention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, bias: Tensor | None
    ) -> Tensor:
        """Attention [rows, queries, heads, dim] of query [rows, heads, queries, dim], with the trial's prefix before
        keys and values as they come, from a cache or not. mask, bias: what is added to the scores."""
        now = self._now
        added = bias if mask is None else mask if bias is None else mask + bias
        prefix = now.modules.prefix_at(attention.at, attention.mlp, attention.place, key.shape[1] * key.shape[3])
        if prefix is not None:
            before = [tensor.unflatten(1, (key.shape[1], -1)).transpose(0, 1).expand(key.shape[0], -1, -1, -1) for tensor in prefix]
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
            # Every query may see the prefix, which has no position.
            added = None if added is None else F.pad(added, (prefix[0].shape[0], 0))
        dropout = now.modules.attention_dropout_at(attention.at)
        if dropout is None and not now.twice_differentiable:
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=added, scale=scaling)
        else:
            scores = query @ key.transpose(2, 3) * scaling
            weights = torch.softmax(scores if added is None else scores + added, -1)
            context = (weights if dropout is None else weights * dropout(weights.shape, weights.device)) @ value
        return context.transpose(1, 2).contiguous()


def _attention_of_trial(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    position_bias: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """The attention that Transformers' modules call under the name `_ATTENTION`."""
    return module.attend(query, key, value, attention_mask, scaling, position_bias), None


ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attention_of_trial)
ALL_MASK_ATTENTION_FUNCTIONS.register(_ATTENTION, eager_mask)


def _bart_parts(model: Any) -> tuple[list[_Attention], list[_FeedForward]]:
    attentions, ffns = [], []

    def attention(at: str, mlp: str, index: int, module: Any, norm: Any) -> _Attention:
        return _Attention(at, f"prefix.{mlp}.", index, module, module.q_proj, module.v_proj, norm)

    for stack in _STACKS:
        for index, layer in enumerate(getattr(model.model, stack).layers):
            at = f"{stack}.layers.{index}."
            attentions.append(attention(at, stack, index, layer.self_attn, layer.self_attn_layer_norm))
            if stack == "decoder":
                attentions.append(attention(f"{at}cross_", "cross", index, layer.encoder_attn, layer.encoder_attn_layer_norm))
            ffns.append(_FeedForward(at, layer.fc1, layer.fc2, layer.final_layer_norm))
    return attentions, ffns


def _t5_parts(model: Any) -> tuple[list[_Attention], list[_FeedForward]]:
    attentions, ffns = [], []

    def attention(at: str, mlp: str, index: int, module: Any) -> _Attention:
        return _Attention(at, f"prefix.{mlp}.", index, module, module.q, module.v, None)

    for stack in _STACKS:
        for index, block in enumerate(getattr(model, stack).block):
            at, dense = f"{stack}.layers.{index}.", block.layer[-1].DenseReluDense
            attentions.append(attention(at, stack, index, block.layer[0].SelfAttention))
            if stack == "decoder":
                attentions.append(attention(f"{at}cross_", "cross", index, block.layer[1].EncDecAttention))
            ffns.append(_FeedForward(at, dense.wi_1 if model.config.is_gated_act else dense.wi, dense.wo, None))
    return attentions, ffns


def _to_the_end(row: Tensor, end: int | list[int]) -> Tensor:
    """The row up to its first end, or all of it."""
    ends = torch.isin(row, torch.tensor(end)).nonzero()
    return row[: int(ends[0]) + 1] if ends.numel() else row


def load_encoder_decoder(path: str, device: torch.device) -> EncoderDecoder:
    """Loads a frozen encoder–decoder from a Hugging Face directory or hub id, in float32.

    Raises JobFailed (BAD_ARTIFACT) where it is missing, broken or not supported.
    """
    config = read_config(path)
    if config.model_type not in ENCODER_DECODERS:
        raise bad_artifact(f"backbone {path}: model_type {config.model_type!r} is not one of {', '.join(ENCODER_DECODERS)}")
    for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name, None) is None:
            raise bad_artifact(f"backbone {path}: its config.json has no {name}, which decoding needs")
    try:
        model, loading = AutoModelForSeq2SeqLM.from_pretrained(
            path, config=config, dtype=torch.float32, attn_implementation=_ATTENTION, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise bad_artifact(f"backbone {path}: its weights cannot be loaded: {error}") from error
    if loading["missing_keys"]:
        raise bad_artifact(f"backbone {path}: its weights lack {min(loading['missing_keys'])}")
    return EncoderDecoder(model.to(device))
