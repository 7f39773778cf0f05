"""BART and T5: Transformers' own modules, frozen, with hooks for a trial's modules.

Hooks call the modules that run now: those of one trial, at the shapes of its lone run and so with
the same bits; or those of a stack of trials, whose rows lie trial after trial.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sparse_adapter_engine.backbones.backbone import Block
from sparse_adapter_engine.backbones.config import read_config
from sparse_adapter_engine.data.pairs import PaddedPairs, PairGroup
from sparse_adapter_engine.errors import bad_artifact
from sparse_adapter_engine.modules.sites import Site
from sparse_adapter_engine.modules.trial_modules import TrialModules

from .attention import Visible, attend_pairs
from .dropout import GroupDropout
from .generation import Cached, Settings, search
from .layers import STACKS, Attention, FeedForward, bart_parts, t5_parts
from .limits import ENCODER_DECODERS, attention_width, misfits

# Transformers' name for the attention of attention.py. No mask is registered under it, so
# Transformers makes none.
_ATTENTION = "sparse_adapter"


@dataclass
class _Running:
    """What runs now: a trial's or a stack's modules on a group of rows."""

    modules: TrialModules
    visible: Visible
    twice_differentiable: bool = False
    # The input of the feed-forward block that runs.
    ffn_input: Tensor | None = None


class EncoderDecoder:
    """A loaded encoder–decoder. hidden: d; attention_width: e; vocabulary: words; longest: maximum
    tokens of a text and of a target, None for no limit; dtype: of weights and activations, except
    norms' statistics and trained tensors, which are float32."""

    # There is no head to initialize.
    pooler = None

    def __init__(self, model: Any) -> None:
        """Takes a BartForConditionalGeneration or a T5ForConditionalGeneration that
        `load_encoder_decoder` has loaded."""
        config = model.config
        self.model_type: str = config.model_type
        self.hidden: int = config.d_model
        self.attention_width = attention_width(config.to_dict(), self.hidden)
        self.vocabulary: int = config.vocab_size
        self.dtype: torch.dtype = model.dtype
        self._model = model.requires_grad_(False).eval()
        self._running: _Running | None = None
        is_bart = self.model_type == "bart"
        self.longest: int | None = config.max_position_embeddings if is_bart else None
        attentions, ffns = bart_parts(model) if is_bart else t5_parts(model)
        inner = (
            {"encoder": config.encoder_ffn_dim, "decoder": config.decoder_ffn_dim}
            if is_bart
            else dict.fromkeys(STACKS, config.d_ff)
        )
        self.blocks = [
            Block(ffn.at, inner[ffn.at.split(".")[0]], ffn.at.startswith("decoder."))
            for ffn in ffns
        ]
        for attention in attentions:
            self._stand_at_attention(attention)
        for ffn in ffns:
            self._stand_at_ffn(ffn)
        self._encoder, self._decoder = model.get_encoder(), model.get_decoder()
        if is_bart:
            self._stand_at_bart_embeddings()
        else:
            self._stand_at_t5_embeddings()

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        found: dict[str, Any] = self._model.config.to_dict()
        return found

    @property
    def own_shapes(self) -> dict[str, tuple[int, ...]]:
        """See Backbone."""
        raise NotImplementedError("a request for an encoder–decoder's own tensors is refused")

    @property
    def row_invariant(self) -> bool:
        """Whether a trial has the bits of its lone run in every cohort."""
        return self.device.type == "cpu"

    @property
    def device(self) -> torch.device:
        device: torch.device = self._model.device
        return device

    @property
    def prefix_mlps(self) -> dict[str, int]:
        """See Backbone."""
        encoder, decoder = self.sizes["num_layers"], self.sizes["num_decoder_layers"]
        return {"prefix.encoder.": encoder, "prefix.decoder.": decoder, "prefix.cross.": decoder}

    @property
    def sizes(self) -> dict[str, int]:
        """See Backbone."""
        decoder = sum(block.has_cross_attention for block in self.blocks)
        return {
            "hidden_size": self.hidden,
            "num_layers": len(self.blocks) - decoder,
            "num_decoder_layers": decoder,
        }

    def logits(
        self, pack: PaddedPairs, modules: TrialModules, twice_differentiable: bool = False
    ) -> Tensor:
        """Logits [target tokens of all rows, vocabulary], float32, in the order of `pack.labels`:
        for each token, given the text and the tokens before it. modules: of the pack's trial or
        stack."""
        modules = self._typed(modules)
        states = []
        for index, group in enumerate(pack.groups):
            with self._run(
                _Running(
                    _of_group(modules, index),
                    Visible(group.lengths, group.is_padded),
                    twice_differentiable,
                )
            ):
                inputs = self._model.prepare_decoder_input_ids_from_labels(group.target_ids)
                output = self._decoder(
                    input_ids=inputs, encoder_hidden_states=self._encoded(group), use_cache=False
                )
            states.append(output.last_hidden_state.flatten(0, 1))
        # Logits of padding would cost as much as those of targets, which take most of a step's
        # memory.
        return self._words(torch.cat(states).index_select(0, pack.target_places))

    @torch.no_grad()
    def generate(
        self, pack: PaddedPairs, modules: TrialModules, asked: job_pb2.Generation
    ) -> list[Tensor]:
        """Beam search's text for each row, in the pack's order, trial after trial: int64 [tokens]
        with the end token, on the CPU. pack: a single group."""
        (group,), modules, config = pack.groups, self._typed(modules), self._model.config
        settings = Settings.of(asked, config.decoder_start_token_id, config.eos_token_id)
        with self._run(_Running(modules, Visible(group.lengths, group.is_padded))):
            layers = self.sizes["num_decoder_layers"]
            decoder = Cached(
                self._decoder,
                self._words,
                self._encoded(group),
                layers,
                asked.beams,
                asked.max_length,
            )
            return search(decoder, group.input_ids.shape[0], settings)

    def _encoded(self, group: PairGroup) -> Tensor:
        """The texts' last hidden states [rows, prompt + tokens, d]."""
        states: Tensor = self._encoder(input_ids=group.input_ids).last_hidden_state
        return states

    def _words(self, hidden: Tensor) -> Tensor:
        """Logits […, vocabulary], float32, for the decoder's last hidden states […, d]."""
        model, config = self._model, self._model.config
        if self.model_type == "bart":
            logits: Tensor = model.lm_head(hidden) + model.final_logits_bias
        else:
            logits = model.lm_head(
                hidden * self.hidden**-0.5 if config.scale_decoder_outputs else hidden
            )
        return logits.float()

    def _typed(self, modules: TrialModules) -> TrialModules:
        """The modules with their tensors in the model's type; two operations cast them all."""
        if all(tensor.dtype == self.dtype for tensor in modules.tensors.values()):
            return modules
        flat = torch.cat([tensor.reshape(-1) for tensor in modules.tensors.values()]).to(self.dtype)
        parts = flat.split([tensor.numel() for tensor in modules.tensors.values()])
        typed = {
            name: part.view(tensor.shape)
            for (name, tensor), part in zip(modules.tensors.items(), parts, strict=True)
        }
        return replace(modules, tensors=typed)

    @contextmanager
    def _run(self, running: _Running) -> Iterator[None]:
        self._running = running
        try:
            yield
        finally:
            self._running = None

    @property
    def _now(self) -> _Running:
        assert self._running is not None, "the model runs only for a trial or a stack"
        return self._running

    def _change(
        self, module: Any, site: Site, change: Callable[[TrialModules, Tensor, Tensor], Tensor]
    ) -> None:
        """If the running modules have this site, change(modules, output, input) replaces the
        module's output, or the output's first part."""

        def changed(modules: TrialModules, output: Tensor, x: Tensor) -> Tensor:
            # Dropout's factors are float32, as are some models' own second projections.
            return change(modules, output.to(self.dtype), x.to(self.dtype)).to(self.dtype)

        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            modules = self._now.modules
            if site not in modules.sites:
                return output
            x = args[0] if args else kwargs["hidden_states"]
            if isinstance(output, tuple):
                return changed(modules, output[0], x), *output[1:]
            return changed(modules, output, x)

        module.register_forward_hook(hook, with_kwargs=True)

    def _stand_at_attention(self, attention: Attention) -> None:
        at = attention.at
        self._change(attention.query, "query", lambda trial, y, x: trial.plus(f"{at}query", y, x))
        self._change(attention.value, "value", lambda trial, y, x: trial.plus(f"{at}value", y, x))
        self._change(
            attention.module,
            "attention_output",
            lambda trial, y, x: trial.adapt_at(at, "attention_output", y, x),
        )
        if attention.norm is not None:
            self._change(
                attention.norm,
                "attention_norm",
                lambda trial, y, _: trial.adapt_at(at, "attention_norm", y),
            )
        attention.module.attend = partial(self._attend, attention)

    def _stand_at_ffn(self, ffn: FeedForward) -> None:
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
            self._change(
                norm,
                "after_block",
                lambda trial, y, z: norm.forward(trial.adapt_at(at, "after_block", y) + z),
            )

    def _stand_at_bart_embeddings(self) -> None:
        encoder, decoder = self._encoder, self._decoder

        def positions(
            _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            """The row's own tokens count from 0, after the prompt."""
            places = torch.arange(args[0].shape[1], device=args[0].device) - self._prompt_length
            return args, kwargs | {"position_ids": places.clamp(min=0)}

        encoder.embed_positions.register_forward_pre_hook(positions, with_kwargs=True)
        encoder.layernorm_embedding.register_forward_pre_hook(
            lambda _, args: (self._prompted(args[0]), *args[1:])
        )
        self._change(
            encoder.layernorm_embedding,
            "embeddings",
            lambda trial, y, _: trial.dropped(y, "encoder.embeddings"),
        )
        self._change(
            decoder.layernorm_embedding,
            "embeddings",
            lambda trial, y, _: trial.dropped(y, "decoder.embeddings"),
        )

    def _stand_at_t5_embeddings(self) -> None:
        """T5 gives its first block the plain embeddings, because it has only relative positions."""

        def first_input(name: str, _: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x = self._prompted(args[0]) if name == "encoder" else args[0]
            return self._now.modules.dropped(x, f"{name}.embeddings").to(self.dtype), *args[1:]

        for name, stack in zip(STACKS, (self._encoder, self._decoder), strict=True):
            stack.block[0].register_forward_pre_hook(partial(first_input, name))

    @property
    def _prompt_length(self) -> int:
        prompt = self._now.modules.tensors.get("prompt")
        return 0 if prompt is None else prompt.shape[-2]

    def _prompted(self, x: Tensor) -> Tensor:
        """Embeddings [rows, tokens, d] with the prompt's vectors in the first places."""
        length = self._prompt_length
        if not length:
            return x
        # [1 or trials, 1, length, d], repeated for each trial's rows.
        prompts = self._now.modules.tensors["prompt"].view(-1, 1, length, x.shape[-1])
        before = prompts.expand(-1, x.shape[0] // prompts.shape[0], -1, -1).flatten(0, 1)
        return torch.cat([before, x[:, length:]], 1)

    def _attend(
        self,
        attention: Attention,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scaling: float,
        bias: Tensor | None,
    ) -> Tensor:
        """Attention [rows, queries, heads, dim] from query [rows, heads, queries, dim], with the
        trial's prefix before keys and values, which may come from a cache. bias: T5's, by
        distance."""
        now, kind = self._now, attention.kind
        prefix = now.modules.prefix_at(
            attention.at, f"prefix.{kind}.", attention.place, key.shape[1] * key.shape[3]
        )
        # T5's bias for cross-attention is all zeros.
        position_bias = None if kind == "cross" else bias
        dropout = now.modules.attention_dropout_at(attention.at)
        return attend_pairs(
            kind,
            query,
            key,
            value,
            now.visible,
            scaling,
            position_bias,
            prefix,
            dropout,
            now.twice_differentiable,
        )


def _of_group(modules: TrialModules, index: int) -> TrialModules:
    """The modules for one of a pack's groups."""
    if index == 0 or modules.dropout is None:
        return modules
    return replace(modules, dropout=GroupDropout(modules.dropout, index))


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
    assert attention_mask is None, "no mask is registered under this name"
    return module.attend(query, key, value, scaling, position_bias), None


def require_fit(backbone: EncoderDecoder, spec: job_pb2.JobSpec) -> None:
    """Raises JobFailed (BAD_ARTIFACT) for what the model cannot do. The request's check could not
    read a hub id's config.json."""
    for field, reason in misfits(spec, backbone.config):
        raise bad_artifact(f"backbone {spec.backbone.path}: {field} {reason}")


ALL_ATTENTION_FUNCTIONS.register(_ATTENTION, _attention_of_trial)


def load_encoder_decoder(
    path: str, device: torch.device, precision: int = job_pb2.PRECISION_FLOAT32
) -> EncoderDecoder:
    """Loads a frozen encoder–decoder from a Hugging Face directory or hub id; in bfloat16 for
    PRECISION_BF16, else in float32.

    Raises JobFailed (BAD_ARTIFACT) if it is missing, broken or not supported.
    """
    config = read_config(path)
    if config.model_type not in ENCODER_DECODERS:
        raise bad_artifact(
            f"backbone {path}: model_type {config.model_type!r} is not one of "
            f"{', '.join(ENCODER_DECODERS)}"
        )
    for name in ("decoder_start_token_id", "eos_token_id", "pad_token_id"):
        if getattr(config, name, None) is None:
            raise bad_artifact(
                f"backbone {path}: its config.json has no {name}, which decoding needs"
            )
    dtype = torch.bfloat16 if precision == job_pb2.PRECISION_BF16 else torch.float32
    try:
        model, loading = AutoModelForSeq2SeqLM.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            attn_implementation=_ATTENTION,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise bad_artifact(f"backbone {path}: its weights cannot be loaded: {error}") from error
    if loading["missing_keys"]:
        raise bad_artifact(f"backbone {path}: its weights have no {min(loading['missing_keys'])}")
    return EncoderDecoder(model.to(device))
