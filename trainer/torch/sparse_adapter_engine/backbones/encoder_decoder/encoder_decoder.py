"""BART and T5: Transformers' own modules, frozen, with hooks for a trial's modules."""

from dataclasses import replace
from typing import Any

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Block
from sparse_adapter_engine.data.pairs import PaddedPairs, PairGroup
from sparse_adapter_engine.modules.dropout import GroupDropout
from sparse_adapter_engine.modules.trial_modules import TrialModules

from .attention import Visible
from .generation import Cached, Settings, search
from .hooks import Hooks, Running
from .layers import STACKS, bart_parts, t5_parts
from .limits import attention_width


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
        self._hooks = Hooks(model, attentions, ffns)
        self._encoder, self._decoder = model.get_encoder(), model.get_decoder()

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        found: dict[str, Any] = self._model.config.to_dict()
        return found

    @property
    def own_shapes(self) -> dict[str, tuple[int, ...]]:
        """See Backbone."""
        raise NotImplementedError("a request for an encoder–decoder's own tensors is refused")

    def frozen_matrix(self, name: str) -> Tensor:
        """See Backbone."""
        raise KeyError(name)

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
            with self._hooks.run(
                Running(
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
        with self._hooks.run(Running(modules, Visible(group.lengths, group.is_padded))):
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


def _of_group(modules: TrialModules, index: int) -> TrialModules:
    """The modules for one of a pack's groups."""
    if index == 0 or modules.dropout is None:
        return modules
    return replace(modules, dropout=GroupDropout(modules.dropout, index))
