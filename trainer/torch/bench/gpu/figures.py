"""Encoders' rows per second: baselines one trial at a time, ours K at a time."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch

from sparse_adapter_engine.backbones.encoder.encoder import Encoder

from . import ours
from .baselines import Baseline
from .measure import Step, Timing, bf16_ceiling, profile_kernels, timed
from .models import random_roberta
from .report import Report, Row
from .sizes import Sizes
from .workloads import FULL, Lengths, RandomRows, Shape, random_rows, useful_operations

HOULSBY = "Houlsby"
# For forms other than Houlsby: LoRA's rank, tokens of a prefix or prompt.
FORM_WIDTHS = {"LoRA": 8, "prefix": 16, "prompt": 16}
# Widths in a mixed cohort.
MIXED_WIDTHS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Asked:
    """A row to measure: K of our trials. form: see ours.py; mixed: whether adapters have
    MIXED_WIDTHS."""

    shape: Shape
    lengths: Lengths
    trials: int
    precision: str = "bf16"
    form: str = HOULSBY
    mixed: bool = False
    dropout: float = 0.0

    @property
    def name(self) -> str:
        words = ["ours"]
        if self.form != HOULSBY:
            words.append(self.form)
        if self.mixed:
            words.append(f"widths {MIXED_WIDTHS[0]} to {MIXED_WIDTHS[-1]}")
        if self.dropout:
            words.append(f"dropout {self.dropout:g}")
        return ", ".join(words)


@dataclass
class Figures:
    """ceiling: operations per second of a large bf16 product, None until measured."""

    report: Report
    sizes: Sizes
    device: torch.device
    ceiling: float | None = None
    _loaded: tuple[Shape, str, ours.Loaded[Encoder]] | None = None
    _baseline_b: dict[tuple[str, str], float] = field(default_factory=dict)

    def measure_ceiling(self) -> None:
        self.ceiling = bf16_ceiling(self.device, self.sizes.small)
        self.report.found["bf16_tflops_of_8192_cubed"] = round(self.ceiling / 1e12, 1)

    def baseline(self, name: str, shape: Shape, lengths: Lengths) -> None:
        """A: padded to 128 tokens; B: to the batch's longest row."""
        self._loaded = None
        rows, batch = self._rows(shape, lengths), self._batch(lengths)
        padded_to = FULL.most if name == "A" else None
        one = Baseline(shape, rows, self.device, self.sizes.width, batch, padded_to)
        one.visit_lengths()
        one.computed = one.real = 0
        timing = timed(one.step, self.device, self.sizes.pace)
        row = self._row(f"baseline {name}", shape, lengths, 1, "bf16", timing, one.step)
        row["padding_percent"] = round(100 * one.padding, 1)
        self._add_use(row, shape, rows, batch, 1, self.sizes.width)
        if name == "B":
            self._baseline_b[shape.name, lengths.name] = row["rows_s"]
        self.report.row(row)

    def measure(self, asked: Asked) -> None:
        shape, lengths = asked.shape, asked.lengths
        rows, batch = self._rows(shape, lengths), self._batch(lengths)
        widths = self._widths(asked)
        adapters = [ours.adapter(asked.form, width) for width in widths]
        numbered = enumerate(adapters, start=1)
        trials = [ours.Asked(*each, batch, asked.dropout) for each in numbered]
        pace = self.sizes.pace if asked.form == HOULSBY else self.sizes.pace.short()
        loaded = self._load(shape, asked.precision)
        with closing(ours.Cohort(loaded, rows, trials)) as cohort:
            timing = timed(cohort.step, self.device, pace, between=cohort.settle)
            words = (asked.name, shape, lengths, asked.trials, asked.precision)
            row = self._row(*words, timing, cohort.step)
            cohort.settle()
            row["padding_percent"] = round(100 * cohort.padding(), 1)
        self.report.found.setdefault("chosen", {})[asked.precision] = loaded.operations.names
        if asked.form == HOULSBY:
            self._add_use(row, shape, rows, batch, asked.trials, sum(widths) / len(widths))
        rate = self._baseline_b.get((shape.name, lengths.name))
        row["to_baseline_b"] = None if rate is None else round(row["rows_s"] / rate, 2)
        self.report.row(row)

    def _widths(self, asked: Asked) -> list[int]:
        if asked.mixed:
            return [MIXED_WIDTHS[at % len(MIXED_WIDTHS)] for at in range(asked.trials)]
        return [FORM_WIDTHS.get(asked.form, self.sizes.width)] * asked.trials

    def forget(self) -> None:
        """Frees the GPU for others."""
        self._loaded = None

    def _load(self, shape: Shape, precision: str) -> ours.Loaded[Encoder]:
        """The last one stays loaded, because neighbours in the plan share it."""
        if self._loaded is None or self._loaded[:2] != (shape, precision):
            self._loaded = None
            loaded = ours.load(random_roberta(shape, self.device), precision)
            self._loaded = shape, precision, loaded
        return self._loaded[2]

    def _batch(self, lengths: Lengths) -> int:
        return self.sizes.answer_batch if lengths == self.sizes.answers else self.sizes.batch

    def _rows(self, shape: Shape, lengths: Lengths) -> RandomRows:
        drawn = lengths.draw(self.sizes.rows, torch.Generator().manual_seed(1))
        return random_rows(drawn, shape, answers=lengths == self.sizes.answers)

    def _row(
        self,
        contender: str,
        shape: Shape,
        lengths: Lengths,
        trials: int,
        precision: str,
        timing: Timing,
        step: Step,
    ) -> Row:
        row: Row = {
            "contender": contender,
            "shape": shape.name,
            "data": lengths.name,
            "precision": precision,
            "trials": trials,
            "ms": round(timing.ms, 3),
            "rows_s": round(trials * self._batch(lengths) / timing.ms * 1e3, 1),
            "spread_percent": round(100 * timing.spread, 1),
            "peak_gib": None if timing.peak_gib is None else round(timing.peak_gib, 2),
        }
        kernels = profile_kernels(step, self.device)
        if kernels is not None:
            row |= {
                "kernels": kernels.count,
                "busy_percent": round(100 * kernels.busy_ms / timing.ms),
            }
        return row

    def _add_use(
        self,
        row: Row,
        shape: Shape,
        rows: RandomRows,
        batch: int,
        trials: int,
        width: float,
    ) -> None:
        if self.ceiling is None:
            return
        every_token = rows.labels.ndim == 2
        operations = useful_operations(
            shape,
            trials * batch * rows.tokens_a_row,
            trials * batch,
            width,
            every_token,
        )
        row["mfu_percent"] = round(100 * operations / (row["ms"] / 1e3) / self.ceiling, 1)


def plan_of_ours(
    sizes: Sizes,
    shape: Shape,
    lengths: Lengths,
    *trials: int,
    **more: Any,
) -> list[Asked]:
    """The same row for each of these numbers of trials; in a rehearsal limited to few, each
    once."""
    counts = dict.fromkeys(min(count, sizes.many) if sizes.small else count for count in trials)
    return [Asked(shape, lengths, count, **more) for count in counts]
