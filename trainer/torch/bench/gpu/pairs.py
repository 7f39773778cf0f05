"""An encoder–decoder's rows per second at BART-base's sizes, training and generating, compared with
Transformers with hooks."""

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder

from . import ours
from .baselines import Bottleneck, fused_adamw, update
from .measure import Step, timed
from .models import random_bart
from .report import Report
from .sizes import Sizes

_PADDING, _END, _FIRST_WORD, _IGNORED = 1, 2, 10, -100


@dataclass(frozen=True)
class RandomPairs:
    """texts, targets: int64 [tokens] of each row."""

    texts: list[Tensor]
    targets: list[Tensor]


@dataclass
class PairFigures:
    """Times generation per batch, and training per step of all trials."""

    report: Report
    sizes: Sizes
    device: torch.device
    _loaded: tuple[str, ours.Loaded[EncoderDecoder]] | None = None

    def baseline_training(self) -> None:
        self._loaded = None
        one = HookedBart(self.sizes, self.device, self._pairs())
        self._time("baseline B", 1, "bf16", one.train_step, self.sizes.pairs_batch)

    def baseline_generation(self) -> None:
        self._loaded = None
        one = HookedBart(self.sizes, self.device, self._pairs())
        self._time("baseline B, generate", 1, "bf16", one.generate, self.sizes.pairs_batch)

    def training(self, trials: int, precision: str) -> None:
        rows = trials * self.sizes.pairs_batch
        with closing(self._cohort(trials, precision)) as cohort:
            self._time("ours", trials, precision, cohort.step, rows, cohort.settle)

    def generation(self, precision: str) -> None:
        sizes = self.sizes
        with closing(self._cohort(1, precision)) as cohort:
            generate = cohort.generating(sizes.beams, sizes.longest_target)
            self._time("ours, generate", 1, precision, generate, sizes.pairs_batch)

    def _cohort(self, trials: int, precision: str) -> ours.PairCohort:
        if self._loaded is None or self._loaded[0] != precision:
            self._loaded = None
            model = random_bart(self.sizes.small, self.device)
            self._loaded = precision, ours.load_pairs(model, precision)
        loaded = self._loaded[1]
        adapter = ours.adapter(width=self.sizes.width)
        asked = [ours.Asked(seed, adapter, self.sizes.pairs_batch) for seed in range(1, trials + 1)]
        pairs = self._pairs()
        return ours.PairCohort(loaded, pairs.texts, pairs.targets, asked)

    def _pairs(self) -> RandomPairs:
        sizes, random = self.sizes, torch.Generator().manual_seed(1)
        vocabulary = 500 if sizes.small else 50_265

        def rows(lengths: Tensor) -> list[Tensor]:
            words = partial(torch.randint, _FIRST_WORD, vocabulary, generator=random)
            return [words((length,)) for length in lengths.tolist()]

        drawn = [lengths.draw(sizes.rows, random) for lengths in (sizes.texts, sizes.targets)]
        return RandomPairs(rows(drawn[0]), rows(drawn[1]))

    def _time(
        self,
        contender: str,
        trials: int,
        precision: str,
        step: Step,
        rows: int,
        between: Step = lambda: None,
    ) -> None:
        timing = timed(step, self.device, replace(self.sizes.pace, warm_up=20), between)
        row: dict[str, Any] = {
            "contender": contender,
            "shape": "BART-base",
            "data": self.sizes.texts.name,
            "precision": precision,
            "trials": trials,
            "ms": round(timing.ms, 3),
            "rows_s": round(rows / timing.ms * 1e3, 1),
            "spread_percent": round(100 * timing.spread, 1),
            "peak_gib": None if timing.peak_gib is None else round(timing.peak_gib, 2),
        }
        if contender.startswith("ours"):
            row["to_baseline_b"] = self._ratio(contender, row["rows_s"])
        self.report.row(row)

    def _ratio(self, contender: str, rate: float) -> float | None:
        beside = contender.replace("ours", "baseline B")
        wanted = {"contender": beside, "shape": "BART-base"}
        rows = self.report.found["rows"]
        found = [row["rows_s"] for row in rows if wanted.items() <= row.items()]
        return round(rate / found[-1], 2) if found else None


class HookedBart:
    """One trial: Transformers' model with Houlsby adapters as forward hooks, bf16 autocast, batches
    padded to their longest."""

    def __init__(self, sizes: Sizes, device: torch.device, pairs: RandomPairs) -> None:
        torch.set_float32_matmul_precision("highest")
        self.sizes, self.device, self.pairs, self.next = sizes, device, pairs, 0
        self.model = random_bart(sizes.small, device)
        encoder, decoder = self.model.model.encoder.layers, self.model.model.decoder.layers
        places = [layer.self_attn.out_proj for layer in (*encoder, *decoder)]
        places += [layer.fc2 for layer in (*encoder, *decoder)]
        places += [layer.encoder_attn.out_proj for layer in decoder]
        hidden = self.model.config.d_model
        self.adapters = nn.ModuleList(Bottleneck(hidden, sizes.width) for _ in places)
        self.adapters.to(device)
        for bottleneck, place in zip(self.adapters, places, strict=True):
            bottleneck.stand_after(place)
        self.optimizer = fused_adamw(self.adapters.parameters())
        self.settings = GenerationConfig(
            num_beams=sizes.beams,
            do_sample=False,
            max_new_tokens=sizes.longest_target,
            pad_token_id=_PADDING,
            bos_token_id=0,
            eos_token_id=_END,
            decoder_start_token_id=_END,
        )

    def train_step(self) -> None:
        texts, targets = (
            self._batch(self.pairs.texts, _PADDING),
            self._batch(self.pairs.targets, _IGNORED),
        )
        self.next += 1
        with self._autocast():
            loss = self.model(
                input_ids=texts,
                attention_mask=texts != _PADDING,
                labels=targets,
            ).loss
        update(loss, self.optimizer, self.adapters.parameters())

    @torch.no_grad()
    def generate(self) -> None:
        texts = self._batch(self.pairs.texts, _PADDING)
        self.next += 1
        with self._autocast():
            mask = (texts != _PADDING).long()
            self.model.generate(
                input_ids=texts,
                attention_mask=mask,
                generation_config=self.settings,
            )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16)

    def _batch(self, rows: list[Tensor], padding: int) -> Tensor:
        size = self.sizes.pairs_batch
        begin = self.next * size % (len(rows) - size + 1)
        padded = pad_sequence(rows[begin : begin + size], batch_first=True, padding_value=padding)
        return padded.to(self.device)
