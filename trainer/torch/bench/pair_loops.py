"""Transformers' BART with adapters as forward hooks, as contenders."""

from typing import Any

import torch
from bart import (
    BEAMS,
    GENERATE_BATCH,
    LEAST,
    MOST,
    NGRAM,
    TRAIN,
    TRAIN_BATCH,
    Pair,
    documents,
    pairs,
)
from careful_loop import adapt
from rows import WIDTH
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSeq2SeqLM, GenerationConfig


def generating(model: str, by_length: bool) -> "Generating":
    return Generating(model, documents(), by_length)


def training(model: str) -> "Loop":
    return Loop(model, pairs())


def adapted_model(path: str) -> tuple[Any, nn.ModuleList]:
    """A frozen encoder–decoder, and the adapters after each of its output projections."""
    model = (
        AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="sdpa")
        .eval()
        .requires_grad_(False)
    )
    encoder, decoder = model.model.encoder.layers, model.model.decoder.layers
    outputs = [
        out for layer in (*encoder, *decoder) for out in (layer.self_attn.out_proj, layer.fc2)
    ]
    outputs += [layer.encoder_attn.out_proj for layer in decoder]
    return model, adapt(outputs, model.config.d_model, WIDTH)


class Generating:
    """Transformers' `generate` with adapters as forward hooks: one batch per step, padded to its
    longest document."""

    def __init__(self, path: str, documents: list[list[int]], by_length: bool) -> None:
        self.model, _ = adapted_model(path)
        rows = [
            torch.tensor(document)
            for document in (sorted(documents, key=len) if by_length else documents)
        ]
        self.batches, self.next = (
            [rows[at : at + GENERATE_BATCH] for at in range(0, len(rows), GENERATE_BATCH)],
            0,
        )
        self.settings = GenerationConfig(
            num_beams=BEAMS, do_sample=False, min_new_tokens=LEAST, max_new_tokens=MOST,
            no_repeat_ngram_size=NGRAM, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            decoder_start_token_id=2,
        )  # fmt: skip

    def run(self, steps: int) -> int:
        """Generates for `steps` batches and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            batch = self.batches[self.next % len(self.batches)]
            ids = pad_sequence(batch, batch_first=True, padding_value=1)
            generated: Tensor = self.model.generate(
                input_ids=ids, attention_mask=(ids != 1).long(), generation_config=self.settings
            )
            rows += len(generated)
            self.next += 1
        return rows


class Loop:
    """Transformers' model with adapters as forward hooks, each batch padded to its longest."""

    def __init__(self, path: str, pairs: list[Pair]) -> None:
        self.model, adapters = adapted_model(path)
        self.trained = list(adapters.parameters())
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=TRAIN.learning_rate, weight_decay=TRAIN.weight_decay, fused=True
        )
        self.batches, self.done = (
            [pairs[at : at + TRAIN_BATCH] for at in range(0, len(pairs), TRAIN_BATCH)],
            0,
        )

    def run(self, steps: int) -> int:
        """Trains `steps` steps and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            batch = self.batches[self.done % len(self.batches)]
            ids = padded([document for document, _ in batch], 1)
            labels = padded([summary for _, summary in batch], -100)
            self.model(
                input_ids=ids, attention_mask=(ids != 1).long(), labels=labels
            ).loss.backward()
            torch.nn.utils.clip_grad_norm_(self.trained, TRAIN.max_grad_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.done += 1
            rows += len(batch)
        return rows


def padded(rows: list[list[int]], value: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)
